"""Puts a facade together whose engine is elsewhere."""

import logging
from collections.abc import Sequence

import click
import playclock_http

from playclock.cli.addresses import Address, bind
from playclock.cli.failures import UsageFailure
from playclock.cli.http_server import HttpServer
from playclock.cli.remote import CALL_SEC, open_channel
from playclock.cli.stopping import stoppable
from playclock.cli.tuning import settle
from playclock.tomltable import is_token

_log = logging.getLogger(__name__)


async def front_until_stopped(engine: Address, http: Address, *, token: str | None, trusted_proxies: Sequence[str]) -> None:
    """Serve REST in front of the engine until a signal. Raises Failure where it cannot start."""
    if token is not None and not is_token(token):
        raise UsageFailure("--engine-token must be 1 to 255 visible ASCII characters")
    with stoppable() as stopping, bind(http) as listener:
        async with open_channel(engine) as channel:
            app = playclock_http.make_app(channel, trusted_proxies=trusted_proxies, engine_token=token, deadline_sec=CALL_SEC)
            server = await HttpServer.start(app, listener, http)
            settle()
            stopping.ready()
            click.echo(f"ready http={server.address} engine={engine}")
            await stopping.wait(server.stopped)
            _log.info("draining")
            await stopping.drain(server.drain)
    _log.info("stopped")
