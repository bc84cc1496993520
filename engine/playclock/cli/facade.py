"""`playclock facade`: the HTTP facade alone, in front of an engine elsewhere."""

import os
from pathlib import Path

import click

from playclock import log, settings
from playclock.cli.addresses import Address, refuse_exposure
from playclock.cli.options import (
    config_option,
    engine_option,
    http_option,
    insecure_option,
    log_level_option,
    require_http,
)
from playclock.cli.teaching import example
from playclock.cli.tuning import allow_connections, run, tune


@click.command(
    short_help="Serve REST in front of an engine elsewhere.",
    epilog=example("playclock facade --engine 127.0.0.1:50051 --http 127.0.0.1:8081"),
)
@engine_option()
@click.option(
    "--engine-token",
    envvar="PLAYCLOCK_ENGINE_TOKEN",
    show_envvar=True,
    help="An operator token of the engine: proves that the facade may speak for launchers.",
)
@http_option
@config_option
@insecure_option
@log_level_option
def facade(
    *,
    engine: Address,
    engine_token: str | None,
    http: Address,
    config: Path | None,
    insecure: bool,
    log_level: str,
) -> None:
    """Serve REST in front of an engine that runs elsewhere, until SIGTERM.

    Prints one line `ready http=HOST:PORT engine=HOST:PORT` on stdout when it serves; logs go to stderr. Of the settings file
    it needs security.trusted_proxies only.
    """
    refuse_exposure("--http", http, insecure=insecure)
    refuse_exposure("--engine", engine, insecure=insecure)
    require_http()
    log.configure(log_level)
    proxies = settings.load(config, os.environ).security.trusted_proxies
    allow_connections()
    tune()
    # Only now: grpc reads its settings when it is imported.
    from playclock.cli.fronting import front_until_stopped  # noqa: PLC0415

    run(lambda: front_until_stopped(engine, http, token=engine_token, trusted_proxies=proxies), tuned=True)
