"""`playclock facade`: the HTTP facade alone, in front of an engine elsewhere."""

import os
from functools import partial
from pathlib import Path

import click

from playclock import log, settings
from playclock.cli.addresses import ADDRESS, Address, refuse_exposure
from playclock.cli.certificates import TlsFiles
from playclock.cli.engines import RemoteEngine
from playclock.cli.options import (
    config_option,
    engine_trust_option,
    http_option,
    insecure_option,
    log_level_option,
    require_http,
    tls_option,
)
from playclock.cli.teaching import example
from playclock.cli.tuning import allow_connections, run, tune


@click.command(
    short_help="Serve REST in front of an engine elsewhere.",
    epilog=example("playclock facade --engine 127.0.0.1:50051 --http 127.0.0.1:8081"),
)
@click.option(
    "--engine", type=ADDRESS, required=True, envvar="PLAYCLOCK_ENGINE", show_envvar=True, help="The engine's gRPC address."
)
@partial(engine_trust_option, prefix="--engine-tls")
@click.option(
    "--engine-token",
    envvar="PLAYCLOCK_ENGINE_TOKEN",
    show_envvar=True,
    help="An operator's or a service's token of the engine: proves that the facade may speak for launchers.",
)
@http_option
@config_option
@tls_option
@insecure_option
@log_level_option
def facade(
    *,
    engine: RemoteEngine,
    engine_token: str | None,
    http: Address,
    config: Path | None,
    tls: tuple[Path, Path] | None,
    insecure: bool,
    log_level: str,
) -> None:
    """Serve REST in front of an engine that runs elsewhere, until SIGTERM.

    Prints one line `ready http=HOST:PORT engine=HOST:PORT` on stdout when it serves; logs go to stderr. Of the settings file
    it needs [security] only, without operator_tokens.

    An engine on another machine is called by TLS; --engine-tls-ca names its authority.
    """
    refuse_exposure("--http", http, insecure=insecure or tls is not None)
    require_http()
    log.configure(log_level)
    security = settings.load(config, os.environ).security
    allow_connections()
    tune()
    # Only now: grpc reads its settings when it is imported.
    from playclock.cli.fronting import front_until_stopped  # noqa: PLC0415

    run(
        lambda: front_until_stopped(engine, http, token=engine_token, security=security, tls=tls and TlsFiles(*tls)), tuned=True
    )
