"""The sweeper hastens the bookkeeping of what time has decided already. It decides nothing."""

from typing import Final, TypeVar

import msgspec

from playclock.core import moves
from playclock.core import session as core
from playclock.core.delivery import Delivery
from playclock.core.ids import id_in, kind_of
from playclock.core.session import State
from playclock.core.wallet import Bet
from playclock.engine.bets import Bets
from playclock.engine.context import Context
from playclock.engine.kept_images import KeptImages
from playclock.engine.launches import Launches
from playclock.engine.matches import Matches
from playclock.engine.player_sessions import PlayerSessions
from playclock.engine.records import SESSIONS
from playclock.engine.transfers import Transfers
from playclock.engine.work import Work
from playclock.stores.base import StoreUnavailable

SWEPT_MAX: Final = 2_000
"""How many records one tick deals with, so that a mass expiry never holds up the calls of the living."""
COMMIT_MAX: Final = 100
"""How many records share a commit."""

T = TypeVar("T")


class Sweeper:
    """Ends what has run out, files anew what has not, and lets the store drop what nobody asks for any more."""

    def __init__(
        self,
        context: Context,
        launches: Launches,
        transfers: Transfers,
        *,
        bets: Bets,
        player_sessions: PlayerSessions,
        matches: Matches,
        kept_images: KeptImages,
    ) -> None:
        self._context = context
        self._launches = launches
        self._transfers = transfers
        self._bets = bets
        self._player_sessions = player_sessions
        self._matches = matches
        self._kept_images = kept_images
        self._first = 0
        self.swept = 0
        """How many records were dealt with."""
        self.dropped = 0
        """How many records and events the store was let drop, because their time was over."""
        self.due = 0
        """How many records the last tick found due, at most `SWEPT_MAX`."""
        self.lag_ms = 0
        """How long the one of them had been due that had been due longest."""
        self.ended_ms: int | None = None
        """When the last tick came to its end."""

    async def sweep(self, limit: int = SWEPT_MAX) -> int:
        """Deal with at most `limit` records that are due, and return how many there were. Raises StoreAway."""
        context, now_ms = self._context, self._context.clock.now_ms()
        swept = lag_ms = 0
        try:
            partitions = await context.records.store.due_partitions(now_ms)
            # Begins where the last tick stopped, so that no partition waits for ever behind busier ones.
            for partition in sorted(partitions, key=lambda partition: (partition < self._first, partition)):
                self._first = partition
                if swept == limit:
                    break
                while swept < limit:
                    due = await context.records.store.due(partition, now_ms, min(COMMIT_MAX, limit - swept))
                    if not due:
                        break
                    lag_ms = max(lag_ms, now_ms - due[0].due_ms)
                    await self._sweep(partition, now_ms, [entry.key for entry in due])
                    swept += len(due)
                    self.swept += len(due)
            keep_after = None if context.archived is None else context.archived()
            self.dropped += await context.records.store.collect(now_ms, limit, keep_after=keep_after)
        except StoreUnavailable as error:
            raise context.records.away() from error
        self.due, self.lag_ms, self.ended_ms = swept, lag_ms, context.clock.now_ms()
        return swept

    async def _sweep(self, partition: int, now_ms: int, keys: list[str]) -> None:
        async def decision(work: Work) -> _Found:
            found = _Found()
            await work.prefetch(*keys)
            for key in keys:
                await self._look(work, key, found)
            return found

        found = await self._context.turns.decide(partition, now_ms, decision)
        self._context.unconfirmed.extend(found.unconfirmed)
        self._context.rollbacks.extend(found.rollbacks)
        self._context.unsettled.extend(found.unsettled)
        self._matches.pushing.add(found.deliveries)
        self._kept_images.going(found.going)

    async def _look(self, work: Work, key: str, found: "_Found") -> None:
        """Deal with one record, and note what has to be done besides once that is committed."""
        match kind_of(key):
            case "session":
                await self._sweep_session(work, key, found.unconfirmed)
            case "launch":
                await self._launches.sweep(work, key)
            case "transfer":
                await self._transfers.sweep(work, key)
            case "bet":
                _note(found.rollbacks, await self._bets.sweep(work, key))
            case "playersession":
                await self._player_sessions.sweep(work, key)
            case "image":
                _note(found.going, await self._kept_images.sweep(work, key))
            case "match":
                _note(found.unsettled, id_in(key) if await self._matches.sweep(work, key) else None)
            case "delivery":
                _note(found.deliveries, await self._matches.notices.take(work, key))

    async def _sweep_session(self, work: Work, key: str, unconfirmed: list[str]) -> None:
        session = await work.read(SESSIONS, key)
        if session is None:
            return
        advanced = await self._context.read_session(work, session.id)
        if advanced is None:
            return
        if advanced.state is State.ENDING:
            asked = moves.ask_to_confirm(advanced, now_ms=work.now_ms)
            work.write(key, asked, due_ms=asked.due_ms)
            unconfirmed.append(advanced.id)
        elif core.is_live(advanced):
            work.write(key, moves.filed(advanced), due_ms=advanced.deadline_ms)
        elif session is advanced:
            # Ended and still filed: nothing does that, and nothing may make the sweeper come back for ever.
            retain_until_ms = work.now_ms + self._context.timers.tombstone_retention_ms
            work.write(key, session, due_ms=None, retain_until_ms=retain_until_ms)


class _Found(msgspec.Struct):
    """What has to be done once the decision is committed that found it."""

    unconfirmed: list[str] = msgspec.field(default_factory=list)
    rollbacks: list[Bet] = msgspec.field(default_factory=list)
    unsettled: list[str] = msgspec.field(default_factory=list)
    deliveries: list[Delivery] = msgspec.field(default_factory=list)
    going: list[str] = msgspec.field(default_factory=list)


def _note(notes: list[T], found: T | None) -> None:
    if found is not None:
        notes.append(found)
