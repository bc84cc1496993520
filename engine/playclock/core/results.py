"""Results of matches: checked against who plays, ranked, and turned into payouts. The first that is accepted counts."""

import hashlib
from collections.abc import Sequence
from enum import IntEnum
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core.escrow import closed, progressed
from playclock.core.match import (
    AbortReason,
    Match,
    MatchEvent,
    MatchState,
    SeatState,
    TeamResult,
    move,
    seat_of,
    submissions_left,
    taken,
    team_ids,
    with_seat,
)
from playclock.core.payout import Standing, fee_of, payouts
from playclock.errors import BadRequest, EngineError, WrongMatchState

SCORE_MAX: Final = (1 << 63) - 1
RANK_MAX: Final = 1_000_000
CONTRADICTIONS_MAX: Final = 20
"""How many contradictory results of a match are recorded. More are answered alike, and only counted."""


class UserScore(msgspec.Struct, frozen=True, array_like=True):
    """What a participant reached."""

    user_id: str
    score: int


class TeamReport(msgspec.Struct, frozen=True, array_like=True):
    """What a team reached, by the game's word. Without a ranking it is 0: the scores say it."""

    team_id: str
    score: int
    ranking: int
    has_forfeited: bool


class Report(msgspec.Struct, frozen=True, array_like=True):
    """A result as it is reported."""

    participants: tuple[UserScore, ...] = ()
    teams: tuple[TeamReport, ...] = ()


class Verdict(IntEnum):
    """What a report is."""

    ACCEPTED = 1
    """It counts: the first, or a repeat of it."""
    CONTRADICTED = 2
    """Another one came before, and counts."""


class Heard(msgspec.Struct, frozen=True):
    """What a report makes of a match."""

    match: Match
    verdict: Verdict


def reported(match: Match, report: Report, *, now_ms: int) -> Heard | EngineError:
    """Return what a report makes of a match, or why it cannot be taken. The match is advanced to now."""
    if match.terms.is_synchronous:
        return _reported_whole(match, report, now_ms=now_ms)
    return _submitted(match, report, now_ms=now_ms)


def with_result(match: Match, result: tuple[TeamResult, ...], *, now_ms: int) -> Match:
    """Return a live match with its result, and what each player is due of the pot. If all have forfeited it is aborted."""
    if all(team.rank is None for team in result):
        return closed(match, MatchEvent.ABORT, now_ms=now_ms, abort_reason=AbortReason.ALL_FORFEITED, result=result)
    pot_micros = match.terms.entry_fee_micros * len(taken(match))
    fee_micros = fee_of(pot_micros, match.terms.fee_basis_points)
    members: dict[str, list[str]] = {}
    for seat in taken(match):
        members.setdefault(seat.team_id, []).append(seat.user_id)
    standings = [Standing(tuple(members[team.team_id]), team.rank) for team in result]
    due = payouts(match.terms.payout, pot_micros - fee_micros, standings)
    seats = tuple(
        replace(seat, payout_micros=due.get(seat.user_id, 0)) if seat.state is SeatState.PAID else seat for seat in match.seats
    )
    finished = move(match, MatchEvent.FINISH, seats=seats, result=result, fee_micros=fee_micros, closed_ms=now_ms)
    assert finished is not None, "only a live match gets a result"
    return progressed(_nothing_due(finished), now_ms=now_ms)


def result_of_submissions(match: Match) -> tuple[TeamResult, ...]:
    """Return how the teams of an asynchronous game came out: by their members' best scores. Who sent none has forfeited."""
    best: dict[str, list[int]] = {team_id: [] for team_id in team_ids(match)}
    for seat in taken(match):
        best[seat.team_id] += [max(seat.scores)] if seat.scores else []
    scores = [(team_id, min(sum(reached), SCORE_MAX) if reached else None) for team_id, reached in best.items()]
    return _by_score(scores)


def _reported_whole(match: Match, report: Report, *, now_ms: int) -> Heard | EngineError:
    problems = _problems(match, report)
    if match.state is not MatchState.LIVE and not match.report_sha256:
        return _not_live(match)
    digest = _digest(report)
    if match.report_sha256:
        return Heard(match, Verdict.ACCEPTED) if match.report_sha256 == digest else _contradicted(match)
    if problems:
        return BadRequest(problems)
    scores = tuple((each.user_id, each.score) for each in report.participants)
    noted = replace(match, report=scores, report_sha256=digest)
    return Heard(with_result(noted, _ranked(match, report), now_ms=now_ms), Verdict.ACCEPTED)


def _submitted(match: Match, report: Report, *, now_ms: int) -> Heard | EngineError:
    problems = _unknown(match, report)
    if report.teams:
        problems["teams"] = "expected none: an asynchronous game reports one score of each player"
    if not report.participants:
        problems["participants"] = "is required"
    if problems:
        return BadRequest(problems)
    verdict, after = Verdict.ACCEPTED, match
    for each in report.participants:
        seat = seat_of(after, each.user_id)
        assert seat is not None, "checked before"
        if each.score in seat.scores:
            continue
        if _is_played(after) and submissions_left(after, seat):
            after = with_seat(after, replace(seat, scores=(*seat.scores, each.score)))
        elif seat.scores or match.result:
            verdict = Verdict.CONTRADICTED
        else:
            return _not_live(match)
    if after is not match:
        after = finished_if_all_played(after, now_ms=now_ms)
    if verdict is Verdict.CONTRADICTED:
        return _contradicted(after)
    return Heard(after, verdict)


def finished_if_all_played(match: Match, *, now_ms: int) -> Match:
    """Return a live match of an asynchronous game with its result, if no player has a score left to send."""
    if match.state is not MatchState.LIVE or match.terms.is_synchronous:
        return match
    if any(submissions_left(match, seat) for seat in taken(match)):
        return match
    return with_result(match, result_of_submissions(match), now_ms=now_ms)


def _is_played(match: Match) -> bool:
    """Whether scores are taken: in a tournament from the time on when players join."""
    is_pending = match.terms.is_tournament and match.state in (MatchState.CREATED, MatchState.STARTING)
    return match.state is MatchState.LIVE or is_pending


def _not_live(match: Match) -> WrongMatchState:
    return WrongMatchState("the match takes no result: it is not live", state=match.state.name)


def _contradicted(match: Match) -> Heard:
    return Heard(replace(match, contradictions=min(match.contradictions + 1, CONTRADICTIONS_MAX)), Verdict.CONTRADICTED)


def _digest(report: Report) -> bytes:
    """Return what two reports share that say the same, in whatever order."""
    parts = (sorted(report.participants, key=_user), sorted(report.teams, key=lambda team: team.team_id))
    return hashlib.sha256(msgspec.msgpack.encode(parts)).digest()


def _user(each: UserScore) -> str:
    return each.user_id


def _unknown(match: Match, report: Report) -> dict[str, str]:
    """Return what is wrong with who is named in a report."""
    users, found = [each.user_id for each in report.participants], {}
    known = {seat.user_id for seat in taken(match)}
    if len(set(users)) < len(users):
        found["participants"] = "expected each participant once"
    elif not known.issuperset(users):
        found["participants"] = "expected participants of the match"
    return found


def _problems(match: Match, report: Report) -> dict[str, str]:
    """Return what is wrong with a whole result, by field."""
    found, teams = _unknown(match, report), [team.team_id for team in report.teams]
    if teams:
        if len(set(teams)) < len(teams) or set(teams) != set(team_ids(match)):
            found["teams"] = "expected all teams of the match, each once"
        rankings = [team.ranking for team in report.teams if not team.has_forfeited]
        if any(rankings) and not all(rankings):
            found["teams.ranking"] = "expected a ranking of each team that has not forfeited, or of none"
    elif {each.user_id for each in report.participants} != {seat.user_id for seat in taken(match)}:
        found.setdefault("participants", "expected all participants of the match, or its teams")
    if any(not 0 <= team.ranking <= RANK_MAX for team in report.teams):
        found["teams.ranking"] = f"expected 1 to {RANK_MAX}, the lower the better"
    return found


def _ranked(match: Match, report: Report) -> tuple[TeamResult, ...]:
    """Return how the teams came out by a report that is whole."""
    if not report.teams:
        reached = {each.user_id: each.score for each in report.participants}
        sums: dict[str, int] = {}
        for seat in taken(match):
            sums[seat.team_id] = sums.get(seat.team_id, 0) + reached[seat.user_id]
        bounded = {team_id: max(-SCORE_MAX - 1, min(score, SCORE_MAX)) for team_id, score in sums.items()}
        return _by_score(list(bounded.items()))
    if not any(team.ranking for team in report.teams):
        ranked = _by_score([(team.team_id, None if team.has_forfeited else team.score) for team in report.teams])
        scores = {team.team_id: team.score for team in report.teams}
        return tuple(replace(team, score=scores[team.team_id]) for team in ranked)
    rankings = [None if team.has_forfeited else team.ranking for team in report.teams]
    places = _places([ranking for ranking in rankings if ranking is not None])
    return tuple(
        TeamResult(team_id=team.team_id, score=team.score, rank=None if ranking is None else places[ranking])
        for team, ranking in zip(report.teams, rankings, strict=True)
    )


def _by_score(scores: Sequence[tuple[str, int | None]]) -> tuple[TeamResult, ...]:
    """Rank teams by score, the higher the better; without one they have forfeited."""
    places = _places([-score for _, score in scores if score is not None])
    return tuple(
        TeamResult(team_id=team_id, score=score or 0, rank=None if score is None else places[-score])
        for team_id, score in scores
    )


def _places(values: Sequence[int]) -> dict[int, int]:
    """Return the rank of each value, the lowest first: as many as are better, and one. Those that are equal share it."""
    ordered = sorted(values)
    return {value: ordered.index(value) + 1 for value in ordered}


def _nothing_due(match: Match) -> Match:
    """Return a finished match whose players without a payout have what is due to them."""
    seats = tuple(
        replace(seat, state=SeatState.SETTLED) if seat.state is SeatState.PAID and not seat.payout_micros else seat
        for seat in match.seats
    )
    return replace(match, seats=seats)
