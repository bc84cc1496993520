"""Bets: money of a player that an agent keeps, who is asked to debit a bet and to credit a win in one call.

Nobody can ask two parties at once, so each bet is noted here before the agent hears of it. Whatever leaves it open whether the
agent did it ends in a rollback, told until the agent has confirmed it.

    PENDING ──yes──▶ ACCEPTED ──taken back──▶ ROLLING_BACK ──confirmed──▶ ROLLED_BACK
       │ └──no──▶ REFUSED                          ▲                          ▲
       ├────────────────in doubt───────────────────┘                          │
       └────────────────never sent────────────────────────────────────────────┘
"""

from enum import IntEnum
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core.decimals import amount_problem
from playclock.core.fields import text_problem
from playclock.errors import BadRequest, BetClosed, BetPending, EngineError, SessionEnded, TransactionIdReused

TRANSACTION_ID_MAX: Final = 128
ROUND_ID_MAX: Final = 128
WINS_MAX: Final = 1_000
"""How many transactions with a win a round may have: they are kept on its record."""
GIVEN_UP_MS: Final = 5_000
"""How much longer than a call can take a bet may be pending."""
PAGE_BETS: Final = 32
"""How many of a session's bets share a record of the list."""


class WalletRules(msgspec.Struct, frozen=True, kw_only=True):
    """Durations of the wallet, in milliseconds."""

    timeout_ms: int = 5_000
    """How long an agent has to answer, over all."""
    rollback_pause_ms: int = 5_000
    """How long to wait after a rollback was not confirmed. The pause doubles from one time to the next."""
    rollback_pause_max_ms: int = 600_000
    """The longest pause. There is no last time."""
    unknown_after_ms: int = 60_000
    """From when on an agent that does not know a bet is believed: before, the bet may still be on its way."""
    bet_retention_ms: int = 30 * 86_400_000
    """How long a bet is remembered after its last change, so that a repeat hears the first answer."""


class BetState(IntEnum):
    """What became of a bet."""

    PENDING = 1
    ACCEPTED = 2
    REFUSED = 3
    ROLLING_BACK = 4
    ROLLED_BACK = 5


class BetEvent(IntEnum):
    """What can happen to a bet."""

    ACCEPT = 1
    REFUSE = 2
    NOT_SENT = 3
    DOUBT = 4
    TAKE_BACK = 5
    CONFIRM = 6


TRANSITIONS: Final[dict[BetState, dict[BetEvent, BetState]]] = {
    BetState.PENDING: {
        BetEvent.ACCEPT: BetState.ACCEPTED,
        BetEvent.REFUSE: BetState.REFUSED,
        BetEvent.NOT_SENT: BetState.ROLLED_BACK,
        BetEvent.DOUBT: BetState.ROLLING_BACK,
    },
    BetState.ACCEPTED: {BetEvent.TAKE_BACK: BetState.ROLLING_BACK},
    BetState.REFUSED: {},
    BetState.ROLLING_BACK: {BetEvent.CONFIRM: BetState.ROLLED_BACK},
    BetState.ROLLED_BACK: {},
}
"""Where a bet may go next. A pair that is missing cannot happen."""


class Result(IntEnum):
    """The first answer to whoever made a bet. It stays, whatever becomes of the bet later."""

    ACCEPTED = 1
    INSUFFICIENT_FUNDS = 2
    REFUSED = 3
    ROLLED_BACK = 4
    """Nobody knows whether the agent did it, so it is taken back: nothing was bet, and nothing was won."""


class Purse(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """Whose money it is, and what is played: as the agent is told with each call."""

    agent_id: int
    player_id: str
    username: str
    currency: str
    language: str
    game_id: str
    game_number: int


class Bet(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A transaction: a bet, a win, or both."""

    id: str
    """A UUID, by which the agent knows it: a game's own ids may be another game's too."""
    session_id: str
    number: int
    """Counts the session's bets, from 0."""
    purse: Purse
    transaction_id: str
    """As the game calls it: unique in its session."""
    round_id: str
    bet_micros: int
    win_micros: int
    made_ms: int
    due_ms: int
    """When somebody has to look after it, while it is pending or rolling back."""
    state: BetState = BetState.PENDING
    balance_micros: int | None = None
    """What the player had afterwards, or had when the bet was refused, by the agent's word."""
    refusal: Result = Result.REFUSED
    """Why it was refused, where it was."""
    agent_error: str = ""
    """The agent's last error: of a refusal, or of a rollback that it has not confirmed."""
    attempts: int = 0
    """How often a rollback was due."""
    accepted_ms: int | None = None
    closed_ms: int | None = None
    """Since when it is refused or rolled back."""


class Book(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A session's bets, in the order in which they were made. Wins go on when the session is long forgotten."""

    purse: Purse
    count: int
    tail: tuple[str, ...]
    """The transaction ids of those that are on no page yet."""


class BetPage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The transaction ids of `PAGE_BETS` bets of a session that follow one another."""

    transaction_ids: tuple[str, ...]


class Round(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The numbers of a round's transactions with a win that count, in their order."""

    wins: tuple[int, ...] = ()


def problems_of(*, transaction_id: str, round_id: str, bet_micros: int, win_micros: int) -> dict[str, str]:
    """Return what is wrong with a bet that somebody asks for, by field."""
    found = {
        "transaction_id": text_problem(transaction_id, TRANSACTION_ID_MAX),
        "round_id": text_problem(round_id, ROUND_ID_MAX),
        "bet_micros": amount_problem(bet_micros),
        "win_micros": amount_problem(win_micros),
    }
    return {field: problem for field, problem in found.items() if problem}


def first_answer(there: Bet, *, round_id: str, bet_micros: int, win_micros: int) -> Bet | EngineError:
    """Return the bet that the transaction id stands for; an error where that had other contents, or is still under way."""
    if (there.round_id, there.bet_micros, there.win_micros) != (round_id, bet_micros, win_micros):
        return TransactionIdReused("the transaction id was used before with other contents")
    return pending() if there.state is BetState.PENDING else there


def pending() -> BetPending:
    """Return what is told of a bet that another call is making."""
    return BetPending("the agent has not answered yet")


def why_no_bet(bet_micros: int, round_: Round, *, is_live: bool, end_reason: str | None) -> EngineError | None:
    """Say why a new bet cannot be made, or None. Wins are for what was bet before, so they come after the end, too."""
    if bet_micros and not is_live:
        return SessionEnded("the session has ended; it takes wins, but no bets", end_reason=end_reason)
    if len(round_.wins) >= WINS_MAX:
        return BadRequest({"round_id": f"the round has {WINS_MAX} wins, more than any has"})
    return None


def why_no_rollback(bet: Bet, round_: Round) -> EngineError | None:
    """Say why an accepted bet cannot be taken back, or None: once its round was won later, that would make the win a gift."""
    if any(number > bet.number for number in round_.wins):
        return BetClosed("the round has a later win", state=bet.state.name)
    return None


def result_of(bet: Bet) -> Result | None:
    """Return the first answer to whoever made the bet; None while it is pending."""
    if bet.accepted_ms is not None:
        return Result.ACCEPTED
    if bet.state is BetState.REFUSED:
        return bet.refusal
    return None if bet.state is BetState.PENDING else Result.ROLLED_BACK


def is_waiting(bet: Bet) -> bool:
    """Whether somebody has to look after the bet."""
    return bet.state in (BetState.PENDING, BetState.ROLLING_BACK)


def counts_as_win(bet: Bet) -> bool:
    """Whether the bet has a win that is not refused and not being taken back."""
    return bet.win_micros > 0 and bet.state in (BetState.PENDING, BetState.ACCEPTED)


def move(bet: Bet, event: BetEvent, *, now_ms: int, **changes: object) -> Bet | None:
    """Return the bet after an event; None where that cannot happen any more."""
    state = TRANSITIONS[bet.state].get(event)
    if state is None:
        return None
    moved = replace(bet, state=state, **changes)
    if state is BetState.ACCEPTED:
        return replace(moved, accepted_ms=now_ms)
    if state is BetState.ROLLING_BACK:
        return replace(moved, due_ms=now_ms, attempts=0)
    return replace(moved, closed_ms=now_ms)


def send_by_ms(bet: Bet, rules: WalletRules) -> int:
    """Return until when a bet may be sent; it is answered or given up by the same time again."""
    return bet.made_ms + rules.timeout_ms


def given_up_ms(made_ms: int, rules: WalletRules) -> int:
    """Return when a pending bet is nobody's any more: whoever made it has gone, or stands still."""
    return made_ms + 2 * rules.timeout_ms + GIVEN_UP_MS


def asked_again(bet: Bet, rules: WalletRules, *, now_ms: int) -> Bet:
    """Return a bet that is rolling back, filed for the time after this one."""
    pause_ms = min(rules.rollback_pause_max_ms, rules.rollback_pause_ms << min(bet.attempts, 30))
    return replace(bet, attempts=bet.attempts + 1, due_ms=now_ms + pause_ms)


def is_past(bet: Bet, rules: WalletRules, *, now_ms: int) -> bool:
    """Whether a bet cannot be on its way to the agent any more, so that "there is no such bet" will stay true."""
    return now_ms >= bet.made_ms + 2 * rules.timeout_ms + rules.unknown_after_ms


def booked(book: Book, transaction_id: str) -> tuple[Book, BetPage | None]:
    """Return the book with one more bet, and the page that is full with it, if one is."""
    tail = (*book.tail, transaction_id)
    if len(tail) < PAGE_BETS:
        return replace(book, count=book.count + 1, tail=tail), None
    return replace(book, count=book.count + 1, tail=()), BetPage(tail)
