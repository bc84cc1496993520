"""Players' sessions in a game: a token begins one, and is good for half an hour. Of the token only its hash is kept."""

import secrets as randomness
from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core import points as core
from playclock.core.fields import request_id_problem
from playclock.core.ids import (
    answer_key,
    game_in,
    is_player_session_id,
    is_player_token,
    make_player_token,
    player_session_id_of,
    player_session_key,
    points_key,
)
from playclock.core.points import Over, PlayerSession
from playclock.core.records import Answer
from playclock.core.session import NEVER_MS
from playclock.engine import requests
from playclock.engine.audit import audit
from playclock.engine.callers import Caller
from playclock.engine.context import Context
from playclock.engine.games import acts_for, own_game
from playclock.engine.listing import LOOKED_AT_MAX, PAGE_DEFAULT, PAGE_MAX, Place, parse_place, print_place
from playclock.engine.players import Players
from playclock.engine.points import caps_of, exceeded, named_player
from playclock.engine.records import ANSWERS, PLAYER_SESSIONS, POINTS
from playclock.engine.work import Work
from playclock.errors import BadRequest, PointsExceeded
from playclock.stores.base import StoreUnavailable

INVALIDATED_MAX: Final = 100
"""How many sessions one call may invalidate."""

_SESSION: Final = msgspec.msgpack.Decoder(PlayerSession)


class PlayerSessions:
    """Issues players' session tokens and says what they are good for."""

    def __init__(self, context: Context, players: Players) -> None:
        self._context = context
        self._players = players

    async def issue(self, caller: Caller, game_id: str, player: str, *, request_id: str = "") -> tuple[PlayerSession, str]:
        """Begin a player's session, once for each request id, and return it with its token: in a repeat, with an empty one.

        Raises BadRequest, GameNotFound, PermissionDenied, PointsExceeded, RequestIdReused, StoreAway, TooMuchContention.
        """
        own_game(self._context, caller, game_id, opens=True)
        problem = request_id_problem(request_id)
        if problem:
            raise BadRequest({"request_id": problem})
        identifier = named_player(player)
        await self._players.take_in([identifier])
        if request_id:
            await requests.claim(self._context, caller, request_id, ("IssueSessionToken", game_id, player))
        context, partition, now_ms = self._context, int(game_id[:2], 16), self._context.clock.now_ms()
        token = make_player_token(game_id, randomness.token_bytes(16))
        session = PlayerSession(
            id=player_session_id_of(token),
            game_id=game_id,
            player=identifier.canonical,
            player_id=identifier.player_id,
            issued_ms=now_ms,
            expires_ms=now_ms + context.timers.player_token_ttl_ms,
        )
        answers_at = answer_key(partition, requests.name_of(caller), request_id)
        points_at = points_key(game_id, session.player_id)

        async def decision(work: Work) -> PlayerSession:
            await work.prefetch(*([answers_at] if request_id else []), points_at, fresh=True)
            if request_id and (first := await work.read(ANSWERS, answers_at)) is not None:
                return _SESSION.decode(first.data)
            retention_ms, known = context.timers.points_retention_ms, await work.read(POINTS, points_at)
            points = core.remembered(known, now_ms=now_ms, retention_ms=retention_ms)
            begun = core.begin_session(points, session, caps=caps_of(own_game(context, caller, game_id, opens=True)))
            if isinstance(begun, Over):
                raise exceeded(begun, player=player)
            work.write(points_at, begun, retain_until_ms=now_ms + retention_ms)
            work.write(
                player_session_key(game_id, session.id),
                session,
                due_ms=session.expires_ms,
                retain_until_ms=session.expires_ms,
            )
            if request_id:
                until_ms = now_ms + context.timers.tombstone_retention_ms
                work.write(answers_at, Answer(msgspec.msgpack.encode(session)), retain_until_ms=until_ms)
            audit(context, work, caller, "IssueSessionToken", f"game/{game_id}", detail=session.id)
            return session

        try:
            issued = await context.turns.decide(partition, now_ms, decision)
        except PointsExceeded as error:
            context.counts.exceed(error.metadata["cap"])
            raise
        if issued.id != session.id:
            return issued, ""
        context.counts.player_sessions += 1
        return issued, token

    async def validate(self, caller: Caller, token: str) -> PlayerSession | None:
        """Return the session that a token is good for; None for every other token, and for one of another developer's game.

        Raises StoreAway.
        """
        session = await self.living(token)
        return session if session is not None and acts_for(caller, self._context.catalog.games[session.game_id]) else None

    async def living(self, token: str) -> PlayerSession | None:
        """Return the session that a token is good for, whoever shows it; None for every other text. Raises StoreAway."""
        if not is_player_token(token):
            return None
        game = self._context.catalog.open_to_players(game_in(token))
        if game is None:
            return None
        key = player_session_key(game.id, player_session_id_of(token))
        ((_, found),) = await self._context.records.load([key], fresh=True)
        session = None if found is None else PLAYER_SESSIONS.checked(found)
        return session if session is not None and core.is_alive(session, self._context.clock.now_ms()) else None

    async def invalidate(self, caller: Caller, game_id: str, session_ids: Sequence[str]) -> list[str]:
        """End sessions of a game before their time, and return the ids of those that went on until now. Points stay.

        Raises BadRequest, GameNotFound, PermissionDenied, StoreAway, TooMuchContention.
        """
        own_game(self._context, caller, game_id)
        if not 1 <= len(session_ids) <= INVALIDATED_MAX:
            raise BadRequest({"session_ids": f"expected 1 to {INVALIDATED_MAX}"})
        for index, session_id in enumerate(session_ids):
            if not is_player_session_id(session_id):
                raise BadRequest({f"session_ids[{index}]": "expected the id of a player's session"})
        context, wanted = self._context, dict.fromkeys(session_ids)

        async def decision(work: Work) -> list[str]:
            keys = [player_session_key(game_id, session_id) for session_id in wanted]
            await work.prefetch(*keys, fresh=True)
            alive: list[PlayerSession] = []
            for key in keys:
                session = await work.read(PLAYER_SESSIONS, key)
                if session is not None and core.is_alive(session, work.now_ms):
                    alive.append(session)
            await work.prefetch(*{points_key(game_id, session.player_id) for session in alive}, fresh=True)
            for session in alive:
                await self._invalidate(work, session)
            if alive:
                audit(context, work, caller, "InvalidateSessions", f"game/{game_id}", detail=f"{len(alive)} sessions")
            return [session.id for session in alive]

        return await context.turns.decide(int(game_id[:2], 16), context.clock.now_ms(), decision)

    async def page(self, caller: Caller, game_id: str, *, page_size: int, page_token: str) -> tuple[list[PlayerSession], str]:
        """Return some of a game's living sessions, and the token of the next page, which is empty after the last.

        A page may be short, or empty, and yet not the last. Raises BadRequest, GameNotFound, PermissionDenied, StoreAway.
        """
        own_game(self._context, caller, game_id)
        if page_size < 0:
            raise BadRequest({"page_size": "must not be negative"})
        context, now_ms, partition = self._context, self._context.clock.now_ms(), int(game_id[:2], 16)
        after = parse_place(page_token).after if page_token else None
        left, looked_at = min(page_size or PAGE_DEFAULT, PAGE_MAX), 0
        prefix, found = player_session_key(game_id, ""), list[PlayerSession]()
        while left > len(found) and looked_at < LOOKED_AT_MAX:
            size = min(left - len(found), 200)
            try:
                due = await context.records.store.due(partition, NEVER_MS, size, after=after)
            except StoreUnavailable as error:
                raise context.records.away() from error
            keys = [entry.key for entry in due if entry.key.startswith(prefix)]
            for _, value in await context.records.load(keys, fresh=True):
                session = None if value is None else PLAYER_SESSIONS.checked(value)
                if session is not None and core.is_alive(session, now_ms):
                    found.append(session)
            if len(due) < size:
                return found, ""
            looked_at, after = looked_at + len(due), due[-1]
        return found, print_place(Place(partition, after))

    async def sweep(self, work: Work, key: str) -> None:
        """Take a session that is over out of the index of those that go on."""
        session = await work.read(PLAYER_SESSIONS, key)
        if session is not None:
            due_ms = session.expires_ms if core.is_alive(session, work.now_ms) else None
            work.write(key, session, due_ms=due_ms, retain_until_ms=session.expires_ms)

    async def _invalidate(self, work: Work, session: PlayerSession) -> None:
        ended = replace(session, invalidated_ms=work.now_ms)
        work.write(player_session_key(session.game_id, session.id), ended, due_ms=None, retain_until_ms=session.expires_ms)
        points_at = points_key(session.game_id, session.player_id)
        points = await work.read(POINTS, points_at)
        if points is not None and points.session_id == session.id:
            until_ms = points.changed_ms + self._context.timers.points_retention_ms
            work.write(points_at, core.end_session(points, session.id), retain_until_ms=until_ms)
