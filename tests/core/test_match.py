"""Matches: where one may go next, who may join and leave, what time does, and that no money is made or lost on the way."""

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core.codec import Codec, encode
from playclock.core.escrow import Outcome, Step, StepKind, closed, entry_id_of, outstanding
from playclock.core.match import (
    TRANSITIONS,
    AbortReason,
    Match,
    MatchEvent,
    MatchState,
    SeatState,
    is_closed,
    move,
    seat_of,
)
from playclock.core.match_moves import (
    advance,
    cancelled,
    deadline_ms,
    joined,
    left,
    not_told,
    started,
    stepped,
    told,
    why_no_start,
)
from playclock.core.match_terms import terms_problems
from playclock.core.payout import PayoutKind, PayoutRule
from playclock.core.results import reported
from playclock.errors import AlreadyJoined, EngineError, MatchFull, PlayerNotFound, TooFewPlayers, WrongMatchState

from tests.core.matches import NOW_MS, RULES, TERMS, Bank, heard, live, match_of, scores, settled, with_players

REPEATABLE = settings(deadline=None, derandomize=True, max_examples=300)
MAY = {
    (MatchState.CREATED, MatchEvent.START): MatchState.STARTING,
    (MatchState.CREATED, MatchEvent.ABORT): MatchState.ABORTED,
    (MatchState.CREATED, MatchEvent.CANCEL): MatchState.CANCELLED,
    (MatchState.STARTING, MatchEvent.GO_LIVE): MatchState.LIVE,
    (MatchState.STARTING, MatchEvent.ABORT): MatchState.ABORTED,
    (MatchState.STARTING, MatchEvent.CANCEL): MatchState.CANCELLED,
    (MatchState.LIVE, MatchEvent.FINISH): MatchState.FINISHED,
    (MatchState.LIVE, MatchEvent.ABORT): MatchState.ABORTED,
    (MatchState.LIVE, MatchEvent.CANCEL): MatchState.CANCELLED,
}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(MatchState, MatchEvent)))
def test_the_table(state: MatchState, event: MatchEvent) -> None:
    moved = move(replace(match_of(), state=state), event)
    assert (None if moved is None else moved.state) == MAY.get((state, event))
    assert set(TRANSITIONS) == set(MatchState)


class TestJoining:
    def test_holds_the_fee_and_is_the_same_seat_again(self) -> None:
        bank = Bank(1_000)
        match = joined(match_of(), "a", "red", "a", now_ms=NOW_MS)
        assert isinstance(match, Match)
        assert [(step.kind, step.seat.number) for step in outstanding(match)] == [(StepKind.HOLD, 0)]
        assert joined(match, "a", "red", "a", now_ms=NOW_MS) is match
        bank.open("a")
        match = settled(match, bank)
        assert match.seats[0].state is SeatState.JOINED
        assert (bank.free["a"], sum(bank.held.values())) == (900, 100)
        for other in (("a", "blue", "a"), ("a", "red", "b")):
            assert isinstance(joined(match, *other, now_ms=NOW_MS), AlreadyJoined)

    def test_is_refused_without_the_fee_and_leaves_no_trace(self) -> None:
        match = with_players(match_of(), Bank(99), "a")
        assert match.seats == ()
        assert match.joins == 1

    def test_of_more_than_can_be_is_refused(self) -> None:
        match = with_players(match_of(), Bank(1_000), "a", "b", "c", "d")
        assert isinstance(joined(match, "e", "e", "e", now_ms=NOW_MS), MatchFull)

    def test_takes_the_place_of_who_is_on_the_way_out(self) -> None:
        match = with_players(match_of(players_max=2), Bank(1_000), "a", "b")
        for number in range(2):
            leaving = left(match, match.seats[-1].user_id, now_ms=NOW_MS)
            assert isinstance(leaving, Match)
            after = joined(leaving, f"c{number}", "c", "c", now_ms=NOW_MS)
            assert isinstance(after, Match)
            match = after
        assert [seat.user_id for seat in match.seats] == ["a", "b", "c0", "c1"]
        leaving = left(match, "c1", now_ms=NOW_MS)
        assert isinstance(leaving, Match)
        assert isinstance(joined(leaving, "d", "d", "d", now_ms=NOW_MS), MatchFull)  # the record is bounded

    def test_after_the_start_is_refused(self) -> None:
        match = live(match_of(), Bank(1_000), "a", "b")
        assert isinstance(joined(match, "c", "c", "c", now_ms=NOW_MS), WrongMatchState)

    def test_once_more_after_leaving_is_another_seat(self) -> None:
        bank = Bank(1_000)
        out = left(with_players(match_of(), bank, "a"), "a", now_ms=NOW_MS)
        assert isinstance(out, Match)
        assert isinstance(joined(out, "a", "a", "a", now_ms=NOW_MS), AlreadyJoined)
        back = with_players(settled(out, bank), bank, "a")
        assert [seat.number for seat in back.seats] == [1]
        assert bank.free["a"] == 900

    def test_that_is_uncertain_is_undone_for_certain(self) -> None:
        """Who was late with the step may take it yet; once it was released, it does nothing any more."""
        bank, match = Bank(1_000), joined(match_of(), "a", "a", "a", now_ms=NOW_MS)
        assert isinstance(match, Match)
        (late,) = outstanding(match)
        match = stepped(match, late, Outcome.UNCERTAIN, now_ms=NOW_MS)
        assert [step.kind for step in outstanding(match)] == [StepKind.RELEASE]
        bank.open("a")
        match = settled(match, bank)
        assert match.seats == ()
        bank.take(match, late)
        assert (bank.free["a"], bank.held) == (1_000, {})

    def test_leaving_is_for_those_who_are_in_it_and_have_not_played(self) -> None:
        bank = Bank(1_000)
        match = with_players(match_of(is_synchronous=False, is_tournament=True), bank, "a", "b")
        assert isinstance(left(match, "c", now_ms=NOW_MS), PlayerNotFound)
        assert isinstance(left(heard(match, scores(a=1)).match, "a", now_ms=NOW_MS), WrongMatchState)
        assert isinstance(left(live(match, bank), "b", now_ms=NOW_MS), WrongMatchState)


class TestStarting:
    @pytest.mark.parametrize("players", [("a",), ("a/red", "b/red"), ()])
    def test_takes_enough_players_and_two_teams(self, players: tuple[str, ...]) -> None:
        assert isinstance(why_no_start(with_players(match_of(), Bank(1_000), *players)), TooFewPlayers)

    def test_leaves_out_who_is_still_joining(self) -> None:
        bank = Bank(1_000)
        match = joined(with_players(match_of(), bank, "a", "b"), "c", "c", "c", now_ms=NOW_MS)
        assert isinstance(match, Match)
        bank.open("c")
        (late,) = outstanding(match)
        match = started(match, RULES, needs_push=False, now_ms=NOW_MS)
        match = stepped(match, late, bank.take(match, late), now_ms=NOW_MS)
        match = settled(match, bank)
        assert [seat.user_id for seat in match.seats] == ["a", "b"]
        assert (match.state, bank.free["c"], bank.escrow) == (MatchState.LIVE, 1_000, 200)

    def test_waits_until_the_game_has_been_told(self) -> None:
        bank = Bank(1_000)
        match = started(with_players(match_of(), bank, "a", "b"), RULES, needs_push=True, now_ms=NOW_MS)
        assert told(match, now_ms=NOW_MS) is match  # not before the fees are in escrow
        match = settled(match, bank)
        assert (match.state, match.is_escrowed, match.live_ms) == (MatchState.STARTING, True, None)
        assert (told(match, now_ms=NOW_MS + 5).state, told(match, now_ms=NOW_MS + 5).live_ms) == (MatchState.LIVE, NOW_MS + 5)
        aborted = settled(not_told(match, now_ms=NOW_MS), bank)
        assert (aborted.state, aborted.abort_reason) == (MatchState.ABORTED, AbortReason.NOT_TOLD)
        assert (bank.free["a"], bank.free["b"], bank.escrow) == (1_000, 1_000, 0)

    def test_aborts_where_a_fee_is_held_no_more(self) -> None:
        bank = Bank(1_000)
        match = with_players(match_of(), bank, "a", "b")
        entry = entry_id_of(match, match.seats[1])
        bank.free["b"] += bank.held.pop(entry)
        bank.over.add(entry)
        match = settled(started(match, RULES, needs_push=False, now_ms=NOW_MS), bank)
        assert (match.state, match.abort_reason) == (MatchState.ABORTED, AbortReason.ESCROW_FAILED)
        assert (bank.free["a"], bank.free["b"], bank.escrow) == (1_000, 1_000, 0)
        assert match.settled_ms is not None

    def test_without_a_fee_needs_no_account(self) -> None:
        bank = Bank(0)
        match = with_players(match_of(entry_fee_micros=0), bank, "a", "b")
        assert [seat.state for seat in match.seats] == [SeatState.JOINED, SeatState.JOINED]
        match = started(match, RULES, needs_push=False, now_ms=NOW_MS)
        assert (match.state, outstanding(match)) == (MatchState.LIVE, ())
        match = heard(match, scores(a=1, b=2)).match
        assert (match.state, match.settled_ms) == (MatchState.FINISHED, NOW_MS)


class TestTime:
    def test_starts_what_has_enough_players_and_aborts_the_rest(self) -> None:
        bank, over_ms = Bank(1_000), NOW_MS + TERMS.join_ms
        lonely, ready = with_players(match_of(), bank, "a"), with_players(match_of(), bank, "a", "b")
        assert deadline_ms(lonely) == over_ms
        assert advance(lonely, RULES, now_ms=over_ms - 1) is lonely
        aborted = advance(lonely, RULES, now_ms=over_ms + 99)
        assert (aborted.state, aborted.abort_reason, aborted.closed_ms) == (
            MatchState.ABORTED,
            AbortReason.TOO_FEW_PLAYERS,
            over_ms,
        )
        assert advance(ready, RULES, now_ms=over_ms).state is MatchState.STARTING

    def test_aborts_what_its_game_was_never_told_of(self) -> None:
        match = started(with_players(match_of(), Bank(1_000), "a", "b"), RULES, needs_push=True, now_ms=NOW_MS)
        assert deadline_ms(match) == NOW_MS + RULES.starting_ms
        assert advance(match, RULES, now_ms=NOW_MS + RULES.starting_ms - 1) is match
        assert advance(match, RULES, now_ms=NOW_MS + RULES.starting_ms).abort_reason is AbortReason.NOT_TOLD

    def test_aborts_what_has_no_result(self) -> None:
        bank = Bank(1_000)
        match, over_ms = live(match_of(), bank, "a", "b"), NOW_MS + TERMS.play_ms
        assert deadline_ms(match) == over_ms
        assert advance(match, RULES, now_ms=over_ms - 1) is match
        aborted = settled(advance(match, RULES, now_ms=over_ms), bank)
        assert (aborted.state, aborted.abort_reason, deadline_ms(aborted)) == (
            MatchState.ABORTED,
            AbortReason.NO_RESULT,
            over_ms,
        )
        assert (bank.free["a"], bank.free["b"]) == (1_000, 1_000)

    def test_finishes_an_asynchronous_game_with_what_was_sent(self) -> None:
        bank = Bank(1_000)
        match = heard(live(match_of(is_synchronous=False), bank, "a", "b", "c"), scores(b=5)).match
        match = settled(advance(match, RULES, now_ms=NOW_MS + TERMS.play_ms), bank)
        assert match.state is MatchState.FINISHED
        assert [team.rank for team in match.result] == [None, 1, None]
        assert (bank.free["b"], bank.escrow) == (1_170, 30)


def test_cancelling_gives_all_fees_back_and_can_be_repeated() -> None:
    for match, bank in ((match_of(), Bank(1_000)), (match_of(), Bank(1_000))):
        after = cancelled(with_players(match, bank, "a", "b"), now_ms=NOW_MS)
        assert isinstance(after, Match)
        after = settled(after, bank)
        assert (after.state, after.settled_ms, bank.free["a"]) == (MatchState.CANCELLED, NOW_MS, 1_000)
        assert cancelled(after, now_ms=NOW_MS + 1) is after
    bank = Bank(1_000)
    finished = settled(heard(live(match_of(), bank, "a", "b"), scores(a=1, b=2)).match, bank)
    assert isinstance(cancelled(finished, now_ms=NOW_MS), WrongMatchState)


def test_a_match_survives_the_store() -> None:
    match = heard(live(match_of(), Bank(1_000), "a", "b"), scores(a=1, b=-(1 << 63))).match
    assert Codec(Match).decode(encode(match)) == match


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("entry_fee_micros", -1),
        ("entry_fee_micros", 1 << 61),
        ("fee_basis_points", 10_001),
        ("players_min", 1),
        ("players_min", 5),
        ("players_max", 129),
        ("submissions_total", 2),
        ("join_ms", 0),
        ("join_ms", 31 * 86_400_000),
        ("play_ms", 0),
        ("currency", "gcoin"),
        ("payout", PayoutRule(PayoutKind.PERCENTAGES, (1,))),
    ],
)
def test_bad_terms_are_named(field: str, value: object) -> None:
    assert terms_problems(TERMS) == {}
    name = field.replace("_ms", "_sec") if field.endswith("_ms") else field
    assert set(terms_problems(replace(TERMS, **{field: value}))) == {name}


WHATS = st.sampled_from(
    [
        "join",
        "join",
        "join",
        "leave",
        "start",
        "start",
        "tell",
        "refuse",
        "cancel",
        "report",
        "report",
        "step",
        "step",
        "late",
        "time",
    ]
)


@REPEATABLE
@given(
    st.lists(st.tuples(WHATS, st.integers(0, 4), st.integers(0, 3)), max_size=40),
    st.fixed_dictionaries(
        {
            "entry_fee_micros": st.sampled_from([0, 1, 7, 100, 600]),
            "fee_basis_points": st.sampled_from([0, 1, 333, 10_000]),
            "is_synchronous": st.booleans(),
            "payout": st.sampled_from(
                [PayoutRule(), PayoutRule(PayoutKind.PERCENTAGES, (6_001, 3_999)), PayoutRule(PayoutKind.PER_RANK, (3, 2, 2))]
            ),
        }
    ),
    st.booleans(),
)
def test_random_matches_neither_make_nor_lose_money(
    story: list[tuple[str, int, int]], terms: dict[str, Any], needs_push: bool
) -> None:
    """Whatever happens, in whatever order, with steps that are taken late, twice and by two at once."""
    match = match_of(is_tournament=True, **terms)
    bank, now_ms, lates = Bank(250), NOW_MS, list[Step]()
    for user in "abcde":
        bank.open(user)
    whole = bank.total()
    for what, who, number in story:
        user, now_ms = "abcde"[who], now_ms + 1
        lates.extend(outstanding(match)[:2])
        match = _happens(match, what, user, number, now_ms=now_ms, needs_push=needs_push)
        if what == "step" and (steps := outstanding(match)):
            step = steps[number % len(steps)]
            match = stepped(match, step, bank.take(match, step), now_ms=now_ms)
        if what == "late" and lates:
            step = lates[number % len(lates)]
            match = stepped(match, step, bank.take(match, step), now_ms=now_ms)
        assert all(free >= 0 for free in bank.free.values())
    match = settled(match, bank, now_ms=now_ms)
    while not is_closed(match):
        now_ms = deadline_ms(match) or now_ms
        match = settled(advance(match, RULES, now_ms=now_ms), bank, now_ms=now_ms)
    for step in lates:
        before = match
        match = stepped(match, step, bank.take(match, step), now_ms=now_ms)
        assert match is before
    bank.book_fee(match)
    assert match.settled_ms is not None
    assert (bank.escrow, bank.held) == (0, {})
    assert bank.total() == whole
    assert all(free >= 0 for free in bank.free.values())
    if match.state is not MatchState.FINISHED:
        assert set(bank.free.values()) == {250}


def _happens(match: Match, what: str, user: str, number: int, *, now_ms: int, needs_push: bool) -> Match:
    after: object = match
    if what == "join":
        after = joined(match, user, user if number else "red", user, now_ms=now_ms)
    elif what == "leave":
        after = left(match, user, now_ms=now_ms)
    elif what == "start" and why_no_start(match) is None:
        after = started(match, RULES, needs_push=needs_push, now_ms=now_ms)
    elif what == "tell":
        after = told(match, now_ms=now_ms)
    elif what == "refuse" and number == 0:
        after = not_told(match, now_ms=now_ms)
    elif what == "cancel" and number == 0:
        after = cancelled(match, now_ms=now_ms)
    elif what == "time" and number == 0:
        after = advance(match, RULES, now_ms=deadline_ms(match) or now_ms)
    elif what == "report":
        users = [seat.user_id for seat in match.seats] if match.terms.is_synchronous else [user]
        after = reported(match, scores(**{each: (ord(each) * number) % 3 for each in users}), now_ms=now_ms)
        after = after if isinstance(after, EngineError) else after.match
    return after if isinstance(after, Match) else match


def test_a_match_that_is_over_stays_as_it_is() -> None:
    match = settled(heard(live(match_of(), Bank(1_000), "a", "b"), scores(a=1, b=2)).match, Bank(1_000))
    assert closed(match, MatchEvent.ABORT, now_ms=NOW_MS) is match
    assert not_told(match, now_ms=NOW_MS) is match
    assert seat_of(match, "a") is not None
