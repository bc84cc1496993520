"""Top-ups: credited once, and taken back once, as long as the credit is still there."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core.accounts import TopUp, reverse, top_up, why_no_reversal, why_no_top_up
from playclock.core.charge import Account
from playclock.core.codec import Codec, encode
from playclock.core.ledger import Leg, Transfer, TransferKind
from playclock.errors import AlreadyReversed, BadRequest, EngineError, InsufficientCredit

MICROS_MAX = 4_611_686_018_427_387_904


def account_of(balance_micros: int, held_micros: int = 0) -> Account:
    return Account("cafe-1", "GCOIN", balance_micros, held_micros)


def told(error: EngineError | None) -> tuple[type[EngineError], str, dict[str, str]] | None:
    return None if error is None else (type(error), error.message, error.metadata)


class TestTopUps:
    @pytest.mark.parametrize(
        ("balance_micros", "amount_micros"), [(0, 1), (5, 10**12), (0, MICROS_MAX), (MICROS_MAX - 1, 1), (-5, 5)]
    )
    def test_an_amount_that_fits_is_taken(self, balance_micros: int, amount_micros: int) -> None:
        assert why_no_top_up(account_of(balance_micros), amount_micros) is None

    @pytest.mark.parametrize("amount_micros", [0, -1, -(10**30)])
    def test_nothing_or_less_is_refused(self, amount_micros: int) -> None:
        error = why_no_top_up(account_of(5), amount_micros)
        assert told(error) == (BadRequest, "amount_micros: must be positive", {})

    @pytest.mark.parametrize(("balance_micros", "amount_micros"), [(0, MICROS_MAX + 1), (1, MICROS_MAX), (MICROS_MAX, 1)])
    def test_more_than_an_account_can_have_is_refused(self, balance_micros: int, amount_micros: int) -> None:
        error = why_no_top_up(account_of(balance_micros), amount_micros)
        assert told(error) == (BadRequest, f"amount_micros: would bring the balance beyond {MICROS_MAX}", {})

    def test_a_top_up_is_credited_booked_and_kept(self) -> None:
        account, booked, transfer = top_up(account_of(10, held_micros=4), 500, transfer_id="topup/cafe-1/x", now_ms=7)
        assert account == account_of(510, held_micros=4)
        assert booked == TopUp("topup/cafe-1/x", "cafe-1", 500, reversal_id=None)
        assert transfer == Transfer(
            id="topup/cafe-1/x",
            kind=TransferKind.TOP_UP,
            at_ms=7,
            account_id="cafe-1",
            currency="GCOIN",
            legs=(Leg("funding/GCOIN", -500), Leg("wallet/cafe-1", 500)),
        )

    def test_what_is_kept_reads_as_it_was(self) -> None:
        for booked in (TopUp("t", "cafe-1", 500), TopUp("t", "cafe-1", 500, "t/reversal")):
            assert Codec(TopUp).decode(encode(booked)) == booked


class TestReversals:
    BOOKED = TopUp("t", "cafe-1", 500)

    @pytest.mark.parametrize("account", [account_of(500), account_of(10**9), account_of(740, held_micros=240)])
    def test_what_is_free_can_be_taken_back(self, account: Account) -> None:
        assert why_no_reversal(account, self.BOOKED) is None

    @pytest.mark.parametrize(("account", "free"), [(account_of(499), 499), (account_of(739, 240), 499), (account_of(0), 0)])
    def test_what_is_spent_or_held_cannot(self, account: Account, free: int) -> None:
        assert told(why_no_reversal(account, self.BOOKED)) == (
            InsufficientCredit,
            "the account has less than that to give back",
            {"free_micros": str(free)},
        )

    @pytest.mark.parametrize(("limit", "is_free"), [(0, False), (499, False), (500, True)])
    def test_what_is_spent_can_where_the_account_may_owe_it(self, limit: int, *, is_free: bool) -> None:
        account = replace(account_of(0), debt_limit_micros=limit)
        assert (why_no_reversal(account, self.BOOKED) is None) is is_free

    def test_nor_what_was_taken_back_before_and_that_is_heard_first(self) -> None:
        taken_back = replace(self.BOOKED, reversal_id="t/reversal")
        for account in (account_of(10**9), account_of(0)):
            assert told(why_no_reversal(account, taken_back)) == (
                AlreadyReversed,
                "the top-up has been taken back before",
                {"transfer_id": "t/reversal"},
            )

    def test_a_reversal_is_the_top_up_s_mirror_and_names_it(self) -> None:
        account, booked, transfer = reverse(account_of(740, held_micros=240), self.BOOKED, now_ms=8)
        assert account == account_of(240, held_micros=240)
        assert booked == replace(self.BOOKED, reversal_id="t/reversal")
        assert transfer == Transfer(
            id="t/reversal",
            kind=TransferKind.REVERSAL,
            at_ms=8,
            account_id="cafe-1",
            currency="GCOIN",
            legs=(Leg("funding/GCOIN", 500), Leg("wallet/cafe-1", -500)),
            reverses="t",
        )


@settings(deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 10**6), min_size=1, max_size=6))
def test_whatever_is_topped_up_and_taken_back_the_account_has_the_rest(held: int, amounts: list[int]) -> None:
    account = account_of(held, held_micros=held)
    booked = []
    for number, amount_micros in enumerate(amounts):
        account, kept, _ = top_up(account, amount_micros, transfer_id=f"t{number}", now_ms=number)
        booked.append(kept)
    for kept in booked[::2]:
        assert why_no_reversal(account, kept) is None
        account, taken_back, _ = reverse(account, kept, now_ms=9)
        assert isinstance(why_no_reversal(account, taken_back), AlreadyReversed)
    assert account == account_of(held + sum(amounts[1::2]), held_micros=held)
