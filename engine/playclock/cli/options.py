"""Options that several commands share, each with its variable and default."""

import functools
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click

from playclock.cli.addresses import ADDRESS, Address
from playclock.cli.failures import Failure, UsageFailure

Command = TypeVar("Command", bound=Callable[..., Any])

DEFAULT_STORE: Final = "sqlite:///playclock.db"
DEFAULT_GRPC: Final = Address("127.0.0.1", 50051)
DEFAULT_HTTP: Final = Address("127.0.0.1", 8080)
METRICS_PACKAGE: Final = "prometheus_client"
HTTP_PACKAGES: Final = ("httptools", "starlette", "uvicorn")

FILE: Final = click.Path(path_type=Path, dir_okay=False)


def config_option(command: Command) -> Command:
    """Add --config."""
    return click.option(
        "--config", type=FILE, envvar="PLAYCLOCK_CONFIG", show_envvar=True, help="The settings file; defaults hold without one."
    )(command)


def store_option(command: Command) -> Command:
    """Add --store."""
    return click.option(
        "--store",
        metavar="URL",
        default=DEFAULT_STORE,
        show_default=True,
        envvar="PLAYCLOCK_STORE",
        show_envvar=True,
        help="Where sessions and money lie: memory://, sqlite:///FILE, redis://HOST:PORT/0, redis+sentinel:// or redis+cluster://.",
    )(command)


def archive_option(command: Command) -> Command:
    """Add --archive."""
    return click.option(
        "--archive",
        metavar="URL",
        envvar="PLAYCLOCK_ARCHIVE",
        show_envvar=True,
        help="Where settlements, ledger and audit trail lie: sqlite:///FILE, postgresql://USER@HOST/NAME or none. "
        "Default: beside the store, play-archive.db for play.db; none for Redis.",
    )(command)


def http_option(command: Command) -> Command:
    """Add --http."""
    return click.option(
        "--http",
        type=ADDRESS,
        default=str(DEFAULT_HTTP),
        show_default=True,
        envvar="PLAYCLOCK_HTTP",
        show_envvar=True,
        help="Where to listen for REST; port 0 picks a free one.",
    )(command)


def metrics_option(command: Command) -> Command:
    """Add --metrics."""
    return click.option(
        "--metrics",
        type=ADDRESS,
        envvar="PLAYCLOCK_METRICS",
        show_envvar=True,
        help="Where Prometheus finds GET /metrics, such as 127.0.0.1:9464; port 0 picks a free one, which the log tells. "
        "Without it there are none.",
    )(command)


def tls_option(command: Command) -> Command:
    """Add --tls-cert and --tls-key, which the command gets together as `tls`: a pair of files, or None."""

    @functools.wraps(command)
    def with_tls(*, tls_cert: Path | None, tls_key: Path | None, **others: object) -> object:
        return command(tls=pair_of("--tls", tls_cert, tls_key), **others)

    certificate = click.option(
        "--tls-cert",
        type=FILE,
        envvar="PLAYCLOCK_TLS_CERT",
        show_envvar=True,
        help="Speak TLS with this certificate (PEM, with its chain). It is read again when it changes.",
    )
    key = click.option("--tls-key", type=FILE, envvar="PLAYCLOCK_TLS_KEY", show_envvar=True, help="Its private key (PEM).")
    return certificate(key(cast("Command", with_tls)))


def pair_of(prefix: str, certificate: Path | None, key: Path | None) -> tuple[Path, Path] | None:
    """Return the two files, or None where neither is named. Raises UsageFailure for one without the other."""
    if certificate is not None and key is not None:
        return certificate, key
    if certificate is None and key is None:
        return None
    raise UsageFailure(f"{prefix}-cert and {prefix}-key belong together: neither is of use without the other")


def insecure_option(command: Command) -> Command:
    """Add --insecure."""
    return click.option(
        "--insecure",
        is_flag=True,
        envvar="PLAYCLOCK_INSECURE",
        show_envvar=True,
        help="Allow addresses that other machines can reach, in clear text.",
    )(command)


def log_level_option(command: Command) -> Command:
    """Add --log-level."""
    return click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        default="info",
        show_default=True,
        envvar="PLAYCLOCK_LOG_LEVEL",
        show_envvar=True,
        help="What is logged to stderr.",
    )(command)


def engine_option(default: Address | None = None) -> Callable[[Command], Command]:
    """Add --engine, which is required where there is no default."""
    attributes: dict[str, Any] = {"required": True} if default is None else {"default": str(default), "show_default": True}
    return click.option(
        "--engine",
        type=ADDRESS,
        envvar="PLAYCLOCK_ENGINE",
        show_envvar=True,
        help="The engine's gRPC address.",
        **attributes,
    )


def token_option(command: Command) -> Command:
    """Add --token."""
    return click.option(
        "--token",
        envvar="PLAYCLOCK_OPERATOR_TOKEN",
        show_envvar=True,
        help="An operator token of the engine's settings.",
    )(command)


def json_option(command: Command) -> Command:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def require_http() -> None:
    """Raise Failure unless the packages of the HTTP facade are installed."""
    if any(importlib.util.find_spec(package) is None for package in HTTP_PACKAGES):
        raise Failure("the HTTP facade needs packages that are not installed: pip install 'playclock[http]'")


def require_metrics() -> None:
    """Raise Failure unless the package that shows metrics is installed."""
    if importlib.util.find_spec(METRICS_PACKAGE) is None:
        raise Failure("--metrics needs a package that is not installed: pip install 'playclock[metrics]'")


def without_password(url: str) -> str:
    """Return the address of a store or an archive fit for a log: what may be a password is left out."""
    if url.startswith("sqlite:"):
        return url
    return re.sub(r"\?.*", "?***", re.sub(r"://.*@", "://***@", url, flags=re.DOTALL), flags=re.DOTALL)
