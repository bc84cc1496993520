"""Matches whose engines die at any commit, or race: another one brings them to their end, and nobody pays or is paid twice."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.match import Match, MatchState
from playclock.engine import OPERATOR
from playclock.errors import EngineError, StoreAway
from playclock.stores.base import Commit, Conflict, Store, StoreUnavailable

from tests.conftest import FaultInjectingStore
from tests.matches.conftest import CLIENT, OPENING, Arena, check, scores, user

if TYPE_CHECKING:
    from tests.conftest import EngineMaker, StoreOpener

STORIES = 12
Plot = Callable[[Arena, Match], Awaitable[None]]


class DyingStore(FaultInjectingStore):
    """A store that is gone for its engine from one commit on: before it took effect, or right after."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.left: int | None = None
        self.is_after = False

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        if self.left == 0:
            self.is_away = True
        if self.left is not None:
            self.left -= 1
        if self.is_away and self.is_after and self.left == -1:
            await self.store.commit(commits)
        if self.is_away:
            raise StoreUnavailable("the engine is dead")
        return await super().commit(commits)


async def story(arena: Arena, match: Match) -> None:
    """Join, leave and come back, start, finish."""
    await arena.join(match, 0, 1, 2)
    await arena.matches.leave(OPERATOR, match.id, user_id=user(2))
    await arena.join(match, 2)
    await arena.matches.start(OPERATOR, match.id)
    await arena.matches.report(CLIENT, match.id, scores(3, 2, 1))


async def cancelled(arena: Arena, match: Match) -> None:
    await arena.join(match, 0, 1, 2)
    await arena.matches.start(OPERATOR, match.id)
    await arena.matches.cancel(OPERATOR, match.id)


async def brought_to_its_end(arena: Arena, match: Match, clock: ManualClock) -> Match:
    """Let time go by, and sweep, until nothing is in escrow."""
    for _ in range(40):
        found = await arena.matches.get(OPERATOR, match.id)
        if found.settled_ms is not None:
            return found
        clock.advance(300)
        await arena.engine.sweep()
    raise AssertionError(f"the match has not come to its end: {found}")


class TestADyingEngine:
    @pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
    @pytest.mark.parametrize("is_after", [False, True])
    @pytest.mark.parametrize("plot", [story, cancelled])
    async def test_leaves_nothing_half_done_at_any_commit(
        self, plot: Plot, *, is_after: bool, arena: Arena, make_engine: "EngineMaker", clock: ManualClock
    ) -> None:
        store = arena.engine.store
        matches, kept, died = list[Match](), 0, 0
        while True:
            dying = DyingStore(store)
            first = Arena(await make_engine(dying))
            match = await first.create()
            dying.left, dying.is_after = len(matches), is_after
            with suppress(StoreAway):
                await plot(first, match)
            is_dead, dying.is_away = dying.is_away, True
            died += is_dead
            matches.append(match)
            ended = await brought_to_its_end(arena, match, clock)
            kept += ended.fee_micros
            await check(arena, matches, kept=kept)
            if not is_dead:
                break
        assert died > 10
        assert (kept > 0) is (plot is story)

    async def test_is_followed_by_another_on_every_store(
        self, arena: Arena, make_engine: "EngineMaker", open_again: "StoreOpener", clock: ManualClock
    ) -> None:
        matches, kept = list[Match](), 0
        for left in (1, 6, 13, 17):
            dying = DyingStore(await open_again())
            first = Arena(await make_engine(dying))
            match = await first.create()
            dying.left, dying.is_after = left, bool(left % 2)
            with suppress(StoreAway):
                await story(first, match)
            assert dying.is_away
            matches.append(match)
            kept += (await brought_to_its_end(arena, match, clock)).fee_micros
        await check(arena, matches, kept=kept)


class StallingStore(FaultInjectingStore):
    """A store that holds one commit up until it is let go: the one after so many."""

    def __init__(self, store: Store, before: int) -> None:
        super().__init__(store)
        self.left = before
        self.let_go = asyncio.Event()

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        self.left -= 1
        if self.left == -1:
            self.stalled.set()
            await self.let_go.wait()
        return await super().commit(commits)


@pytest.mark.parametrize("before", [1, 2])
async def test_an_engine_that_stood_still_over_a_join_holds_nothing_later(
    before: int, arena: Arena, make_engine: "EngineMaker", open_again: "StoreOpener"
) -> None:
    stalling = StallingStore(await open_again(), before)
    slow, match = Arena(await make_engine(stalling)), await arena.create()
    joining = asyncio.create_task(slow.join(match, 0))
    await stalling.stalled.wait()
    await arena.matches.cancel(OPERATOR, match.id)
    assert (await arena.matches.get(OPERATOR, match.id)).settled_ms is not None
    stalling.let_go.set()
    assert (await joining).state is MatchState.CANCELLED
    assert await check(arena, [match], kept=0) == [OPENING] * 4


@pytest.mark.parametrize("seed", range(STORIES))
@pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
async def test_two_engines_race_through_random_matches(
    seed: int, arena: Arena, make_engine: "EngineMaker", busy_store: FaultInjectingStore, clock: ManualClock
) -> None:
    """Calls that overtake each other, and time that goes by: money is conserved, and nobody ends below zero."""
    dice, arenas = random.Random(seed), [arena, Arena(await make_engine(busy_store))]
    made = [
        await arena.create(
            entry_fee_micros=dice.choice([1, 7, 300]),
            fee_basis_points=dice.choice([0, 333, 10_000]),
            is_synchronous=dice.random() < 0.5,
            is_tournament=True,
        )
        for _ in range(4)
    ]

    async def call(what: str, match: Match, who: int) -> None:
        at = dice.choice(arenas).matches
        with suppress(EngineError):
            if what == "join":
                await at.join(OPERATOR, match.id, user_id=user(who), account_id=f"p{who}")
            elif what == "leave":
                await at.leave(OPERATOR, match.id, user_id=user(who))
            elif what == "start":
                await at.start(OPERATOR, match.id)
            elif what == "cancel":
                await at.cancel(OPERATOR, match.id)
            elif what == "report" and not match.terms.is_synchronous:
                await at.report(CLIENT, match.id, scores(*(dice.randrange(3) for _ in range(who + 1))))
            elif what == "report":
                players = len((await at.get(OPERATOR, match.id)).seats)
                await at.report(CLIENT, match.id, scores(*(dice.randrange(3) for _ in range(players))))
            else:
                await dice.choice(arenas).engine.sweep()

    for _ in range(6):
        weights = {"join": 12, "leave": 2, "start": 3, "report": 5, "cancel": 1, "sweep": 2}
        whats = dice.choices(list(weights), list(weights.values()), k=14)
        await asyncio.gather(*(call(what, dice.choice(made), dice.randrange(4)) for what in whats))
        clock.advance(dice.choice([0, 6, 400]))
    ended = [await brought_to_its_end(arena, match, clock) for match in made]
    assert all(match.state in (MatchState.FINISHED, MatchState.ABORTED, MatchState.CANCELLED) for match in ended)
    await check(arena, ended, kept=sum(match.fee_micros for match in ended))
