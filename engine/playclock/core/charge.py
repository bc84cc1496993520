"""What an account holds back for play time, and what is billed of it. Integers only: millionths of a currency.

What a session owes is the difference of a cumulative function of its billable time, `tariff.cost_micros`, so the total never
depends on how many heartbeats there were (RFC 8506 calls it cumulative charging).
"""

import msgspec
from msgspec.structs import replace

from playclock.core.tariff import Anchors, Tariff, affordable_ms, anchored, cost_micros


class Hold(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What an account sets aside for a transfer that is pending."""

    transfer_id: str
    amount_micros: int
    expires_ms: int


class Account(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Prepaid credit. `held_micros` of the balance are set aside for sessions that are running and transfers that are pending.

    Where an operator allows debt, what is left of the balance beside that may go down to `-debt_limit_micros`.
    """

    id: str
    currency: str
    balance_micros: int
    held_micros: int
    debt_limit_micros: int = 0
    pending: tuple[Hold, ...] = ()
    """What of `held_micros` is for transfers. Time frees it: `transfers.advance` comes before any look at the rest."""
    is_untouched: bool = False
    """Whether nothing was ever paid in or held for anybody, so that its currency can still be changed."""

    @property
    def unheld_micros(self) -> int:
        """What is left beside what is set aside; less than nothing where that is debt."""
        return self.balance_micros - self.held_micros

    @property
    def free_micros(self) -> int:
        """What may still be set aside: nothing where a limit was lowered below the debt that there is."""
        return max(0, self.unheld_micros + self.debt_limit_micros)


class Charge(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A session's side of the bill: what was billed, and what its account holds back for it."""

    account_id: str
    tariff: Tariff
    billed_micros: int
    held_micros: int
    sequence: int = 1
    """Counts the steps that moved money, from the opening's hold on."""
    anchors: Anchors = ()
    """When billable time was played, where the tariff's price depends on it; empty where it does not."""

    @property
    def paid_ms(self) -> int:
        """How much billable time, from the session's start, is covered by what was billed and is held."""
        return affordable_ms(self.tariff, self.billed_micros + self.held_micros, self.anchors)


def moves_money(before: Charge, after: Charge) -> bool:
    """Whether a charge has changed in what was billed or is held."""
    return before.billed_micros != after.billed_micros or before.held_micros != after.held_micros


def anchor(charge: Charge, billable_ms: int, wall_ms: int) -> Charge:
    """Note that the billable time from there on begins at `wall_ms`, where the price depends on the time of day."""
    if not charge.tariff.windows:
        return charge
    return replace(charge, anchors=anchored(charge.anchors, billable_ms, wall_ms))


def bill(charge: Charge, billable_ms: int) -> Charge:
    """Bill the time up to `billable_ms` out of what is held, and hold the rest on."""
    total_micros = cost_micros(charge.tariff, billable_ms, charge.anchors)
    posted_micros = total_micros - charge.billed_micros
    assert 0 <= posted_micros <= charge.held_micros, "billed beyond what was held"
    return replace(charge, billed_micros=total_micros, held_micros=charge.held_micros - posted_micros)


def reserve(charge: Charge, until_ms: int, free_micros: int) -> Charge:
    """Hold enough for the billable time up to `until_ms`, or as much as there is.

    The minimum is held while time is still free, too: it falls due with the first millisecond after.
    """
    total_micros = max(charge.tariff.minimum_micros, cost_micros(charge.tariff, until_ms, charge.anchors))
    wanted_micros = total_micros - charge.billed_micros
    held_micros = max(charge.held_micros, min(wanted_micros, charge.held_micros + free_micros))
    return replace(charge, held_micros=held_micros)


def release(charge: Charge) -> Charge:
    """Hold nothing any more."""
    return replace(charge, held_micros=0)


def settle(account: Account, before: Charge | None, after: Charge) -> Account:
    """Carry what changed in a session's charge over to its account."""
    billed_before, held_before = (before.billed_micros, before.held_micros) if before else (0, 0)
    settled = replace(
        account,
        balance_micros=account.balance_micros - (after.billed_micros - billed_before),
        held_micros=account.held_micros + after.held_micros - held_before,
        is_untouched=False,
    )
    assert settled.held_micros >= 0, "an account cannot hold more than it has"
    # Where the limit was lowered meanwhile, what was held before it may be billed and let go, but nothing new be held.
    floor_micros = min(account.unheld_micros, -account.debt_limit_micros)
    assert settled.unheld_micros >= floor_micros, "an account cannot hold more than it has"
    return settled
