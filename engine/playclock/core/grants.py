"""What a partner's charge authority has granted to a session, and how it goes on where the partner does not answer.

All times are billable time since the session's start, in totals: what is heard twice, late or out of order changes nothing.
"""

from enum import IntEnum
from typing import Final

import msgspec
from msgspec.structs import replace

CLOSE_AGAIN_MS: Final = 5_000
"""After how long a partner is asked again to confirm an end, the first time. Doubles each time."""
CLOSE_AGAIN_MAX_MS: Final = 60_000


class FailurePolicy(IntEnum):
    """What becomes of a game's sessions while the partner does not answer."""

    DENY = 1
    """None opens, and those that are open go on for as long as was granted."""
    ALLOW = 2
    """They open and go on. Nobody pays for the time that was not granted."""
    ALLOW_THEN_RECONCILE = 3
    """They open and go on. The partner hears of the time afterwards, and pays."""


class Grant(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A session's side of a partner's charge."""

    provider_id: str
    charge_id: str
    cafe_id: str
    """The cafe as the partner names it."""
    policy: FailurePolicy
    limit_ms: int
    """How long the session may go on in all without the partner's word."""
    granted_ms: int = 0
    """How much time the partner has granted."""
    is_short: bool = False
    """Whether the partner has granted less than was asked for: then there is no more, whether or not it answers."""
    ahead_ms: int = 0
    """How far beyond that the policy lets the session go."""
    unheard_ms: int = 0
    """Time that was played like that so far."""
    closes: int = 0
    """How often the partner was asked to confirm the end."""
    amount_micros: int = 0
    """What the session cost, by the partner's own word."""
    currency: str = ""


class Word(msgspec.Struct, frozen=True, gc=False):
    """What a partner answered when time was asked for."""

    granted_ms: int
    wanted_ms: int


def covered_ms(grant: Grant, billed_ms: int) -> int:
    """Return until when the session may go on without another word."""
    return max(grant.granted_ms, billed_ms) + grant.ahead_ms


def bill(grant: Grant, billed_ms: int, until_ms: int) -> tuple[Grant, int]:
    """Return the grant after more time was played, and how much of it nobody pays."""
    beyond_ms = max(0, until_ms - max(grant.granted_ms, billed_ms))
    played = replace(grant, ahead_ms=max(0, grant.ahead_ms - beyond_ms), unheard_ms=grant.unheard_ms + beyond_ms)
    return played, 0 if grant.policy is FailurePolicy.ALLOW_THEN_RECONCILE else beyond_ms


def hear(grant: Grant, word: Word | None, *, billed_ms: int, lease_ms: int) -> Grant:
    """Return the grant after the partner was asked; None stands for no answer."""
    if word is None:
        return _go_on(grant, billed_ms=billed_ms, lease_ms=lease_ms)
    granted_ms = max(grant.granted_ms, word.granted_ms)
    return replace(grant, granted_ms=granted_ms, is_short=granted_ms < word.wanted_ms, ahead_ms=0)


def close_again_ms(grant: Grant) -> int:
    """Return how long to wait for the partner to confirm the end, before it is asked again."""
    return min(CLOSE_AGAIN_MAX_MS, CLOSE_AGAIN_MS << min(grant.closes, 10))


def ask_to_close(grant: Grant) -> Grant:
    """Return the grant after the partner was asked to confirm the end once more."""
    return replace(grant, closes=grant.closes + 1)


def _go_on(grant: Grant, *, billed_ms: int, lease_ms: int) -> Grant:
    """Let the session go on for a lease, if the policy does, and for no longer than its limit."""
    if grant.policy is FailurePolicy.DENY or grant.is_short:
        return replace(grant, ahead_ms=0)
    lacking_ms = billed_ms + lease_ms - max(grant.granted_ms, billed_ms)
    return replace(grant, ahead_ms=max(0, min(lacking_ms, grant.limit_ms - grant.unheard_ms)))
