"""PointsService: messages to the engine and back."""

from typing import Final

from playclock.core.chain import Report
from playclock.core.points import Leader, PlayerSession
from playclock.core.risk import RiskReason
from playclock.engine import Engine
from playclock.engine.playing import Playing
from playclock.engine.points import Entry
from playclock.engine.reports import Reports, is_risky
from playclock.engine.risk import RiskySessions
from playclock.rpc.call import Call
from playclock.rpc.fields import check
from playclock.rpc.messages import timestamp
from playclock.v1 import points_service_pb2 as pb

TOKEN_MAX: Final = 255

_REASONS: Final = {reason: pb.RiskReason.Value(f"RISK_REASON_{reason}") for reason in RiskReason}


class PointsServicer:
    """Translates for developers and for facades."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._playing = Playing(engine.player_sessions, engine.points)
        self._reports = Reports(engine.context, engine.points)
        self._risky_sessions = RiskySessions(engine.context, engine.player_sessions)

    async def BatchSavePoints(self, request: pb.BatchSavePointsRequest, call: Call) -> pb.BatchSavePointsResponse:
        """Add points."""
        entries = [Entry(entry.player, entry.points) for entry in request.entries]
        player_ids = await self._engine.points.save(
            call.caller, request.game_id, entries, request_id=call.request_id(request.request_id)
        )
        return pb.BatchSavePointsResponse(saved_count=len(entries), player_ids=player_ids)

    async def GetPoints(self, request: pb.GetPointsRequest, call: Call) -> pb.GetPointsResponse:
        """Show a player's points."""
        standing = await self._engine.points.get(call.caller, request.game_id, request.player)
        return pb.GetPointsResponse(player_id=standing.player_id, points=standing.points, total_points=standing.total)

    async def GetLeaderboard(self, request: pb.GetLeaderboardRequest, call: Call) -> pb.GetLeaderboardResponse:
        """Show who led on a day."""
        date, leaders = await self._engine.points.leaders(call.caller, request.game_id, limit=request.limit, date=request.date)
        entries = [_leader_message(rank, leader) for rank, leader in enumerate(leaders, start=1)]
        return pb.GetLeaderboardResponse(date=date, entries=entries)

    async def IssueSessionToken(self, request: pb.IssueSessionTokenRequest, call: Call) -> pb.IssueSessionTokenResponse:
        """Begin a player's session."""
        session, token = await self._engine.player_sessions.issue(
            call.caller, request.game_id, request.player, request_id=call.request_id(request.request_id)
        )
        return pb.IssueSessionTokenResponse(session=_session_message(session), player_token=token)

    async def ValidateSessionToken(
        self, request: pb.ValidateSessionTokenRequest, call: Call
    ) -> pb.ValidateSessionTokenResponse:
        """Say what a token is good for."""
        token = _token(request.player_token)
        session = await self._engine.player_sessions.validate(call.caller, token)
        if session is None:
            return pb.ValidateSessionTokenResponse(is_valid=False)
        return pb.ValidateSessionTokenResponse(is_valid=True, session=_session_message(session))

    async def InvalidateSessions(self, request: pb.InvalidateSessionsRequest, call: Call) -> pb.InvalidateSessionsResponse:
        """End sessions before their time."""
        ended = await self._engine.player_sessions.invalidate(call.caller, request.game_id, request.session_ids)
        return pb.InvalidateSessionsResponse(session_ids=ended)

    async def ListPlayerSessions(self, request: pb.ListPlayerSessionsRequest, call: Call) -> pb.ListPlayerSessionsResponse:
        """List a game's sessions that go on."""
        sessions, token = await self._engine.player_sessions.page(
            call.caller, request.game_id, page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListPlayerSessionsResponse(sessions=map(_session_message, sessions), next_page_token=token)

    async def ListRiskySessions(self, request: pb.ListRiskySessionsRequest, call: Call) -> pb.ListRiskySessionsResponse:
        """List a game's sessions that somebody should look at."""
        risky, token = await self._risky_sessions.page(
            call.caller, request.game_id, page_size=request.page_size, page_token=request.page_token
        )
        return pb.ListRiskySessionsResponse(
            sessions=[
                pb.RiskySession(
                    session=_session_message(session),
                    risk_pct=risk.score_pct,
                    reasons=[_REASONS[reason] for reason in risk.reasons],
                )
                for session, risk in risky
            ],
            next_page_token=token,
        )

    async def GetPlayerPoints(self, request: pb.GetPlayerPointsRequest, call: Call) -> pb.GetPlayerPointsResponse:  # noqa: ARG002
        """Show the points of whoever has a token."""
        standing = await self._playing.points(_token(request.player_token))
        return pb.GetPlayerPointsResponse(points=standing.points, total_points=standing.total)

    async def GetPlayerStreak(self, request: pb.GetPlayerStreakRequest, call: Call) -> pb.GetPlayerStreakResponse:  # noqa: ARG002
        """Show the streak of whoever has a token."""
        streak = await self._playing.streak(_token(request.player_token))
        return pb.GetPlayerStreakResponse(today=streak.today, streak=streak.days)

    async def GetSessionState(self, request: pb.GetSessionStateRequest, call: Call) -> pb.GetSessionStateResponse:  # noqa: ARG002
        """Say where a player's client is."""
        step = await self._reports.state(_token(request.player_token))
        return pb.GetSessionStateResponse(
            sequence=step.chain.sequence, hash=step.chain.hash, step_key=step.next_key, total_points=step.chain.total
        )

    async def FlushPoints(self, request: pb.FlushPointsRequest, call: Call) -> pb.FlushPointsResponse:  # noqa: ARG002
        """Take a report."""
        report = Report(request.sequence, request.points, request.prev_hash, request.proof)
        step = await self._reports.flush(_token(request.player_token), report)
        return pb.FlushPointsResponse(
            sequence=step.chain.sequence,
            hash=step.chain.hash,
            step_key=step.next_key,
            total_points=step.chain.total,
            added_points=step.chain.added,
            is_repeat=step.is_repeat,
        )

    async def CommitPoints(self, request: pb.CommitPointsRequest, call: Call) -> pb.CommitPointsResponse:  # noqa: ARG002
        """Save what was reported."""
        chain = await self._reports.commit(_token(request.player_token), request.sequence, request.prev_hash)
        return pb.CommitPointsResponse(risk_pct=chain.risk_pct, is_risky=is_risky(chain))

    async def GetStreak(self, request: pb.GetStreakRequest, call: Call) -> pb.GetStreakResponse:
        """Show a player's streak."""
        streak = await self._engine.points.streak(call.caller, request.game_id, request.player)
        return pb.GetStreakResponse(today=streak.today, streak=streak.days)


def _session_message(session: PlayerSession) -> pb.PlayerSession:
    return pb.PlayerSession(
        id=session.id,
        game_id=session.game_id,
        player=session.player,
        player_id=session.player_id,
        create_time=timestamp(session.issued_ms),
        expire_time=timestamp(session.expires_ms),
    )


def _token(text: str) -> str:
    """Return a text that may be a player's token. Raises BadRequest."""
    check(player_token=None if 0 < len(text) <= TOKEN_MAX else f"expected 1 to {TOKEN_MAX} characters")
    return text


def _leader_message(rank: int, leader: Leader) -> pb.LeaderboardEntry:
    return pb.LeaderboardEntry(
        rank=rank, player_id=leader.player_id, points=leader.points, reach_time=timestamp(leader.reached_ms)
    )
