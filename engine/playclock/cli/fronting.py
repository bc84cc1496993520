"""Puts a facade together whose engine is elsewhere."""

import contextlib
import logging

import click
import playclock_http

from playclock.cli.addresses import Address, bind
from playclock.cli.certificates import TlsFiles
from playclock.cli.crowd import Crowd
from playclock.cli.engines import RemoteEngine
from playclock.cli.failures import UsageFailure
from playclock.cli.http_server import HttpServer
from playclock.cli.remote import CALL_SEC, open_channel
from playclock.cli.renewal import ServerIdentity
from playclock.cli.stopping import stoppable
from playclock.cli.tuning import settle
from playclock.settings import Security
from playclock.tomltable import is_token

_log = logging.getLogger(__name__)


async def front_until_stopped(
    engine: RemoteEngine, http: Address, *, token: str | None, security: Security, tls: TlsFiles | None
) -> None:
    """Serve REST in front of the engine until a signal. Raises Failure where it cannot start."""
    if token is not None and not is_token(token):
        raise UsageFailure("--engine-token must be 1 to 255 visible ASCII characters")
    identity = None if tls is None else ServerIdentity(tls)
    with stoppable() as stopping, bind(http) as listener:
        async with open_channel(engine) as channel, contextlib.nullcontext() if identity is None else identity.kept():
            proxies = security.trusted_proxies
            app = playclock_http.make_app(channel, trusted_proxies=proxies, engine_token=token, deadline_sec=CALL_SEC)
            crowd = Crowd(security.connections_per_address, proxies)
            context = None if identity is None else identity.http_context()
            server = await HttpServer.start(app, listener, http, crowd=crowd, context=context)
            settle()
            stopping.ready()
            click.echo(f"ready http={server.address} engine={engine}")
            await stopping.wait(server.stopped)
            _log.info("draining")
            await stopping.drain(server.drain)
    _log.info("stopped")
