"""Two-phase transfers: money of an account that is held for somebody else until it is posted, voided, or its time is over.

The words are TigerBeetle's. Whoever makes a transfer chooses its id, so that each step can be repeated: the same step gives the
first answer. Time is what an account's pending holds say, and nothing else: a hold that is over is free, whoever looked before.
"""

from enum import IntEnum
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core.charge import Account, Hold
from playclock.core.fields import MICROS_MAX
from playclock.core.ledger import Transfer, TransferKind, legs_of
from playclock.errors import (
    BadRequest,
    EngineError,
    InsufficientCredit,
    TooManyTransfers,
    TransferClosed,
    TransferIdReused,
)

PENDING_MAX: Final = 256
"""How many transfers of an account can be pending: they lie on its record."""
TIMEOUT_MAX_MS: Final = 366 * 86_400_000
"""How long a transfer can be pending."""


class TransferState(IntEnum):
    """What became of a two-phase transfer."""

    PENDING = 1
    POSTED = 2
    VOIDED = 3
    EXPIRED = 4
    REFUSED = 5
    """There was not enough credit. It keeps failing, so that a late retry after a top-up surprises nobody."""


class TwoPhase(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A two-phase transfer, as its maker asked for it and as it stands."""

    id: str
    account_id: str
    amount_micros: int
    target: str
    """The account of the ledger that gets what is posted."""
    timeout_ms: int
    created_ms: int
    state: TransferState = TransferState.PENDING
    posted_micros: int = 0
    closed_ms: int | None = None
    free_micros: int = 0
    """What could be held when it was refused."""

    @property
    def expires_ms(self) -> int:
        """When what is held is free again."""
        return self.created_ms + self.timeout_ms


Done = tuple[Account, TwoPhase, Transfer] | TwoPhase | EngineError
"""What a step did, with what the ledger says of it; the transfer alone where no money moved."""


def advance(account: Account, now_ms: int) -> tuple[Account, list[Transfer]]:
    """Return the account as time has it now, and what the ledger has to say of holds that are over."""
    transfers = []
    for hold in sorted(account.pending, key=lambda hold: hold.expires_ms):
        if now_ms < hold.expires_ms:
            break
        freed = _without(account, hold)
        transfers.append(_booked(account, freed, hold.transfer_id, TransferKind.EXPIRY, at_ms=hold.expires_ms))
        account = freed
    return account, transfers


def problems_of(*, amount_micros: int, timeout_ms: int) -> dict[str, str]:
    """Return what is wrong with a transfer that somebody asks for, by field."""
    found = {}
    if not 0 < amount_micros <= MICROS_MAX:
        found["amount_micros"] = f"expected 1 to {MICROS_MAX}"
    if not 0 < timeout_ms <= TIMEOUT_MAX_MS:
        found["timeout_sec"] = f"expected 1 to {TIMEOUT_MAX_MS // 1000}"
    return found


def first_answer(there: TwoPhase, wanted: TwoPhase) -> TwoPhase | EngineError:
    """Return what was answered when the id was used first; an error where it was used for something else."""
    if (there.amount_micros, there.target, there.timeout_ms) != (wanted.amount_micros, wanted.target, wanted.timeout_ms):
        return TransferIdReused("the transfer id was used before with other contents")
    if there.state is TransferState.REFUSED:
        return _refusal(there)
    return replace(there, state=TransferState.PENDING, posted_micros=0, closed_ms=None)


def create(account: Account, wanted: TwoPhase) -> Done:
    """Hold what a transfer wants, and return that; the transfer alone where it is refused for lack of credit.

    The account is advanced to now.
    """
    if len(account.pending) >= PENDING_MAX:
        return TooManyTransfers("too many transfers of the account are pending", pending=len(account.pending))
    if account.free_micros < wanted.amount_micros:
        free_micros = account.free_micros
        return replace(wanted, state=TransferState.REFUSED, closed_ms=wanted.created_ms, free_micros=free_micros)
    hold = Hold(wanted.id, wanted.amount_micros, wanted.expires_ms)
    held = replace(
        account, held_micros=account.held_micros + wanted.amount_micros, pending=(*account.pending, hold), is_untouched=False
    )
    return held, wanted, _booked(account, held, wanted.id, TransferKind.PENDING, at_ms=wanted.created_ms)


def post(account: Account, there: TwoPhase, amount_micros: int | None, *, now_ms: int) -> Done:
    """Let the target have what is held, or a part of it, and free the rest. The transfer alone where that was done before.

    The account is advanced to now.
    """
    posted_micros = there.amount_micros if amount_micros is None else amount_micros
    if not 0 < posted_micros <= there.amount_micros:
        return BadRequest({"amount_micros": f"expected 1 to {there.amount_micros}, as much as is pending"})
    if there.state is TransferState.POSTED and there.posted_micros == posted_micros:
        return there
    hold = pending_hold(account, there)
    if hold is None:
        return why_closed(there)
    freed = _without(account, hold)
    paid = replace(freed, balance_micros=freed.balance_micros - posted_micros)
    posted = replace(there, state=TransferState.POSTED, posted_micros=posted_micros, closed_ms=now_ms)
    return paid, posted, _booked(account, paid, there.id, TransferKind.POST, at_ms=now_ms, target=there.target)


def void(account: Account, there: TwoPhase, *, now_ms: int) -> Done:
    """Free what is held. The transfer alone where that was done before. The account is advanced to now."""
    if there.state is TransferState.VOIDED:
        return there
    hold = pending_hold(account, there)
    if hold is None:
        return why_closed(there)
    freed = _without(account, hold)
    voided = replace(there, state=TransferState.VOIDED, closed_ms=now_ms)
    return freed, voided, _booked(account, freed, there.id, TransferKind.VOID, at_ms=now_ms)


def standing(account: Account, there: TwoPhase) -> TwoPhase:
    """Return the transfer as it stands: one whose hold is over has expired. The account is advanced to now."""
    if there.state is not TransferState.PENDING or pending_hold(account, there) is not None:
        return there
    return replace(there, state=TransferState.EXPIRED, closed_ms=there.expires_ms)


def pending_hold(account: Account, there: TwoPhase) -> Hold | None:
    """Return what the account holds for a transfer, or None where it is not pending any more."""
    if there.state is not TransferState.PENDING:
        return None
    return next((hold for hold in account.pending if hold.transfer_id == there.id), None)


def why_closed(there: TwoPhase) -> EngineError:
    """Say why a transfer that holds nothing can neither be posted nor voided."""
    if there.state is TransferState.REFUSED:
        return _refusal(there)
    # Nothing is held for it any more: its time was over, whether or not that was noted.
    state = TransferState.EXPIRED if there.state is TransferState.PENDING else there.state
    posted_micros = there.posted_micros if state is TransferState.POSTED else None
    return TransferClosed("the transfer is pending no more", state=state.name, posted_micros=posted_micros)


def _refusal(there: TwoPhase) -> InsufficientCredit:
    return InsufficientCredit("the account had less than that", free_micros=there.free_micros)


def _without(account: Account, hold: Hold) -> Account:
    pending = tuple(other for other in account.pending if other != hold)
    return replace(account, held_micros=account.held_micros - hold.amount_micros, pending=pending)


def _booked(before: Account, after: Account, transfer_id: str, kind: TransferKind, *, at_ms: int, target: str = "") -> Transfer:
    """Return what the ledger has to say of a step. Its id is the transfer's, and the step."""
    return Transfer(
        id=f"transfer/{before.id}/{transfer_id}/{kind.name.lower()}",
        kind=kind,
        at_ms=at_ms,
        account_id=before.id,
        currency=before.currency,
        legs=legs_of(before, after, target=target),
    )
