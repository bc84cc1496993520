"""The ledger: whatever moves money says so in legs that sum to zero, once, under a name that its cause gives it."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core.charge import Account, Charge, settle
from playclock.core.ledger import Leg, Transfer, TransferKind, charge_transfer, credit_transfer
from playclock.core.session import Event, Session
from playclock.core.tariff import Rounding, Tariff

if TYPE_CHECKING:
    from tests.core.conftest import Tab

REPEATABLE = settings(deadline=None, derandomize=True)

TARIFF = Tariff("seconds", "GCOIN", unit_ms=1_000, price_micros=1, rounding=Rounding.STARTED_UNIT)


def account_of(balance_micros: int, held_micros: int = 0) -> Account:
    return Account("cafe-1", "GCOIN", balance_micros, held_micros)


def charge_of(billed_micros: int, held_micros: int, sequence: int = 1) -> Charge:
    return Charge("cafe-1", TARIFF, billed_micros, held_micros, sequence)


def booked(account: Account, before: Charge | None, after: Charge) -> tuple[Account, Transfer]:
    return charge_transfer(account, before, after, session_id="gs_1", game_id="game", at_ms=7)


class TestCharges:
    def test_a_first_hold_goes_from_the_wallet_to_what_is_held(self) -> None:
        account, transfer = booked(account_of(1_000), None, charge_of(0, 240))
        assert account == account_of(1_000, held_micros=240)
        assert transfer == Transfer(
            id="gs_1/1",
            kind=TransferKind.CHARGE,
            at_ms=7,
            account_id="cafe-1",
            currency="GCOIN",
            legs=(Leg("wallet/cafe-1", -240), Leg("held/cafe-1", 240)),
            session_id="gs_1",
            reverses=None,
        )

    @pytest.mark.parametrize(
        ("after", "legs"),
        [
            # Billed out of what was held, and as much held anew.
            (charge_of(100, 240, 2), (Leg("wallet/cafe-1", -100), Leg("revenue/game", 100))),
            # Billed, and the rest let go.
            (charge_of(100, 0, 2), (Leg("wallet/cafe-1", 140), Leg("held/cafe-1", -240), Leg("revenue/game", 100))),
            # All that was held is billed: the wallet is not touched.
            (charge_of(240, 0, 2), (Leg("held/cafe-1", -240), Leg("revenue/game", 240))),
            # Let go without a bill.
            (charge_of(0, 0, 2), (Leg("wallet/cafe-1", 240), Leg("held/cafe-1", -240))),
        ],
    )
    def test_a_step_moves_what_it_bills_and_holds(self, after: Charge, legs: tuple[Leg, ...]) -> None:
        before_account, before = account_of(1_000, held_micros=240), charge_of(0, 240)
        account, transfer = booked(before_account, before, after)
        assert transfer.legs == legs
        assert transfer.id == "gs_1/2"
        assert account == settle(before_account, before, after)

    @REPEATABLE
    @given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
    def test_legs_sum_to_zero_and_are_what_the_account_changed_by(
        self, billed_micros: int, held_micros: int, more_micros: int, held_after_micros: int
    ) -> None:
        before = account_of(10**9, held_micros=held_micros)
        after, transfer = booked(
            before, charge_of(billed_micros, held_micros), charge_of(billed_micros + more_micros, held_after_micros, 2)
        )
        amounts = {leg.ledger_account: leg.amount_micros for leg in transfer.legs}
        assert sum(amounts.values()) == 0
        assert 0 not in amounts.values()
        assert amounts.get("wallet/cafe-1", 0) == after.free_micros - before.free_micros
        assert amounts.get("held/cafe-1", 0) == after.held_micros - before.held_micros
        assert amounts.get("revenue/game", 0) == before.balance_micros - after.balance_micros


class TestDebt:
    def test_what_is_held_beyond_the_wallet_is_owed_apart(self) -> None:
        account = replace(account_of(100), debt_limit_micros=500)
        _, transfer = booked(account, None, charge_of(0, 240))
        assert transfer.legs == (Leg("wallet/cafe-1", -100), Leg("debt/cafe-1", -140), Leg("held/cafe-1", 240))

    def test_a_top_up_pays_it_first(self) -> None:
        account = replace(account_of(-140), debt_limit_micros=500)
        part, first = credit_transfer(account, 100, transfer_id="one", kind=TransferKind.TOP_UP, at_ms=7)
        rest, second = credit_transfer(part, 100, transfer_id="two", kind=TransferKind.TOP_UP, at_ms=8)
        assert first.legs == (Leg("funding/GCOIN", -100), Leg("debt/cafe-1", 100))
        assert second.legs == (Leg("funding/GCOIN", -100), Leg("wallet/cafe-1", 60), Leg("debt/cafe-1", 40))
        assert (rest.balance_micros, rest.free_micros) == (60, 560)

    @REPEATABLE
    @given(
        st.integers(-(10**6), 10**6),
        st.integers(0, 10**6),
        st.lists(st.tuples(st.booleans(), st.integers(0, 10**6)), max_size=12),
    )
    def test_the_ledger_says_at_any_time_what_the_account_has_holds_and_owes(
        self, balance: int, limit: int, steps: list[tuple[bool, int]]
    ) -> None:
        account = Account("cafe-1", "GCOIN", balance, 0, debt_limit_micros=limit)
        sums = {"wallet/cafe-1": max(0, balance), "debt/cafe-1": min(0, balance), "held/cafe-1": 0}
        charge = charge_of(0, 0)
        for number, (is_top_up, micros) in enumerate(steps):
            if is_top_up:
                account, transfer = credit_transfer(
                    account, micros, transfer_id=str(number), kind=TransferKind.TOP_UP, at_ms=number
                )
            else:
                # Bill all that is held, and hold as much as there is of what is asked for.
                after = charge_of(charge.billed_micros + charge.held_micros, min(micros, account.free_micros))
                account, transfer = booked(account, charge, after)
                charge = after
            assert sum(leg.amount_micros for leg in transfer.legs) == 0
            for leg in transfer.legs:
                sums[leg.ledger_account] = sums.get(leg.ledger_account, 0) + leg.amount_micros
            assert sums["wallet/cafe-1"] == max(0, account.unheld_micros) >= 0
            assert sums["debt/cafe-1"] == min(0, account.unheld_micros) >= min(-limit, balance)
            assert sums["held/cafe-1"] == account.held_micros


class TestCredits:
    @pytest.mark.parametrize("kind", [TransferKind.OPENING, TransferKind.TOP_UP])
    def test_come_from_outside_into_the_wallet(self, kind: TransferKind) -> None:
        account, transfer = credit_transfer(account_of(10, held_micros=4), 500, transfer_id="cause", kind=kind, at_ms=7)
        assert account == account_of(510, held_micros=4)
        assert transfer == Transfer(
            id="cause",
            kind=kind,
            at_ms=7,
            account_id="cafe-1",
            currency="GCOIN",
            legs=(Leg("funding/GCOIN", -500), Leg("wallet/cafe-1", 500)),
            session_id=None,
            reverses=None,
        )

    def test_are_taken_back_by_their_reverse(self) -> None:
        credited, first = credit_transfer(account_of(10), 500, transfer_id="one", kind=TransferKind.TOP_UP, at_ms=7)
        account, reverse = credit_transfer(
            credited, -500, transfer_id="two", kind=TransferKind.REVERSAL, at_ms=8, reverses=first.id
        )
        assert account == account_of(10)
        assert reverse.reverses == "one"
        assert [(leg.ledger_account, -leg.amount_micros) for leg in reverse.legs] == [
            (leg.ledger_account, leg.amount_micros) for leg in first.legs
        ]

    def test_of_nothing_have_no_legs(self) -> None:
        account, transfer = credit_transfer(account_of(10), 0, transfer_id="none", kind=TransferKind.OPENING, at_ms=7)
        assert account == account_of(10)
        assert transfer.legs == ()


def transfers_of(played: "Tab", steps: list[Session], balance_micros: int) -> list[Transfer]:
    """Return what the ledger has of a session's steps, as the engine books them."""
    account, before, transfers = account_of(balance_micros), None, []
    for step in steps:
        assert step.charge is not None
        if before is None or before.sequence != step.charge.sequence:
            account, transfer = booked(account, before, step.charge)
            transfers.append(transfer)
        before = step.charge
    assert account == played.account
    return transfers


class TestHistories:
    @REPEATABLE
    @given(
        balance_micros=st.integers(120, 1_000),
        gaps_ms=st.lists(st.integers(0, 239_999), max_size=8),
        event=st.sampled_from([None, Event.END, Event.RESTART]),
    )
    def test_a_sessions_transfers_are_numbered_without_a_gap_and_say_what_became_of_the_account(
        self, tab: "type[Tab]", *, balance_micros: int, gaps_ms: list[int], event: Event | None
    ) -> None:
        played = tab(balance_micros)
        steps, now_ms = [played.session], 0
        for gap_ms in gaps_ms:
            now_ms += gap_ms
            steps += [*played.advance(now_ms), played.beat(now_ms)]
        if event is not None:
            steps.append(played.apply(event, now_ms))
        steps += played.advance(now_ms + 10**9)
        transfers = transfers_of(played, steps, balance_micros)
        assert [transfer.id for transfer in transfers] == [f"gs_1/{number}" for number in range(1, len(transfers) + 1)]
        sums: dict[str, int] = {}
        for leg in (leg for transfer in transfers for leg in transfer.legs):
            sums[leg.ledger_account] = sums.get(leg.ledger_account, 0) + leg.amount_micros
        assert steps[-1].charge is not None
        billed_micros = steps[-1].charge.billed_micros
        assert sums.get("held/cafe-1", 0) == 0
        assert sums.get("revenue/game", 0) == -sums.get("wallet/cafe-1", 0) == billed_micros

    def test_a_step_that_moves_no_money_has_no_number(self, tab: "type[Tab]") -> None:
        played = tab(150)
        assert played.session.charge is not None
        assert played.session.charge.sequence == 1
        for now_ms in (150_000, 160_000, 170_000):
            charge = played.beat(now_ms).charge
            assert charge is not None
            assert charge.sequence == 2
        ended = played.apply(Event.END, 180_000).charge
        assert ended is not None
        assert ended.sequence == 2
