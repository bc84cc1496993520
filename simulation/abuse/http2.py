"""HTTP/2 frame by frame: what no client library would send."""

import select
import socket
import time
from collections import Counter
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

from hpack import Decoder, Encoder

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
CANCEL: Final = 8
ENHANCE_YOUR_CALM: Final = 11
WINDOW: Final = 65_535
FRAME_BYTES_MAX: Final = 16_384

Header = tuple[str, str]


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """Return a frame."""
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def reset(stream: int) -> bytes:
    """Return the frame by which a client gives a call up."""
    return frame(RST_STREAM, 0, stream, CANCEL.to_bytes(4, "big"))


def head_of(path: str, more: Iterable[Header] = ()) -> bytes:
    """Return the head of a call, packed so that it is the same each time: nothing of it goes into the server's table."""
    headers = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x"), ("te", "trailers")]
    headers += [("content-type", "application/grpc"), *more]
    return Encoder().encode([(name, value, True) for name, value in headers], huffman=False)


def message(body: bytes, *, is_compressed: bool = False) -> bytes:
    """Return a message as gRPC frames it."""
    return bytes((is_compressed,)) + len(body).to_bytes(4, "big") + body


class Stranger:
    """A connection, which acknowledges what it has to so that it is not cut off for that."""

    def __init__(self, address: str) -> None:
        """Connect to HOST:PORT."""
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=30)
        self._received = b""
        self.seen: Counter[int] = Counter()
        """Kinds of frames that came."""
        self.answers: dict[int, dict[str, str]] = {}
        """Stream -> the head and the trailer that came on it; empty where it was given up without."""
        self._decoder = Decoder()
        self.goaway: tuple[int, bytes] | None = None
        """The code and the text with which the server said goodbye."""
        self.is_closed = False
        self.window = {0: WINDOW}
        """Stream, or 0 for the connection -> how many bytes the server takes."""
        self._first_window = WINDOW
        self.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Hang up."""
        self._socket.close()

    def send(self, frames: bytes) -> None:
        """Send frames, and notice where the server has hung up."""
        try:
            self._socket.sendall(frames)
        except (BrokenPipeError, ConnectionError):
            self.is_closed = True

    def take(self, within_sec: float = 0) -> None:
        """Take in what has come, waiting for it so long at most."""
        while not self.is_closed and select.select([self._socket], [], [], within_sec)[0]:
            within_sec = 0
            try:
                received = self._socket.recv(1 << 20)
            except ConnectionError:
                received = b""
            self.is_closed = not received
            self._received += received
            self._read()

    def take_until_closed(self, within_sec: float) -> bool:
        """Take in what comes until the server hangs up, and return whether it does."""
        over = time.monotonic() + within_sec
        while not self.is_closed and (left := over - time.monotonic()) > 0:
            self.take(left)
        return self.is_closed

    def send_body(self, stream: int, body: bytes) -> None:
        """Send a call's body to its end, as fast as the server takes it, unless it gives the call up."""
        self.window.setdefault(stream, self._first_window)
        at = 0
        while at < len(body) and not self.is_closed and stream not in self.answers:
            size = min(len(body) - at, self.window[0], self.window[stream], FRAME_BYTES_MAX)
            if size > 0:
                flags = END_STREAM if at + size == len(body) else 0
                self.send(frame(DATA, flags, stream, body[at : at + size]))
                self.window[0] -= size
                self.window[stream] -= size
                at += size
            self.take(0 if size > 0 else 5)

    def _read(self) -> None:
        while len(self._received) >= 9:
            end = 9 + int.from_bytes(self._received[:3], "big")
            if len(self._received) < end:
                return
            kind, flags = self._received[3], self._received[4]
            stream = int.from_bytes(self._received[5:9], "big")
            payload, self._received = self._received[9:end], self._received[end:]
            self.seen[kind] += 1
            self._act_on(kind, flags, stream, payload)

    def _act_on(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        match kind:
            case 4 if not flags & ACK:
                for at in range(0, len(payload), 6):
                    if payload[at : at + 2] == b"\x00\x04":
                        self._first_window = int.from_bytes(payload[at + 2 : at + 6], "big")
                self.send(frame(SETTINGS, ACK, 0))
            case 6 if not flags & ACK:
                self.send(frame(PING, ACK, 0, payload))
            case 7:
                self.goaway = int.from_bytes(payload[4:8], "big"), payload[8:]
            case 8:
                self.window[stream] = self.window.get(stream, self._first_window) + int.from_bytes(payload, "big")
            case 1:
                told = {str(name): str(value) for name, value in self._decoder.decode(payload)}
                self.answers.setdefault(stream, {}).update(told)
            case 3:
                self.answers.setdefault(stream, {})
