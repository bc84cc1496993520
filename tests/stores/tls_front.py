"""TLS in front of a Redis of the tests, which cannot speak it itself."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.redis_servers import RedisServer

TLS = Path(__file__).parent / "tls"
"""An authority, and a certificate of it for this machine. The authority's key has been thrown away."""


@asynccontextmanager
async def tls_front(server: RedisServer, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Speak TLS in front of a server. The one of the tests cannot."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS / "server.pem")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
        writer.close()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", server.port)
        pumps = [asyncio.ensure_future(pump(reader, back)), asyncio.ensure_future(pump(there, writer))]
        served.extend(pumps)
        await asyncio.wait(pumps)

    served: list[asyncio.Future[None]] = []
    listener = await asyncio.start_server(pass_on, host, 0, ssl=context)
    async with listener:
        yield listener.sockets[0].getsockname()[1]
    if served:
        await asyncio.wait(served)
