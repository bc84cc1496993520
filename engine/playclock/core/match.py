"""Matches: players who have paid an entry fee, a result, and payouts.

    CREATED ──start──▶ STARTING ──go live──▶ LIVE ──finish──▶ FINISHED
       │                  │                   │
       └──────────────────┴───────────────────┴──abort──▶ ABORTED, ──cancel──▶ CANCELLED

Each player has a seat. Money crosses accounts, so a seat's state says how far it has come (`playclock.core.escrow`): that is
noted in the match, and whoever finds it goes on from there.
"""

from enum import IntEnum
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core.payout import PayoutRule

DAY_MS: Final = 86_400_000


class MatchRules(msgspec.Struct, frozen=True, kw_only=True):
    """Durations of matches, in milliseconds."""

    starting_ms: int = 80 * 3_600_000
    """How long a match may wait for its game's server to be told of it: longer than all tries to tell it take."""
    retry_ms: int = 5_000
    """After how long somebody else goes on with a step that was not brought to its end."""
    retention_ms: int = 30 * DAY_MS
    """How long a match is remembered after its last step, so that a repeat hears the first answer."""
    listed_ms: int = DAY_MS
    """For how long after its last step a match is listed."""
    token_ttl_ms: int = DAY_MS
    """How long a match token is good."""


class MatchState(IntEnum):
    """Where a match is."""

    CREATED = 1
    STARTING = 2
    LIVE = 3
    FINISHED = 4
    ABORTED = 5
    CANCELLED = 6


class MatchEvent(IntEnum):
    """What can happen to a match."""

    START = 1
    GO_LIVE = 2
    FINISH = 3
    ABORT = 4
    CANCEL = 5


TRANSITIONS: Final[dict[MatchState, dict[MatchEvent, MatchState]]] = {
    MatchState.CREATED: {
        MatchEvent.START: MatchState.STARTING,
        MatchEvent.ABORT: MatchState.ABORTED,
        MatchEvent.CANCEL: MatchState.CANCELLED,
    },
    MatchState.STARTING: {
        MatchEvent.GO_LIVE: MatchState.LIVE,
        MatchEvent.ABORT: MatchState.ABORTED,
        MatchEvent.CANCEL: MatchState.CANCELLED,
    },
    MatchState.LIVE: {
        MatchEvent.FINISH: MatchState.FINISHED,
        MatchEvent.ABORT: MatchState.ABORTED,
        MatchEvent.CANCEL: MatchState.CANCELLED,
    },
    MatchState.FINISHED: {},
    MatchState.ABORTED: {},
    MatchState.CANCELLED: {},
}
"""Where a match may go next. A pair that is missing cannot happen."""


class AbortReason(IntEnum):
    """Why a match was aborted."""

    TOO_FEW_PLAYERS = 1
    ESCROW_FAILED = 2
    """An entry fee was held no more when it was to be paid."""
    NOT_TOLD = 3
    """The game's server was not told, or did not want to know."""
    NO_RESULT = 4
    ALL_FORFEITED = 5


class SeatState(IntEnum):
    """How far a seat's money has come."""

    JOINING = 1
    """The fee is to be held."""
    JOINED = 2
    """The fee is held."""
    LEAVING = 3
    """What is held, if anything is, is to be let go."""
    PAID = 4
    """The fee is in escrow."""
    SETTLED = 5
    """The player has what is due, and nothing of the seat is held or in escrow."""


class Seat(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A player in a match."""

    number: int
    """Counts all who ever joined, so that who leaves and comes back has another one."""
    user_id: str
    team_id: str
    account_id: str
    """Which pays the fee and gets the payout; empty where there is no fee."""
    state: SeatState
    scores: tuple[int, ...] = ()
    """What was accepted of an asynchronous game, in that order."""
    payout_micros: int = 0
    """What goes to the player at the end: of the pot, or the fee back."""


class TeamResult(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """How a team came out."""

    team_id: str
    score: int
    rank: int | None
    """From 1 on, the same for teams that are tied; None for one that has forfeited."""


class Terms(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """What a match is, as it was made. It stays."""

    game_id: str
    client_id: str
    """The match client that is told of it, and reports."""
    is_synchronous: bool
    """Whether one report has the whole result; else there is one for each player."""
    is_tournament: bool
    currency: str
    entry_fee_micros: int
    fee_basis_points: int
    payout: PayoutRule
    players_min: int
    players_max: int
    submissions_total: int
    """How many scores of a player are accepted. The best counts."""
    join_ms: int
    """How long players may join."""
    play_ms: int
    """How long the match may be live."""


class Match(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A match as it stands."""

    id: str
    terms: Terms
    created_ms: int
    state: MatchState = MatchState.CREATED
    seats: tuple[Seat, ...] = ()
    joins: int = 0
    """How many seats there have been."""
    starting_ms: int | None = None
    """When it was started."""
    starting_until_ms: int | None = None
    needs_push: bool = False
    """Whether it waits, with all fees in escrow, until its game's server has been told."""
    is_escrowed: bool = False
    """Whether all fees have been paid into escrow."""
    live_ms: int | None = None
    closed_ms: int | None = None
    settled_ms: int | None = None
    """Since when nothing is in escrow."""
    abort_reason: AbortReason | None = None
    report: tuple[tuple[str, int], ...] = ()
    """The participants' scores as a synchronous game has reported them."""
    result: tuple[TeamResult, ...] = ()
    fee_micros: int = 0
    """What is kept of the pot."""
    report_sha256: bytes = b""
    """Of the report that counts, to know a repeat by."""
    contradictions: int = 0
    """How many other results came after the one that counts, as far as they were counted."""

    @property
    def join_until_ms(self) -> int:
        """Until when players may join."""
        return self.created_ms + self.terms.join_ms

    @property
    def play_until_ms(self) -> int | None:
        """Until when a result has to be there; None before it is live."""
        return None if self.live_ms is None else self.live_ms + self.terms.play_ms


def is_closed(match: Match) -> bool:
    """Whether nothing can happen to the match any more, but that its money goes where it belongs."""
    return not TRANSITIONS[match.state]


def move(match: Match, event: MatchEvent, **changes: object) -> Match | None:
    """Return the match after an event; None where that cannot happen."""
    state = TRANSITIONS[match.state].get(event)
    return None if state is None else replace(match, state=state, **changes)


def seat_of(match: Match, user_id: str) -> Seat | None:
    """Return a user's seat."""
    return next((seat for seat in match.seats if seat.user_id == user_id), None)


def taken(match: Match) -> tuple[Seat, ...]:
    """Return the seats of those who are in the match for certain."""
    return tuple(seat for seat in match.seats if seat.state in (SeatState.JOINED, SeatState.PAID, SeatState.SETTLED))


def team_ids(match: Match) -> tuple[str, ...]:
    """Return the teams of those who are in the match, each once, in the order of their seats."""
    return tuple(dict.fromkeys(seat.team_id for seat in taken(match)))


def submissions_left(match: Match, seat: Seat) -> int:
    """Return how many scores of a player are still accepted: of a synchronous game, one until there is a result."""
    if match.terms.is_synchronous:
        return 0 if is_closed(match) else 1
    return 0 if is_closed(match) else match.terms.submissions_total - len(seat.scores)


def with_seat(match: Match, changed: Seat) -> Match:
    """Return the match with another state of a seat."""
    return replace(match, seats=tuple(changed if seat.number == changed.number else seat for seat in match.seats))


def without_seat(match: Match, number: int) -> Match:
    """Return the match without a seat."""
    return replace(match, seats=tuple(seat for seat in match.seats if seat.number != number))
