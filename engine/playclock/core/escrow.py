"""The money of a match: which steps on accounts its seats wait for, and what their outcomes make of it.

A step concerns one account, which lies elsewhere; so it is noted here before it is taken and after. Each can be taken again, by
anybody, for what it does has an id that is derived from the seat. An outcome of a step that nobody waits for any more changes
nothing.
"""

from enum import IntEnum
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core.charge import Account
from playclock.core.ledger import Leg, Transfer, TransferKind, credit_transfer
from playclock.core.match import (
    DAY_MS,
    AbortReason,
    Match,
    MatchEvent,
    MatchState,
    Seat,
    SeatState,
    is_closed,
    move,
    with_seat,
    without_seat,
)

SLACK_MS: Final = 2 * DAY_MS
"""How much longer than players may join their fees are held: so long may nobody be there to start or abort the match."""

BALANCE_MAX: Final = (1 << 63) - 1
"""How much an account may come to have by payouts: as much as can be told of it."""


class StepKind(IntEnum):
    """What is to be done on an account."""

    HOLD = 1
    """Hold the entry fee, pending."""
    POST = 2
    """Post it into the match's escrow."""
    RELEASE = 3
    """Void it; where it was posted all the same, pay it back. Nothing can be held for the seat afterwards."""
    PAY = 4
    """Pay out of escrow what is due to the player."""


class Step(msgspec.Struct, frozen=True):
    """A step that a seat waits for."""

    kind: StepKind
    seat: Seat


class Outcome(IntEnum):
    """What became of a step."""

    DONE = 1
    REFUSED = 2
    """It cannot be done, and never will."""
    UNCERTAIN = 3
    """It was not done, and might be if it came again."""


class Payout(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """That an account has got money out of a match's escrow, kept so that it gets it once."""

    transfer_id: str
    amount_micros: int


def escrow_of(match_id: str) -> str:
    """Return the account of the ledger in which a match's fees lie."""
    return f"escrow/{match_id}"


def entry_id_of(match: Match, seat: Seat) -> str:
    """Return the id of the two-phase transfer of a seat's fee."""
    return f"{_cause(match)}/{seat.number}/entry"


def payout_id_of(match: Match, seat: Seat) -> str:
    """Return the id of the transfer out of escrow to a seat's account. There is one at most."""
    return f"{_cause(match)}/{seat.number}/payout"


def hold_ms(match: Match) -> int:
    """Return how long an entry fee is held unless it is posted: the same for each repeat."""
    return match.terms.join_ms + SLACK_MS


def outstanding(match: Match) -> tuple[Step, ...]:
    """Return the steps that seats wait for. They touch different accounts' records, so their order does not matter."""
    found = ((_kind(match, seat), seat) for seat in match.seats)
    return tuple(Step(kind, seat) for kind, seat in found if kind is not None)


def after(match: Match, step: Step, outcome: Outcome, *, now_ms: int) -> Match:
    """Return the match after a step; as it is where no seat waits for that any more."""
    seat = next((step_.seat for step_ in outstanding(match) if _is_same(step_, step)), None)
    if seat is None:
        return match
    if step.kind is StepKind.HOLD:
        if outcome is Outcome.REFUSED:
            return without_seat(match, seat.number)
        # What might still be held by somebody who is late has to be released for certain.
        return with_seat(match, replace(seat, state=SeatState.JOINED if outcome is Outcome.DONE else SeatState.LEAVING))
    if outcome is Outcome.UNCERTAIN:
        return match
    if step.kind is StepKind.POST:
        if outcome is Outcome.REFUSED:
            return closed(match, MatchEvent.ABORT, now_ms=now_ms, abort_reason=AbortReason.ESCROW_FAILED)
        return progressed(with_seat(match, replace(seat, state=SeatState.PAID)), now_ms=now_ms)
    if seat.state is SeatState.LEAVING:
        return progressed(without_seat(match, seat.number), now_ms=now_ms)
    return progressed(with_seat(match, replace(seat, state=SeatState.SETTLED)), now_ms=now_ms)


def progressed(match: Match, *, now_ms: int) -> Match:
    """Return the match with what follows from its seats: all fees are in escrow, or nothing is any more."""
    if match.terms.entry_fee_micros == 0:
        match = _without_money(match)
    if match.state is MatchState.STARTING and not match.is_escrowed and not _waits(match, SeatState.JOINED):
        match = replace(match, is_escrowed=True)
    if match.state is MatchState.STARTING and match.is_escrowed and not match.needs_push:
        return move(match, MatchEvent.GO_LIVE, live_ms=now_ms) or match
    is_settled = is_closed(match) and all(seat.state is SeatState.SETTLED for seat in match.seats)
    return replace(match, settled_ms=now_ms) if is_settled and match.settled_ms is None else match


def closed(match: Match, event: MatchEvent, *, now_ms: int, **changes: object) -> Match:
    """Return the match after it was aborted or cancelled: who has paid gets the fee back. As it is where that cannot happen."""
    seats = tuple(
        replace(seat, payout_micros=match.terms.entry_fee_micros) if seat.state is SeatState.PAID else seat
        for seat in match.seats
    )
    moved = move(match, event, seats=seats, closed_ms=now_ms, **changes)
    return match if moved is None else progressed(moved, now_ms=now_ms)


def has_room(account: Account, payout: Payout) -> bool:
    """Whether an account can take a payout. One that cannot gets it when it has spent something."""
    return account.balance_micros + payout.amount_micros <= BALANCE_MAX


def pay(account: Account, match_id: str, payout: Payout, *, now_ms: int) -> tuple[Account, Transfer]:
    """Credit an account with what comes out of a match's escrow."""
    kind, source = TransferKind.PAYOUT, escrow_of(match_id)
    return credit_transfer(
        account, payout.amount_micros, transfer_id=payout.transfer_id, kind=kind, at_ms=now_ms, source=source
    )


def fee_transfer(match: Match) -> Transfer | None:
    """Return what the ledger says of the fee that is kept of a pot; None where nothing is."""
    if not match.fee_micros:
        return None
    escrow = escrow_of(match.id)
    return Transfer(
        id=f"{_cause(match)}/fee",
        kind=TransferKind.MATCH_FEE,
        at_ms=match.settled_ms or 0,
        account_id=escrow,
        currency=match.terms.currency,
        legs=(Leg(escrow, -match.fee_micros), Leg(f"revenue/{match.terms.game_id}", match.fee_micros)),
    )


def _kind(match: Match, seat: Seat) -> StepKind | None:
    """Return what a seat waits for."""
    if seat.state is SeatState.LEAVING:
        return StepKind.RELEASE
    if is_closed(match):
        return {SeatState.PAID: StepKind.PAY, SeatState.SETTLED: None}.get(seat.state, StepKind.RELEASE)
    if seat.state is SeatState.JOINING:
        return StepKind.HOLD
    return StepKind.POST if match.state is MatchState.STARTING and seat.state is SeatState.JOINED else None


def _cause(match: Match) -> str:
    """Return what the ids of a match's transfers begin with.

    The match's id is not enough: a request id that is used again after its match was forgotten makes another match with the
    same one, while the transfers of the first are still remembered.
    """
    return f"match/{match.id}/{match.created_ms}"


def _is_same(one: Step, other: Step) -> bool:
    return (one.kind, one.seat.number) == (other.kind, other.seat.number)


def _waits(match: Match, state: SeatState) -> bool:
    return any(seat.state is state for seat in match.seats)


def _without_money(match: Match) -> Match:
    """Return a match without an entry fee as if all steps on accounts had been taken."""
    if is_closed(match):
        state = SeatState.SETTLED
    else:
        state = SeatState.PAID if match.state in (MatchState.STARTING, MatchState.LIVE) else SeatState.JOINED
    stay = (seat for seat in match.seats if seat.state is not SeatState.LEAVING)
    return replace(match, seats=tuple(replace(seat, state=state) for seat in stay))
