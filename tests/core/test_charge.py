"""What play time costs and what an account holds back for it. No amount may depend on how it came about."""

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace
from playclock.core.charge import Account, Charge, bill, release, reserve, settle
from playclock.core.tariff import FOREVER_MS, Rounding, Tariff, affordable_ms, cost_micros

REPEATABLE = settings(deadline=None, derandomize=True)

MINUTES = Tariff("minutes", "GCOIN", unit_ms=60_000, price_micros=1_000_000, rounding=Rounding.STARTED_UNIT)
EXACT = replace(MINUTES, id="exact", rounding=Rounding.EXACT)
FREE = replace(MINUTES, id="free", price_micros=0)
ENTRY = replace(MINUTES, id="entry", minimum_micros=3_000_000, free_ms=300_000)

PRICES = st.integers(1, 10_000) | st.integers(1, 10**12)
UNITS = st.sampled_from([1, 7, 1_000, 60_000, 3_600_000]) | st.integers(1, 10**8)
TARIFFS = st.builds(
    Tariff,
    id=st.just("any"),
    currency=st.just("GCOIN"),
    unit_ms=UNITS,
    price_micros=PRICES,
    rounding=st.sampled_from(list(Rounding)),
)
TIMES = st.integers(0, 10**6) | st.integers(0, 10**11)
MICROS = st.integers(0, 10**6) | st.integers(0, 10**15)


def charge_of(tariff: Tariff, *, billed_micros: int = 0, held_micros: int = 0) -> Charge:
    return Charge("cafe-1", tariff, billed_micros, held_micros)


def account_of(balance_micros: int, held_micros: int = 0) -> Account:
    return Account("cafe-1", "GCOIN", balance_micros, held_micros)


class TestCost:
    @pytest.mark.parametrize(
        ("tariff", "billable_ms", "micros"),
        [
            (MINUTES, 0, 0),
            (MINUTES, 1, 1_000_000),
            (MINUTES, 60_000, 1_000_000),
            (MINUTES, 60_001, 2_000_000),
            (MINUTES, 3_600_000, 60_000_000),
            (EXACT, 0, 0),
            (EXACT, 1, 16),
            (EXACT, 3, 50),
            (EXACT, 59_999, 999_983),
            (EXACT, 60_000, 1_000_000),
            (EXACT, 90_000, 1_500_000),
            (FREE, 10**12, 0),
        ],
    )
    def test_a_started_unit_costs_a_whole_one_and_exact_time_its_share(
        self, tariff: Tariff, billable_ms: int, micros: int
    ) -> None:
        assert cost_micros(tariff, billable_ms) == micros

    @REPEATABLE
    @given(TARIFFS, TIMES, TIMES)
    def test_more_time_never_costs_less(self, tariff: Tariff, one_ms: int, other_ms: int) -> None:
        assert cost_micros(tariff, one_ms) <= cost_micros(tariff, one_ms + other_ms)

    @REPEATABLE
    @given(TARIFFS, st.integers(0, 10**6))
    def test_whole_units_cost_the_same_either_way(self, tariff: Tariff, units: int) -> None:
        assert cost_micros(tariff, units * tariff.unit_ms) == units * tariff.price_micros

    @REPEATABLE
    @given(TARIFFS, TIMES)
    def test_rounding_takes_less_than_a_unit_and_gives_less_than_a_micro(self, tariff: Tariff, billable_ms: int) -> None:
        true_price = billable_ms * tariff.price_micros  # in micros times unit_ms, so that nothing is rounded
        started = cost_micros(replace(tariff, rounding=Rounding.STARTED_UNIT), billable_ms)
        exact = cost_micros(replace(tariff, rounding=Rounding.EXACT), billable_ms)
        assert 0 <= started * tariff.unit_ms - true_price < tariff.price_micros * tariff.unit_ms
        assert 0 <= true_price - exact * tariff.unit_ms < tariff.unit_ms


class TestAffordable:
    @pytest.mark.parametrize(
        ("tariff", "micros", "affordable"),
        [
            (MINUTES, 0, 0),
            (MINUTES, 999_999, 0),
            (MINUTES, 1_000_000, 60_000),
            (MINUTES, 1_999_999, 60_000),
            (EXACT, 0, 0),
            (EXACT, 15, 0),
            (EXACT, 16, 1),
            (EXACT, 1_000_000, 60_000),
            (FREE, 0, FOREVER_MS),
        ],
    )
    def test_credit_lasts_to_the_millisecond(self, tariff: Tariff, micros: int, affordable: int) -> None:
        assert affordable_ms(tariff, micros) == affordable

    @REPEATABLE
    @given(TARIFFS, MICROS)
    def test_what_is_affordable_is_paid_by_the_credit_and_a_millisecond_more_is_not(self, tariff: Tariff, micros: int) -> None:
        longest_ms = affordable_ms(tariff, micros)
        assert cost_micros(tariff, longest_ms) <= micros < cost_micros(tariff, longest_ms + 1)

    @REPEATABLE
    @given(TARIFFS, TIMES)
    def test_what_a_time_costs_affords_that_time(self, tariff: Tariff, billable_ms: int) -> None:
        assert affordable_ms(tariff, cost_micros(tariff, billable_ms)) >= billable_ms

    @REPEATABLE
    @given(TARIFFS, MICROS, MICROS)
    def test_more_credit_never_lasts_shorter(self, tariff: Tariff, micros: int, more_micros: int) -> None:
        assert affordable_ms(tariff, micros) <= affordable_ms(tariff, micros + more_micros)

    def test_a_free_tariff_outlasts_every_session(self) -> None:
        a_thousand_years_ms = 1_000 * 366 * 86_400_000
        assert affordable_ms(FREE, 0) > a_thousand_years_ms


class TestBill:
    def test_bills_the_difference_to_what_was_billed_out_of_what_is_held(self) -> None:
        billed = bill(charge_of(MINUTES, billed_micros=1_000_000, held_micros=4_000_000), 150_000)
        assert billed == charge_of(MINUTES, billed_micros=3_000_000, held_micros=2_000_000)

    def test_bills_nothing_within_a_unit_that_is_paid(self) -> None:
        charge = charge_of(MINUTES, billed_micros=1_000_000, held_micros=4_000_000)
        assert bill(charge, 60_000) == charge

    @pytest.mark.parametrize("billable_ms", [300_001, 10**9])
    def test_never_bills_beyond_what_is_held(self, billable_ms: int) -> None:
        with pytest.raises(AssertionError, match="beyond what was held"):
            bill(charge_of(MINUTES, billed_micros=1_000_000, held_micros=4_000_000), billable_ms)

    def test_never_takes_back_what_was_billed(self) -> None:
        with pytest.raises(AssertionError, match="beyond what was held"):
            bill(charge_of(MINUTES, billed_micros=2_000_000, held_micros=4_000_000), 60_000)

    @REPEATABLE
    @given(TARIFFS, TIMES, st.lists(TIMES, max_size=8))
    def test_the_total_does_not_depend_on_how_often_it_is_billed(
        self, tariff: Tariff, until_ms: int, between: list[int]
    ) -> None:
        charge = reserve(charge_of(tariff), until_ms, free_micros=10**30)
        often = charge
        for billable_ms in sorted(min(billable_ms, until_ms) for billable_ms in between):
            often = bill(often, billable_ms)
        assert bill(often, until_ms) == bill(charge, until_ms)

    @REPEATABLE
    @given(TARIFFS, TIMES, MICROS)
    def test_all_the_time_that_is_paid_can_be_billed(self, tariff: Tariff, until_ms: int, free_micros: int) -> None:
        charge = reserve(charge_of(tariff), until_ms, free_micros)
        billed = bill(charge, charge.paid_ms)
        assert billed.billed_micros + billed.held_micros == charge.held_micros
        assert billed.paid_ms == charge.paid_ms


class TestReserve:
    @pytest.mark.parametrize(
        ("held_micros", "until_ms", "free_micros", "held_after"),
        [
            (0, 240_000, 9_000_000, 4_000_000),
            (0, 240_000, 4_000_000, 4_000_000),
            (0, 240_000, 3_999_999, 3_999_999),
            (0, 240_000, 0, 0),
            (0, 0, 9_000_000, 0),
            (1_500_000, 240_000, 1_000_000, 2_500_000),
            (1_500_000, 240_000, 0, 1_500_000),
            (5_000_000, 240_000, 9_000_000, 5_000_000),
        ],
    )
    def test_holds_what_is_wanted_or_what_there_is_and_never_less_than_before(
        self, held_micros: int, until_ms: int, free_micros: int, held_after: int
    ) -> None:
        assert reserve(charge_of(MINUTES, held_micros=held_micros), until_ms, free_micros) == charge_of(
            MINUTES, held_micros=held_after
        )

    @pytest.mark.parametrize(
        ("until_ms", "free_micros", "held_after"),
        [
            (0, 9_000_000, 3_000_000),
            (300_000, 9_000_000, 3_000_000),
            (300_001, 9_000_000, 3_000_000),
            (540_001, 9_000_000, 5_000_000),
            (240_000, 2_999_999, 2_999_999),
        ],
    )
    def test_the_minimum_is_held_before_it_falls_due(self, until_ms: int, free_micros: int, held_after: int) -> None:
        assert reserve(charge_of(ENTRY), until_ms, free_micros) == charge_of(ENTRY, held_micros=held_after)

    def test_a_minimum_that_was_billed_is_not_held_again(self) -> None:
        charge = charge_of(ENTRY, billed_micros=3_000_000)
        assert reserve(charge, 480_000, 9_000_000) == charge
        assert reserve(charge, 480_001, 9_000_000).held_micros == 1_000_000

    def test_what_was_billed_is_not_held_again(self) -> None:
        reserved = reserve(charge_of(MINUTES, billed_micros=3_000_000), 240_000, 9_000_000)
        assert reserved == charge_of(MINUTES, billed_micros=3_000_000, held_micros=1_000_000)

    @REPEATABLE
    @given(TARIFFS, TIMES, MICROS)
    def test_a_full_reserve_pays_for_all_of_the_time(self, tariff: Tariff, until_ms: int, spare_micros: int) -> None:
        needed_micros = cost_micros(tariff, until_ms)
        reserved = reserve(charge_of(tariff), until_ms, needed_micros + spare_micros)
        assert reserved.held_micros == needed_micros
        assert reserved.paid_ms >= until_ms

    def test_release_holds_nothing_and_keeps_the_bill(self) -> None:
        assert release(charge_of(MINUTES, billed_micros=3, held_micros=5)) == charge_of(MINUTES, billed_micros=3)


class TestSettle:
    def test_a_first_hold_comes_out_of_what_is_free(self) -> None:
        settled = settle(account_of(100, held_micros=10), None, charge_of(MINUTES, held_micros=40))
        assert settled == account_of(100, held_micros=50)
        assert settled.free_micros == 50

    def test_what_was_billed_leaves_the_account_for_good(self) -> None:
        before, after = charge_of(MINUTES, held_micros=40), charge_of(MINUTES, billed_micros=25, held_micros=15)
        assert settle(account_of(100, held_micros=50), before, after) == account_of(75, held_micros=25)

    @pytest.mark.parametrize(("balance", "held", "limit"), [(0, 0, 40), (-60, 0, 100), (10, 70, 100), (40, 0, 0)])
    def test_debt_is_held_down_to_its_limit_and_not_beyond(self, balance: int, held: int, limit: int) -> None:
        account = Account("cafe-1", "GCOIN", balance, held, debt_limit_micros=limit)
        assert account.free_micros == 40
        settled = settle(account, None, charge_of(MINUTES, held_micros=40))
        assert (settled.unheld_micros, settled.free_micros) == (-limit, 0)
        with pytest.raises(AssertionError, match="cannot hold more than it has"):
            settle(account, None, charge_of(MINUTES, held_micros=41))

    def test_what_was_held_before_the_limit_was_lowered_is_billed_and_let_go_and_nothing_new_is_held(self) -> None:
        account = Account("cafe-1", "GCOIN", balance_micros=-20, held_micros=50, debt_limit_micros=10)
        assert account.free_micros == 0
        held = charge_of(MINUTES, held_micros=50)
        billed = settle(account, held, charge_of(MINUTES, billed_micros=30, held_micros=20))
        assert (billed.balance_micros, billed.held_micros) == (-50, 20)
        assert settle(billed, charge_of(MINUTES, held_micros=20), charge_of(MINUTES)).unheld_micros == -50
        with pytest.raises(AssertionError, match="cannot hold more than it has"):
            settle(account, None, charge_of(MINUTES, held_micros=1))

    @pytest.mark.parametrize("account", [account_of(39), account_of(100, held_micros=61)])
    def test_an_account_never_holds_more_than_it_has(self, account: Account) -> None:
        with pytest.raises(AssertionError, match="cannot hold more than it has"):
            settle(account, None, charge_of(MINUTES, held_micros=40))

    def test_an_account_never_holds_less_than_nothing(self) -> None:
        with pytest.raises(AssertionError, match="cannot hold more than it has"):
            settle(account_of(100, held_micros=5), charge_of(MINUTES, held_micros=6), charge_of(MINUTES))


class Till(RuleBasedStateMachine):
    """One account and the sessions that live on it, through calls that Hypothesis thinks up."""

    def __init__(self) -> None:
        super().__init__()
        self.credited_micros = 10_000_000
        self.account = account_of(self.credited_micros)
        self.lowest_micros = 0
        self.charges: list[Charge] = []
        self.billable_ms: list[int] = []

    def change(self, index: int, after: Charge) -> None:
        self.settle(self.charges[index], after)
        self.charges[index] = after

    def settle(self, before: Charge | None, after: Charge) -> None:
        was = self.account
        self.account = settle(was, before, after)
        if self.account.unheld_micros < was.unheld_micros:
            assert self.account.unheld_micros >= -self.account.debt_limit_micros, "nothing is held below the floor"

    @rule(micros=st.sampled_from([0, 0, 1, 10**6, 10**9]))
    def allow_debt(self, micros: int) -> None:
        self.account = replace(self.account, debt_limit_micros=micros)
        self.lowest_micros = min(self.lowest_micros, -micros)

    @rule(micros=st.integers(0, 10**5))
    def top_up(self, micros: int) -> None:
        self.credited_micros += micros
        self.account = replace(self.account, balance_micros=self.account.balance_micros + micros)

    @rule(tariff=TARIFFS | st.sampled_from([MINUTES, EXACT, FREE, ENTRY]), until_ms=st.integers(0, 600_000))
    def open(self, tariff: Tariff, until_ms: int) -> None:
        opened = reserve(charge_of(tariff), until_ms, self.account.free_micros)
        self.settle(None, opened)
        self.charges.append(opened)
        self.billable_ms.append(0)

    @precondition(lambda self: self.charges)
    @rule(data=st.data(), step_ms=st.integers(0, 600_000))
    def renew(self, data: st.DataObject, step_ms: int) -> None:
        index = data.draw(st.integers(0, len(self.charges) - 1))
        charge = self.charges[index]
        self.billable_ms[index] = min(self.billable_ms[index] + step_ms, charge.paid_ms)
        billed = bill(charge, self.billable_ms[index])
        self.change(index, reserve(billed, self.billable_ms[index] + 240_000, self.account.free_micros))

    @precondition(lambda self: self.charges)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.charges) - 1))
        self.change(index, release(self.charges[index]))

    @invariant()
    def not_a_micro_is_lost_or_made(self) -> None:
        assert self.account.balance_micros == self.credited_micros - sum(charge.billed_micros for charge in self.charges)
        assert self.account.held_micros == sum(charge.held_micros for charge in self.charges)

    @invariant()
    def nothing_is_held_that_is_not_there_or_may_be_owed(self) -> None:
        assert self.account.held_micros >= 0
        assert self.account.unheld_micros >= self.lowest_micros
        assert all(charge.held_micros >= 0 for charge in self.charges)

    @invariant()
    def every_bill_is_the_price_of_its_time(self) -> None:
        for charge, billable_ms in zip(self.charges, self.billable_ms, strict=True):
            assert charge.billed_micros == cost_micros(charge.tariff, billable_ms)


def test_many_sessions_on_one_account_conserve_its_money() -> None:
    run_state_machine_as_test(Till, settings=settings(REPEATABLE, max_examples=40, stateful_step_count=30))


@REPEATABLE
@given(st.lists(st.tuples(TARIFFS, st.integers(0, 240_000)), min_size=2, max_size=6), st.integers(0, 10**9))
def test_sessions_that_share_an_account_cannot_overspend_it(opened: list[tuple[Tariff, int]], balance_micros: int) -> None:
    account = account_of(balance_micros)
    charges = []
    for tariff, until_ms in opened:
        charge = reserve(charge_of(tariff), until_ms, account.free_micros)
        account = settle(account, None, charge)
        charges.append(charge)
    assume(any(charge.held_micros for charge in charges))
    for charge in charges:
        account = settle(account, charge, release(bill(charge, charge.paid_ms)))
    assert account.held_micros == 0
    assert account.balance_micros == balance_micros - sum(cost_micros(each.tariff, each.paid_ms) for each in charges)
