"""Options that several commands share, each with its variable and default."""

import functools
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import click

from playclock.cli.addresses import ADDRESS, Address
from playclock.cli.engines import remote_engine
from playclock.cli.failures import Failure, UsageFailure
from playclock.tomltable import Printed

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


def blobs_option(command: Command) -> Command:
    """Add --blobs."""
    return click.option(
        "--blobs",
        metavar="PLACE",
        envvar="PLAYCLOCK_BLOBS",
        show_envvar=True,
        help="Where images of games lie: a folder, s3://BUCKET/PREFIX?endpoint=URL or none. "
        "Default: beside the store, play-blobs for play.db; none for Redis.",
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


def master_key_option(command: Command) -> Command:
    """Add --master-key-file and --master-key-command, which the command gets together as `master_key`: one of them, or None."""

    @functools.wraps(command)
    def with_key(*, master_key_file: Path | None, master_key_command: str | None, **others: object) -> object:
        if master_key_file is not None and master_key_command is not None:
            raise UsageFailure("--master-key-file and --master-key-command both name the master key: leave one of them out")
        return command(master_key=master_key_file or (Printed(master_key_command) if master_key_command else None), **others)

    file = click.option(
        "--master-key-file",
        type=FILE,
        envvar="PLAYCLOCK_MASTER_KEY_FILE",
        show_envvar=True,
        help="Encrypt secrets in the store under the key in this file: 32 random bytes in base64 or hex, which "
        "PLAYCLOCK_MASTER_KEY may hold instead. Default: play.key beside the SQLite store play.db; for Redis none.",
    )
    printing = click.option(
        "--master-key-command",
        metavar="COMMAND",
        envvar="PLAYCLOCK_MASTER_KEY_COMMAND",
        show_envvar=True,
        help="The same, with a command that prints the key, such as a KMS's.",
    )
    return file(printing(cast("Command", with_key)))


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


def engine_option(command: Command) -> Command:
    """Add --engine, and how to trust it; the command gets both together as `engine`, a RemoteEngine."""
    address = click.option(
        "--engine",
        type=ADDRESS,
        default=str(DEFAULT_GRPC),
        show_default=True,
        envvar="PLAYCLOCK_ENGINE",
        show_envvar=True,
        help="The engine's gRPC address.",
    )
    return address(engine_trust_option(clear_text_option(command)))


def clear_text_option(command: Command) -> Command:
    """Add --insecure, for who calls an engine."""
    return click.option("--insecure", is_flag=True, help="Call an engine on another machine in clear text.")(command)


def engine_trust_option(command: Command, prefix: str = "--tls") -> Command:
    """Add PREFIX-ca, -cert and -key. The command gets a RemoteEngine in the place of the address; None where that is None."""
    names = {part: f"{prefix.removeprefix('--').replace('-', '_')}_{part}" for part in ("ca", "cert", "key")}
    is_for_calls_only = prefix == "--tls"  # a facade's --insecure is about who calls it as well

    @functools.wraps(command)
    def with_trust(*, engine: Address | None, insecure: bool, **others: Any) -> object:  # noqa: ANN401 - what the command takes
        ca, certificate, key = (others.pop(name) for name in names.values())
        pair = pair_of(prefix, certificate, key)
        if is_for_calls_only and insecure and (ca or pair):
            raise UsageFailure("--insecure speaks clear text, where --tls-ca, --tls-cert and --tls-key are of no use")
        remote = None if engine is None else remote_engine(engine, ca=ca, pair=pair, insecure=insecure)
        return command(engine=remote, **others, **({} if is_for_calls_only else {"insecure": insecure}))

    helps = {
        "ca": "Who has signed the engine's certificate (PEM). Default: the well-known authorities; an engine on this machine "
        "is called in clear text.",
        "cert": "A certificate to show the engine (PEM).",
        "key": "Its private key (PEM).",
    }
    wrapped = cast("Command", with_trust)
    for part, text in reversed(helps.items()):
        variable = f"PLAYCLOCK_ENGINE_TLS_{part.upper()}"
        wrapped = click.option(f"{prefix}-{part}", type=FILE, envvar=variable, show_envvar=True, help=text)(wrapped)
    return wrapped


def token_option(command: Command) -> Command:
    """Add --token."""
    return click.option(
        "--token",
        envvar="PLAYCLOCK_OPERATOR_TOKEN",
        show_envvar=True,
        help="An operator's token, of the engine's settings, or a service's.",
    )(command)


def json_option(command: Command) -> Command:
    """Add --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def operator_options(command: Command) -> Command:
    """Add what every call of an operator takes: the engine's address and trust, --token and --json."""
    return engine_option(token_option(json_option(command)))


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
