"""What a servicer knows of a call, whatever brought it."""

from collections.abc import Callable
from typing import NamedTuple, Protocol
from urllib.parse import unquote

from playclock.engine import Caller
from playclock.errors import EngineError


class Suspicion(Protocol):
    """What is held against a call that may be a guess."""

    def check(self, response: object) -> None:
        """Raise what is told instead of an answer that would only tell that the guess is right."""

    def instead_of(self, error: EngineError) -> EngineError:
        """Return what is told instead of an error."""


class ClientIdentity(NamedTuple):
    """Whom a client's certificate names, which an authority that the operator trusts has signed."""

    common_name: str
    """Of its subject; empty where it has none."""
    dns_names: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()
    """Such as SPIFFE ids."""


Identify = Callable[[], ClientIdentity | None]
"""Tells whom the client's certificate names; None where it has shown none, or nobody verifies any."""


def unidentified() -> None:
    """Tell that no certificate was verified."""


class Call(NamedTuple):
    """Who calls, and from where."""

    caller: Caller
    peer: Callable[[], str]
    """Tells the connection's other end as gRPC writes it, such as "ipv4:192.0.2.1:50000"."""
    trusted: bool
    """Whether the caller is inside the trust boundary, so that what it says of third parties is believed."""
    signature_id: str = ""
    """Where the caller signed in a dialect without nonces: what stands for the request id of the call."""
    identify: Identify = unidentified
    """Asked only where it matters: looking into the connection takes some ten microseconds."""
    home: str = ""
    """From where the caller calls, as limits count it: an IPv4 address, or an IPv6 network. Empty where that is not known."""
    suspicion: Suspicion | None = None
    """What is held against the call; None as a rule."""

    def request_id(self, given: str) -> str:
        """Return the request id of a call that changes something: the caller's, or else the one that its signature stands for.

        So a request that is sent again with the same signature acts once, and hears the first answer.
        """
        return given or self.signature_id


def address_of(peer: str) -> str:
    """Return the address in a gRPC peer, or an empty string where there is none, as for a Unix socket."""
    kind, _, rest = peer.partition(":")
    if kind not in ("ipv4", "ipv6"):
        return ""
    host = unquote(rest).rpartition(":")[0]
    return host.strip("[]").partition("%")[0]
