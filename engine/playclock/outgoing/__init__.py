"""The one way out: requests to addresses that strangers may have chosen, made by one guarded HTTP client.

A name is resolved once, every address of the answer is checked, and the connection goes to a checked address under the original
name. Redirects are answers like others, and size, time and number of requests are bounded.
"""

from playclock.outgoing.client import Bounds, OutgoingClient
from playclock.outgoing.errors import (
    BadResponse,
    BadUrl,
    Busy,
    ConnectFailed,
    NoAddress,
    OutgoingError,
    RefusedAddress,
    TimedOut,
    TlsFailed,
    TooLarge,
)
from playclock.outgoing.messages import Answer, Request
from playclock.outgoing.resolving import Resolve
from playclock.outgoing.urls import Target, parse

__all__ = [
    "Answer",
    "BadResponse",
    "BadUrl",
    "Bounds",
    "Busy",
    "ConnectFailed",
    "NoAddress",
    "OutgoingClient",
    "OutgoingError",
    "RefusedAddress",
    "Request",
    "Resolve",
    "Target",
    "TimedOut",
    "TlsFailed",
    "TooLarge",
    "parse",
]
