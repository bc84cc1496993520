"""`playclock serve` on a Redis of its own: real processes that can be stopped."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import grpc.aio

from bench.estate import OPERATOR_TOKEN
from tests.redis_servers import RedisServer, durable, running

READY_SEC: Final = 30.0
SETTINGS: Final = f"""
[timers]
launcher_ttl = 86400
[security]
operator_tokens = ["{OPERATOR_TOKEN}"]
"""
"""Launchers are silent here: what is stopped is heard of by heartbeats."""


CONNECTIONS: Final = 8
"""How many game servers there are."""
POLICY: Final = """{"methodConfig": [{"name": [{}], "retryPolicy": {"maxAttempts": 5, "initialBackoff": "0.1s",
"maxBackoff": "1s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}]}"""
"""As README has it."""


class Served:
    """The processes, and channels to the service."""

    def __init__(self, redis: RedisServer, channels: Sequence[grpc.aio.Channel], pid: int) -> None:
        self.redis = redis
        self.channels = channels
        self._pid = pid

    def stop(self) -> None:
        """Let the service stand still."""
        os.kill(self._pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self._pid, signal.SIGCONT)


@contextlib.asynccontextmanager
async def served(folder: Path, *, is_patient: bool) -> AsyncIterator[Served]:
    """Run both, and leave nothing of them behind. Who is patient calls again when the service is unavailable."""
    settings = folder / "settings.toml"
    settings.write_text(SETTINGS)
    with running([RedisServer(folder / "redis", *durable())]) as (redis,):
        arguments = ("-m", "playclock", "serve", "--config", str(settings), "--store", redis.url, "--log-level", "error")
        anywhere = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PLAYCLOCK_")}
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, *anywhere, stdout=asyncio.subprocess.PIPE, env=environment
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(READY_SEC):
                ready = (await process.stdout.readline()).decode().split()
            address = dict(part.split("=", 1) for part in ready[1:])["grpc"]
            options: list[tuple[str, str | int]] = [("grpc.use_local_subchannel_pool", 1)]
            options.append(("grpc.service_config", POLICY) if is_patient else ("grpc.enable_retries", 0))
            async with contextlib.AsyncExitStack() as stack:
                opening = [grpc.aio.insecure_channel(address, options=options) for _ in range(CONNECTIONS)]
                channels = [await stack.enter_async_context(channel) for channel in opening]
                yield Served(redis, channels, process.pid)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
