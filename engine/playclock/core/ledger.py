"""The ledger: double entry, append-only. Whatever moves money says so in transfers whose legs sum to zero.

Each account of ours is three in the ledger: `wallet/ID`, what is there to be set aside, `held/ID`, what is set aside, and
`debt/ID`, what is owed, which is never more than nothing. Money comes from `funding/CURRENCY` and goes to `revenue/GAME` or
`payout/NAME`. Entry fees of a match lie in `escrow/MATCH` until it is over. Money that agents keep is not ours: a bet is booked
between `agent/ID/CURRENCY` and `bets/GAME`, a win comes from `wins/GAME`. A correction is a reverse transfer; nothing is ever
changed or taken out.
"""

from enum import IntEnum

import msgspec
from msgspec.structs import replace

from playclock.core.charge import Account, Charge, settle


class TransferKind(IntEnum):
    """Why money moved."""

    OPENING = 1
    TOP_UP = 2
    CHARGE = 3
    REVERSAL = 4
    PENDING = 5
    POST = 6
    VOID = 7
    EXPIRY = 8
    BET = 9
    BET_ROLLBACK = 10
    PAYOUT = 11
    MATCH_FEE = 12


class Leg(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One side of a transfer: what it adds to an account of the ledger."""

    ledger_account: str
    amount_micros: int


class Transfer(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=2):
    """Money that moved, once. The id is derived from the cause, so that a repeat is recognised."""

    id: str
    kind: TransferKind
    at_ms: int
    account_id: str
    currency: str
    legs: tuple[Leg, ...]
    session_id: str | None = None
    reverses: str | None = None
    """The transfer that this one takes back."""


def charge_transfer(
    account: Account, before: Charge | None, after: Charge, *, session_id: str, game_id: str, at_ms: int
) -> tuple[Account, Transfer]:
    """Carry a change of a session's charge over to its account, and return that with the transfer that says so."""
    settled = settle(account, before, after)
    transfer = Transfer(
        id=f"{session_id}/{after.sequence}",
        kind=TransferKind.CHARGE,
        at_ms=at_ms,
        account_id=account.id,
        currency=account.currency,
        legs=legs_of(account, settled, target=f"revenue/{game_id}"),
        session_id=session_id,
    )
    return settled, transfer


def credit_transfer(
    account: Account,
    amount_micros: int,
    *,
    transfer_id: str,
    kind: TransferKind,
    at_ms: int,
    reverses: str | None = None,
    source: str = "",
) -> tuple[Account, Transfer]:
    """Add to an account, which pays its debt first; or take from it where the amount is negative.

    It comes from `source`, an account of the ledger, or from outside.
    """
    is_untouched = account.is_untouched and amount_micros == 0
    credited = replace(account, balance_micros=account.balance_micros + amount_micros, is_untouched=is_untouched)
    legs = legs_of(account, credited, source=source or f"funding/{account.currency}")
    transfer = Transfer(
        id=transfer_id, kind=kind, at_ms=at_ms, account_id=account.id, currency=account.currency, legs=legs, reverses=reverses
    )
    return credited, transfer


def legs_of(before: Account, after: Account, *, source: str = "", target: str = "") -> tuple[Leg, ...]:
    """Return the legs of what became of an account. They sum to zero.

    By what the balance has changed came from `source`, or goes to `target`: an account of the ledger, named as it is told.
    """
    left_micros = before.balance_micros - after.balance_micros
    sides = [(name, micros - was) for (name, was), (_, micros) in zip(_sides(before), _sides(after), strict=True)]
    legs = [(source, left_micros), *sides] if source else [*sides, (target, left_micros)]
    assert sum(amount_micros for _, amount_micros in legs) == 0, "a transfer's legs sum to zero"
    return tuple(Leg(name, amount_micros) for name, amount_micros in legs if amount_micros)


def _sides(account: Account) -> tuple[tuple[str, int], ...]:
    """Return the accounts of the ledger that one of ours is, and what is in them."""
    return (
        (f"wallet/{account.id}", max(0, account.unheld_micros)),
        (f"debt/{account.id}", min(0, account.unheld_micros)),
        (f"held/{account.id}", account.held_micros),
    )
