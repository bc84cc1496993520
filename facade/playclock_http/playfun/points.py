"""The points calls: points, leaderboards, streaks and players' sessions, for the developers of games."""

import re
from datetime import UTC
from typing import Final

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp
from playclock.v1 import points_service_pb2 as pb
from playclock.v1.points_service_pb2_grpc import PointsServiceStub

from playclock_http.endpoint import Endpoint, Reply
from playclock_http.incoming import Incoming
from playclock_http.playfun import point_schemas as schemas
from playclock_http.playfun import queries
from playclock_http.playfun.door import Door
from playclock_http.playfun.envelope import refuse, success
from playclock_http.timestamp import iso_ms
from playclock_http.upstream import Upstream

_MAX_BATCH_BYTES: Final = 512 * 1024
"""How long a batch may be: a thousand entries whose players are as long as they may be, with room for spaces."""
_NAME_MAX: Final = 320
_API_KEY: Final = re.compile(rb"\bapiKey=([0-9a-f-]{36})")


class PointsCalls:
    """The handlers of the points calls. All of them are signed."""

    def __init__(self, upstream: Upstream, door: Door) -> None:
        self._points = PointsServiceStub(upstream.channel)
        self._deadline_sec = upstream.deadline_sec
        self._door = door

    def endpoints(self) -> dict[str, Endpoint]:
        """Return the endpoints by path."""
        handlers = {
            "/play/dev/batch-save-points": {"POST": self.save},
            "/play/dev/points": {"GET": self.points},
            "/play/dev/points/{gameId}/{playerId}": {"GET": self.points},
            "/play/dev/leaderboard/{gameId}": {"GET": self.leaderboard},
            "/play/dev/validate-session-token": {"POST": self.validate},
            "/play/dev/invalidate-sessions": {"POST": self.invalidate},
            "/play/dev/sessions/{gameId}": {"GET": self.sessions},
            "/play/dev/risky-sessions/{gameId}": {"GET": self.risky_sessions},
            "/play/session-token": {"GET": self.session_token},
            "/games/streak": {"GET": self.streak},
        }
        return {path: Endpoint(by_method, refuse) for path, by_method in handlers.items()}

    async def save(self, incoming: Incoming) -> Reply:
        """Add points, once for each signature."""
        metadata = await self._door.developer(incoming)
        async with self._door.known(metadata):
            body = incoming.decode(await incoming.body(at_most=_MAX_BATCH_BYTES), schemas.PointsOrder)
        entries = [pb.PointsEntry(player=entry.player_id, points=int(entry.points)) for entry in body.points]
        answer = await self._points.BatchSavePoints(
            pb.BatchSavePointsRequest(game_id=body.game_api_key, entries=entries), timeout=self._deadline_sec, metadata=metadata
        )
        return success(schemas.PointsSaved(answer.saved_count, dict(answer.player_ids)))

    async def points(self, incoming: Incoming) -> Reply:
        """Show what a player has, who is named in the path or in the query."""
        metadata = await self._door.developer(incoming)
        async with self._door.known(metadata):
            named = incoming.path_parameters or incoming.query()
            game_id = queries.text(named, "gameId", at_most=64, required=True)
            player = queries.text(named, "playerId", at_most=_NAME_MAX, required=True)
        answer = await self._points.GetPoints(
            pb.GetPointsRequest(game_id=game_id, player=player), timeout=self._deadline_sec, metadata=metadata
        )
        found = schemas.PlayerPoints(player, answer.player_id, str(answer.points), str(answer.total_points))
        return success(schemas.PointsAnswer([found]))

    async def leaderboard(self, incoming: Incoming) -> Reply:
        """Show who led on a day."""
        metadata = await self._door.developer(incoming)
        async with self._door.known(metadata):
            query = incoming.query()
            limit = queries.number(query, "limit", 10, low=1, high=100)
            date = queries.text(query, "date", at_most=10, required="date" in query)
        answer = await self._points.GetLeaderboard(
            pb.GetLeaderboardRequest(game_id=incoming.path_parameters["gameId"], limit=limit, date=date),
            timeout=self._deadline_sec,
            metadata=metadata,
        )
        return success([schemas.Leader(entry.rank, entry.player_id, str(entry.points)) for entry in answer.entries])

    async def validate(self, incoming: Incoming) -> Reply:
        """Say what a token is good for."""
        metadata = await self._door.developer(incoming)
        async with self._door.known(metadata):
            body = incoming.decode(await incoming.body(), schemas.TokenToValidate)
        answer = await self._points.ValidateSessionToken(
            pb.ValidateSessionTokenRequest(player_token=body.session_token), timeout=self._deadline_sec, metadata=metadata
        )
        if not answer.is_valid:
            return success(schemas.TokenValidity(valid=False))
        session = answer.session
        return success(
            schemas.TokenValidity(valid=True, player_id=session.player, game_id=session.game_id, ogp_id=session.player_id)
        )

    async def invalidate(self, incoming: Incoming) -> Reply:
        """End sessions before their time."""
        metadata = await self._door.developer(incoming)
        async with self._door.known(metadata):
            body = incoming.decode(await incoming.body(), schemas.SessionsToEnd)
        answer = await self._points.InvalidateSessions(
            pb.InvalidateSessionsRequest(game_id=body.game_id, session_ids=body.session_ids),
            timeout=self._deadline_sec,
            metadata=metadata,
        )
        return success(schemas.SessionsEnded(len(answer.session_ids), list(answer.session_ids)))

    async def sessions(self, incoming: Incoming) -> Reply:
        """List a game's sessions that go on."""
        metadata = await self._door.developer(incoming)
        async with self._door.known(metadata):
            query = incoming.query()
            limit = queries.number(query, "limit", 100, low=1, high=1000)
            cursor = queries.text(query, "cursor", at_most=1024)
        answer = await self._points.ListPlayerSessions(
            pb.ListPlayerSessionsRequest(game_id=incoming.path_parameters["gameId"], page_size=limit, page_token=cursor),
            timeout=self._deadline_sec,
            metadata=metadata,
        )
        return success(schemas.SessionList([_listed(each) for each in answer.sessions], answer.next_page_token or None))

    async def risky_sessions(self, incoming: Incoming) -> Reply:
        """List a game's sessions that somebody should look at."""
        metadata = await self._door.developer(incoming)
        async with self._door.known(metadata):
            query = incoming.query()
            limit = queries.number(query, "limit", 100, low=1, high=1000)
            cursor = queries.text(query, "cursor", at_most=1024)
        answer = await self._points.ListRiskySessions(
            pb.ListRiskySessionsRequest(game_id=incoming.path_parameters["gameId"], page_size=limit, page_token=cursor),
            timeout=self._deadline_sec,
            metadata=metadata,
        )
        return success(schemas.RiskySessionList([_risky(each) for each in answer.sessions], answer.next_page_token or None))

    async def session_token(self, incoming: Incoming) -> Reply:
        """Begin a player's session for the developer's server, once for each signature."""
        metadata = await self._door.developer(incoming)
        async with self._door.known(metadata):
            query = incoming.query()
            game_id = queries.text(query, "gameId", at_most=64, required=True)
            player = queries.text(query, "playerId", at_most=_NAME_MAX, required=True)
        answer = await self._points.IssueSessionToken(
            pb.IssueSessionTokenRequest(game_id=game_id, player=player), timeout=self._deadline_sec, metadata=metadata
        )
        return success(schemas.SessionToken(answer.player_token, answer.session.player))

    async def streak(self, incoming: Incoming) -> Reply:
        """Show a player's streak; without a player, that of whoever signed."""
        metadata = await self._door.developer(incoming)
        async with self._door.known(metadata):
            query = incoming.query()
            game_id = queries.text(query, "gameId", at_most=64, required=True)
            player = queries.text(query, "playerId", at_most=_NAME_MAX) or _signer(incoming)
        answer = await self._points.GetStreak(
            pb.GetStreakRequest(game_id=game_id, player=player), timeout=self._deadline_sec, metadata=metadata
        )
        return success(schemas.Streak(answer.today, answer.streak))


def _signer(incoming: Incoming) -> str:
    """Return who says to have signed; whether he did, the engine says."""
    found = _API_KEY.search(incoming.header(b"authorization") or b"")
    return "" if found is None else found[1].decode("ascii")


def _listed(session: pb.PlayerSession) -> schemas.ListedSession:
    return schemas.ListedSession(
        id=session.id,
        player_id=session.player,
        ogp_id=session.player_id,
        game_id=session.game_id,
        created_at=_time(session.create_time),
        expires_at=_time(session.expire_time),
    )


def _risky(risky: pb.RiskySession) -> schemas.RiskySession:
    return schemas.RiskySession(
        **msgspec.structs.asdict(_listed(risky.session)),
        risk_score=risky.risk_pct / 100,
        risk_reasons=[pb.RiskReason.Name(reason).removeprefix("RISK_REASON_") for reason in risky.reasons],
    )


def _time(stamp: Timestamp) -> str:
    return iso_ms(stamp.ToDatetime(UTC))
