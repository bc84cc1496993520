"""What is beneath the API: sockets, methods, paths."""

import asyncio
import contextlib
import itertools
import json
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

import pytest
from playclock.cli.addresses import Address, bind
from playclock_http import incoming

from .callers import END, HEARTBEAT, VERIFY
from .endpoints import ENDPOINTS, Endpoint
from .envelope import data_of, refusal_of
from .estate import GAME_KEY
from .server import Server

MIB = 1024 * 1024


@pytest.fixture(params=["memory"])
def kind(request: pytest.FixtureRequest) -> str:
    """Return the one kind of store that is needed here: bytes are read alike, whatever keeps what they say."""
    return str(request.param)


def test_a_connection_sends_at_once_instead_of_waiting_for_what_it_sent_to_be_acknowledged() -> None:
    with bind(Address("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server not wait for what is left of a body."""
    monkeypatch.setattr(incoming, "DRAINED_SEC", 0.02)


async def exchange(server: Server, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    """Send bytes and nothing more, and read until the server closes; return status, headers and body."""
    where = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(sent)
    received = await reader.read()
    writer.close()
    await writer.wait_closed()
    head, _, body = received.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(status.split()[1]), headers, body


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("length", [64 * 1024 + 1, 300 * MIB, 10**18])
async def test_a_body_that_is_announced_as_too_long_is_refused_before_any_of_it_came(server: Server, length: int) -> None:
    head = f"POST {VERIFY} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {GAME_KEY}\r\nContent-Length: {length}\r\n\r\n"
    status, headers, body = await exchange(server, head.encode())
    assert (status, json.loads(body)["error"]["code"]) == (400, "BAD_REQUEST")
    assert headers["connection"] == "close"


@pytest.mark.usefixtures("impatient")
async def test_a_body_in_chunks_is_refused_as_soon_as_it_is_too_long(server: Server) -> None:
    head = f"POST {VERIFY} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {GAME_KEY}\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"1000\r\n" + b" " * 0x1000 + b"\r\n"
    status, headers, body = await exchange(server, head.encode() + chunk * 17)
    assert (status, json.loads(body)["error"]["code"]) == (400, "BAD_REQUEST")
    assert headers["connection"] == "close"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name.replace(" ", "-"))
async def test_a_stranger_is_refused_before_any_of_the_body_came(server: Server, endpoint: Endpoint) -> None:
    head = f"{endpoint.method} {endpoint.path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
    status, headers, body = await exchange(server, head.encode())
    assert (status, json.loads(body)["error"]["code"]) == endpoint.unauthenticated
    assert headers["connection"] == "close"


async def send_all(server: Server, head: str, pieces: Iterable[bytes]) -> tuple[bytes, int]:
    """Send a request to its end before the answer is looked at; return the answer, and how many bytes the server took."""
    where = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    taken = 0
    try:
        for piece in itertools.chain([head.encode()], pieces):
            writer.write(piece)
            await writer.drain()
            taken += len(piece)
        return await reader.read(), taken
    except ConnectionError:
        return b"", taken
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("size", [64 * 1024 + 1, 200_000, 900_000])
@pytest.mark.parametrize("path", [VERIFY, "/nowhere"])
@pytest.mark.parametrize("key", [GAME_KEY, "wrong"])
async def test_who_sends_a_body_that_is_too_long_to_its_end_gets_the_answer(
    server: Server, size: int, path: str, key: str
) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Api-Key: {key}\r\n"
    codes = {("/nowhere", key): b"404", (VERIFY, GAME_KEY): b"400", (VERIFY, "wrong"): b"401"}
    for framing, body in (
        (f"Content-Length: {size}\r\n\r\n", b"x" * size),
        ("Transfer-Encoding: chunked\r\n\r\n", b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n"),
    ):
        answer, _ = await send_all(server, head + framing, [body])
        assert answer.startswith(b"HTTP/1.1 " + codes[path, key])
        assert answer.endswith(b"}}")


async def test_who_sends_without_end_is_cut_off(server: Server) -> None:
    head = f"POST {VERIFY} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {GAME_KEY}\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
    async with asyncio.timeout(20):
        _, taken = await send_all(server, head, itertools.repeat(chunk))
    # What the facade reads, and what lies between it and the sender.
    assert taken < 32 * MIB


@pytest.mark.usefixtures("impatient")
async def test_who_sends_slowly_without_end_is_cut_off_too(server: Server) -> None:
    async def trickle(writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            writer.write(b"x")
            await asyncio.sleep(0.005)

    where = urlsplit(server.url)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(f"POST {VERIFY} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {GAME_KEY}\r\nContent-Length: {MIB}\r\n\r\n".encode())
    sending = asyncio.create_task(trickle(writer))
    async with asyncio.timeout(20):
        head = await reader.readuntil(b"\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            await reader.read()
    assert head.startswith(b"HTTP/1.1 400")
    writer.transport.abort()
    sending.cancel()


@pytest.mark.usefixtures("impatient")
async def test_a_body_that_nobody_reads_is_not_taken_for_the_next_request(server: Server) -> None:
    smuggled = f"DELETE {END}?game_session_id={await server.join()} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {GAME_KEY}\r\n\r\n"
    head = f"GET {VERIFY} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(smuggled)}\r\n\r\n"
    status, _, body = await exchange(server, (head + smuggled).encode())
    assert status == 405
    assert body.count(b"request_id") == 1


async def test_requests_that_come_one_after_another_on_a_connection_are_answered_in_their_order(server: Server) -> None:
    session = await server.join()
    beat = json.dumps({"game_session_id": session, "provider_user_id": "261"})
    head = f"PATCH {HEARTBEAT} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {GAME_KEY}\r\nContent-Length: {len(beat)}\r\n"
    last = f"DELETE {END}?game_session_id={session} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {GAME_KEY}\r\nConnection: close\r\n\r\n"
    _, _, rest = await exchange(server, f"{head}\r\n{beat}{head}\r\n{beat}{last}".encode())
    assert rest.count(b'"result":"OK"') == 2
    assert rest.endswith(b'"data":{"result":"SUCCESS","play_duration_sec":0,"client_play_duration_sec":null}}')


async def test_an_http_1_0_client_is_served_and_closed_upon(server: Server) -> None:
    body = json.dumps({"game_session_id": await server.join(), "provider_user_id": "261"})
    head = f"PATCH {HEARTBEAT} HTTP/1.0\r\nX-Api-Key: {GAME_KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
    status, _, answer = await exchange(server, (head + body).encode())
    assert (status, json.loads(answer)["data"]["result"]) == (200, "OK")


async def test_a_websocket_is_no_way_in(server: Server) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "x" * 24}
    response = await server.client().get(VERIFY, headers=headers)
    assert refusal_of(response) == (405, "METHOD_NOT_ALLOWED")


async def test_a_caller_that_went_away_in_the_middle_of_a_body_leaves_the_server_as_it_was(server: Server) -> None:
    where = urlsplit(server.url)
    session = await server.join()
    for method, path in (("POST", VERIFY), ("PATCH", HEARTBEAT), ("DELETE", END)):
        _, writer = await asyncio.open_connection(where.hostname, where.port)
        head = f'{method} {path} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {GAME_KEY}\r\nContent-Length: 99\r\n\r\n{{"game_session_id"'
        writer.write(head.encode())
        await writer.drain()
        writer.transport.abort()
    assert data_of(await server.game().heartbeat(session))["result"] == "OK"
