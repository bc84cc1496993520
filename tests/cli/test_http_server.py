import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop
from playclock.cli import http_door
from playclock.cli.addresses import Address, bind
from playclock.cli.certificates import TlsFiles, identify
from playclock.cli.crowd import Crowd
from playclock.cli.http_protocol import BoundedHttpProtocol
from playclock.cli.http_server import HttpServer
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from tests.authority import Authority

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


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """Return what still comes before the other end closes, or resets."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


async def test_requests_far_ahead_of_their_turn_are_cut_off(server: HttpServer) -> None:
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 1_000)
    received = await until_closed(reader)
    assert received.endswith(b"Invalid HTTP request received.")
    assert received.count(b"HTTP/1.1 200 ") <= BoundedHttpProtocol.ahead_max
    writer.close()


async def test_too_many_headers_are_refused(server: HttpServer) -> None:
    reader, writer = await asyncio.open_connection(*server.address)
    writer.write(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n")
    assert (await until_closed(reader)).startswith(b"HTTP/1.1 400 ")
    writer.close()


async def test_a_client_that_does_not_take_its_answers_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedHttpProtocol, "answer_sec", 0.05)
    gone = asyncio.Event()

    async def generous(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(b"x" * (64 << 20))(scope, receive, send)
        assert (await receive())["type"] == "http.disconnect"
        gone.set()

    with bind(Address("127.0.0.1", 0)) as listener:
        server = await HttpServer.start(generous, listener, Address("127.0.0.1", 0))
        with socket.create_connection(server.address) as greedy:
            greedy.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(10):
                await gone.wait()
        await server.drain(0)


async def is_let_in(server: HttpServer, source: str = "127.0.0.1") -> asyncio.StreamWriter | None:
    """Send a request from an address, and return the connection if it was answered."""
    reader, writer = await asyncio.open_connection(*server.address, local_addr=(source, 0))
    try:
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
        if await answer((reader, writer)) == b"hi":
            return writer
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
    return None


async def test_an_address_may_have_so_many_connections_and_others_have_theirs(caplog: pytest.LogCaptureFixture) -> None:
    with bind(Address("127.0.0.1", 0)) as listener:
        crowd = Crowd(2, exempt=["127.0.0.3/32"])
        server = await HttpServer.start(echo, listener, Address("127.0.0.1", 0), crowd=crowd)
        held = [await is_let_in(server) for _ in range(2)]
        assert all(held)
        assert [await is_let_in(server) for _ in range(3)] == [None] * 3
        assert [record.message for record in caplog.records] == ["an address has too many connections"]
        others = [await is_let_in(server, source) for source in ["127.0.0.2"] * 2 + ["127.0.0.3"] * 5]
        assert all(others)
        assert await is_let_in(server, "127.0.0.2") is None
        held.pop().close()  # type: ignore[union-attr]
        async with asyncio.timeout(10):
            while (again := await is_let_in(server)) is None:
                pass
        for writer in (*held, *others, again):
            assert writer is not None
            writer.close()
        await server.drain(0)


def test_a_customers_ipv6_addresses_count_as_one_and_ipv4_is_known_in_any_spelling() -> None:
    crowd = Crowd(1)
    assert crowd.enter("2001:db8::1")
    assert crowd.enter("2001:db8::ffff:1") is None
    assert crowd.enter("2001:db8:0:1::1")
    place = crowd.enter("::ffff:192.0.2.1")
    assert place is not None
    assert crowd.enter("192.0.2.1") is None
    crowd.leave(place)
    assert crowd.enter("192.0.2.1")
    assert Crowd(1, ["::/0"]).enter("fe80::1%eth0") is not None


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def context(authority: Authority) -> ssl.SSLContext:
    pair = authority.pair("server")
    return identify(TlsFiles(pair.certificate, pair.key)).context


class TestTls:
    """On both loops that `serve` runs on."""

    @pytest.fixture(params=["asyncio", "uvloop"])
    def runner(self, request: pytest.FixtureRequest) -> asyncio.Runner:
        return asyncio.Runner(loop_factory=uvloop.new_event_loop if request.param == "uvloop" else None)

    def test_who_never_comes_to_the_end_of_a_handshake_is_sent_away_and_counted_out(
        self, runner: asyncio.Runner, context: ssl.SSLContext, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(http_door, "HANDSHAKE_SEC", 0.3)
        trusting = ssl.create_default_context(cafile=str(authority.file))

        async def main() -> None:
            with bind(Address("127.0.0.1", 0)) as listener:
                crowd = Crowd(3)
                server = await HttpServer.start(echo, listener, Address("127.0.0.1", 0), crowd=crowd, context=context)
                silent = [await asyncio.open_connection(*server.address) for _ in range(3)]
                reader, writer = await asyncio.open_connection(*server.address)
                assert await until_closed(reader) == b""
                assert sum(crowd._there.values()) == 3
                writer.close()
                for (_, writer), sent in zip(silent, (b"", b"\x16\x03\x01", b"GET / HTTP/1.1\r\n\r\n"), strict=True):
                    writer.write(sent)
                async with asyncio.timeout(10):
                    for connection in silent:
                        await until_closed(connection[0])
                        connection[1].close()
                    while crowd._there:  # noqa: ASYNC110 - nobody sets an event
                        await asyncio.sleep(0)
                good = await asyncio.open_connection(*server.address, ssl=trusting)
                good[1].write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi")
                assert await answer(good) == b"hi"
                good[1].close()
                await server.drain(0)

        with runner:
            runner.run(main())


async def test_a_stranger_cannot_fill_the_log(server: HttpServer, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(20):
        reader, writer = await asyncio.open_connection(*server.address)
        writer.write(b"\x00nonsense\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        writer.close()
    assert len([record for record in caplog.records if record.name == "uvicorn.error"]) <= 1
