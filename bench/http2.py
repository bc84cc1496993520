"""gRPC unary calls over HTTP/2 as bytes: a tenth of what a gRPC client costs, so that the server is what is measured.

No more of RFC 9113 than a caller needs who sends small requests: headers go into HPACK's table with the first call and are
named by number from then on, as gRPC's own clients do it. Frames of the answers are counted, not read.
"""

import asyncio
from collections.abc import Iterator
from typing import Final

from bench.connection import Connection

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_WINDOW_MAX: Final = (1 << 31) - 1
_WINDOW: Final = 65_535
_FIRST_INDEX: Final = 62
"""Where HPACK's dynamic table begins. The newest entry comes first."""


class Http2Connection(Connection):
    """Calls one method, `width` calls at a time, with prepared messages."""

    def __init__(self, width: int, headers: dict[str, str], messages: Iterator[bytes]) -> None:
        super().__init__(width)
        self._headers = [b"\x40" + _text(name) + _text(value) for name, value in headers.items()]
        self._messages = messages
        self._block = b"".join(self._headers)
        self._stream = -1
        self._received = b""
        self._answers = 0
        self._room = _WINDOW

    def request(self) -> bytes:
        """Return the next call."""
        self._stream += 2
        message = next(self._messages)
        self._room -= len(message) + 5
        if self._room < 0:
            self.fail("the server gave no room for more requests")
        head = _frame(_HEADERS, _END_HEADERS, self._stream, self._block)
        if self._stream == 1:
            self._block = bytes(0x80 | _FIRST_INDEX + place for place in reversed(range(len(self._headers))))
        return head + _frame(_DATA, _END_STREAM, self._stream, b"\0" + len(message).to_bytes(4) + message)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet the server."""
        super().connection_made(transport)
        more_room = (_WINDOW_MAX - _WINDOW).to_bytes(4)
        self._transport.write(_PREFACE + _frame(_SETTINGS, 0, 0, b"") + _frame(_WINDOW_UPDATE, 0, 0, more_room))

    def data_received(self, data: bytes) -> None:
        """Take the frames that have arrived whole."""
        received = self._received + data if self._received else data
        at, done = 0, 0
        while len(received) - at >= 9:
            length = int.from_bytes(received[at : at + 3])
            end = at + 9 + length
            if end > len(received):
                break
            kind, flags = received[at + 3], received[at + 4]
            if kind == _DATA:
                self._answers += 1
            elif kind != _HEADERS:
                self._control(kind, flags, received[at + 5 : at + 9], received[at + 9 : end])
            elif flags & _END_STREAM:
                done += 1
            at = end
        self._received = received[at:]
        if done:
            self.take(done)
            if self._answers < self.answered:
                self.fail("a call was answered with an error")

    def _control(self, kind: int, flags: int, stream: bytes, payload: bytes) -> None:
        if kind in {_SETTINGS, _PING} and not flags & _ACK:
            self._transport.write(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        elif kind == _WINDOW_UPDATE and not any(stream):
            self._room += int.from_bytes(payload)
        elif kind in {_RST_STREAM, _GOAWAY}:
            self.fail(f"the server refused: frame {kind}, {payload!r}")


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + payload


def _text(text: str) -> bytes:
    """Return a short text as HPACK has it, not compressed."""
    assert len(text) < 127, "a longer text needs a longer length"
    return bytes([len(text)]) + text.encode()
