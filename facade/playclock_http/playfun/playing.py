"""The calls of players' clients, which show a session token."""

from typing import Final, Literal

from playclock.v1 import points_service_pb2 as pb
from playclock.v1.points_service_pb2_grpc import PointsServiceStub

from playclock_http.endpoint import Handler, Reply
from playclock_http.incoming import Incoming
from playclock_http.playfun import playing_schemas as schemas
from playclock_http.playfun.door import Door
from playclock_http.playfun.envelope import success
from playclock_http.playfun.point_schemas import Streak
from playclock_http.upstream import Upstream

_BODY_BYTES_MAX: Final = 8 * 1024


class Playing:
    """The handlers of the calls of players' clients."""

    def __init__(self, upstream: Upstream, door: Door) -> None:
        self._points = PointsServiceStub(upstream.channel)
        self._deadline_sec = upstream.deadline_sec
        self._door = door

    def handlers(self) -> dict[str, dict[str, Handler]]:
        """Return the handlers by path and method."""
        return {
            "/play/get-points": {"GET": self.points},
            "/play/streak": {"GET": self.streak},
            "/play/session-state": {"GET": self.state},
            "/play/flush": {"POST": self.flush},
            "/play/commit": {"POST": self.commit},
        }

    async def points(self, incoming: Incoming) -> Reply:
        """Show the player's points."""
        token = await self._door.player(incoming)
        answer = await self._points.GetPlayerPoints(
            pb.GetPlayerPointsRequest(player_token=token),
            timeout=self._deadline_sec,
            metadata=self._door.everybody(incoming),
        )
        return success(schemas.OwnPoints(str(answer.points)))

    async def state(self, incoming: Incoming) -> Reply:
        """Say where the client is."""
        token = await self._door.player(incoming)
        answer = await self._points.GetSessionState(
            pb.GetSessionStateRequest(player_token=token),
            timeout=self._deadline_sec,
            metadata=self._door.everybody(incoming),
        )
        return success(schemas.SessionState(answer.sequence, answer.hash, answer.step_key, answer.total_points))

    async def flush(self, incoming: Incoming) -> Reply:
        """Take points that the client reports."""
        token = await self._door.player(incoming)
        body = incoming.decode(await incoming.body(at_most=_BODY_BYTES_MAX), schemas.Flush)
        answer = await self._points.FlushPoints(
            pb.FlushPointsRequest(
                player_token=token, sequence=body.seq, points=body.points, prev_hash=body.prev_hash, proof=body.proof
            ),
            timeout=self._deadline_sec,
            metadata=self._door.everybody(incoming),
        )
        flushed = schemas.Flushed(
            seq=answer.sequence,
            new_hash=answer.hash,
            next_step_key=answer.step_key,
            total=answer.total_points,
            added=answer.added_points,
            duplicate=answer.is_repeat,
        )
        return success(flushed)

    async def commit(self, incoming: Incoming) -> Reply:
        """Save what the client has reported."""
        token = await self._door.player(incoming)
        body = incoming.decode(await incoming.body(at_most=_BODY_BYTES_MAX), schemas.Commit)
        answer = await self._points.CommitPoints(
            pb.CommitPointsRequest(player_token=token, sequence=body.seq, prev_hash=body.prev_hash),
            timeout=self._deadline_sec,
            metadata=self._door.everybody(incoming),
        )
        status: Literal["accepted", "pending_review"] = "pending_review" if answer.is_risky else "accepted"
        return success(schemas.Committed(saved=True, status=status, risk_score=answer.risk_pct / 100))

    async def streak(self, incoming: Incoming) -> Reply:
        """Show the player's streak."""
        token = await self._door.player(incoming)
        answer = await self._points.GetPlayerStreak(
            pb.GetPlayerStreakRequest(player_token=token),
            timeout=self._deadline_sec,
            metadata=self._door.everybody(incoming),
        )
        return success(Streak(answer.today, answer.streak))
