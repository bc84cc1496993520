"""Points as a game's servers save them, and what is told of them: sums, leaderboards, streaks.

All of a game lies in the game's partition, so a batch is one commit: all of it is saved or nothing, caps hold whoever else
saves at the same time, and the leaderboard is right in the same moment.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Final

import msgspec

from playclock.core import points as core
from playclock.core.catalog import Game
from playclock.core.fields import request_id_problem
from playclock.core.identifiers import Identifier, parse
from playclock.core.ids import answer_key, leaders_key, points_key
from playclock.core.points import Caps, Leader, Leaders, Over, PlayerPoints, Streak
from playclock.core.records import Answer
from playclock.core.rewards import unresolvable
from playclock.engine import requests
from playclock.engine.audit import audit
from playclock.engine.callers import Caller, Role
from playclock.engine.context import Context
from playclock.engine.games import acts_for, game_named, known_game, own_game
from playclock.engine.players import Players
from playclock.engine.records import ANSWERS, LEADERS, POINTS
from playclock.engine.work import Work
from playclock.errors import BadRequest, PointsExceeded

ENTRIES_MAX: Final = 1_000
"""How many entries a batch may have."""
LEADERS_DEFAULT: Final = 10
SMALL_MAX: Final = 16
"""How many entries a batch may have that shares its commit with others."""

_SAVED: Final = b"saved"
"""The first answer to a request id: what else a repeat hears follows from its contents."""


class Entry(msgspec.Struct, frozen=True, gc=False):
    """Points of one player."""

    player: str
    """In any of the documented forms."""
    points: int


class _Batch(msgspec.Struct, frozen=True):
    """Entries that are saved together."""

    game_id: str
    entries: Sequence[Entry]
    named: Sequence[Identifier]
    """Whom each names."""
    request_id: str


class Standing(msgspec.Struct, frozen=True, gc=False):
    """What a player has in a game."""

    player_id: str
    points: int
    """Of today."""
    total: int


class Points:
    """Saves points and tells of them."""

    def __init__(self, context: Context, players: Players) -> None:
        self._context = context
        self._players = players
        self._saving: dict[int, asyncio.Lock] = {}

    async def save(self, caller: Caller, game_id: str, entries: Sequence[Entry], *, request_id: str = "") -> Mapping[str, str]:
        """Add points, all of them or none, once for each request id. Returns the UUID of each player as it was named.

        A developer who has one game may name it by his own id.

        Raises BadRequest, GameNotFound, PermissionDenied, PointsExceeded, RequestIdReused, StoreAway, TooMuchContention.
        """
        game_id = game_named(self._context, caller, game_id)
        own_game(self._context, caller, game_id, opens=True)
        problem = request_id_problem(request_id)
        if problem:
            raise BadRequest({"request_id": problem})
        named = _named(entries)
        await self._players.take_in(named)
        if request_id:
            contents = ["BatchSavePoints", game_id]
            for entry in entries:
                contents += (entry.player, str(entry.points))
            await requests.claim(self._context, caller, request_id, contents)
        partition = int(game_id[:2], 16)
        batch = _Batch(game_id, entries, named, request_id)
        async with self._turn(partition, len(entries)):
            try:
                is_new = await self._context.turns.decide(
                    partition,
                    self._context.clock.now_ms(),
                    lambda work: self._save(work, caller, batch),
                )
            except PointsExceeded as error:
                self._context.counts.exceed(error.metadata["cap"])
                raise
        self._context.counts.points_saved += len(entries) if is_new else 0
        return {entry.player: identifier.player_id for entry, identifier in zip(entries, named, strict=True)}

    async def get(self, caller: Caller, game_id: str, player: str) -> Standing:
        """Return what a player has in a game. Raises BadRequest, GameNotFound, PermissionDenied, StoreAway."""
        identifier = self._player(caller, game_id, player)
        return await self.standing(game_id, identifier.player_id)

    async def streak(self, caller: Caller, game_id: str, player: str) -> Streak:
        """Return a player's streak in a game. Raises BadRequest, GameNotFound, PermissionDenied, StoreAway."""
        identifier = self._player(caller, game_id, player)
        return await self.streak_of(game_id, identifier.player_id)

    async def standing(self, game_id: str, player_id: str) -> Standing:
        """Return what a player has in a game, whoever asks. Raises StoreAway."""
        points, now_ms = await self._points(game_id, player_id), self._context.clock.now_ms()
        today = core.points_on(points, core.day_of(now_ms))
        return Standing(player_id, today.points, points.total)

    async def streak_of(self, game_id: str, player_id: str) -> Streak:
        """Return a player's streak in a game, whoever asks. Raises StoreAway."""
        return core.streak(await self._points(game_id, player_id), self._context.clock.now_ms())

    async def leaders(self, caller: Caller, game_id: str, *, limit: int = 0, date: str = "") -> tuple[str, Sequence[Leader]]:
        """Return a day, today where none is named, and who led on it, best first: ten where no `limit` is set.

        Raises BadRequest, GameNotFound, PermissionDenied, StoreAway.
        """
        own_game(self._context, caller, game_id)
        now_ms = self._context.clock.now_ms()
        number = core.day_named(date) if date else core.day_of(now_ms)
        if number is None:
            raise BadRequest({"date": "expected a day such as 2026-01-31"})
        if not 0 <= limit <= core.LEADERS_MAX:
            raise BadRequest({"limit": f"expected 1 to {core.LEADERS_MAX}"})
        if now_ms >= self._kept_until_ms(number):
            return core.name_of_day(number), ()
        ((_, found),) = await self._context.records.load([leaders_key(game_id, number)], fresh=True)
        leaders = () if found is None else LEADERS.checked(found).leaders
        return core.name_of_day(number), leaders[: limit or LEADERS_DEFAULT]

    def _turn(self, partition: int, number: int) -> AbstractAsyncContextManager[object]:
        """Let large batches of a partition in one after another: many of them in one commit would hold the store up."""
        return nullcontext() if number <= SMALL_MAX else self._saving.setdefault(partition, asyncio.Lock())

    async def _save(self, work: Work, caller: Caller, batch: _Batch) -> bool:
        """Save a batch, and return whether it was not saved before."""
        context, day, game_id = self._context, core.day_of(work.now_ms), batch.game_id
        answers_at = answer_key(work.partition, requests.name_of(caller), batch.request_id)
        leaders_at = leaders_key(game_id, day)
        keys = {identifier.player_id: points_key(game_id, identifier.player_id) for identifier in batch.named}
        # Afresh: that a cap would be exceeded is an answer that no commit would check.
        await work.prefetch(*([answers_at] if batch.request_id else []), leaders_at, *keys.values(), fresh=True)
        if batch.request_id and await work.read(ANSWERS, answers_at) is not None:
            return False
        before = {player_id: await self._read(work, key) for player_id, key in keys.items()}
        after = _added(before, batch.entries, batch.named, caps_of(known_game(context, game_id, opens=True)), work.now_ms)
        if isinstance(after, PointsExceeded):
            raise after
        await self.gain(work, game_id, before, after)
        if batch.request_id:
            until_ms = work.now_ms + context.timers.tombstone_retention_ms
            work.write(answers_at, Answer(_SAVED), retain_until_ms=until_ms)
        audit(context, work, caller, "BatchSavePoints", f"game/{game_id}", detail=f"{len(batch.entries)} entries")
        return True

    async def gain(
        self, work: Work, game_id: str, before: Mapping[str, PlayerPoints], after: Mapping[str, PlayerPoints]
    ) -> Leaders:
        """Write players' points, and bring the day's leaderboard up to date, which is returned. All were read afresh before."""
        day = core.day_of(work.now_ms)
        leaders_at = leaders_key(game_id, day)
        for player_id, points in after.items():
            retain_until_ms = work.now_ms + self._context.timers.points_retention_ms
            work.write(points_key(game_id, player_id), points, retain_until_ms=retain_until_ms)
        gained = [
            Leader(player_id, core.points_on(points, day).points, work.now_ms)
            for player_id, points in after.items()
            if points.total > before[player_id].total
        ]
        leaders = await work.read(LEADERS, leaders_at) or Leaders(())
        ranked = core.led(leaders, gained)
        if ranked != leaders:
            work.write(leaders_at, ranked, retain_until_ms=self._kept_until_ms(day))
        return ranked

    async def read(self, work: Work, game_id: str, player_id: str) -> PlayerPoints:
        """Return what is remembered of a player."""
        return await self._read(work, points_key(game_id, player_id))

    async def _read(self, work: Work, key: str) -> PlayerPoints:
        found = await work.read(POINTS, key)
        return core.remembered(found, now_ms=work.now_ms, retention_ms=self._context.timers.points_retention_ms)

    async def _points(self, game_id: str, player_id: str) -> PlayerPoints:
        ((_, found),) = await self._context.records.load([points_key(game_id, player_id)], fresh=True)
        points = None if found is None else POINTS.checked(found)
        retention_ms = self._context.timers.points_retention_ms
        return core.remembered(points, now_ms=self._context.clock.now_ms(), retention_ms=retention_ms)

    def _player(self, caller: Caller, game_id: str, player: str) -> Identifier:
        """Return of whom the caller may ask: a developer of himself in any game, and of others in his own."""
        identifier = named_player(player)
        game = known_game(self._context, game_id)
        if not acts_for(caller, game) and caller.role is Role.DEVELOPER and caller.id == identifier.player_id:
            known_game(self._context, game_id, opens=True)
        else:
            own_game(self._context, caller, game_id)
        return identifier

    def _kept_until_ms(self, day: int) -> int:
        return (day + 1) * core.DAY_MS + self._context.timers.points_retention_ms


def caps_of(game: Game) -> Caps:
    """Return what a game allows each of its players."""
    return Caps(
        max_score_per_session=game.max_score_per_session,
        max_sessions_per_day=game.max_sessions_per_day,
        max_cumulative_points_per_day=game.max_cumulative_points_per_day,
    )


def named_player(text: str) -> Identifier:
    """Return whom a request names. Raises BadRequest with the documented message."""
    identifier = parse(text)
    if identifier is None:
        raise BadRequest({"player": next(iter(unresolvable(text).violations.values()))})
    return identifier


def exceeded(over: Over, *, player: str, entry: int | None = None) -> PointsExceeded:
    """Return what is told where a cap would be exceeded."""
    where = "" if entry is None else f"entry {entry}: "
    sentence = f"{where}{over.value} would exceed {over.cap} of {over.maximum}"
    return PointsExceeded(sentence, cap=over.cap, maximum=over.maximum, value=over.value, player=player, entry=entry)


def _named(entries: Sequence[Entry]) -> list[Identifier]:
    if not 1 <= len(entries) <= ENTRIES_MAX:
        raise BadRequest({"entries": f"expected 1 to {ENTRIES_MAX}"})
    named = []
    for index, entry in enumerate(entries):
        identifier = parse(entry.player)
        if identifier is None:
            sentence = next(iter(unresolvable(entry.player).violations.values()))
            raise BadRequest({f"entries[{index}].player": sentence})
        if not 0 <= entry.points <= core.POINTS_MAX:
            raise BadRequest({f"entries[{index}].points": f"expected 0 to {core.POINTS_MAX}"})
        named.append(identifier)
    return named


def _added(
    before: Mapping[str, PlayerPoints], entries: Sequence[Entry], named: Sequence[Identifier], caps: Caps, now_ms: int
) -> dict[str, PlayerPoints] | PointsExceeded:
    """Return everybody's points with the entries added, or the first entry that is too much."""
    after = dict(before)
    for index, (entry, identifier) in enumerate(zip(entries, named, strict=True)):
        added = core.add(after[identifier.player_id], entry.points, caps=caps, now_ms=now_ms)
        if isinstance(added, Over):
            return exceeded(added, player=entry.player, entry=index)
        after[identifier.player_id] = added
    return after
