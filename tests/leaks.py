"""A plugin of pytest: no test may leave a secret, a whole key or an OTT in a log, an error, a metric or its output.

It listens, in each process that runs tests, to

- every record of playclock's loggers, of any level, written by its own formatter; of other loggers from their own level on,
- what tests print, what `communicate` or `run` reads of a process's stderr, and all that `Process` of tests/cli reads,
- every error of a gRPC call as its caller sees it, and every `EngineError`,
- every HTTP answer with a status of 400 or more, as httpx reads it or the facade sends it, and every scrape of metrics,

and looks through it for the known secrets, for generated keys by their prefixes, and for every OTT that an engine of this
process issued or that came by httpx. It looks when a test and its fixtures are done, and a finding makes that test fail.
"""

import logging
import re
import subprocess
import urllib.request
from collections.abc import Callable, Generator
from functools import wraps
from typing import Any, Final, Self
from urllib.parse import parse_qsl, urlsplit

import grpc.aio
import httpx
import playclock_http.endpoint
import pytest
from playclock.engine.launches import Launches
from playclock.engine.links import Link, Links
from playclock.errors import EngineError
from playclock.log import JsonFormatter
from playclock_http.endpoint import Reply
from playclock_http.incoming import Incoming
from starlette.types import Send

from tests.known_secrets import known_secrets

_GENERATED: Final = re.compile(
    r"\b(?:(?:pck|pct|pcs|whsec)_[A-Za-z0-9+/=_-]{24,}|player_[0-9a-f]{64}|match_[A-Za-z0-9_-]{100,})"
)
_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_OURS: Final = ("playclock", "playclock_http")
_CONTEXT: Final = 60


class Net:
    """What was heard since the last look, and what must not be in it."""

    def __init__(self, secrets: frozenset[str]) -> None:
        self.otts: set[str] = set()
        self._heard: list[tuple[str, str]] = []
        self._secrets = {secret: re.compile(rf"(?<![\w-]){re.escape(secret)}(?![\w-])") for secret in secrets}

    def hear(self, where: str, text: object) -> None:
        """Keep a text until the next look; bytes are read as text."""
        if text:
            self._heard.append((where, text.decode(errors="replace") if isinstance(text, bytes) else str(text)))

    def found(self) -> list[str]:
        """Look through what was heard, forget it, and return what should not have been there, with the secret left out."""
        heard, self._heard = self._heard, []
        return [f"{where}: {excerpt}" for where, text in dict.fromkeys(heard) for excerpt in self._in(text)]

    def _in(self, text: str) -> list[str]:
        matches = [match for secret, form in self._secrets.items() if secret in text for match in form.finditer(text)]
        matches += _GENERATED.finditer(text)
        matches += [match for match in _UUID.finditer(text) if match[0] in self.otts]
        return [_excerpt(text, match) for match in matches]


def _excerpt(text: str, match: "re.Match[str]") -> str:
    before, after = text[max(0, match.start() - _CONTEXT) : match.start()], text[match.end() : match.end() + _CONTEXT]
    return f"...{before}<<{match[0][:3]}*** of {len(match[0])} characters>>{after}..."


NET: Final = Net(known_secrets())


def listen_to_logs(net: Net) -> None:
    """Hear every record that a logger of ours is asked to write, also those below its level, which nobody else gets."""
    formatter = JsonFormatter()
    enabled, handlers = logging.Logger.isEnabledFor, logging.Logger.callHandlers

    def is_enabled(self: logging.Logger, level: int) -> bool:
        return self.name.partition(".")[0] in _OURS or enabled(self, level)

    def call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
        net.hear(f"log of {self.name}", formatter.format(record))
        if enabled(self, record.levelno):
            handlers(self, record)

    logging.Logger.isEnabledFor = is_enabled  # type: ignore[method-assign]
    logging.Logger.callHandlers = call_handlers  # type: ignore[method-assign]


def listen_to_errors(net: Net) -> None:
    """Hear what a gRPC call tells its caller, and what the engine tells of a refusal."""
    rpc, refusal = grpc.aio.AioRpcError.__init__, EngineError.__init__

    @wraps(rpc)
    def of_rpc(self: grpc.aio.AioRpcError, *args: Any, **kwargs: Any) -> None:
        rpc(self, *args, **kwargs)
        net.hear("gRPC error", f"{self.details()} {self.debug_error_string()} {self.trailing_metadata()}")

    @wraps(refusal)
    def of_engine(self: EngineError, message: str, **metadata: object) -> None:
        refusal(self, message, **metadata)
        net.hear(type(self).__name__, f"{message} {metadata}")

    grpc.aio.AioRpcError.__init__ = of_rpc  # type: ignore[method-assign]
    EngineError.__init__ = of_engine  # type: ignore[method-assign]


def listen_to_http(net: Net) -> None:
    """Hear refusals and metrics, and learn the OTTs of servers in other processes."""
    read, aread, sent = httpx.Response.read, httpx.Response.aread, playclock_http.endpoint._send
    urlopen = urllib.request.urlopen

    def heard(response: httpx.Response, body: bytes) -> bytes:
        if response.status_code >= 400 or response.request.url.path.endswith("/metrics"):
            net.hear(f"HTTP {response.status_code} of {response.request.url.path}", body)
        elif response.request.url.path.endswith("/ott"):
            net.otts.update(_UUID.findall(body.decode()))
        return body

    async def heard_aread(self: httpx.Response) -> bytes:
        return heard(self, await aread(self))

    async def heard_send(reply: Reply, incoming: Incoming, send: Send) -> None:
        if reply.status >= 400:
            net.hear(f"HTTP {reply.status} of the facade", f"{reply.body!r} {reply.headers!r}")
        await sent(reply, incoming, send)

    httpx.Response.read = lambda self: heard(self, read(self))  # type: ignore[method-assign]
    httpx.Response.aread = heard_aread  # type: ignore[method-assign]
    playclock_http.endpoint._send = heard_send
    urllib.request.urlopen = lambda *args, **kwargs: _Scrape(urlopen(*args, **kwargs), net)


class _Scrape:
    """An answer of urllib, which is how tests scrape metrics."""

    def __init__(self, answer: Any, net: Net) -> None:
        self._answer = answer
        self._net = net

    def __getattr__(self, name: str) -> Any:
        return getattr(self._answer, name)

    def __enter__(self) -> Self:
        self._answer.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._answer.__exit__(*error)

    def read(self, *args: Any) -> Any:
        body = self._answer.read(*args)
        self._net.hear("scrape", body)
        return body


def listen_to_processes(net: Net) -> None:
    """Hear what processes log and crash with, as far as it is read by `communicate`.

    What a command prints on stdout is what its user asked for: the help shows the development keys of the examples, for one.
    """
    communicate = subprocess.Popen.communicate

    @wraps(communicate)
    def heard(self: "subprocess.Popen[Any]", *args: Any, **kwargs: Any) -> Any:
        out, err = communicate(self, *args, **kwargs)
        net.hear("stderr of a process", err)
        return out, err

    subprocess.Popen.communicate = heard  # type: ignore[method-assign]


def listen_to_otts(net: Net) -> None:
    """Learn every OTT that an engine of this process issues."""
    issue: Callable[..., Any] = Launches.issue_ott

    @wraps(issue)
    async def issued(*args: Any, **kwargs: Any) -> str:
        ott: str = await issue(*args, **kwargs)
        net.otts.add(ott)
        return ott

    Launches.issue_ott = issued  # type: ignore[method-assign]
    create: Callable[..., Any] = Links.create

    @wraps(create)
    async def created(*args: Any, **kwargs: Any) -> Link:
        link: Link = await create(*args, **kwargs)
        net.otts.update(value for name, value in parse_qsl(urlsplit(link.url).query) if name == "token")
        return link

    Links.create = created  # type: ignore[method-assign]


def pytest_configure() -> None:
    """Listen, for as long as the process lives."""
    for listen in (listen_to_logs, listen_to_errors, listen_to_http, listen_to_processes, listen_to_otts):
        listen(NET)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Look through everything once the test's fixtures are done, and let the test fail for what is found."""
    report = yield
    if call.when == "teardown":
        for name, content in report.sections:
            if "log" not in name:  # which has other formatters than ours, and is heard already
                NET.hear(f"{name} of the test", content)
        found = NET.found()
        if found:
            report.outcome = "failed"
            report.sections.clear()  # pytest would print them
            report.longrepr = "\n".join(["a secret was seen outside (tests/leaks.py):", *found[:20]])
    return report
