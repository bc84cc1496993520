"""What goes into the outbox: everything that somebody outside wants to hear, or to keep, of what happened here."""

from typing import Final

import msgspec

from playclock.core.codec import FORMAT, UnknownFormat
from playclock.core.ledger import Transfer
from playclock.core.match_news import MatchNews
from playclock.core.records import SessionEvent


class Audit(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=3):
    """Something that an operator or an internal service did."""

    at_ms: int
    actor: str
    """Who: "operator/", "operator/NAME" or "service/ID"."""
    action: str
    """What: the method's name, such as TopUpAccount."""
    target: str
    """To what: an account, a session."""
    detail: str = ""
    once: str = ""
    """Tells apart what was done twice in a millisecond: an event that is read a second time is known by its bytes."""


OutboxEvent = SessionEvent | Transfer | Audit | MatchNews

_DECODER: Final[msgspec.msgpack.Decoder[OutboxEvent]] = msgspec.msgpack.Decoder(OutboxEvent)


def decode(data: bytes) -> OutboxEvent:
    """Return the event that lies in an outbox. Raises UnknownFormat."""
    if data[:1] != bytes([FORMAT]):
        raise UnknownFormat("an event of another format")
    try:
        return _DECODER.decode(memoryview(data)[1:])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnknownFormat(f"no event: {error}") from error
