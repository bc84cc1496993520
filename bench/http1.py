"""REST heartbeats over HTTP/1.1 with keep-alive, one at a time on each connection."""

from collections.abc import Iterator

from bench.connection import Connection

_END_OF_HEADERS = b"\r\n\r\n"
_LENGTH = b"content-length: "


class Http1Connection(Connection):
    """Sends prepared requests and checks that each is answered 200."""

    def __init__(self, requests: Iterator[bytes]) -> None:
        super().__init__(width=1)
        self._requests = requests
        self._received = b""

    def request(self) -> bytes:
        """Return the next request."""
        return next(self._requests)

    def data_received(self, data: bytes) -> None:
        """Take an answer, or a piece of one."""
        received = self._received = self._received + data if self._received else data
        head, end, body = received.partition(_END_OF_HEADERS)
        if not end:
            return
        length = head.lower().partition(_LENGTH)[2].partition(b"\r\n")[0]
        if len(body) < int(length):
            return
        self._received = b""
        if head.startswith(b"HTTP/1.1 200 "):
            self.take(1)
        else:
            self.fail(f"answered {received[:300]!r}")
            self._transport.abort()


def patch(path: str, headers: dict[str, str], body: bytes) -> bytes:
    """Return a PATCH as it goes over the wire."""
    lines = [f"PATCH {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + _END_OF_HEADERS + body
