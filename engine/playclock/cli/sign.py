"""`playclock sign`: signs a request by hand, in any of the dialects."""

import json
import re
import shlex
import sys
from pathlib import Path

import click

from playclock.cli.failures import Failure
from playclock.cli.signatures import headers_of, problem_of
from playclock.cli.teaching import example
from playclock.clock import SystemClock
from playclock.core.signing import Scheme

_PATH = re.compile(r"/[\x21-\x7e]*", re.ASCII)


@click.command(
    short_help="Sign a request by hand.",
    epilog=example(
        "playclock sign POST /v1/launcher/session/start --curl http://127.0.0.1:8080 \\",
        "  --launcher-id launcher-1 --secret dev-launcher-secret \\",
        """  --body '{"pc_id": "PC-01", "internal_ip": "192.168.0.11", "hardware": {}}'""",
        "",
        "playclock sign GET /games/me --scheme playfun --secret dev-developer-secret \\",
        "  --developer-id 550e8400-e29b-41d4-a716-446655440000",
    ),
)
@click.argument("method")
@click.argument("path")
@click.option("--body", default="", metavar="TEXT|@FILE|-", help="The request's body: text, a file, or stdin. Default: none.")
@click.option(
    "--scheme",
    type=click.Choice([scheme.value for scheme in Scheme]),
    default=Scheme.LAUNCHER.value,
    show_default=True,
    help="How to sign. An agent's body has its agent_id and timestamp in it.",
)
@click.option("--launcher-id", envvar="PLAYCLOCK_LAUNCHER_ID", show_envvar=True, help="The launcher that signs.")
@click.option("--developer-id", help="The developer that signs, for playfun.")
@click.option("--message-id", help="The message's id, for standard_webhooks. Default: a random one.")
@click.option("--secret", required=True, envvar="PLAYCLOCK_LAUNCHER_SECRET", show_envvar=True, help="The signer's secret.")
@click.option("--timestamp", metavar="TIME", help="Unix seconds; for playfun milliseconds or seconds. Default: now.")
@click.option("--nonce", help="Valid once, for launcher. Default: a random one.")
@click.option("--curl", "url", metavar="URL", help="Print a whole curl command for the server at URL.")
@click.option("--json", "as_json", is_flag=True, help="Print the headers as JSON.")
def sign(
    *,
    method: str,
    path: str,
    body: str,
    scheme: str,
    launcher_id: str | None,
    developer_id: str | None,
    message_id: str | None,
    secret: str,
    timestamp: str | None,
    nonce: str | None,
    url: str | None,
    as_json: bool,
) -> None:
    """Print the headers that sign a request of METHOD on PATH."""
    if not _PATH.fullmatch(path) or "?" in path or "#" in path:
        raise click.BadParameter("begins with '/' and has no query: a query is not signed", param_hint="PATH")
    content = _read(body)
    signer_id = launcher_id if scheme == Scheme.LAUNCHER.value else developer_id
    problem = problem_of(Scheme(scheme), signer_id=signer_id, secret=secret, message_id=message_id)
    if problem is not None:
        raise click.UsageError(problem)
    headers = headers_of(
        Scheme(scheme),
        signer_id=signer_id or "",
        secret=secret,
        method=method.upper(),
        path=path,
        body=content,
        timestamp=timestamp,
        nonce=nonce,
        message_id=message_id,
        now_ms=SystemClock().now_ms(),
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
