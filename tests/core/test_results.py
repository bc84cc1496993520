"""Results: what a report may say, how teams rank by it, and what a second one hears."""

import pytest
from playclock.core.match import AbortReason, Match, MatchState
from playclock.core.results import CONTRADICTIONS_MAX, Report, UserScore, Verdict, reported
from playclock.errors import BadRequest, EngineError, WrongMatchState

from tests.core.matches import NOW_MS, Bank, heard, live, match_of, scores, settled, teams, with_players


def ranks(match: Match) -> dict[str, int | None]:
    return {team.team_id: team.rank for team in match.result}


def refusal(match: Match, report: Report) -> EngineError:
    answer = reported(match, report, now_ms=NOW_MS)
    assert isinstance(answer, EngineError)
    return answer


class TestOneReport:
    @pytest.mark.parametrize(
        ("report", "expected"),
        [
            (scores(a=1, b=3, c=2), {"a": 3, "b": 1, "c": 2}),
            (scores(a=3, b=3, c=2), {"a": 1, "b": 1, "c": 3}),
            (teams(a=(300, 0), b=(3, 0), c=None), {"a": 1, "b": 2, "c": None}),
            # The ranking counts, and not the score.
            (teams(a=(300, 9), b=(3, 4), c=(1, 4)), {"a": 3, "b": 1, "c": 1}),
            (teams(a=(1, 2), b=None, c=None), {"a": 1, "b": None, "c": None}),
        ],
    )
    def test_ranks_the_teams(self, report: Report, expected: dict[str, int | None]) -> None:
        match = heard(live(match_of(), Bank(1_000), "a", "b", "c"), report).match
        assert match.state is MatchState.FINISHED
        assert ranks(match) == expected

    def test_adds_up_the_scores_of_a_team(self) -> None:
        match = heard(live(match_of(), Bank(1_000), "a/red", "b/blue", "c/red"), scores(a=2, b=3, c=2)).match
        assert [(team.team_id, team.score, team.rank) for team in match.result] == [("red", 4, 1), ("blue", 3, 2)]
        assert [seat.payout_micros for seat in match.seats] == [135, 0, 135]

    def test_takes_scores_as_wide_as_they_come(self) -> None:
        match = live(match_of(), Bank(1_000), "a/red", "b/blue", "c/red")
        match = heard(match, scores(a=(1 << 63) - 1, b=-(1 << 63), c=(1 << 63) - 1)).match
        assert [team.score for team in match.result] == [(1 << 63) - 1, -(1 << 63)]

    @pytest.mark.parametrize(
        ("report", "field"),
        [
            (scores(a=1), "participants"),
            (scores(a=1, b=2, c=3), "participants"),
            (Report(), "participants"),
            (Report(participants=(UserScore("a", 1), UserScore("a", 1), UserScore("b", 1))), "participants"),
            (teams(a=(1, 1)), "teams"),
            (teams(a=(1, 1), b=(1, 2), c=(1, 3)), "teams"),
            (teams(a=(1, 1), b=(1, 0)), "teams.ranking"),
            (teams(a=(1, 1), b=(1, -1)), "teams.ranking"),
            (teams(a=(1, 1), b=(1, 1_000_001)), "teams.ranking"),
        ],
    )
    def test_of_others_or_only_of_some_is_refused(self, report: Report, field: str) -> None:
        error = refusal(live(match_of(), Bank(1_000), "a", "b"), report)
        assert isinstance(error, BadRequest)
        assert set(error.violations) == {field}

    def test_counts_once_and_its_repeat_hears_the_same(self) -> None:
        bank = Bank(1_000)
        first = heard(live(match_of(), bank, "a", "b"), scores(a=1, b=2)).match
        for match in (first, settled(first, bank)):
            assert heard(match, scores(b=2, a=1)).match is match
            other = heard(match, scores(a=2, b=1))
            assert (other.verdict, other.match.result) == (Verdict.CONTRADICTED, match.result)
            assert other.match.contradictions == 1
            assert [seat.payout_micros for seat in other.match.seats] == [0, 180]

    def test_is_counted_no_longer_when_too_many_contradict(self) -> None:
        match = heard(live(match_of(), Bank(1_000), "a", "b"), scores(a=1, b=2)).match
        for _ in range(CONTRADICTIONS_MAX + 5):
            match = heard(match, scores(a=2, b=1)).match
        assert match.contradictions == CONTRADICTIONS_MAX

    def test_gives_the_fees_back_where_all_have_forfeited(self) -> None:
        bank = Bank(1_000)
        match = settled(heard(live(match_of(), bank, "a", "b"), teams(a=None, b=None)).match, bank)
        assert (match.state, match.abort_reason) == (MatchState.ABORTED, AbortReason.ALL_FORFEITED)
        assert (bank.free["a"], bank.free["b"], bank.escrow) == (1_000, 1_000, 0)
        assert heard(match, teams(a=None, b=None)).verdict is Verdict.ACCEPTED

    def test_of_a_match_that_is_not_live_is_refused(self) -> None:
        match = with_players(match_of(), Bank(1_000), "a", "b")
        assert isinstance(refusal(match, scores(a=1, b=2)), WrongMatchState)


class TestOneOfEachPlayer:
    def test_finishes_with_the_last_one(self) -> None:
        bank = Bank(1_000)
        match = live(match_of(is_synchronous=False), bank, "a", "b")
        match = heard(match, scores(a=5)).match
        assert match.state is MatchState.LIVE
        match = settled(heard(match, scores(b=7)).match, bank)
        assert (match.state, ranks(match)) == (MatchState.FINISHED, {"a": 2, "b": 1})
        assert (bank.free["a"], bank.free["b"], bank.escrow) == (900, 1_080, 20)

    def test_counts_once_for_each(self) -> None:
        match = heard(live(match_of(is_synchronous=False), Bank(1_000), "a", "b"), scores(a=5)).match
        assert heard(match, scores(a=5)).match is match
        other = heard(match, scores(a=6))
        assert (other.verdict, other.match.seats, other.match.contradictions) == (Verdict.CONTRADICTED, match.seats, 1)

    def test_counts_with_the_best_of_as_many_as_there_may_be(self) -> None:
        terms = {"is_synchronous": False, "is_tournament": True, "submissions_total": 2}
        match = live(match_of(**terms), Bank(1_000), "a", "b")
        for score in (9, 5, 9):
            match = heard(match, scores(a=score)).match
        assert match.seats[0].scores == (9, 5)
        assert heard(match, scores(a=99)).verdict is Verdict.CONTRADICTED
        match = heard(heard(match, scores(b=8)).match, scores(b=7)).match
        assert ranks(match) == {"a": 1, "b": 2}

    def test_may_come_before_the_start_of_a_tournament(self) -> None:
        bank = Bank(1_000)
        match = with_players(match_of(is_synchronous=False, is_tournament=True), bank, "a", "b")
        match = heard(heard(match, scores(a=1)).match, scores(b=2)).match
        assert match.state is MatchState.CREATED
        match = live(match, bank)
        assert (match.state, ranks(match)) == (MatchState.FINISHED, {"a": 2, "b": 1})
        early = with_players(match_of(is_synchronous=False), Bank(1_000), "a", "b")
        assert isinstance(refusal(early, scores(a=1)), WrongMatchState)

    @pytest.mark.parametrize(
        ("report", "field"), [(scores(c=1), "participants"), (scores(), "participants"), (teams(a=(1, 1)), "teams")]
    )
    def test_is_of_a_player_of_the_match(self, report: Report, field: str) -> None:
        error = refusal(live(match_of(is_synchronous=False), Bank(1_000), "a", "b"), report)
        assert isinstance(error, BadRequest)
        assert field in error.violations
