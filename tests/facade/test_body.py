"""How a body is read: never beyond the cap, never for longer than the deadline."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from playclock_http.incoming import MAX_BODY_BYTES, Incoming
from playclock_http.refusal import Refusal
from starlette.types import Message


def _incoming(receive: Callable[[], Awaitable[Any]], *headers: tuple[bytes, bytes]) -> Incoming:
    return Incoming({"type": "http", "method": "POST", "headers": list(headers)}, receive)


class Pieces:
    """A connection that has these pieces of a body to give, and counts how many were asked for."""

    def __init__(self, pieces: Iterable[bytes], *, broken: bool = False) -> None:
        self._pieces = iter(pieces)
        self._broken = broken
        self.given = 0

    async def __call__(self) -> dict[str, Any]:
        piece = next(self._pieces, None)
        if piece is None:
            return {"type": "http.disconnect"} if self._broken else {"type": "http.request", "more_body": False}
        self.given += 1
        return {"type": "http.request", "body": piece, "more_body": True}


async def test_pieces_of_a_chunked_body_are_put_together() -> None:
    assert await _incoming(Pieces([b'{"a"', b":", b"1}"])).body() == b'{"a":1}'


async def test_a_body_of_exactly_the_cap_is_taken() -> None:
    full = b"x" * MAX_BODY_BYTES
    assert await _incoming(Pieces([full])).body() == full
    assert await _incoming(Pieces([full]), (b"content-length", b"65536")).body() == full


@pytest.mark.parametrize(
    "length", [b"65537", b"99999999999999999999", b"9" * 5000, b"-1", b"+1", b"1_0", b"", b"\xb2", "\uff11".encode()]
)
async def test_an_announced_length_beyond_the_cap_is_refused_before_anything_is_read(length: bytes) -> None:
    pieces = Pieces([b"{}"])
    with pytest.raises(Refusal, match="body: longer than 65536 bytes"):
        await _incoming(pieces, (b"content-length", length)).body()
    assert pieces.given == 0


async def test_a_body_without_a_length_is_read_to_the_cap_and_no_further() -> None:
    pieces = Pieces(b"x" * 1024 for _ in range(1_000_000))
    with pytest.raises(Refusal, match="body: longer than 65536 bytes"):
        await _incoming(pieces, (b"transfer-encoding", b"chunked")).body()
    assert pieces.given == 65


async def test_a_body_that_breaks_off_is_refused() -> None:
    with pytest.raises(Refusal, match="body: broke off"):
        await _incoming(Pieces([b'{"a"'], broken=True)).body()


async def test_a_body_that_trickles_is_refused_when_its_time_is_over_however_often_a_byte_comes() -> None:
    async def trickle() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"", "more_body": True}

    with pytest.raises(Refusal) as caught:
        await _incoming(trickle).body(within_sec=0.02)
    assert (caught.value.reason, caught.value.message) == ("REQUEST_TIMEOUT", "body: did not arrive within 0.02 s")


async def test_a_body_that_never_comes_is_refused_when_its_time_is_over() -> None:
    async def silence() -> Message:
        await asyncio.Event().wait()
        return {}

    with pytest.raises(Refusal, match="REQUEST_TIMEOUT"):
        await _incoming(silence).body(within_sec=0.01)


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"identity", b""])
async def test_an_encoded_body_is_refused_unread(encoding: bytes) -> None:
    from playclock_http.playwave.launcher_schemas import LaunchName

    incoming = _incoming(Pieces([]), (b"content-encoding", encoding))
    with pytest.raises(Refusal, match="Content-Encoding: not accepted on a request"):
        incoming.decode(b"{}", LaunchName)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (b"a", True),
        (b"Req_1.2-3", True),
        (b"x" * 64, True),
        (b"x" * 65, False),
        (b"", False),
        (b"a b", False),
        (b"a\n", False),
        (b"\xe9", False),
        (b"{}", False),
    ],
)
async def test_the_caller_s_request_id_is_taken_where_it_is_a_harmless_name(given: bytes, taken: bool) -> None:
    request_id = _incoming(Pieces([]), (b"x-request-id", given)).request_id
    if taken:
        assert request_id == given.decode()
    else:
        assert len(request_id) == len("req_") + 32
        assert set(request_id.removeprefix("req_")) <= set("0123456789abcdef")


def test_a_header_that_came_twice_counts_as_empty_and_others_do_not() -> None:
    incoming = _incoming(Pieces([]), (b"x-api-key", b"a"), (b"x-nonce", b"n"), (b"x-api-key", b"a"))
    assert incoming.header(b"x-api-key") == b""
    assert incoming.header(b"x-nonce") == b"n"
    assert incoming.header(b"absent") is None


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ({"raw_path": b"/v1//%6Ftt", "path": "/v1//ott"}, "/v1//%6Ftt"),
        ({"raw_path": b"/v1/ott?x=1", "path": "/v1/ott"}, "/v1/ott"),
        ({"raw_path": None, "path": "/v1/ott"}, "/v1/ott"),
        ({"path": "/v1/ott"}, "/v1/ott"),
    ],
)
def test_the_path_is_the_one_that_arrived_without_its_query(scope: dict[str, Any], path: str) -> None:
    assert Incoming({"method": "POST", "headers": [], **scope}, Pieces([])).path == path


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (b"a=1&a=2", "query: a field appears twice"),
        (b"a=%ff", "query: malformed"),
        (b"\xff=1", "query: malformed"),
        (b"&".join(b"a%d=1" % number for number in range(17)), "query: malformed"),
    ],
)
def test_a_query_that_could_be_read_in_two_ways_is_refused(query: bytes, message: str) -> None:
    with pytest.raises(Refusal, match=message):
        Incoming({"method": "DELETE", "headers": [], "query_string": query}, Pieces([])).query()
