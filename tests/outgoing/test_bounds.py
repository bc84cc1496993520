"""Failure modes 28 and 29: size, time and number are bounded, whatever a receiver does."""

import asyncio
import gzip
import resource
import socket
import threading
import time
from collections.abc import Callable

import pytest
from playclock.outgoing import BadResponse, Bounds, OutgoingError, Request, TimedOut, TooLarge

from tests.outgoing.conftest import MakeClient, Receive
from tests.outgoing.receivers import HOST, OK, OUTSIDE, Names, Receiver, Reply, says, silent, until

SHORT = Bounds(deadline_ms=300)
SLACK_SEC = 3
"""What a busy machine may add to a deadline before a test calls it missed."""


def url_of(receiver: Receiver, host: str = HOST) -> str:
    return f"https://{host}:{receiver.port}/"


def repeat(first: bytes, again: bytes, pause: Callable[[], object] = lambda: None) -> Reply:
    """Say something, and then the same again and again until the other side has gone."""

    def reply(stream: socket.socket) -> None:
        stream.sendall(first)
        while True:
            stream.sendall(again)
            pause()

    return reply


def slowly() -> None:
    threading.Event().wait(0.02)


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (silent, None),
        (repeat(b"HTTP/1.1 200 OK\r\n", b"a: b\r\n", slowly), None),
        (repeat(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"a", slowly), 200),
        (repeat(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", slowly), 200),
        (repeat(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", slowly), None),
    ],
    ids=["silence", "a head drop by drop", "a body drop by drop", "chunk by chunk", "hints without end"],
)
async def test_who_is_slow_is_cut_in_time(make_client: MakeClient, receive: Receive, reply: Reply, status: int | None) -> None:
    receiver = receive(reply)
    client = make_client(bounds=SHORT)
    began_sec = time.monotonic()
    with pytest.raises(TimedOut, match=f"^{HOST} did not answer within 300 ms$") as raised:
        await client.send(Request(url=url_of(receiver)))
    assert 0.3 <= time.monotonic() - began_sec + 0.01 < SLACK_SEC
    assert (raised.value.is_sent, raised.value.status) == (True, status)


async def test_the_deadline_is_over_tls_too(make_client: MakeClient) -> None:
    with socket.create_server((OUTSIDE, 0)) as listener, pytest.raises(TimedOut) as raised:
        await make_client(bounds=SHORT).send(Request(url=f"https://{HOST}:{listener.getsockname()[1]}/"))
    assert not raised.value.is_sent


async def test_the_deadline_is_over_the_resolver_too(make_client: MakeClient) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        await asyncio.Event().wait()
        raise AssertionError

    with pytest.raises(TimedOut) as raised:
        await make_client(resolve, bounds=SHORT).send(Request(url=f"https://{HOST}/"))
    assert not raised.value.is_sent


async def test_the_deadline_is_over_sending_too(make_client: MakeClient) -> None:
    """The receiver shakes hands and reads nothing."""
    with socket.create_server((OUTSIDE, 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        body = bytes(8_000_000)
        client = make_client(bounds=Bounds(deadline_ms=300, request_bytes_max=len(body)))
        with pytest.raises(TimedOut) as raised:
            await client.send(Request(url=f"http://{HOST}:{listener.getsockname()[1]}/", body=body))
    assert raised.value.is_sent


async def test_an_address_that_is_silent_leaves_time_for_the_next(make_client: MakeClient, receive: Receive) -> None:
    receiver = receive()
    with socket.create_server(("127.0.0.3", receiver.port), backlog=0) as deaf:
        full = [socket.socket() for _ in range(3)]
        for waiting in full:
            waiting.setblocking(False)
            waiting.connect_ex(deaf.getsockname())
        client = make_client(
            Names(hooks_example_com=[["127.0.0.3", OUTSIDE]]), networks=("127.0.0.2/31",), bounds=Bounds(deadline_ms=1000)
        )
        answer = await client.send(Request(url=url_of(receiver)))
        for waiting in full:
            waiting.close()
    assert answer.status == 200
    assert answer.duration_ms >= 450


@pytest.mark.parametrize("framing", ["length", "chunks", "end"])
async def test_a_body_ends_at_the_bound(make_client: MakeClient, receive: Receive, framing: str) -> None:
    def answers(size: int) -> Reply:
        body = b"x" * size
        match framing:
            case "length":
                return says(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (size, body))
            case "chunks":
                return says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (size, body))
            case _:
                return says(b"HTTP/1.0 200 OK\r\n\r\n" + body)

    client = make_client()
    assert len((await client.send(Request(url=url_of(receive(answers(262_144)))))).body) == 262_144
    with pytest.raises(TooLarge, match=f"^{HOST} answered with a longer body than allowed$") as raised:
        await client.send(Request(url=url_of(receive(answers(300_000)))))
    assert raised.value.status == 200


@pytest.mark.parametrize(
    ("reply", "part"),
    [
        (repeat(b"HTTP/1.1 200 OK\r\n", b"a: " + b"b" * 1000 + b"\r\n"), "a longer head"),
        (repeat(b"HTTP/1.1 200 OK\r\na: ", b"b" * 1000), "a longer head"),
        (repeat(b"HTTP/1.1 200 ", b"b" * 1000), "a longer head"),
        (repeat(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100), "more pieces"),
        (repeat(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 500 + b"\r\na\r\n"), "more framing"),
        (repeat(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n" * 1000), "more pieces"),
        (
            repeat(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", b"a: " + b"b" * 1000 + b"\r\n"),
            "a longer head",
        ),
        (repeat(b"HTTP/1.1 200 OK\r\n\r\n", b"b" * 1000), "a longer body"),
    ],
    ids=["headers", "a header", "a reason", "hints", "chunk extensions", "chunks of a byte", "trailers", "a body"],
)
async def test_what_never_ends_is_cut_by_size(make_client: MakeClient, receive: Receive, reply: Reply, part: str) -> None:
    client = make_client()
    with pytest.raises(TooLarge, match=f"answered with {part} than allowed$"):
        await client.send(Request(url=url_of(receive(reply))))


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "identity, gzip"])
async def test_nothing_is_inflated(make_client: MakeClient, receive: Receive, encoding: str) -> None:
    """64 MiB of zeros are 64 kB on the wire."""
    receiver = receive(
        says(b"HTTP/1.1 200 OK\r\nContent-Encoding: %s\r\nContent-Length: %d\r\n\r\n%s" % (encoding.encode(), len(BOMB), BOMB))
    )
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BadResponse, match=f"^{HOST} answered in an encoding that was not asked for$") as raised:
        await make_client().send(Request(url=url_of(receiver)))
    assert raised.value.status == 200
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 16_384
    assert b"\r\naccept-encoding: identity\r\n" in receiver.requests[0]


BOMB = gzip.compress(bytes(64 << 20))


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", None),
        (b"HTTP/1.1 200", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\na: b\x00c\r\n\r\n", None),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", None),
        (b"HTTP/1.1 999999 No\r\n\r\n", None),
        (b"SSH-2.0-OpenSSH_9.2\r\n", None),
        (b"\x00\x01\x02", None),
        (b"<html>" * 100, None),
    ],
)
async def test_what_is_no_answer(make_client: MakeClient, receive: Receive, data: bytes, status: int | None) -> None:
    with pytest.raises(BadResponse, match=f"^{HOST} (did not answer|closed)") as raised:
        await make_client().send(Request(url=url_of(receive(says(data)))))
    assert (raised.value.is_sent, raised.value.status) == (True, status)


@pytest.mark.parametrize("status", [200, 204, 301, 404, 410, 429, 500, 599])
async def test_every_status_is_an_answer(make_client: MakeClient, receive: Receive, status: int) -> None:
    receiver = receive(says(b"HTTP/1.1 %d X\r\nRetry-After: 7\r\nA: 1\r\na: 2\r\nContent-Length: 0\r\n\r\n" % status))
    answer = await make_client().send(Request(url=url_of(receiver)))
    assert (answer.status, answer.headers["retry-after"], answer.headers["a"]) == (status, "7", "1, 2")


async def test_hints_before_the_answer_are_passed_over(make_client: MakeClient, receive: Receive) -> None:
    receiver = receive(says(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK))
    assert (await make_client().send(Request(url=url_of(receiver)))).body == b"ok"


async def test_a_request_is_bounded(make_client: MakeClient, receive: Receive) -> None:
    receiver = receive()
    client = make_client()
    assert (await client.send(Request(url=url_of(receiver), body=bytes(262_144)))).status == 200
    with pytest.raises(TooLarge, match=r"^the request's body is longer than 262144 bytes$") as raised:
        await client.send(Request(url=url_of(receiver), body=bytes(262_145)))
    assert (receiver.connections, raised.value.is_sent) == (1, False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x", "s3cret\r\nHost: inner"),
        ("x", "s3cret\n"),
        ("x", "s3cret\x00"),
        ("x", "s3crét"),
        ("s p", "s3cret"),
        ("", "s3cret"),
        ("é", "s3cret"),
        ("Host", "s3cret"),
        ("CONTENT-LENGTH", "s3cret"),
        ("Transfer-Encoding", "chunked"),
        ("Accept-Encoding", "gzip"),
    ],
)
async def test_a_header_that_cannot_be_sent_is_the_callers_fault(make_client: MakeClient, name: str, value: str) -> None:
    names = Names()
    with pytest.raises(ValueError, match="header") as raised:
        await make_client(names).send(Request(url=f"https://{HOST}/", headers={name: value}))
    assert names.lookups == []
    assert "s3cr" not in str(raised.value)
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


async def test_a_slow_host_takes_no_turn_from_others(make_client: MakeClient, receive: Receive) -> None:
    slow, quick = receive(silent), receive(names=("quick.example.com",))
    names = Names(hooks_example_com=[[OUTSIDE]], quick_example_com=[[OUTSIDE]])
    client = make_client(names, bounds=Bounds(deadline_ms=600, per_host=2, in_all=3))
    stuck = [asyncio.create_task(_reason(client.send(Request(url=url_of(slow))))) for _ in range(6)]
    await until(lambda: slow.connections == 2)
    for _ in range(5):
        assert (await client.send(Request(url=url_of(quick, "quick.example.com")))).status == 200
    assert sorted(await asyncio.gather(*stuck)) == ["BUSY"] * 4 + ["TIMEOUT"] * 2
    assert slow.connections == 2
    assert client._turns._hosts == {}


async def test_no_more_are_under_way_than_allowed_in_all(make_client: MakeClient, receive: Receive) -> None:
    hosts = [f"{letter}.example.com" for letter in "abc"]
    receiver = receive(silent, names=tuple(hosts))
    names = Names(**{host.replace(".", "_"): [[OUTSIDE]] for host in hosts})
    client = make_client(names, bounds=Bounds(deadline_ms=600, per_host=2, in_all=2))
    reasons = await asyncio.gather(*(_reason(client.send(Request(url=url_of(receiver, host)))) for host in hosts * 2))
    assert sorted(reasons) == ["BUSY"] * 4 + ["TIMEOUT"] * 2
    assert receiver.connections == 2


async def test_who_stops_waiting_leaves_nothing_behind(make_client: MakeClient, receive: Receive) -> None:
    receiver = receive(silent)
    client = make_client(bounds=Bounds(per_host=1, in_all=1))
    task = asyncio.create_task(client.send(Request(url=url_of(receiver))))
    await until(lambda: receiver.requests)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await client.send(Request(url=url_of(receive())))).status == 200
    assert client._turns._hosts == {}


def test_uvloop_keeps_the_bounds_too(make_client: MakeClient, receive: Receive) -> None:
    import uvloop

    async def run() -> list[str]:
        client = make_client(bounds=SHORT)
        replies = (says(OK), silent, repeat(b"HTTP/1.1 200 OK\r\n\r\n", b"b" * 1000), says(b"nothing\r\n"))
        receivers = [*map(receive, replies), receive(names=("other.example.com",))]
        return [await _reason(client.send(Request(url=url_of(receiver)))) for receiver in receivers]

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(run()) == ["200", "TIMEOUT", "TOO_LARGE", "BAD_RESPONSE", "TLS_FAILED"]


async def _reason(sending: object) -> str:
    assert asyncio.iscoroutine(sending)
    try:
        return str((await sending).status)
    except OutgoingError as error:
        return error.reason
