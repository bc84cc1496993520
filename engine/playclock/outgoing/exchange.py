"""One request and its answer on one connection, by h11's state machine. Every size has a bound; the time is the caller's."""

import asyncio
import ssl
from typing import Final

import h11
import msgspec

from playclock.outgoing.connecting import Streams
from playclock.outgoing.errors import BadResponse, OutgoingError, TlsFailed, TooLarge
from playclock.outgoing.messages import Request
from playclock.outgoing.urls import Target

READ_BYTES: Final = 8192
OVERHEAD_MAX: Final = 2
"""How many times the bounds may come over the wire: for the framing of chunks, and for interim answers."""
EVENTS_MAX: Final = 2048
"""How many pieces an answer may come in. One of a byte costs as much work as one of thousands."""
OURS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that say how the connection is used. A caller's would contradict it."""


_HEAD_TOO_LARGE: Final = 431


class Head(msgspec.Struct, frozen=True):
    """The status of an answer, and its headers by name in lower case."""

    status: int
    headers: dict[str, str]


def head_of(target: Target, request: Request) -> h11.Request:
    """Return the head of a request. Raises ValueError for a header that cannot be sent, without its value."""
    for name, value in request.headers.items():
        if name.lower() in OURS:
            raise ValueError(f"the header {name!r} is the client's own")
        if not name.isascii() or not value.isascii():
            raise ValueError(f"the header {name!r} is not ASCII")
    headers = {"host": target.authority, "user-agent": "playclock", "accept": "*/*"}
    headers |= {name.lower(): value for name, value in request.headers.items()}
    headers |= {"accept-encoding": "identity", "connection": "close"}
    if request.body or request.method not in ("GET", "DELETE"):
        headers["content-length"] = str(len(request.body))
    try:
        return h11.Request(method=request.method, target=target.path, headers=list(headers.items()))
    except h11.LocalProtocolError:
        raise ValueError("a header has a name or a value that cannot be sent") from None


class Exchange:
    """A request on its way. `is_sent` and `status` say how far it came, also after a cancellation."""

    def __init__(self, host: str, *, head_bytes_max: int, body_bytes_max: int) -> None:
        self._host = host
        self._body_bytes_max = body_bytes_max
        self._wire_bytes_left = OVERHEAD_MAX * (head_bytes_max + body_bytes_max)
        self._events_left = EVENTS_MAX
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=head_bytes_max)
        self.is_sent = False
        self.status: int | None = None

    async def run(self, streams: Streams, head: h11.Request, body: bytes) -> tuple[Head, bytes]:
        """Send a request and read the answer to it. Raises TooLarge, BadResponse, TlsFailed."""
        reader, writer = streams
        self.is_sent = True
        try:
            writer.write(b"".join(self._http.send(event) or b"" for event in (head, h11.Data(data=body), h11.EndOfMessage())))
            await writer.drain()
            return await self._answer(reader)
        except h11.RemoteProtocolError as error:
            # h11 quotes what came. That is nobody's business but the receiver's.
            if error.error_status_hint == _HEAD_TOO_LARGE:
                raise self._too_large("a longer head") from None
            raise self._failed(BadResponse, "did not answer by HTTP/1.1") from None
        except ssl.SSLError as error:
            # In TLS 1.3 a receiver that wants a certificate says so after the handshake.
            raise self._failed(TlsFailed, "ended TLS", detail=str(error)) from error
        except OSError as error:
            raise self._failed(BadResponse, "closed before its answer had ended", detail=str(error)) from error

    async def _answer(self, reader: asyncio.StreamReader) -> tuple[Head, bytes]:
        head = None
        body = bytearray()
        while True:
            match await self._event(reader):
                case h11.InformationalResponse():
                    continue
                case h11.Response() as response:
                    head = self._head(response)
                case h11.Data(data=data):
                    body += data
                    if len(body) > self._body_bytes_max:
                        raise self._too_large("a longer body")
                case h11.EndOfMessage() if head is not None:
                    return head, bytes(body)
                case _:
                    raise self._failed(BadResponse, "did not answer")

    async def _event(self, reader: asyncio.StreamReader) -> object:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            data = await reader.read(READ_BYTES)
            self._wire_bytes_left -= len(data)
            self._http.receive_data(data)
            if self._wire_bytes_left < 0:
                raise self._too_large("more framing")
        self._events_left -= 1
        if self._events_left < 0:
            raise self._too_large("more pieces")
        return event

    def _head(self, response: h11.Response) -> Head:
        self.status = response.status_code
        headers: dict[str, str] = {}
        for raw_name, raw_value in response.headers:
            name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        if headers.get("content-encoding", "identity").lower() not in ("", "identity"):
            # Nothing here inflates, so nothing that comes can be larger than it is on the wire.
            raise self._failed(BadResponse, "answered in an encoding that was not asked for")
        return Head(response.status_code, headers)

    def _too_large(self, what: str) -> OutgoingError:
        return self._failed(TooLarge, f"answered with {what} than allowed")

    def _failed(self, kind: type[OutgoingError], what: str, *, detail: str = "") -> OutgoingError:
        return kind(f"{self._host} {what}", detail=detail, is_sent=self.is_sent, status=self.status)
