"""Two-phase transfers: what is held for them until they are posted, voided or over, and what a step hears that comes again."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from msgspec.structs import replace
from playclock.core.charge import Account, Hold
from playclock.core.ledger import Leg, Transfer, TransferKind
from playclock.core.transfers import (
    PENDING_MAX,
    TIMEOUT_MAX_MS,
    TransferState,
    TwoPhase,
    advance,
    create,
    first_answer,
    post,
    problems_of,
    standing,
    void,
)
from playclock.errors import BadRequest, EngineError, InsufficientCredit, TooManyTransfers, TransferClosed, TransferIdReused

REPEATABLE = settings(deadline=None, derandomize=True)

MICROS_MAX = 4_611_686_018_427_387_904


def account_of(balance_micros: int, held_micros: int = 0, *pending: Hold, limit: int = 0) -> Account:
    return Account("cafe-1", "GCOIN", balance_micros, held_micros, limit, pending)


def wanted(amount_micros: int = 300, *, id_: str = "t", now_ms: int = 1_000, timeout_ms: int = 10_000) -> TwoPhase:
    return TwoPhase(
        id=id_,
        account_id="cafe-1",
        amount_micros=amount_micros,
        target="revenue/game",
        timeout_ms=timeout_ms,
        created_ms=now_ms,
    )


def moved(done: object) -> tuple[Account, TwoPhase, Transfer]:
    assert isinstance(done, tuple)
    account, there, transfer = done
    assert sum(leg.amount_micros for leg in transfer.legs) == 0
    return account, there, transfer


def told(error: object) -> tuple[type[EngineError], dict[str, str]]:
    assert isinstance(error, EngineError)
    return type(error), error.metadata


class TestCreate:
    def test_sets_money_aside_until_its_time_is_over(self) -> None:
        account, there, transfer = moved(create(account_of(1_000, 100), wanted()))
        assert account == account_of(1_000, 400, Hold("t", 300, 11_000))
        assert account.free_micros == 600
        assert there == wanted()
        assert transfer == Transfer(
            id="transfer/cafe-1/t/pending",
            kind=TransferKind.PENDING,
            at_ms=1_000,
            account_id="cafe-1",
            currency="GCOIN",
            legs=(Leg("wallet/cafe-1", -300), Leg("held/cafe-1", 300)),
        )

    @pytest.mark.parametrize(("account", "is_held"), [(account_of(300), True), (account_of(299), False)])
    def test_takes_all_that_is_free_and_not_more(self, account: Account, *, is_held: bool) -> None:
        assert isinstance(create(account, wanted()), tuple) is is_held

    def test_may_be_owed(self) -> None:
        account, _, transfer = moved(create(account_of(100, limit=200), wanted()))
        assert account.free_micros == 0
        assert transfer.legs == (Leg("wallet/cafe-1", -100), Leg("debt/cafe-1", -200), Leg("held/cafe-1", 300))

    def test_without_credit_is_refused_and_keeps_being(self) -> None:
        refused = create(account_of(299), wanted())
        assert isinstance(refused, TwoPhase)
        assert (refused.state, refused.free_micros, refused.closed_ms) == (TransferState.REFUSED, 299, 1_000)
        for answer in (
            first_answer(refused, wanted(now_ms=2_000)),
            post(account_of(1_000), refused, None, now_ms=2_000),
            void(account_of(1_000), refused, now_ms=2_000),
        ):
            assert told(answer) == (InsufficientCredit, {"free_micros": "299"})

    def test_beyond_as_many_as_can_be_pending_is_an_error_that_is_not_kept(self) -> None:
        holds = [Hold(str(number), 1, 11_000) for number in range(PENDING_MAX)]
        full = account_of(10_000, PENDING_MAX, *holds)
        assert told(create(full, wanted())) == (TooManyTransfers, {"pending": "256"})
        moved(create(account_of(10_000, PENDING_MAX - 1, *holds[1:]), wanted()))

    @pytest.mark.parametrize("other", [wanted(301), wanted(timeout_ms=10_001), replace(wanted(), target="revenue/another")])
    def test_of_an_id_that_was_used_for_something_else_is_an_error(self, other: TwoPhase) -> None:
        assert told(first_answer(wanted(), other)) == (TransferIdReused, {})

    @pytest.mark.parametrize(
        "state", [TransferState.PENDING, TransferState.POSTED, TransferState.VOIDED, TransferState.EXPIRED]
    )
    def test_again_gets_the_first_answer_whatever_became_of_it(self, state: TransferState) -> None:
        there = replace(wanted(), state=state, posted_micros=7, closed_ms=9_000)
        assert first_answer(there, wanted(now_ms=5_000)) == wanted()

    @pytest.mark.parametrize(
        ("amount_micros", "timeout_ms", "fields"),
        [
            (1, 1, set()),
            (MICROS_MAX, TIMEOUT_MAX_MS, set()),
            (0, 1, {"amount_micros"}),
            (-1, 0, {"amount_micros", "timeout_sec"}),
            (MICROS_MAX + 1, TIMEOUT_MAX_MS + 1, {"amount_micros", "timeout_sec"}),
        ],
    )
    def test_needs_an_amount_and_a_time(self, amount_micros: int, timeout_ms: int, fields: set[str]) -> None:
        assert problems_of(amount_micros=amount_micros, timeout_ms=timeout_ms).keys() == fields


class TestSteps:
    PENDING = account_of(1_000, 400, Hold("t", 300, 11_000))

    @pytest.mark.parametrize(
        ("amount_micros", "posted_micros", "legs"),
        [
            (None, 300, (Leg("held/cafe-1", -300), Leg("revenue/game", 300))),
            (300, 300, (Leg("held/cafe-1", -300), Leg("revenue/game", 300))),
            (1, 1, (Leg("wallet/cafe-1", 299), Leg("held/cafe-1", -300), Leg("revenue/game", 1))),
        ],
    )
    def test_posting_moves_what_is_said_and_frees_the_rest(
        self, amount_micros: int | None, posted_micros: int, legs: tuple[Leg, ...]
    ) -> None:
        account, there, transfer = moved(post(self.PENDING, wanted(), amount_micros, now_ms=5_000))
        assert account == account_of(1_000 - posted_micros, 100)
        assert there == replace(wanted(), state=TransferState.POSTED, posted_micros=posted_micros, closed_ms=5_000)
        assert (transfer.id, transfer.kind, transfer.at_ms) == ("transfer/cafe-1/t/post", TransferKind.POST, 5_000)
        assert transfer.legs == legs
        assert post(account, there, posted_micros, now_ms=6_000) == there

    @pytest.mark.parametrize("amount_micros", [0, -1, 301])
    def test_posting_nothing_or_more_than_is_pending_is_refused(self, amount_micros: int) -> None:
        assert told(post(self.PENDING, wanted(), amount_micros, now_ms=5_000)) == (BadRequest, {})

    def test_voiding_frees_all(self) -> None:
        account, there, transfer = moved(void(self.PENDING, wanted(), now_ms=5_000))
        assert account == account_of(1_000, 100)
        assert there == replace(wanted(), state=TransferState.VOIDED, closed_ms=5_000)
        assert (transfer.id, transfer.kind) == ("transfer/cafe-1/t/void", TransferKind.VOID)
        assert transfer.legs == (Leg("wallet/cafe-1", 300), Leg("held/cafe-1", -300))
        assert void(account, there, now_ms=6_000) == there

    def test_what_was_posted_is_neither_voided_nor_posted_with_another_amount(self) -> None:
        account, posted, _ = moved(post(self.PENDING, wanted(), 200, now_ms=5_000))
        for answer in (void(account, posted, now_ms=6_000), post(account, posted, None, now_ms=6_000)):
            assert told(answer) == (TransferClosed, {"state": "POSTED", "posted_micros": "200"})

    def test_what_was_voided_is_not_posted(self) -> None:
        account, voided, _ = moved(void(self.PENDING, wanted(), now_ms=5_000))
        assert told(post(account, voided, None, now_ms=6_000)) == (TransferClosed, {"state": "VOIDED"})


class TestExpiry:
    def test_comes_exactly_at_its_time_and_in_order(self) -> None:
        holds = Hold("late", 300, 11_000), Hold("early", 200, 10_000), Hold("last", 1, 12_000)
        account = account_of(1_000, 601, *holds)
        assert advance(account, 9_999) == (account, [])
        freed, (first, second) = advance(account, 11_000)
        assert freed == account_of(1_000, 101, holds[2])
        assert [(each.id, each.at_ms, each.kind) for each in (first, second)] == [
            ("transfer/cafe-1/early/expiry", 10_000, TransferKind.EXPIRY),
            ("transfer/cafe-1/late/expiry", 11_000, TransferKind.EXPIRY),
        ]
        assert second.legs == (Leg("wallet/cafe-1", 300), Leg("held/cafe-1", -300))

    def test_a_transfer_for_which_nothing_is_held_has_expired_whether_or_not_that_was_noted(self) -> None:
        there, freed = wanted(), account_of(1_000, 100)
        expired = replace(there, state=TransferState.EXPIRED, closed_ms=11_000)
        assert standing(freed, there) == standing(freed, expired) == expired
        assert standing(TestSteps.PENDING, there) == there
        for each in (there, expired):
            assert told(post(freed, each, None, now_ms=11_000)) == (TransferClosed, {"state": "EXPIRED"})
            assert told(void(freed, each, now_ms=11_000)) == (TransferClosed, {"state": "EXPIRED"})


class Till(RuleBasedStateMachine):
    """One account and its transfers, through steps and waits that Hypothesis thinks up."""

    def __init__(self) -> None:
        super().__init__()
        self.account = account_of(1_000, limit=200)
        self.there: dict[str, TwoPhase] = {}
        self.ledger = {"wallet/cafe-1": 1_000}
        self.booked: set[str] = set()
        self.now_ms = 0

    def book(self, *transfers: Transfer) -> None:
        for transfer in transfers:
            assert transfer.id not in self.booked, "nothing is booked twice"
            self.booked.add(transfer.id)
            for leg in transfer.legs:
                self.ledger[leg.ledger_account] = self.ledger.get(leg.ledger_account, 0) + leg.amount_micros

    def look(self) -> None:
        self.account, transfers = advance(self.account, self.now_ms)
        self.book(*transfers)

    def take(self, done: tuple[Account, TwoPhase, Transfer] | TwoPhase | EngineError) -> None:
        if isinstance(done, tuple):
            self.account, there, transfer = done
            self.there[there.id] = there
            self.book(transfer)

    @rule(ms=st.integers(0, 6_000), looks=st.booleans())
    def wait(self, ms: int, *, looks: bool) -> None:
        self.now_ms += ms
        if looks:
            self.look()

    @rule(number=st.integers(0, 9), amount_micros=st.integers(1, 400), timeout_ms=st.integers(1, 10_000))
    def create(self, number: int, amount_micros: int, timeout_ms: int) -> None:
        self.look()
        want = wanted(amount_micros, id_=str(number), now_ms=self.now_ms, timeout_ms=timeout_ms)
        if want.id in self.there:
            assert isinstance(first_answer(self.there[want.id], want), TwoPhase | InsufficientCredit | TransferIdReused)
            return
        done = create(self.account, want)
        if isinstance(done, TwoPhase):
            assert self.account.free_micros < amount_micros
            self.there[want.id] = done
        self.take(done)

    @precondition(lambda self: self.there)
    @rule(data=st.data(), amount_micros=st.none() | st.integers(1, 400), is_void=st.booleans())
    def close(self, data: st.DataObject, amount_micros: int | None, *, is_void: bool) -> None:
        self.look()
        there = self.there[data.draw(st.sampled_from(sorted(self.there)))]
        before, stands = self.account, standing(self.account, there)
        done = void(before, there, now_ms=self.now_ms) if is_void else post(before, there, amount_micros, now_ms=self.now_ms)
        is_open = stands.state is TransferState.PENDING and self.now_ms < there.expires_ms
        assert isinstance(done, tuple) is (is_open and (is_void or (amount_micros or 0) <= there.amount_micros))
        self.take(done)

    @invariant()
    def the_ledger_is_the_account(self) -> None:
        assert sum(self.ledger.values()) == 1_000
        assert self.ledger["wallet/cafe-1"] + self.ledger.get("debt/cafe-1", 0) == self.account.unheld_micros
        assert self.ledger.get("held/cafe-1", 0) == self.account.held_micros
        posted_micros = sum(there.posted_micros for there in self.there.values())
        assert self.ledger.get("revenue/game", 0) == posted_micros == 1_000 - self.account.balance_micros

    @invariant()
    def what_is_held_is_what_is_pending_and_above_the_floor(self) -> None:
        assert self.account.held_micros == sum(hold.amount_micros for hold in self.account.pending)
        assert self.account.unheld_micros >= -200


def test_whatever_is_done_with_them_no_money_is_lost_made_or_held_for_ever() -> None:
    run_state_machine_as_test(Till, settings=settings(REPEATABLE, max_examples=60, stateful_step_count=30))
