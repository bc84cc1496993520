"""How a worker's metrics come to its supervisor: over a Unix socket in a folder that is theirs alone.

Whoever connects gets all of it in the OpenMetrics format, whose last line tells that nothing is missing, and then the end.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

ASK_SEC: Final = 1.0
"""How long a worker may take. One that hangs must not keep the others from being seen."""


def socket_of(folder: Path, worker: int) -> Path:
    """Return where a worker is asked."""
    return folder / f"{worker}.sock"


@contextlib.asynccontextmanager
async def offered(collector: Collector, path: Path) -> AsyncIterator[None]:
    """Show to whoever connects what there is. A socket that a worker before has left there is replaced."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            writer.write(generate_latest(collector))  # type: ignore[no-untyped-call]
            await writer.drain()

    server = await asyncio.start_unix_server(answer, path)
    try:
        yield
    finally:
        server.close()


async def ask(path: Path) -> Sequence[Metric] | None:
    """Return what a worker shows; None for one that does not answer in time, or wholly."""
    try:
        async with asyncio.timeout(ASK_SEC):
            text = (await _read(path)).decode()
        return list(text_string_to_metric_families(text))  # type: ignore[no-untyped-call]
    except (OSError, ValueError):
        return None


async def _read(path: Path) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    with contextlib.closing(writer):
        return await reader.read()
