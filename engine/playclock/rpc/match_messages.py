"""Matches as messages, and their terms and reports as the core has them."""

from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from playclock.core import match as core
from playclock.core.match import AbortReason, MatchState, SeatState, Terms, submissions_left
from playclock.core.match_news import MatchHappening, MatchNews
from playclock.core.match_token import Status
from playclock.core.payout import PayoutKind, PayoutRule
from playclock.core.results import Report, TeamReport, UserScore
from playclock.rpc.messages import timestamp
from playclock.v1 import match_service_pb2 as pb

STATES: Final = {state: pb.Match.State.Value(f"STATE_{state.name}") for state in MatchState}
SEAT_STATES: Final = {state: pb.MatchPlayer.State.Value(f"STATE_{state.name}") for state in SeatState}
ABORT_REASONS: Final = {reason: pb.Match.AbortReason.Value(f"ABORT_REASON_{reason.name}") for reason in AbortReason}
STATUSES: Final = {status: pb.InspectMatchTokenResponse.Status.Value(f"STATUS_{status.name}") for status in Status}
KINDS: Final = {happening: pb.MatchEvent.Kind.Value(f"KIND_{happening.name}") for happening in MatchHappening}
PAYOUT_KINDS: Final = {kind: pb.PayoutRule.Kind.Value(f"KIND_{kind.name}") for kind in PayoutKind}
_STATES: Final[dict[int, MatchState]] = {number: state for state, number in STATES.items()}
_KINDS: Final = {number: kind for kind, number in PAYOUT_KINDS.items()} | {0: PayoutKind.WINNER_TAKES_ALL}


def state_problem(state: int) -> str | None:
    """Say what is wrong with a state to filter by, or None."""
    return None if state in (0, *_STATES) else "is not known"


def state_of(state: int) -> MatchState | None:
    """Return the state to filter by; None for all."""
    return _STATES.get(state)


def kind_problem(rule: pb.PayoutRule) -> str | None:
    """Say what is wrong with the kind of a payout rule, or None."""
    return None if rule.kind in _KINDS else "is not known"


def terms_of(message: pb.MatchTerms) -> Terms:
    """Return a match's terms, with what goes without saying filled in. Their game is their client's."""
    players_min = message.players_min or 2
    return Terms(
        game_id=message.game_id,
        client_id=message.client_id,
        is_synchronous=message.synchronous,
        is_tournament=message.tournament,
        currency=message.currency,
        entry_fee_micros=message.entry_fee_micros,
        fee_basis_points=message.fee_basis_points,
        payout=PayoutRule(_KINDS[message.payout.kind], tuple(message.payout.weights)),
        players_min=players_min,
        players_max=message.players_max or players_min,
        submissions_total=message.submissions_total or 1,
        join_ms=message.join_sec * 1000,
        play_ms=message.play_sec * 1000,
    )


def report_of(request: pb.ReportResultRequest) -> Report:
    """Return a reported result."""
    return Report(
        participants=tuple(UserScore(each.user_id, each.score) for each in request.participants),
        teams=tuple(TeamReport(team.team_id, team.score, team.ranking, team.forfeit) for team in request.teams),
    )


def match_message(match: core.Match, *, shows_accounts: bool) -> pb.Match:
    """Return a match as it stands."""
    return pb.Match(
        match_id=match.id,
        terms=_terms_message(match.terms),
        state=STATES[match.state],
        abort_reason=pb.Match.ABORT_REASON_UNSPECIFIED if match.abort_reason is None else ABORT_REASONS[match.abort_reason],
        players=[_player_message(match, seat, shows_account=shows_accounts) for seat in match.seats],
        results=[pb.TeamResult(team_id=team.team_id, score=team.score, rank=team.rank or 0) for team in match.result],
        fee_micros=match.fee_micros,
        contradictions=match.contradictions,
        create_time=timestamp(match.created_ms),
        join_expire_time=timestamp(match.join_until_ms),
        start_time=_optional(match.starting_ms),
        live_time=_optional(match.live_ms),
        play_expire_time=_optional(match.play_until_ms),
        close_time=_optional(match.closed_ms),
        settle_time=_optional(match.settled_ms),
    )


def event_message(news: MatchNews, *, shows_accounts: bool) -> pb.MatchEvent:
    """Return an event of a match."""
    return pb.MatchEvent(
        kind=KINDS[news.happening],
        event_time=timestamp(news.at_ms),
        match=match_message(news.match, shows_accounts=shows_accounts),
    )


def _terms_message(terms: Terms) -> pb.MatchTerms:
    return pb.MatchTerms(
        client_id=terms.client_id,
        game_id=terms.game_id,
        synchronous=terms.is_synchronous,
        tournament=terms.is_tournament,
        currency=terms.currency,
        entry_fee_micros=terms.entry_fee_micros,
        fee_basis_points=terms.fee_basis_points,
        payout=pb.PayoutRule(kind=PAYOUT_KINDS[terms.payout.kind], weights=terms.payout.weights),
        players_min=terms.players_min,
        players_max=terms.players_max,
        submissions_total=terms.submissions_total,
        join_sec=terms.join_ms // 1000,
        play_sec=terms.play_ms // 1000,
    )


def _player_message(match: core.Match, seat: core.Seat, *, shows_account: bool) -> pb.MatchPlayer:
    return pb.MatchPlayer(
        user_id=seat.user_id,
        team_id=seat.team_id,
        account_id=seat.account_id if shows_account else "",
        state=SEAT_STATES[seat.state],
        scores=seat.scores,
        submissions_left=submissions_left(match, seat),
        payout_micros=seat.payout_micros,
    )


def _optional(ms: int | None) -> Timestamp | None:
    return None if ms is None else timestamp(ms)
