"""The ledger: legs that sum to zero, ids that follow from their cause."""

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core.charge import Account
from playclock.core.ledger import Leg, Transfer, TransferKind, charge_transfer, credit_transfer

if TYPE_CHECKING:
    from tests.core.conftest import Tab

ACCOUNT = Account("cafe-1", "GCOIN", balance_micros=1_000, held_micros=0)


def test_an_opening_hold_moves_money_from_the_wallet_to_what_is_held(tab: "type[Tab]") -> None:
    session = tab(150).session
    assert session.charge is not None
    account, transfer = charge_transfer(
        replace(ACCOUNT, balance_micros=10**12), None, session.charge, session_id=session.id, game_id="g", at_ms=7
    )
    assert account.held_micros == session.charge.held_micros
    assert transfer.id == f"{session.id}/1"
    assert (transfer.kind, transfer.at_ms, transfer.session_id) == (TransferKind.CHARGE, 7, session.id)
    assert transfer.legs == (
        Leg("wallet/cafe-1", -session.charge.held_micros),
        Leg("held/cafe-1", session.charge.held_micros),
    )


def test_a_heartbeat_s_transfer_bills_out_of_what_is_held_and_holds_anew(tab: "type[Tab]") -> None:
    played = tab(10_000)
    before = played.session.charge
    after = played.beat(100_000).charge
    assert before is not None
    assert after is not None
    account = Account("cafe-1", "GCOIN", balance_micros=10**9, held_micros=before.held_micros)
    settled, transfer = charge_transfer(account, before, after, session_id="gs_1", game_id="g", at_ms=0)
    billed = after.billed_micros - before.billed_micros
    legs = {leg.ledger_account: leg.amount_micros for leg in transfer.legs}
    assert legs["revenue/g"] == billed > 0
    assert legs.get("held/cafe-1", 0) == after.held_micros - before.held_micros
    assert sum(legs.values()) == 0
    assert settled.balance_micros == account.balance_micros - billed
    assert transfer.id == "gs_1/2"


def test_every_step_that_moves_money_has_the_next_number_and_no_other_step_has_one(tab: "type[Tab]") -> None:
    played = tab(250)
    numbers = [played.session.charge.sequence if played.session.charge else 0]
    for at_ms in (60_000, 60_000, 120_000, 240_000):
        session = played.beat(at_ms)
        assert session.charge is not None
        numbers.append(session.charge.sequence)
    assert numbers == [1, 2, 2, 3, 4]


@given(amount_micros=st.integers(-(10**15), 10**15))
def test_credit_comes_from_funding_and_sums_to_zero(amount_micros: int) -> None:
    account, transfer = credit_transfer(ACCOUNT, amount_micros, transfer_id="t", kind=TransferKind.TOP_UP, at_ms=0)
    assert account.balance_micros == ACCOUNT.balance_micros + amount_micros
    assert sum(leg.amount_micros for leg in transfer.legs) == 0
    assert {leg.ledger_account for leg in transfer.legs} <= {"funding/GCOIN", "wallet/cafe-1"}


def test_a_transfer_of_nothing_has_no_legs() -> None:
    _, transfer = credit_transfer(ACCOUNT, 0, transfer_id="t", kind=TransferKind.OPENING, at_ms=0)
    assert transfer == Transfer("t", TransferKind.OPENING, 0, "cafe-1", "GCOIN", ())
