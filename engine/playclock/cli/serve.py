"""`playclock serve`: reads the command line, tunes the process, and hands over to `playclock.cli.serving`."""

import os
import socket
from collections.abc import Mapping
from pathlib import Path

import click

from playclock import log, masterkeys, settings
from playclock.cli.addresses import ADDRESS, PROXY_REMEDY, Address, refuse_exposure, reserved
from playclock.cli.certificates import TlsFiles
from playclock.cli.failures import UsageFailure
from playclock.cli.options import (
    DEFAULT_GRPC,
    FILE,
    archive_option,
    blobs_option,
    config_option,
    http_option,
    insecure_option,
    log_level_option,
    master_key_option,
    metrics_option,
    require_http,
    require_metrics,
    store_option,
    tls_option,
)
from playclock.cli.teaching import example
from playclock.cli.tuning import allow_connections, run, tune
from playclock.tomltable import Printed


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
@blobs_option
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
    help="Processes that share the ports, restarted when they die. On Redis they share the work; on SQLite they spread what "
    "computes, but still write one after another. memory:// has one.",
)
@click.option("--worker", type=int, envvar="PLAYCLOCK_WORKER", hidden=True, help="Which of the workers this is.")
@metrics_option
@click.option("--worker-metrics", type=click.Path(path_type=Path), envvar="PLAYCLOCK_WORKER_METRICS", hidden=True)
@tls_option
@click.option(
    "--tls-client-ca",
    type=FILE,
    envvar="PLAYCLOCK_TLS_CLIENT_CA",
    show_envvar=True,
    help="Let in over gRPC only clients with a certificate of this authority (PEM). REST asks for none.",
)
@master_key_option
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
    blobs: str | None,
    http: Address,
    grpc: Address,
    workers: int,
    worker: int | None,
    metrics: Address | None,
    worker_metrics: Path | None,
    tls: tuple[Path, Path] | None,
    tls_client_ca: Path | None,
    master_key: Path | Printed | None,
    insecure: bool,
    tuning: bool,
    log_level: str,
) -> None:
    """Serve gRPC and REST until SIGTERM.

    Prints one line `ready grpc=HOST:PORT http=HOST:PORT store=URL` on stdout when it serves; logs go to stderr. SIGTERM and
    SIGINT finish the calls that are under way and exit 0; a second signal hurries.

    With --tls-cert and --tls-key both speak TLS, with the same certificate. Without them only this machine can reach it.
    """
    files = _tls_files(tls, tls_client_ca)
    refuse_exposure("--http", http, insecure=insecure or files is not None)
    refuse_exposure("--grpc", grpc, insecure=insecure or files is not None)
    require_http()
    if metrics is not None:
        refuse_exposure("--metrics", metrics, insecure=insecure, remedy=PROXY_REMEDY)
        require_metrics()
    if workers > 1:
        log.configure(log_level)
        options = {
            "PLAYCLOCK_CONFIG": config,
            "PLAYCLOCK_STORE": store,
            "PLAYCLOCK_ARCHIVE": archive,
            "PLAYCLOCK_BLOBS": blobs,
            "PLAYCLOCK_TLS_CERT": files and files.certificate,
            "PLAYCLOCK_TLS_KEY": files and files.key,
            "PLAYCLOCK_TLS_CLIENT_CA": tls_client_ca,
            "PLAYCLOCK_MASTER_KEY_FILE": master_key if isinstance(master_key, Path) else None,
            "PLAYCLOCK_MASTER_KEY_COMMAND": master_key.command if isinstance(master_key, Printed) else None,
            "PLAYCLOCK_INSECURE": int(insecure),
            "PLAYCLOCK_TUNING": int(tuning),
            "PLAYCLOCK_LOG_LEVEL": log_level,
        }
        _supervise(workers, options, provision=provision, http=http, grpc=grpc, metrics=metrics)
        return
    log.configure(log_level, always={} if worker is None else {"worker": worker})
    rules = settings.load(config, os.environ)
    master_keys = masterkeys.read_keys(master_key or rules.security.master_key, rules.security.old_master_keys)
    allow_connections()
    if tuning:
        tune()
    # Only now: grpc reads its settings when it is imported.
    from playclock.cli.serving import Plan, serve_until_stopped  # noqa: PLC0415

    plan = Plan(
        store=store,
        archive=archive,
        blobs=blobs,
        http=http,
        grpc=grpc,
        settings=rules,
        master_keys=master_keys,
        provision=provision,
        tuned=tuning,
        worker=worker,
        metrics=metrics,
        worker_metrics=worker_metrics,
        tls=files,
    )
    run(lambda: serve_until_stopped(plan), tuned=tuning)


def _tls_files(pair: tuple[Path, Path] | None, client_ca: Path | None) -> TlsFiles | None:
    if pair is not None:
        return TlsFiles(*pair, client_ca)
    if client_ca is not None:
        raise UsageFailure("--tls-client-ca needs a certificate of the server's own: name it by --tls-cert and --tls-key")
    return None


def _supervise(
    workers: int,
    options: Mapping[str, object],
    *,
    provision: Path | None,
    http: Address,
    grpc: Address,
    metrics: Address | None,
) -> None:
    """Keep the ports, and let workers serve there."""
    from playclock.cli.supervising import Orders, supervise_until_stopped  # noqa: PLC0415 one process needs none of it

    if options["PLAYCLOCK_STORE"] == "memory://":
        raise UsageFailure(
            "--workers needs a store that processes can share, and memory:// lies within one: redis:// or sqlite://"
        )
    if not hasattr(socket, "SO_REUSEPORT"):
        raise UsageFailure("--workers needs ports that processes can share, which this system does not have")
    with reserved(http) as http_kept, reserved(grpc) as grpc_kept:
        given = {**options, "PLAYCLOCK_HTTP": http_kept, "PLAYCLOCK_GRPC": grpc_kept}
        orders = Orders({name: str(value) for name, value in given.items() if value is not None}, provision)
        run(lambda: supervise_until_stopped(workers, orders, metrics), tuned=False)
