"""Bets: where one may go next, what its repeat hears, when it can be taken back, and what the ledger says of it."""

from collections import Counter

import pytest
from msgspec.structs import replace
from playclock.core import wallet
from playclock.core.bet_ledger import bet_transfer, rollback_transfer
from playclock.core.codec import Codec, encode
from playclock.core.ids import bet_id_of, rollback_id_of
from playclock.core.ledger import Transfer, TransferKind
from playclock.core.wallet import (
    PAGE_BETS,
    TRANSITIONS,
    WINS_MAX,
    Bet,
    BetEvent,
    BetState,
    Book,
    Purse,
    Result,
    Round,
    WalletRules,
)
from playclock.errors import BadRequest, BetClosed, BetPending, SessionEnded, TransactionIdReused

NOW_MS = 1_750_000_000_000
SESSION_ID = "gs_3fd3f2f0-8c3e-4d3a-9c29-7f3a3c0d9a11"
RULES = WalletRules()
PURSE = Purse(
    agent_id=1, player_id="player_123", username="john_doe", currency="EUR", language="ru", game_id="the-game", game_number=123
)
BET = Bet(
    id=bet_id_of(SESSION_ID, "t1"),
    session_id=SESSION_ID,
    number=0,
    purse=PURSE,
    transaction_id="t1",
    round_id="r1",
    bet_micros=10_500_000,
    win_micros=3_000_000,
    made_ms=NOW_MS,
    due_ms=NOW_MS + 15_000,
)

REACHED = {
    BetState.PENDING: (),
    BetState.ACCEPTED: (BetEvent.ACCEPT,),
    BetState.REFUSED: (BetEvent.REFUSE,),
    BetState.ROLLING_BACK: (BetEvent.DOUBT,),
    BetState.ROLLED_BACK: (BetEvent.NOT_SENT,),
}
MAY = {
    (BetState.PENDING, BetEvent.ACCEPT): BetState.ACCEPTED,
    (BetState.PENDING, BetEvent.REFUSE): BetState.REFUSED,
    (BetState.PENDING, BetEvent.NOT_SENT): BetState.ROLLED_BACK,
    (BetState.PENDING, BetEvent.DOUBT): BetState.ROLLING_BACK,
    (BetState.ACCEPTED, BetEvent.TAKE_BACK): BetState.ROLLING_BACK,
    (BetState.ROLLING_BACK, BetEvent.CONFIRM): BetState.ROLLED_BACK,
}


def after(*events: BetEvent, bet: Bet = BET) -> Bet:
    for event in events:
        moved = wallet.move(bet, event, now_ms=NOW_MS + 1)
        assert moved is not None
        bet = moved
    return bet


@pytest.mark.parametrize("event", list(BetEvent), ids=lambda event: event.name)
@pytest.mark.parametrize("state", list(BetState), ids=lambda state: state.name)
def test_a_bet_goes_where_the_table_says_and_nowhere_else(state: BetState, event: BetEvent) -> None:
    moved = wallet.move(after(*REACHED[state]), event, now_ms=NOW_MS + 5)

    assert (None if moved is None else moved.state) == MAY.get((state, event))


def test_every_state_has_a_row() -> None:
    assert TRANSITIONS.keys() == set(BetState)


@pytest.mark.parametrize(
    ("events", "result"),
    [
        ((), None),
        ((BetEvent.ACCEPT,), Result.ACCEPTED),
        ((BetEvent.REFUSE,), Result.REFUSED),
        ((BetEvent.DOUBT,), Result.ROLLED_BACK),
        ((BetEvent.DOUBT, BetEvent.CONFIRM), Result.ROLLED_BACK),
        ((BetEvent.NOT_SENT,), Result.ROLLED_BACK),
        ((BetEvent.ACCEPT, BetEvent.TAKE_BACK), Result.ACCEPTED),
        ((BetEvent.ACCEPT, BetEvent.TAKE_BACK, BetEvent.CONFIRM), Result.ACCEPTED),
    ],
)
def test_the_first_answer_stays(events: tuple[BetEvent, ...], result: Result | None) -> None:
    assert wallet.result_of(after(*events)) is result


def test_the_same_contents_hear_the_bet_and_others_an_error() -> None:
    there = after(BetEvent.ACCEPT)

    assert wallet.first_answer(there, round_id="r1", bet_micros=10_500_000, win_micros=3_000_000) is there
    for other in ({"round_id": "r2"}, {"bet_micros": 1}, {"win_micros": 1}):
        wanted = {"round_id": "r1", "bet_micros": 10_500_000, "win_micros": 3_000_000} | other
        assert isinstance(wallet.first_answer(there, **wanted), TransactionIdReused)  # type: ignore[arg-type]


def test_a_pending_one_says_so_also_to_its_repeat() -> None:
    assert isinstance(wallet.first_answer(BET, round_id="r1", bet_micros=10_500_000, win_micros=3_000_000), BetPending)
    assert isinstance(wallet.first_answer(BET, round_id="r2", bet_micros=10_500_000, win_micros=3_000_000), TransactionIdReused)


def test_an_ended_session_takes_wins_and_no_bets() -> None:
    assert wallet.why_no_bet(1, Round(), is_live=True, end_reason=None) is None
    assert wallet.why_no_bet(0, Round(), is_live=False, end_reason="CLIENT_END") is None
    error = wallet.why_no_bet(1, Round(), is_live=False, end_reason="CLIENT_END")
    assert isinstance(error, SessionEnded)
    assert error.metadata == {"end_reason": "CLIENT_END"}


def test_a_round_has_so_many_wins() -> None:
    full = Round(tuple(range(WINS_MAX)))
    assert wallet.why_no_bet(0, Round(full.wins[1:]), is_live=True, end_reason=None) is None
    assert isinstance(wallet.why_no_bet(0, full, is_live=True, end_reason=None), BadRequest)


def test_a_bet_whose_round_was_won_later_is_not_taken_back() -> None:
    first = replace(after(BetEvent.ACCEPT), number=4)

    assert wallet.why_no_rollback(first, Round((2, 4))) is None, "its own win goes back with it, and earlier ones stay"
    assert isinstance(wallet.why_no_rollback(first, Round((2, 5))), BetClosed)


def test_pauses_double_up_to_the_longest() -> None:
    bet, pauses = after(BetEvent.DOUBT), []
    for _ in range(10):
        asked = wallet.asked_again(bet, RULES, now_ms=NOW_MS)
        pauses.append(asked.due_ms - NOW_MS)
        bet = asked

    assert pauses == [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 320_000, 600_000, 600_000, 600_000]
    assert wallet.asked_again(replace(bet, attempts=10_000), RULES, now_ms=NOW_MS).due_ms == NOW_MS + 600_000


def test_a_bet_is_past_when_it_can_no_longer_be_on_its_way() -> None:
    past_ms = NOW_MS + 2 * RULES.timeout_ms + RULES.unknown_after_ms
    assert not wallet.is_past(BET, RULES, now_ms=past_ms - 1)
    assert wallet.is_past(BET, RULES, now_ms=past_ms)


def test_pages_hold_so_many_and_lose_none() -> None:
    book, pages = Book(PURSE, 0, ()), []
    wanted = [f"t{number}" for number in range(3 * PAGE_BETS + 5)]
    for transaction_id in wanted:
        book, page = wallet.booked(book, transaction_id)
        pages += [] if page is None else [page.transaction_ids]

    assert book.count == len(wanted)
    assert [len(page) for page in pages] == [PAGE_BETS] * 3
    assert [each for page in pages for each in page] + list(book.tail) == wanted


def test_the_ledger_has_the_stake_and_the_win_each() -> None:
    transfer = bet_transfer(after(BetEvent.ACCEPT))

    assert [(leg.ledger_account, leg.amount_micros) for leg in transfer.legs] == [
        ("agent/1/EUR", -10_500_000),
        ("bets/the-game", 10_500_000),
        ("wins/the-game", -3_000_000),
        ("agent/1/EUR", 3_000_000),
    ]
    assert (transfer.kind, transfer.account_id, transfer.currency) == (TransferKind.BET, "agent/1", "EUR")
    assert (transfer.session_id, transfer.at_ms) == (SESSION_ID, NOW_MS + 1)


def test_what_is_taken_back_is_the_reverse_and_names_what_it_reverses() -> None:
    bet = after(BetEvent.ACCEPT, BetEvent.TAKE_BACK, BetEvent.CONFIRM)
    there, back = bet_transfer(bet), rollback_transfer(bet)

    def total(*transfers: Transfer) -> Counter[str]:
        sums: Counter[str] = Counter()
        for transfer in transfers:
            for leg in transfer.legs:
                sums[leg.ledger_account] += leg.amount_micros
        return sums

    assert set(total(there, back).values()) == {0}
    assert sum(total(back).values()) == 0
    assert back.reverses == there.id != back.id
    assert back.kind is TransferKind.BET_ROLLBACK


def test_a_bet_without_money_has_no_legs() -> None:
    assert bet_transfer(replace(after(BetEvent.ACCEPT), bet_micros=0, win_micros=0)).legs == ()


@pytest.mark.parametrize(
    "field", ["transaction_id", "round_id", "bet_micros", "win_micros"], ids=lambda field: field.removesuffix("_micros")
)
def test_each_field_is_checked(field: str) -> None:
    good = {"transaction_id": "t", "round_id": "r", "bet_micros": 0, "win_micros": 0}
    assert wallet.problems_of(**good) == {}  # type: ignore[arg-type]
    for bad in (-1, 10**19) if field.endswith("micros") else ("", "x" * 129, "a\nb"):
        assert wallet.problems_of(**good | {field: bad}).keys() == {field}  # type: ignore[arg-type]


def test_ids_for_the_agent_are_of_the_session_and_its_transaction() -> None:
    other = "gs_3fd3f2f0-8c3e-4d3a-9c29-7f3a3c0d9a12"
    ids = [bet_id_of(SESSION_ID, "t1"), bet_id_of(SESSION_ID, "t2"), bet_id_of(other, "t1"), rollback_id_of(BET.id)]

    assert len(set(ids)) == 4
    assert bet_id_of(SESSION_ID, "t1") == ids[0]
    assert {each[:2] for each in ids} == {"3f"}


@pytest.mark.parametrize("record", [BET, Book(PURSE, 1, ("t1",)), Round((1, 2)), wallet.BetPage(("t1",))])
def test_records_are_read_as_they_were_written(record: Bet | Book | Round | wallet.BetPage) -> None:
    assert Codec(type(record)).decode(encode(record)) == record
