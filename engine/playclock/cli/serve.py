"""`playclock serve`: reads the command line, tunes the process, and hands over to `playclock.cli.serving`."""

import os
from pathlib import Path

import click

from playclock import log, settings
from playclock.cli.addresses import ADDRESS, Address, refuse_exposure
from playclock.cli.failures import UsageFailure
from playclock.cli.options import (
    DEFAULT_GRPC,
    FILE,
    archive_option,
    config_option,
    http_option,
    insecure_option,
    log_level_option,
    require_http,
    store_option,
)
from playclock.cli.teaching import example
from playclock.cli.tuning import allow_connections, run, tune


@click.command(epilog=example("playclock serve --config examples/settings.toml --provision examples/provisioning.toml"))
@config_option
@click.option(
    "--provision",
    type=FILE,
    envvar="PLAYCLOCK_PROVISION",
    show_envvar=True,
    help="A provisioning file to apply before serving.",
)
@store_option
@archive_option
@http_option
@click.option(
    "--grpc",
    type=ADDRESS,
    default=str(DEFAULT_GRPC),
    show_default=True,
    envvar="PLAYCLOCK_GRPC",
    show_envvar=True,
    help="Where to listen for gRPC; port 0 picks a free one.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    envvar="PLAYCLOCK_WORKERS",
    show_envvar=True,
    help="Processes that serve; this version knows one.",
)
@insecure_option
@click.option(
    "--tuning/--no-tuning",
    default=True,
    show_default=True,
    envvar="PLAYCLOCK_TUNING",
    show_envvar=True,
    help="uvloop, gRPC's faster poller, batch scheduling.",
)
@log_level_option
def serve(
    *,
    config: Path | None,
    provision: Path | None,
    store: str,
    archive: str | None,
    http: Address,
    grpc: Address,
    workers: int,
    insecure: bool,
    tuning: bool,
    log_level: str,
) -> None:
    """Serve gRPC and REST until SIGTERM.

    Prints one line `ready grpc=HOST:PORT http=HOST:PORT store=URL` on stdout when it serves; logs go to stderr. SIGTERM and
    SIGINT finish the calls that are under way and exit 0; a second signal hurries.
    """
    if workers != 1:
        raise UsageFailure("--workers must be 1: this version serves a store with one process")
    refuse_exposure("--http", http, insecure=insecure)
    refuse_exposure("--grpc", grpc, insecure=insecure)
    require_http()
    log.configure(log_level)
    rules = settings.load(config, os.environ)
    allow_connections()
    if tuning:
        tune()
    # Only now: grpc reads its settings when it is imported.
    from playclock.cli.serving import Plan, serve_until_stopped  # noqa: PLC0415

    plan = Plan(store=store, archive=archive, http=http, grpc=grpc, settings=rules, provision=provision, tuned=tuning)
    run(lambda: serve_until_stopped(plan), tuned=tuning)
