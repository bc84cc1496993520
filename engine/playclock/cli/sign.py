"""`playclock sign`: signs a call of the launcher API by hand."""

import json
import re
import shlex
import sys
from pathlib import Path

import click

from playclock.cli.failures import Failure
from playclock.cli.signatures import signed_headers
from playclock.cli.teaching import example
from playclock.clock import SystemClock

_PATH = re.compile(r"/[\x21-\x7e]*", re.ASCII)


@click.command(
    short_help="Sign a call of the launcher API.",
    epilog=example(
        "playclock sign POST /v1/launcher/session/start --curl http://127.0.0.1:8080 \\",
        "  --launcher-id launcher-1 --secret dev-launcher-secret \\",
        """  --body '{"pc_id": "PC-01", "internal_ip": "192.168.0.11", "hardware": {}}'""",
    ),
)
@click.argument("method")
@click.argument("path")
@click.option("--body", default="", metavar="TEXT|@FILE|-", help="The request's body: text, a file, or stdin. Default: none.")
@click.option("--launcher-id", required=True, envvar="PLAYCLOCK_LAUNCHER_ID", show_envvar=True, help="Who signs.")
@click.option("--secret", required=True, envvar="PLAYCLOCK_LAUNCHER_SECRET", show_envvar=True, help="The launcher's secret.")
@click.option("--timestamp", metavar="SECONDS", help="Unix seconds. Default: now.")
@click.option("--nonce", help="Valid once. Default: a random one.")
@click.option("--curl", "url", metavar="URL", help="Print a whole curl command for the server at URL.")
@click.option("--json", "as_json", is_flag=True, help="Print the headers as JSON.")
def sign(
    *,
    method: str,
    path: str,
    body: str,
    launcher_id: str,
    secret: str,
    timestamp: str | None,
    nonce: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Print the headers that sign a call of METHOD on PATH of the launcher API."""
    if not _PATH.fullmatch(path) or "?" in path or "#" in path:
        raise click.BadParameter("begins with '/' and has no query: a query is not signed", param_hint="PATH")
    content = _read(body)
    headers = signed_headers(
        launcher_id=launcher_id,
        secret=secret,
        method=method.upper(),
        path=path,
        body=content,
        timestamp=timestamp or str(SystemClock().now_ms() // 1000),
        nonce=nonce,
    )
    if url is not None:
        click.echo(_curl(method.upper(), url.rstrip("/") + path, headers, body, content))
    elif as_json:
        click.echo(json.dumps(headers))
    else:
        click.echo("\n".join(f"{name}: {value}" for name, value in headers.items()))


def _read(body: str) -> bytes:
    """Return the bytes that are signed."""
    if body == "-":
        return sys.stdin.buffer.read()
    if not body.startswith("@"):
        return body.encode("utf-8", "surrogateescape")
    try:
        return Path(body[1:]).read_bytes()
    except OSError as error:
        raise Failure(f"the body {body[1:]} cannot be read: {error.strerror}") from None


def _curl(method: str, url: str, headers: dict[str, str], body: str, content: bytes) -> str:
    """Return a command for the shell that sends exactly the bytes that were signed."""
    words = ["curl", "-sS", "-X", method, url]
    if content:
        headers = headers | {"Content-Type": "application/json"}
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}"]
    if body.startswith("@"):
        words += ["--data-binary", body]
    elif content:
        try:
            words += ["--data-raw", content.decode()]
        except UnicodeDecodeError:
            raise Failure("a body that is no text goes into a file: --body @FILE") from None
    return shlex.join(words)
