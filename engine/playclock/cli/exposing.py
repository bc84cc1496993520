"""Shows metrics on an address of their own, and keeps the folder in which workers are asked for theirs."""

import contextlib
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Final

from playclock.cli.addresses import Address, bind
from playclock.cli.failures import Failure
from playclock.cli.http_server import HttpServer
from playclock.cli.metrics_app import Collect, make_app
from playclock.cli.worker_metrics import socket_of

SOCKET_BYTES_MAX: Final = 103
"""How long the name of a Unix socket may be on every system: 103 bytes on macOS, 107 on Linux."""
WORKERS_MAX: Final = 9_999

_log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def exposed(collect: Collect, address: Address) -> AsyncIterator[None]:
    """Show what is collected at each request for it. Raises Failure where the address cannot be had."""
    with bind(address) as listener:
        server = await HttpServer.start(make_app(collect), listener, address)
        _log.info("metrics are shown", extra={"fields": {"address": str(server.address)}})
        try:
            yield
        finally:
            await server.drain(0)


@contextlib.contextmanager
def private_folder() -> Iterator[Path]:
    """Yield a folder that nobody else may look into, removed at the end. Raises Failure where sockets cannot lie in it."""
    with tempfile.TemporaryDirectory(prefix="playclock-", ignore_cleanup_errors=True) as name:
        if len(os.fsencode(socket_of(Path(name), WORKERS_MAX))) > SOCKET_BYTES_MAX:
            raise Failure(f"sockets cannot lie in {name}, for its name is too long; set TMPDIR to a shorter one")
        yield Path(name)
