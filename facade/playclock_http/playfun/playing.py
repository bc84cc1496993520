"""The calls of players' clients, which show a session token."""

from playclock.v1 import points_service_pb2 as pb
from playclock.v1.points_service_pb2_grpc import PointsServiceStub

from playclock_http.endpoint import Handler, Reply
from playclock_http.incoming import Incoming
from playclock_http.playfun import playing_schemas as schemas
from playclock_http.playfun.door import Door
from playclock_http.playfun.envelope import success
from playclock_http.playfun.point_schemas import Streak
from playclock_http.upstream import Upstream


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

    async def streak(self, incoming: Incoming) -> Reply:
        """Show the player's streak."""
        token = await self._door.player(incoming)
        answer = await self._points.GetPlayerStreak(
            pb.GetPlayerStreakRequest(player_token=token),
            timeout=self._deadline_sec,
            metadata=self._door.everybody(incoming),
        )
        return success(Streak(answer.today, answer.streak))
