"""A request as it arrived: nothing is decoded that nobody asked for, and nothing is read beyond the limits."""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable
from typing import Final, TypeVar
from urllib.parse import parse_qsl

import grpc
import msgspec
from starlette.types import Receive, Scope

from playclock_http import fields, strict_json
from playclock_http.refusal import Refusal, bad_request

MAX_BODY_BYTES: Final = 64 * 1024
RECEIPT_SEC: Final = 10.0
"""Seconds within which the whole body has to arrive, however often a piece of it comes."""
DRAINED_BYTES_MAX: Final = 1024 * 1024
DRAINED_SEC: Final = 1.0
"""How much of a refused body, and for how long, is read and thrown away, so that its sender gets to hear the answer."""

_MAX_QUERY_FIELDS: Final = 16
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9_.-]{1,64}")
_LENGTH: Final = re.compile(rb"[0-9]{1,19}")

StructT = TypeVar("StructT", bound=msgspec.Struct)


NameRequest = Callable[[bytes | None], str]
"""Makes a request's id. The argument is the caller's X-Request-Id, as it arrived, if there is one."""


def name_request(given: bytes | None) -> str:
    """Return the caller's X-Request-Id where that is a harmless name, else a new one."""
    if given is not None and _REQUEST_ID.fullmatch(given):
        return given.decode("ascii")
    return "req_" + os.urandom(16).hex()


class Incoming:
    """One HTTP request. `request_id` names it in answers and logs."""

    __slots__ = ("_body_read", "_drained_max", "_drained_sec", "_headers", "_receive", "_scope", "method", "request_id")

    def __init__(self, scope: Scope, receive: Receive, name: NameRequest = name_request) -> None:
        self._scope = scope
        self._receive = receive
        self._headers: dict[bytes, bytes] = dict(scope["headers"])
        self._body_read = False
        self._drained_max, self._drained_sec = DRAINED_BYTES_MAX, DRAINED_SEC
        self.method: str = scope["method"]
        self.request_id = name(self._headers.get(b"x-request-id"))

    def header(self, name: bytes) -> bytes | None:
        """Return the value of a header, by its lower-case name.

        One that came more than once is returned as empty: whoever chose between the values would be guessing.
        """
        if len(self._headers) != len(self._scope["headers"]) and len(self.every(name)) > 1:
            return b""
        return self._headers.get(name)

    def every(self, name: bytes) -> list[bytes]:
        """Return all values of a header in the order in which they came."""
        return [value for key, value in self._scope["headers"] if key == name]

    @property
    def path(self) -> str:
        """The path as it arrived, without the query: what callers sign."""
        raw: bytes = self._scope.get("raw_path") or self._scope["path"].encode()
        return raw.partition(b"?")[0].decode("latin-1")

    def path_field(self, name: str) -> str:
        """Return what stands in the path at the place that its route names."""
        value: str = self._scope["path_params"][name]
        return value

    @property
    def path_parameters(self) -> dict[str, str]:
        """What the placeholders of the route stand for, decoded."""
        found: dict[str, str] = self._scope.get("path_params", {})
        return found

    @property
    def peer(self) -> str:
        """The other end of the socket; empty for a Unix socket."""
        client = self._scope.get("client")
        return client[0] if client else ""

    @property
    def forwarded(self) -> list[bytes]:
        """All X-Forwarded-For headers in the order in which they came."""
        return self.every(b"x-forwarded-for") if b"x-forwarded-for" in self._headers else []

    @property
    def unread(self) -> bool:
        """Whether a body is on its way that nobody has read to its end."""
        if self._body_read:
            return False
        return b"transfer-encoding" in self._headers or self._headers.get(b"content-length", b"0") != b"0"

    def query(self) -> dict[str, str]:
        """Return the fields of the query. Raises Refusal (BAD_REQUEST)."""
        raw: bytes = self._scope["query_string"]
        try:
            pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MAX_QUERY_FIELDS)
        except ValueError:
            raise bad_request("query: malformed") from None
        query = dict(pairs)
        if len(query) != len(pairs):
            raise bad_request("query: a field appears twice")
        return query

    async def body(self, *, at_most: int = MAX_BODY_BYTES, within_sec: float = RECEIPT_SEC) -> bytes:
        """Return the body's bytes.

        Raises Refusal: BAD_REQUEST where it is too long, as soon as that is known, or breaks off; REQUEST_TIMEOUT.
        """
        return b"".join([piece async for piece in self.pieces(at_most=at_most, within_sec=within_sec)])

    async def pieces(self, *, at_most: int, within_sec: float) -> AsyncIterator[bytes]:
        """Yield the body's bytes as they arrive. Raises the Refusals that `body` raises."""
        announced = self._headers.get(b"content-length")
        if announced is not None and not (_LENGTH.fullmatch(announced) and int(announced) <= at_most):
            raise _too_long(at_most)
        received, until = 0, asyncio.get_running_loop().time() + within_sec
        while not self._body_read:
            try:
                async with asyncio.timeout_at(until):
                    message = await self._receive()
            except TimeoutError:
                late = f"body: did not arrive within {within_sec:g} s"
                raise Refusal("REQUEST_TIMEOUT", late, status=grpc.StatusCode.DEADLINE_EXCEEDED) from None
            if message["type"] != "http.request":
                raise bad_request("body: broke off")
            piece: bytes = message.get("body", b"")
            received += len(piece)
            self._body_read = not message.get("more_body", False)
            if received > at_most:
                raise _too_long(at_most)
            yield piece

    @property
    def announced_bytes(self) -> int | None:
        """How long the body says to be; None where it does not say it, or not as a number."""
        announced = self._headers.get(b"content-length", b"")
        return int(announced) if _LENGTH.fullmatch(announced) else None

    def hear_out(self, at_most: int, within_sec: float) -> None:
        """Let so much more of the body be thrown away where it is refused: for senders who are known, and send large ones."""
        self._drained_max, self._drained_sec = at_most, within_sec

    async def drain(self) -> None:
        """Throw away what is still on its way of the body, up to a limit.

        A connection that is closed with bytes unread is reset, and the answer is lost with it.
        """
        drained = 0
        try:
            async with asyncio.timeout(self._drained_sec):
                while self.unread and drained <= self._drained_max:
                    message = await self._receive()
                    drained += len(message.get("body", b""))
                    self._body_read = not message.get("more_body", False)
        except TimeoutError:
            return

    def decode(self, body: bytes, declared: type[StructT]) -> StructT:
        """Return the body as the declared Struct. Raises Refusal (BAD_REQUEST)."""
        return fields.convert(self.document(body), declared)

    def document(self, body: bytes) -> dict[str, object]:
        """Return the body as a JSON object. Raises Refusal (BAD_REQUEST)."""
        self.check_plain()
        return strict_json.parse(body)

    def check_plain(self) -> None:
        """Raise Refusal (BAD_REQUEST) where the body is in a content coding."""
        if b"content-encoding" in self._headers:
            raise bad_request("Content-Encoding: not accepted on a request")


def _too_long(at_most: int) -> Refusal:
    return bad_request(f"body: longer than {at_most} bytes")
