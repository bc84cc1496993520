"""Why there is no answer. The message may be shown to whoever chose the address; `detail` is for the operator's log alone.

OutgoingError
├── BadUrl           BAD_URL           another URL is needed
├── RefusedAddress   REFUSED_ADDRESS   another URL is needed, or a network in the settings
├── NoAddress        NO_ADDRESS        later
├── ConnectFailed    CONNECT_FAILED    later
├── TlsFailed        TLS_FAILED        the receiver has to mend its certificate
├── Busy             BUSY              later: our own bounds, no fault of the receiver's
├── TimedOut         TIMEOUT           later
├── TooLarge         TOO_LARGE         less is needed
└── BadResponse      BAD_RESPONSE      the receiver has to mend its answer
"""

from typing import ClassVar


class OutgoingError(Exception):
    """A request has no answer. Neither the message nor `detail` holds a path, a query, a header or a body."""

    reason: ClassVar[str]

    def __init__(self, message: str, *, detail: str = "", is_sent: bool = False, status: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        """What the operator may know beyond the message: addresses, and what the system said."""
        self.is_sent = is_sent
        """Whether the receiver may have seen any of the request, and may have done what it asks for."""
        self.status = status
        """The status of the answer, where its head had come before the rest failed."""


class BadUrl(OutgoingError):
    """The URL is none that may be called, whatever its host's addresses are."""

    reason = "BAD_URL"


class RefusedAddress(OutgoingError):
    """The host has an address that may not be called. Nothing was connected to."""

    reason = "REFUSED_ADDRESS"


class NoAddress(OutgoingError):
    """The host's name has no address, or nobody could say which."""

    reason = "NO_ADDRESS"


class ConnectFailed(OutgoingError):
    """None of the addresses accepted a connection."""

    reason = "CONNECT_FAILED"


class TlsFailed(OutgoingError):
    """The receiver could not prove that it is the host, or does not speak TLS 1.2 or newer."""

    reason = "TLS_FAILED"


class Busy(OutgoingError):
    """Too many requests are under way, to this host or in all."""

    reason = "BUSY"


class TimedOut(OutgoingError):
    """The answer was not there, whole, by the deadline."""

    reason = "TIMEOUT"


class TooLarge(OutgoingError):
    """The body of the request, or the head or the body of the answer, is longer than the bound."""

    reason = "TOO_LARGE"


class BadResponse(OutgoingError):
    """What came is no answer of HTTP/1.1, ended early, or is encoded although that was not asked for."""

    reason = "BAD_RESPONSE"
