"""Load from the other core: a closed loop with a fixed number of calls under way, for some seconds."""

import asyncio
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any, Final, NamedTuple, Protocol, Self, TypeVar

import grpc.aio
from playclock.v1.session_service_pb2 import BatchHeartbeatRequest, BatchHeartbeatResponse

from bench.connection import Connection
from bench.estate import GAME_KEY, Player
from bench.http1 import Http1Connection, patch
from bench.http2 import Http2Connection
from bench.processes import Process

UNDER_WAY: Final = 64
"""How many unary and REST calls are under way."""
GRPC_CONNECTIONS: Final = 4
BATCH: Final = 1_000
BATCHES: Final = 4
"""How many batches are under way, each with players of its own."""

_SERVICE: Final = "/playclock.v1.SessionService/"
_OPTIONS: Final = (("grpc.use_local_subchannel_pool", 1),)

ConnectionT = TypeVar("ConnectionT", bound=Connection)


class Burst(NamedTuple):
    """What came of some seconds of load."""

    heartbeats: int
    seconds: float
    cpu_seconds: float
    """What the server's process used, all threads together."""

    @property
    def rate(self) -> float:
        """Heartbeats per second."""
        return self.heartbeats / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU per heartbeat."""
        return self.cpu_seconds / max(1, self.heartbeats) * 1e6


class Load(Protocol):
    """Heartbeats for one server on one path."""

    async def run(self, seconds: float) -> Burst:
        """Load the server, and say what came of it."""

    async def close(self) -> None:
        """Hang up."""


class ConnectionLoad:
    """Load over connections of our own."""

    def __init__(self, connections: Sequence[Connection], process: Process) -> None:
        self._connections = connections
        self._process = process

    @classmethod
    async def grpc(cls, process: Process, players: Sequence[Player]) -> Self:
        """Return unary gRPC heartbeats of the players."""
        headers = {
            ":method": "POST",
            ":scheme": "http",
            ":path": f"{_SERVICE}Heartbeat",
            ":authority": process.grpc,
            "te": "trailers",
            "content-type": "application/grpc",
            "user-agent": "playclock-bench",
            "x-api-key": GAME_KEY,
        }
        messages = cycle([player.heartbeat().SerializeToString() for player in players])
        width = UNDER_WAY // GRPC_CONNECTIONS
        connections = await _connect(process.grpc, GRPC_CONNECTIONS, lambda: Http2Connection(width, headers, messages))
        return cls(connections, process)

    @classmethod
    async def rest(cls, process: Process, players: Sequence[Player]) -> Self:
        """Return REST heartbeats of the players."""
        body = '{{"game_session_id":"{}","provider_user_id":"{}"}}'
        headers = {"X-Api-Key": GAME_KEY}
        path = "/v1/game/session/heartbeat"
        requests = cycle([patch(path, headers, body.format(*player).encode()) for player in players])
        return cls(await _connect(process.http, UNDER_WAY, lambda: Http1Connection(requests)), process)

    async def run(self, seconds: float) -> Burst:
        """Load the server, and say what came of it. Raises ConnectionError for any answer that is not a good one."""
        before, cpu_before, began = self._answered(), self._process.cpu_seconds(), time.perf_counter()
        for connection in self._connections:
            connection.start()
        lost = [connection.lost for connection in self._connections]
        await asyncio.wait(lost, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        burst = Burst(self._answered() - before, time.perf_counter() - began, self._process.cpu_seconds() - cpu_before)
        for connection in self._connections:
            connection.stop()
        await asyncio.wait([*lost, self._idle()], return_when=asyncio.FIRST_COMPLETED)
        for future in lost:
            if future.done():
                future.result()
        return burst

    async def close(self) -> None:
        """Hang up."""
        for connection in self._connections:
            connection.close()

    def _idle(self) -> "asyncio.Future[None]":
        async def idle() -> None:
            for connection in self._connections:
                await connection.idle.wait()

        return asyncio.ensure_future(idle())

    def _answered(self) -> int:
        return sum(connection.answered for connection in self._connections)


class BatchLoad:
    """Batches of 1,000 heartbeats through a gRPC client, whose cost is little beside a batch's: it moves bytes only."""

    def __init__(self, process: Process, players: Sequence[Player]) -> None:
        self._process = process
        self._channel = grpc.aio.insecure_channel(process.grpc, options=_OPTIONS)
        self._call: Any = self._channel.unary_unary(f"{_SERVICE}BatchHeartbeat")
        chunks = [players[at : at + BATCH] for at in range(0, len(players), BATCH)][:BATCHES]
        self._batches = [_batch(chunk) for chunk in chunks]
        self._heartbeats = 0

    async def run(self, seconds: float) -> Burst:
        """Load the server, and say what came of it. Raises ConnectionError where a heartbeat failed."""
        await self._channel.channel_ready()
        self._heartbeats, cpu_before, began = 0, self._process.cpu_seconds(), time.perf_counter()
        workers = [asyncio.create_task(self._work(batch, began + seconds)) for batch in self._batches]
        await asyncio.wait(workers, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        burst = Burst(self._heartbeats, time.perf_counter() - began, self._process.cpu_seconds() - cpu_before)
        await asyncio.gather(*workers)
        return burst

    async def close(self) -> None:
        """Hang up."""
        await self._channel.close()

    async def _work(self, batch: bytes, until: float) -> None:
        answer = b""
        while time.perf_counter() < until:
            answer = await self._call(batch, metadata=(("x-api-key", GAME_KEY),))
            self._heartbeats += BATCH
        results = BatchHeartbeatResponse.FromString(answer).results
        failed = [result.error for result in results if result.HasField("error")]
        if failed:
            raise ConnectionError(f"{len(failed)} of {len(results)} heartbeats failed, the first with: {failed[0].message}")


def _batch(players: Sequence[Player]) -> bytes:
    return BatchHeartbeatRequest(heartbeats=[player.heartbeat() for player in players]).SerializeToString()


async def _connect(address: str, count: int, make: Callable[[], ConnectionT]) -> list[ConnectionT]:
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    return [(await loop.create_connection(make, host, int(port)))[1] for _ in range(count)]
