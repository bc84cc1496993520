"""Telling a game's server of its match: what became of a message, and when it is sent again.

    PENDING ──deliver──▶ DELIVERED ──replay──▶ PENDING
       ├──give up──────▶ DEAD ───────replay──▶ PENDING
       └──withdraw─────▶ WITHDRAWN

A match has two messages at most: that it is there (PUT), and that it is off (DELETE), which follows its PUT. Each is a record
in the match's partition, so that it is written in the commit that causes it. Whoever sends it takes a lease first; whoever
finds a lease that has run out sends it again, under the same id. The schedule is that of Standard Webhooks.
"""

import hashlib
from enum import IntEnum
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core.ids import delivery_id_of
from playclock.core.match import DAY_MS, Match
from playclock.core.match_info import match_info

SCHEDULE_MS: Final = (
    0,
    5_000,
    300_000,
    1_800_000,
    7_200_000,
    18_000_000,
    36_000_000,
    50_400_000,
    72_000_000,
    86_400_000,
)
"""How long after the one before each try comes, for a client that wants retries: over 76 hours in all, with what is added."""
JITTER_MIN_PERMILLE: Final = 10
JITTER_MAX_PERMILLE: Final = 40
"""How much is added to each pause, so that a receiver that comes back is not met by all that it has missed at once. The last
try is over before a match that waits for it is aborted (`MatchRules.starting_ms`)."""
RETRY_AFTER_MAX_MS: Final = DAY_MS
"""How long a receiver may ask to be left alone."""
BUSY_MS: Final = 5_000
"""After how long a try is made that our own bounds did not let through, or that another message has to come before."""
ERROR_MAX: Final = 64


class DeliveryRules(msgspec.Struct, frozen=True, kw_only=True):
    """Durations of deliveries, in milliseconds."""

    timeout_ms: int = 15_000
    """How long a game's server has to answer. Standard Webhooks asks for 15 to 30 seconds."""
    retention_ms: int = 30 * DAY_MS
    """How long a message is remembered that is delivered, dead or withdrawn."""

    @property
    def lease_ms(self) -> int:
        """For how long who takes a message to send has it alone: the wait for a turn, and the try."""
        return 4 * self.timeout_ms


class Method(IntEnum):
    """What a game's server is told."""

    PUT = 1
    """There is a match."""
    DELETE = 2
    """It is off."""


class DeliveryState(IntEnum):
    """What became of a message."""

    PENDING = 1
    DELIVERED = 2
    DEAD = 3
    """Nobody sends it any more, unless an operator says so."""
    WITHDRAWN = 4
    """The match was off before the message was delivered."""


class DeliveryEvent(IntEnum):
    """What can happen to a message."""

    DELIVER = 1
    GIVE_UP = 2
    WITHDRAW = 3
    REPLAY = 4


TRANSITIONS: Final[dict[DeliveryState, dict[DeliveryEvent, DeliveryState]]] = {
    DeliveryState.PENDING: {
        DeliveryEvent.DELIVER: DeliveryState.DELIVERED,
        DeliveryEvent.GIVE_UP: DeliveryState.DEAD,
        DeliveryEvent.WITHDRAW: DeliveryState.WITHDRAWN,
    },
    DeliveryState.DELIVERED: {DeliveryEvent.REPLAY: DeliveryState.PENDING},
    DeliveryState.DEAD: {DeliveryEvent.REPLAY: DeliveryState.PENDING},
    DeliveryState.WITHDRAWN: {},
}
"""Where a message may go next. A pair that is missing cannot happen."""


class Verdict(IntEnum):
    """What a try came to."""

    TOLD = 1
    FAILED = 2
    """Another try may be better."""
    GONE = 3
    """The receiver wants nothing more, or cannot be sent to."""
    BUSY = 4
    """It was no try: our own bounds did not let it through."""


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a try."""

    verdict: Verdict
    status: int = 0
    """Of the answer; 0 where there is none."""
    error: str = ""
    """Why there is none."""
    retry_after_ms: int = 0
    """How long the receiver asks to be left alone."""
    is_sent: bool = True
    """Whether the receiver may have seen any of it."""


class Delivery(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A message to a game's server as it stands."""

    id: str
    """What the receiver knows repeats by: the same over all tries."""
    match_id: str
    client_id: str
    method: Method
    body: bytes
    created_ms: int
    due_ms: int
    """When the next try is due."""
    state: DeliveryState = DeliveryState.PENDING
    failures: int = 0
    """How many tries have failed since it was written, or replayed."""
    tries: int = 0
    """How many tries have come to an end, in all."""
    leased_until_ms: int = 0
    """Until when somebody has it alone to send it; 0 where nobody has, or what became of the try has been noted."""
    is_sent: bool = False
    """Whether the receiver may have seen any of it, by a try that is over."""
    tried_ms: int = 0
    """When the last try came to an end."""
    status: int = 0
    """Of the last answer."""
    error: str = ""
    ended_ms: int | None = None
    replays: int = 0


def put_of(match: Match, *, now_ms: int) -> Delivery:
    """Return the message that there is a match."""
    return Delivery(
        id=delivery_id_of(match.id, Method.PUT.name),
        match_id=match.id,
        client_id=match.terms.client_id,
        method=Method.PUT,
        body=match_info(match),
        created_ms=now_ms,
        due_ms=now_ms,
    )


def delete_of(put: Delivery, *, now_ms: int) -> Delivery:
    """Return the message that a match is off, of which its game's server may have been told. It waits for a try under way."""
    return Delivery(
        id=delivery_id_of(put.match_id, Method.DELETE.name),
        match_id=put.match_id,
        client_id=put.client_id,
        method=Method.DELETE,
        body=put.body,
        created_ms=now_ms,
        due_ms=max(now_ms, put.leased_until_ms),
    )


def move(delivery: Delivery, event: DeliveryEvent, **changes: object) -> Delivery | None:
    """Return the message after an event; None where that cannot happen."""
    state = TRANSITIONS[delivery.state].get(event)
    return None if state is None else replace(delivery, state=state, **changes)


def is_leased(delivery: Delivery, *, now_ms: int) -> bool:
    """Whether somebody has the message alone now."""
    return now_ms < delivery.leased_until_ms


def is_due(delivery: Delivery, *, now_ms: int) -> bool:
    """Whether the message is to be sent now, and nobody does."""
    return delivery.state is DeliveryState.PENDING and now_ms >= filed_ms(delivery)


def filed_ms(delivery: Delivery) -> int:
    """Return when somebody has to look at a pending message again."""
    return max(delivery.due_ms, delivery.leased_until_ms)


def is_perhaps_sent(delivery: Delivery) -> bool:
    """Whether the receiver may have seen any of the message: also by a try of which nobody has noted what became of it."""
    return delivery.is_sent or delivery.leased_until_ms > 0


def leased(delivery: Delivery, rules: DeliveryRules, *, now_ms: int) -> Delivery:
    """Return the message in the hands of who sends it."""
    return replace(delivery, is_sent=is_perhaps_sent(delivery), leased_until_ms=now_ms + rules.lease_ms)


def given_back(delivery: Delivery, taken: Delivery, *, now_ms: int) -> Delivery:
    """Return the message after who had taken it made no try. As it is where somebody else has taken it since."""
    if delivery.leased_until_ms != taken.leased_until_ms:
        return delivery
    return replace(delivery, leased_until_ms=0, due_ms=now_ms + BUSY_MS)


def tried(delivery: Delivery, outcome: Tried, *, retries: bool, now_ms: int) -> Delivery:
    """Return the message after a try: delivered, due again, or dead. A try that nobody waits for any more is noted alone."""
    noted = replace(
        delivery,
        leased_until_ms=0,
        tries=delivery.tries + 1,
        is_sent=delivery.is_sent or outcome.is_sent,
        tried_ms=now_ms,
        status=outcome.status,
        error=outcome.error[:ERROR_MAX],
    )
    if delivery.state is not DeliveryState.PENDING:
        return noted
    if outcome.verdict is Verdict.TOLD:
        return move(noted, DeliveryEvent.DELIVER, ended_ms=now_ms) or noted
    noted = replace(noted, failures=noted.failures + 1)
    if outcome.verdict is Verdict.GONE or not retries or noted.failures >= len(SCHEDULE_MS):
        return move(noted, DeliveryEvent.GIVE_UP, ended_ms=now_ms) or noted
    pause_ms = max(_pause_ms(noted), min(outcome.retry_after_ms, RETRY_AFTER_MAX_MS))
    return replace(noted, due_ms=now_ms + pause_ms)


def withdrawn(delivery: Delivery, *, now_ms: int) -> Delivery:
    """Return the message after its match was called off: as it is where it is delivered or dead."""
    return move(delivery, DeliveryEvent.WITHDRAW, ended_ms=now_ms) or delivery


def given_up(delivery: Delivery, *, now_ms: int) -> Delivery:
    """Return the message after the time for it was over: as it is where it is delivered or dead."""
    return move(delivery, DeliveryEvent.GIVE_UP, ended_ms=now_ms) or delivery


def replayed(delivery: Delivery, *, now_ms: int) -> Delivery | None:
    """Return the message pending anew, under its own id; None for one that is pending, or was withdrawn."""
    return move(delivery, DeliveryEvent.REPLAY, due_ms=now_ms, failures=0, ended_ms=None, replays=delivery.replays + 1)


def hurried(delivery: Delivery, *, now_ms: int) -> Delivery:
    """Return a message that waited for another one after that one's try."""
    return replace(delivery, due_ms=min(delivery.due_ms, now_ms)) if delivery.failures == 0 else delivery


def _pause_ms(delivery: Delivery) -> int:
    """Return the pause before the next try: the same whoever works it out."""
    pause_ms = SCHEDULE_MS[delivery.failures]
    digest = hashlib.sha256(f"{delivery.id}/{delivery.failures}".encode()).digest()
    spread = JITTER_MAX_PERMILLE - JITTER_MIN_PERMILLE
    permille = JITTER_MIN_PERMILLE + int.from_bytes(digest[:4], "big") % (spread + 1)
    return pause_ms + pause_ms * permille // 1000
