"""The smaller records: what is kept so that a repeat is recognised, found again, or told of."""

from enum import IntEnum

import msgspec

from playclock.core.outage import Outage
from playclock.core.session import Session, State


class Nonce(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A nonce or a signature that was used, and when first."""

    used_ms: int


class Claim(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """With which contents a caller used a request id."""

    contents_sha256: bytes
    until_ms: int = 0
    """Until when that is remembered for certain."""


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The first answer to a request id, written in the same commit as what the request did."""

    data: bytes


class KeyUses(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """When keys were last used, by their ids: to the hour."""

    used_ms: dict[str, int]


class ServerSessions(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The live sessions that one game server opened in one partition."""

    session_ids: tuple[str, ...]


class Pulse(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The last sign of life of any of our processes, and the outages that are remembered, oldest first."""

    beat_ms: int
    outages: tuple[Outage, ...] = ()
    offset_ms: int = 0
    """What our time is ahead of the store server's clock: not 0 after that clock was set while we ran."""


class Silenced(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """That a match client's server wants nothing more at its URL, and since when; 0 where it is sent to again."""

    since_ms: int


class Window(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How much of a limit was used, and until when that counts."""

    count: int
    until_ms: int


class Happening(IntEnum):
    """What a session's event tells of."""

    OPENED = 1
    EXHAUSTED = 2
    ENDED = 3
    RESUMED = 4
    LOW_CREDIT = 5
    ENDING = 6


class SessionEvent(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=1):
    """Something that happened to a session, for the outbox."""

    happening: Happening
    at_ms: int
    session: Session


def events_of(before: Session, steps: list[Session], now_ms: int) -> list[SessionEvent]:
    """Return what there is to tell of the steps that a session took until now, oldest first."""
    told = []
    for after in steps:
        if after.state is State.EXHAUSTED and before.state is State.ACTIVE:
            told.append(SessionEvent(Happening.EXHAUSTED, after.exhausted_ms or 0, after))
        elif after.state is State.ENDING and before.state is not State.ENDING:
            told.append(SessionEvent(Happening.ENDING, after.ended_ms or 0, after))
        elif after.state is State.ENDED and before.state is not State.ENDED:
            told.append(SessionEvent(Happening.ENDED, after.ended_ms or 0, after))
        elif after.state is State.ACTIVE and before.state is State.EXHAUSTED:
            told.append(SessionEvent(Happening.RESUMED, now_ms, after))
        if is_low(after) and not is_low(before):
            told.append(SessionEvent(Happening.LOW_CREDIT, now_ms, after))
        before = after
    return told


def is_low(session: Session) -> bool:
    """Whether a session's credit ends within its lease: what there was did not pay for all of it."""
    paid_until_ms = session.paid_until_ms
    return session.state is State.ACTIVE and paid_until_ms is not None and paid_until_ms < session.lease_until_ms
