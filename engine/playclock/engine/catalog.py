"""The catalogue in force: read at the start, followed as others change it, written one game at a time."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from playclock.core.catalog import Game, game_key
from playclock.core.catalog_changes import (
    BUCKETS,
    REVISION_KEY,
    Bucket,
    Change,
    Edit,
    Ring,
    bucket_key,
    bucket_of,
    changed_since,
    edit,
    extended,
)
from playclock.core.catalog_index import Catalog
from playclock.core.codec import Codec, encode
from playclock.core.outbox import Audit
from playclock.core.records import Answer
from playclock.engine.context import Context
from playclock.errors import TooMuchContention
from playclock.stores.base import ABSENT, UNMOVED, Commit, Event, Put, Record, StoreUnavailable

ATTEMPTS_MAX: Final = 10
"""How often a change is tried anew before its caller is told that others are in the way."""
READ_MAX: Final = 500
"""How many games are asked for at once."""

_GAMES: Final = Codec(Game)
_BUCKETS: Final = Codec(Bucket)
_RINGS: Final = Codec(Ring)
_EMPTY: Final = Ring(0, ())
_DONE: Final = encode(Answer(b"done"))


class Decision(msgspec.Struct, frozen=True):
    """Games as they are to be, and what is told of it; none where nothing is to be done."""

    games: Sequence[Game] = ()
    told: Sequence[Audit] = ()
    puts: Sequence[Put] = ()
    """What else is written with them, in partition 0."""


class CatalogKeeper:
    """Keeps `Context.catalog` in step with the store."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._following = asyncio.Lock()

    async def refresh(self) -> None:
        """Take in what anybody has changed. Raises StoreAway."""
        (record,) = await self._get([REVISION_KEY])
        await self.follow(record)

    async def follow(self, record: Record | None) -> None:
        """Take in what anybody has changed, as the record at REVISION_KEY tells. Raises StoreAway."""
        if _version(record) == self._context.catalog.revision:
            return
        async with self._following:
            while True:
                known = self._context.catalog.revision
                (record,) = await self._get([REVISION_KEY])
                if _version(record) == known:
                    return
                changed = None if _version(record) < known else changed_since(_ring(record), known)
                if changed is not None:
                    self._context.catalog.take(await self._games(changed), _version(record))
                    return
                self._context.catalog = await self._read()

    async def change(self, decide: Callable[[Catalog], Decision], *, once: str = "") -> None:
        """Change games as `decide` says, who sees them as they are now, and again when others were faster.

        `once` is the key, in partition 0, of the record that says that this change was made before: then nothing happens.
        Raises what `decide` raises, StoreAway, TooMuchContention.
        """
        context = self._context
        for _ in range(ATTEMPTS_MAX):
            if await self._is_done(once):
                return
            now_ms = context.clock.now_ms()
            decision = decide(context.catalog)
            if not decision.games:
                return
            edited = edit(context.catalog, decision.games, now_ms)
            puts = await self.puts(edited)
            if puts is None:
                continue
            retain_until_ms = now_ms + context.timers.tombstone_retention_ms
            puts += decision.puts
            if once:
                puts.append(Put(key=once, expect=ABSENT, data=_DONE, retain_until_ms=retain_until_ms))
            events = [Event(data=encode(audit), retain_until_ms=retain_until_ms) for audit in decision.told]
            try:
                (conflict,) = await context.records.store.commit([Commit(partition=0, puts=puts, events=events)])
            except StoreUnavailable as error:
                raise context.records.away() from error
            if conflict is None:
                await self.committed(edited)
                for listener in context.turns.listeners:
                    listener()
                return
        raise TooMuchContention("others kept changing the catalogue")

    async def _is_done(self, once: str) -> bool:
        """Take in what anybody has changed, and say whether the change under that key was made. Raises StoreAway."""
        revision, *done = await self._get([REVISION_KEY, *([once] if once else [])])
        await self.follow(revision)
        return bool(done) and done[0] is not None

    async def puts(self, edit: Edit) -> list[Put] | None:
        """Return what writes an edit, to be committed in partition 0; None where others were faster. Raises StoreAway."""
        if self._context.catalog.revision != edit.revision:
            return None
        created: dict[int, list[str]] = {}
        for game in edit.games:
            if game.id not in self._context.catalog:
                created.setdefault(bucket_of(game.id), []).append(game.id)
        revision, *buckets = await self._get([REVISION_KEY, *map(bucket_key, created)])
        if _version(revision) != edit.revision:
            await self.follow(revision)
            return None
        puts = [_put(game_key(game.id), game.revision - 1, encode(game)) for game in edit.games]
        for (number, ids), record in zip(created.items(), buckets, strict=True):
            listed = () if record is None else _BUCKETS.decode(record.data).ids
            puts.append(_put(bucket_key(number), _version(record), encode(Bucket((*listed, *ids)))))
        change = Change(edit.revision + 1, tuple(game.id for game in edit.games))
        return [*puts, _put(REVISION_KEY, edit.revision, encode(extended(_ring(revision), change)))]

    async def committed(self, edit: Edit) -> None:
        """Take in an edit that was committed, so that whoever made it finds it at once. Raises StoreAway."""
        if self._context.catalog.revision == edit.revision:
            self._context.catalog.take(edit.games, edit.revision + 1)
        else:
            await self.refresh()

    async def _read(self) -> Catalog:
        """Read all games. What is changed meanwhile may be among them or not: it is followed from the revision read first."""
        (revision,) = await self._get([REVISION_KEY])
        buckets = await self._get([bucket_key(number) for number in range(BUCKETS)])
        ids = [game_id for record in buckets if record is not None for game_id in _BUCKETS.decode(record.data).ids]
        return Catalog(await self._games(ids), _version(revision))

    async def _games(self, ids: Sequence[str]) -> list[Game]:
        games: list[Game] = []
        for start in range(0, len(ids), READ_MAX):
            records = await self._get([game_key(game_id) for game_id in ids[start : start + READ_MAX]])
            games += [_GAMES.decode(record.data) for record in records if record is not None]
        return games

    async def _get(self, keys: Sequence[str]) -> list[Record | None]:
        try:
            return await self._context.records.store.get(keys)
        except StoreUnavailable as error:
            raise self._context.records.away() from error


def _put(key: str, expect: int, data: bytes) -> Put:
    return Put(key=key, expect=expect, data=data, due_ms=UNMOVED)


def _version(record: Record | None) -> int:
    return ABSENT if record is None else record.version


def _ring(record: Record | None) -> Ring:
    return _EMPTY if record is None else _RINGS.decode(record.data)
