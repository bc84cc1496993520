"""The servers under load: processes of their own, all on one core, and the load generator on the other."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Final

from bench.estate import OPERATOR_TOKEN
from tests.redis_servers import RedisServer, durable, running

_FIRST, *_OTHERS = sorted(os.sched_getaffinity(0))
SERVER_CORES: Final = {_FIRST}
LOAD_CORES: Final = set(_OTHERS) or SERVER_CORES
"""As they were at the start: both are the same where there is one core only, and ratios then say less."""

_READY_SEC: Final = 30.0
_SETTINGS: Final = f"""
[timers]
launcher_ttl = 86400
[security]
operator_tokens = ["{OPERATOR_TOKEN}"]
"""
"""Launchers are silent here: only heartbeats are measured."""


class Process:
    """A server that listens."""

    def __init__(self, pid: int, ready: str) -> None:
        """Take the line that the server printed: `ready grpc=HOST:PORT http=HOST:PORT store=URL`."""
        told = dict(part.split("=", 1) for part in ready.split()[1:])
        self.grpc = told["grpc"]
        self.http = told["http"]
        # Linux names a process's CPU clock by its id (clock_getcpuclockid).
        self._clock = ~pid << 3 | 2

    def cpu_seconds(self) -> float:
        """Return what the process has used so far, all its threads together."""
        return time.clock_gettime(self._clock)


@contextlib.asynccontextmanager
async def playclock_server(folder: Path, store: str) -> AsyncIterator[Process]:
    """Run `playclock serve`, as its users do."""
    settings = folder / "settings.toml"
    settings.write_text(_SETTINGS)
    anywhere = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
    command = ("-m", "playclock", "serve", "--config", str(settings), "--store", store, *anywhere, "--log-level", "warning")
    async with _process(command) as process:
        yield process


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """Run a redis-server on the load generator's core: it takes no time from the server that is measured."""
    with running([RedisServer(folder, *durable())]) as (server,):
        assert server.process is not None
        os.sched_setaffinity(server.process.pid, LOAD_CORES)
        yield server


@contextlib.asynccontextmanager
async def bare_server() -> AsyncIterator[Process]:
    """Run the servers that do nothing."""
    async with _process(("-m", "bench.bare")) as process:
        yield process


@contextlib.asynccontextmanager
async def _process(arguments: Sequence[str]) -> AsyncIterator[Process]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PLAYCLOCK_")}
    child = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, env=environment)
    # Before it has started a second thread, so that all of them are there.
    os.sched_setaffinity(child.pid, SERVER_CORES)
    assert child.stdout is not None
    try:
        async with asyncio.timeout(_READY_SEC):
            ready = (await child.stdout.readline()).decode()
        if not ready.startswith("ready "):
            raise RuntimeError(f"{' '.join(arguments)} did not start")
        yield Process(child.pid, ready)
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        await child.wait()
