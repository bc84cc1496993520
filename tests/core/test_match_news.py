"""What is told of a match: each step that it has taken, once, in its order, at the time at which it happened."""

import pytest
from msgspec.structs import replace
from playclock.core.codec import encode
from playclock.core.match import AbortReason, Match, MatchState, Seat, SeatState
from playclock.core.match_news import MatchHappening, news_of
from playclock.core.outbox import decode

from tests.core.test_match_token import MATCH, SEAT

NOW_MS = 9_000
OTHER = replace(SEAT, number=4, user_id="other")


def told(before: Match | None, after: Match) -> list[tuple[str, int]]:
    news = news_of(before, after, now_ms=NOW_MS)
    assert all(decode(encode(each)) == each for each in news)
    return [(each.happening.name, each.at_ms) for each in news]


def with_seats(*seats: Seat) -> Match:
    return replace(MATCH, seats=seats)


def test_a_new_match_is_told_of() -> None:
    assert told(None, replace(MATCH, created_ms=7)) == [("CREATED", 7)]


def test_what_has_not_changed_is_not() -> None:
    assert told(MATCH, MATCH) == []
    assert told(MATCH, replace(MATCH, contradictions=1)) == []


@pytest.mark.parametrize("late", [SeatState.JOINING, SeatState.LEAVING])
def test_who_joins_and_leaves_is_told_of_when_that_is_certain_and_alone(late: SeatState) -> None:
    asking, is_in = with_seats(SEAT, replace(OTHER, state=late)), with_seats(SEAT, OTHER)
    assert told(MATCH, asking) == []
    (joined,) = news_of(asking, is_in, now_ms=NOW_MS)
    assert (joined.happening, joined.at_ms, joined.match.seats) == (MatchHappening.JOINED, NOW_MS, (OTHER,))
    (left,) = news_of(is_in, asking, now_ms=NOW_MS)
    assert (left.happening, left.match.seats) == (MatchHappening.LEFT, (OTHER,))
    assert told(asking, MATCH) == []


def test_steps_that_were_taken_together_are_told_one_by_one() -> None:
    live = replace(MATCH, state=MatchState.LIVE, starting_ms=10, live_ms=20)
    assert told(MATCH, live) == [("STARTING", 10), ("LIVE", 20)]
    finished = replace(live, state=MatchState.FINISHED, closed_ms=30)
    settled = replace(finished, settled_ms=40)
    assert told(MATCH, settled) == [("STARTING", 10), ("LIVE", 20), ("FINISHED", 30), ("SETTLED", 40)]
    assert told(live, settled) == [("FINISHED", 30), ("SETTLED", 40)]
    assert told(finished, settled) == [("SETTLED", 40)]
    assert told(settled, settled) == []


def test_an_end_without_a_result_is_told_as_what_it_was() -> None:
    aborted = replace(MATCH, state=MatchState.ABORTED, closed_ms=30, abort_reason=AbortReason.TOO_FEW_PLAYERS)
    assert told(MATCH, aborted) == [("ABORTED", 30)]
    assert told(MATCH, replace(MATCH, state=MatchState.CANCELLED, closed_ms=30)) == [("CANCELLED", 30)]


def test_what_becomes_of_seats_after_the_start_is_money_and_no_news() -> None:
    starting = replace(MATCH, state=MatchState.STARTING, starting_ms=10, seats=(SEAT, OTHER))
    assert told(starting, replace(starting, seats=(SEAT,))) == []
