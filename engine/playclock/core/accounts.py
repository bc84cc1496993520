"""Top-ups, and taking them back."""

import msgspec
from msgspec.structs import replace

from playclock.core.charge import Account
from playclock.core.fields import MICROS_MAX
from playclock.core.ledger import Transfer, TransferKind, credit_transfer
from playclock.errors import AlreadyReversed, BadRequest, EngineError, InsufficientCredit


def why_no_currency(account: Account, currency: str) -> str | None:
    """Say why an account cannot be kept in a currency, or None. What was paid in another would change its worth."""
    if account.currency == currency or account.is_untouched:
        return None
    return (
        f"it has been used in {account.currency}, so its currency cannot be changed to {currency}; use an account of another id"
    )


class TopUp(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A top-up that was booked, kept so that it can be taken back, once."""

    transfer_id: str
    account_id: str
    amount_micros: int
    reversal_id: str | None = None


def why_no_top_up(account: Account, amount_micros: int) -> EngineError | None:
    """Say why so much cannot be credited, or None."""
    if amount_micros <= 0:
        return BadRequest({"amount_micros": "must be positive"})
    if account.balance_micros + amount_micros > MICROS_MAX:
        return BadRequest({"amount_micros": f"would bring the balance beyond {MICROS_MAX}"})
    return None


def top_up(account: Account, amount_micros: int, *, transfer_id: str, now_ms: int) -> tuple[Account, TopUp, Transfer]:
    """Credit an account."""
    credited, transfer = credit_transfer(
        account, amount_micros, transfer_id=transfer_id, kind=TransferKind.TOP_UP, at_ms=now_ms
    )
    return credited, TopUp(transfer_id, account.id, amount_micros), transfer


def why_no_reversal(account: Account, booked: TopUp) -> EngineError | None:
    """Say why a top-up cannot be taken back, or None. What is held for sessions that run is theirs."""
    if booked.reversal_id is not None:
        return AlreadyReversed("the top-up has been taken back before", transfer_id=booked.reversal_id)
    if account.free_micros < booked.amount_micros:
        return InsufficientCredit("the account has less than that to give back", free_micros=account.free_micros)
    return None


def reverse(account: Account, booked: TopUp, *, now_ms: int) -> tuple[Account, TopUp, Transfer]:
    """Take a top-up back by booking its reverse."""
    reversal_id = f"{booked.transfer_id}/reversal"
    debited, transfer = credit_transfer(
        account,
        -booked.amount_micros,
        transfer_id=reversal_id,
        kind=TransferKind.REVERSAL,
        at_ms=now_ms,
        reverses=booked.transfer_id,
    )
    return debited, replace(booked, reversal_id=reversal_id), transfer
