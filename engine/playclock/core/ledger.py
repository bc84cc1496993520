"""The ledger: double entry, append-only. Whatever moves money says so in transfers whose legs sum to zero.

Each account of ours is two in the ledger: `wallet/ID`, what can be set aside, and `held/ID`, what is set aside. Money comes
from `funding/CURRENCY` and goes to `revenue/GAME`. A correction is a reverse transfer; nothing is ever changed or taken out.
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
    billed_micros = after.billed_micros - (before.billed_micros if before else 0)
    held_micros = after.held_micros - (before.held_micros if before else 0)
    legs = _legs(
        (f"wallet/{account.id}", -held_micros - billed_micros),
        (f"held/{account.id}", held_micros),
        (f"revenue/{game_id}", billed_micros),
    )
    transfer = Transfer(
        id=f"{session_id}/{after.sequence}",
        kind=TransferKind.CHARGE,
        at_ms=at_ms,
        account_id=account.id,
        currency=account.currency,
        legs=legs,
        session_id=session_id,
    )
    return settle(account, before, after), transfer


def credit_transfer(
    account: Account, amount_micros: int, *, transfer_id: str, kind: TransferKind, at_ms: int, reverses: str | None = None
) -> tuple[Account, Transfer]:
    """Add to an account's wallet, or take from it where the amount is negative."""
    legs = _legs((f"funding/{account.currency}", -amount_micros), (f"wallet/{account.id}", amount_micros))
    transfer = Transfer(
        id=transfer_id, kind=kind, at_ms=at_ms, account_id=account.id, currency=account.currency, legs=legs, reverses=reverses
    )
    return replace(account, balance_micros=account.balance_micros + amount_micros), transfer


def _legs(*legs: tuple[str, int]) -> tuple[Leg, ...]:
    """Return the legs that move anything. They sum to zero."""
    assert sum(amount_micros for _, amount_micros in legs) == 0, "a transfer's legs sum to zero"
    return tuple(Leg(name, amount_micros) for name, amount_micros in legs if amount_micros)
