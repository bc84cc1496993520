"""What is sent and what comes back. Neither shows a header or a body where it is printed: they may hold secrets."""

from collections.abc import Mapping
from typing import Literal

import msgspec

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request. Host, length, connection and encodings are the client's; other headers are the caller's, in ASCII."""

    method: Method = "POST"
    url: str
    headers: Mapping[str, str] = {}
    body: bytes = b""

    def __repr__(self) -> str:
        return f"Request(method={self.method!r}, body=<{len(self.body)} bytes>)"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What the receiver answered, whatever its status: a redirect is one like others."""

    status: int
    headers: Mapping[str, str]
    """By name in lower case; what came several times is joined by commas."""
    body: bytes
    duration_ms: int
    """From the call to the end of the answer, with the wait for a turn."""

    def __repr__(self) -> str:
        return f"Answer(status={self.status}, body=<{len(self.body)} bytes>, duration_ms={self.duration_ms})"
