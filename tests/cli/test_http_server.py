import asyncio
from collections.abc import AsyncIterator

import pytest
from playclock.cli.addresses import Address, bind
from playclock.cli.http_protocol import BoundedHttpProtocol
from playclock.cli.http_server import HttpServer
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
NOT_SOON_SEC = 3_600.0


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    body = await Request(scope, receive).body()
    await PlainTextResponse(body)(scope, receive, send)


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    with bind(Address("127.0.0.1", 0)) as listener:
        server = await HttpServer.start(echo, listener, Address("127.0.0.1", 0))
        yield server
        await server.drain(0)


@pytest.fixture
async def connection(server: HttpServer) -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection(*server.address)
    yield reader, writer
    writer.close()


async def answer(connection: Connection) -> bytes:
    """Return the body of the next answer."""
    head = await connection[0].readuntil(b"\r\n\r\n")
    length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
    return await connection[0].readexactly(length)


@pytest.mark.parametrize("sent", [b"", b"POST / HT", b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
async def test_a_connection_that_brings_no_request_is_closed(
    monkeypatch: pytest.MonkeyPatch, server: HttpServer, sent: bytes
) -> None:
    monkeypatch.setattr(BoundedHttpProtocol, "head_sec", 0.01)
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(sent)
    assert await reader.read() == b""
    writer.close()


async def test_a_second_request_that_never_comes_to_its_end_is_closed_too(
    monkeypatch: pytest.MonkeyPatch, connection: Connection
) -> None:
    reader, writer = connection
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
    assert await answer(connection) == b"hi"
    monkeypatch.setattr(BoundedHttpProtocol, "head_sec", 0.01)
    writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    assert await reader.read() == b""


async def test_requests_in_pieces_and_in_a_row_are_answered(monkeypatch: pytest.MonkeyPatch, connection: Connection) -> None:
    monkeypatch.setattr(BoundedHttpProtocol, "head_sec", NOT_SOON_SEC)
    for body in (b"one", b"two"):
        for piece in (b"POST / HTTP/1.1\r\nHo", b"st: x\r\nContent-Length: 3\r\n", b"\r\n", body):
            connection[1].write(piece)
            await connection[1].drain()
        assert await answer(connection) == body


async def test_requests_that_arrive_together_are_answered_in_order(connection: Connection) -> None:
    connection[1].write(b"".join(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n%d" % number for number in range(5)))
    assert [await answer(connection) for _ in range(5)] == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_head_without_end_is_not_collected(connection: Connection) -> None:
    reader, writer = connection
    writer.write(b"POST / HTTP/1.1\r\n" + b"X-Header: value\r\n" * 10_000)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await reader.readexactly(1)


async def test_a_long_body_is_no_long_head(connection: Connection) -> None:
    body = b"x" * 300_000
    connection[1].write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + body)
    assert await answer(connection) == body


async def test_a_drained_server_lets_nobody_in() -> None:
    with bind(Address("127.0.0.1", 0)) as listener:
        server = await HttpServer.start(echo, listener, Address("127.0.0.1", 0))
        await server.drain(5)
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*server.address)
