"""Points: a batch as a whole and once, caps under races, leaderboards beside a model, and what is whose."""

import asyncio
import random
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import pytest
from playclock.clock import ManualClock
from playclock.core.catalog import Game
from playclock.core.identifiers import parse
from playclock.core.ids import leaders_key, player_key, points_key
from playclock.core.outbox import Audit, decode
from playclock.core.points import POINTS_MAX, Leader
from playclock.core.timers import Timers
from playclock.engine import OPERATOR, Caller, Role
from playclock.engine.points import ENTRIES_MAX, Entry
from playclock.errors import (
    BadRequest,
    GameNotFound,
    PermissionDenied,
    PointsExceeded,
    RequestIdReused,
    StoreAway,
)

if TYPE_CHECKING:
    from tests.conftest import FaultInjectingStore, World, WorldMaker

OWNER: Final = Caller(Role.DEVELOPER, "550e8400-e29b-41d4-a716-446655440000")
CREATOR: Final = Caller(Role.DEVELOPER, "660e8400-e29b-41d4-a716-446655440001")
STRANGER: Final = Caller(Role.DEVELOPER, "770e8400-e29b-41d4-a716-446655440002")
GAME: Final = "ab000000-2222-4333-8444-555555555555"
CAPPED: Final = "ab000001-2222-4333-8444-555555555555"
HIDDEN: Final = "ab000002-2222-4333-8444-555555555555"
UNKNOWN: Final = "ab000003-2222-4333-8444-555555555555"
DAY_SEC: Final = 86_400


def game(id_: str, number: int, **changed: Any) -> Game:  # noqa: ANN401 - any field
    fields: dict[str, Any] = {"name": "Game", "brand": "", "image_url": "", "play_url": "", "demo_url": ""}
    return Game(id=id_, number=number, **{**fields, "owner_id": OWNER.id, "creator_id": CREATOR.id, **changed})


@pytest.fixture
async def world(world: "World") -> "World":
    caps = {"max_score_per_session": 10, "max_sessions_per_day": 4, "max_cumulative_points_per_day": 30}
    games = [game(GAME, 1_001), game(CAPPED, 1_002, **caps), game(HIDDEN, 1_003, is_admin_hidden=True)]
    await world.engine.estate.apply(games)
    return world


def player(text: str) -> str:
    found = parse(text)
    assert found is not None
    return found.player_id


async def save(
    world: "World", *entries: tuple[str, int], game_id: str = GAME, caller: Caller = OWNER, request_id: str = ""
) -> dict[str, str]:
    batch = [Entry(name, points) for name, points in entries]
    return dict(await world.engine.points.save(caller, game_id, batch, request_id=request_id))


async def today(world: "World", name: str, game_id: str = GAME) -> tuple[int, int]:
    standing = await world.engine.points.get(OWNER, game_id, name)
    assert standing.player_id == player(name)
    return standing.points, standing.total


async def board(world: "World", *, limit: int = 0, date: str = "", game_id: str = GAME) -> list[tuple[str, int]]:
    _, leaders = await world.engine.points.leaders(OWNER, game_id, limit=limit, date=date)
    return [(leader.player_id, leader.points) for leader in leaders]


class TestSaving:
    async def test_points_of_a_day_add_up_and_players_are_who_they_are_however_they_are_named(
        self, world: "World", elsewhere: "World", clock: ManualClock
    ) -> None:
        told = await save(world, ("x:Ann", 5), ("twitter:ann", 7), ("email:b@example.com", 1), (STRANGER.id, 3))
        assert told == {
            "x:Ann": player("x:ann"),
            "twitter:ann": player("x:ann"),
            "email:b@example.com": player("email:b@example.com"),
            STRANGER.id: STRANGER.id,
        }
        await save(elsewhere, ("x:ann", 1))
        assert await today(world, "x:ann") == await today(elsewhere, "twitter:ANN") == (13, 13)
        clock.advance(DAY_SEC)
        await save(world, ("x:ann", 2), caller=OPERATOR)
        assert await today(elsewhere, "x:ann") == (2, 15)
        assert await today(elsewhere, "x:nobody") == (0, 0)
        assert await today(elsewhere, "x:ann", CAPPED) == (0, 0)

    async def test_whoever_is_named_is_known_from_then_on(self, world: "World", elsewhere: "World", clock: ManualClock) -> None:
        assert not await world.engine.players.is_known(STRANGER.id)
        await save(world, (STRANGER.id, 1), ("x:ann", 1))
        for known in (STRANGER.id, player("x:ann")):
            assert await elsewhere.engine.players.is_known(known)
        for _ in range(13):
            clock.advance(31 * DAY_SEC)
            await save(world, ("x:ann", 1))
        await world.engine.sweep()
        assert await elsewhere.engine.players.is_known(player("x:ann"))
        assert not await elsewhere.engine.players.is_known(STRANGER.id)

    async def test_a_batch_may_have_a_thousand_entries(self, world: "World") -> None:
        entries = [(f"x:player{number}", number) for number in range(ENTRIES_MAX)]
        assert len(await save(world, *entries, request_id="r")) == len(await save(world, *entries, request_id="r")) == 1_000
        assert await board(world, limit=2) == [(player("x:player999"), 999), (player("x:player998"), 998)]
        assert await today(world, "x:player500") == (500, 500)

    async def test_large_batches_and_small_ones_at_once_are_all_saved(self, world: "World", elsewhere: "World") -> None:
        large = [(f"x:p{number}", 1) for number in range(100)]
        batches = [large, large[:1], large[:16], large, large[:17]]
        await asyncio.gather(*(save(there, *batch) for batch in batches for there in (world, elsewhere)))
        assert [await today(world, f"x:p{number}") for number in (0, 15, 16, 99)] == [(10, 10), (8, 8), (6, 6), (4, 4)]

    @pytest.mark.parametrize(
        ("entries", "field"),
        [
            ([], "entries"),
            ([Entry("x:a", 1)] * (ENTRIES_MAX + 1), "entries"),
            ([Entry("x:a", 1), Entry("invalid-id", 1)], "entries[1].player"),
            ([Entry("x:a", -1)], "entries[0].points"),
            ([Entry("x:a", POINTS_MAX + 1)], "entries[0].points"),
        ],
        ids=["none", "too many", "nobody", "negative", "too much"],
    )
    async def test_a_batch_that_is_wrong_is_refused_as_a_whole(self, world: "World", entries: list[Entry], field: str) -> None:
        with pytest.raises(BadRequest) as caught:
            await world.engine.points.save(OWNER, GAME, entries)
        assert list(caught.value.violations) == [field]
        if field == "entries[1].player":
            assert caught.value.violations[field] == "Unable to resolve playerId: invalid-id"
        assert await today(world, "x:a") == (0, 0)

    async def test_what_lies_in_the_store_goes_away_after_its_retention(
        self, make_world: "WorldMaker", world: "World", clock: ManualClock
    ) -> None:
        world = await make_world(world.engine.store, timers=Timers(points_retention_ms=40 * DAY_SEC * 1_000))
        day = clock.now_ms() // 86_400_000
        keys = [points_key(GAME, player("x:ann")), leaders_key(GAME, day)]
        await save(world, ("x:ann", 5), ("x:ben", 5))
        clock.advance(39 * DAY_SEC)
        await save(world, ("x:ben", 1))
        await world.engine.sweep()
        assert None not in await world.engine.store.get(keys)
        clock.advance(2 * DAY_SEC)
        # Also where the store has not dropped it yet.
        assert await today(world, "x:ann") == (0, 0)
        assert await board(world, date="2026-01-01") == []
        assert await today(world, "x:ben") == (0, 6)
        await world.engine.sweep()
        await world.engine.sweep()
        assert await world.engine.store.get(keys) == [None, None]


class TestOnce:
    async def test_a_request_id_saves_once_and_other_contents_are_refused(self, world: "World", elsewhere: "World") -> None:
        first = await save(world, ("x:ann", 5), request_id="r")
        assert await save(elsewhere, ("x:ann", 5), request_id="r") == first
        for entries in ([("x:ann", 6)], [("x:ben", 5)], [("x:ann", 5), ("x:ann", 5)]):
            with pytest.raises(RequestIdReused):
                await save(elsewhere, *entries, request_id="r")
        assert await today(world, "x:ann") == (5, 5)
        await save(world, ("x:ann", 5), request_id="r", caller=OPERATOR)  # another caller's is another one
        assert await today(world, "x:ann") == (10, 10)
        assert (world.engine.counts.points_saved, elsewhere.engine.counts.points_saved) == (2, 0)

    async def test_so_it_does_where_a_hundred_calls_overtake_each_other_in_two_processes(
        self, world: "World", elsewhere: "World", make_world: "WorldMaker", busy_store: "FaultInjectingStore"
    ) -> None:
        crowded = await make_world(busy_store)
        calls = [save((crowded, elsewhere)[number % 2], ("x:ann", 5), ("x:ben", 1), request_id="r") for number in range(100)]
        assert len({tuple(told.items()) for told in await asyncio.gather(*calls)}) == 1
        assert (await today(world, "x:ann"), await today(world, "x:ben")) == ((5, 5), (1, 1))

    async def test_an_answer_that_was_lost_is_heard_by_the_repeat(
        self, world: "World", make_world: "WorldMaker", faulty_store: "FaultInjectingStore"
    ) -> None:
        cut_off = await make_world(faulty_store)
        await cut_off.engine.players.take_in([parsed] if (parsed := parse("x:ann")) else [])
        faulty_store.is_away = True
        with pytest.raises(StoreAway):
            await save(cut_off, ("x:ann", 5), request_id="r")
        faulty_store.is_away = False
        for _ in range(2):
            assert await save(cut_off, ("x:ann", 5), request_id="r") == {"x:ann": player("x:ann")}
        assert await today(world, "x:ann") == (5, 5)


class TestCaps:
    @pytest.mark.parametrize(
        ("batches", "cap", "entry", "value"),
        [
            ([[("x:a", 10), ("x:b", 11)]], "max_score_per_session", 1, 11),
            ([[("x:a", 1)] * 4, [("x:b", 1), ("x:b", 1), ("x:a", 1)]], "max_sessions_per_day", 2, 5),
            ([[("x:a", 10)] * 3, [("x:b", 1), ("x:a", 1)]], "max_cumulative_points_per_day", 1, 31),
        ],
    )
    async def test_over_a_cap_nothing_of_the_batch_is_saved_and_the_entry_is_named(
        self, world: "World", batches: list[list[tuple[str, int]]], cap: str, entry: int, value: int
    ) -> None:
        *good, bad = batches
        for batch in good:
            await save(world, *batch, game_id=CAPPED)
        before = await board(world, game_id=CAPPED)
        with pytest.raises(PointsExceeded) as caught:
            await save(world, *bad, game_id=CAPPED, request_id="r")
        told = {"cap": cap, "maximum": str(value - 1), "value": str(value), "entry": str(entry), "player": bad[entry][0]}
        assert caught.value.metadata == told
        assert await board(world, game_id=CAPPED) == before
        assert await today(world, "x:b", CAPPED) == (0, 0)
        assert world.engine.counts.points_exceeded == {cap: 1}

    async def test_a_refusal_is_no_answer_to_keep(self, world: "World", clock: ManualClock) -> None:
        await save(world, *[("x:a", 10)] * 3, game_id=CAPPED)
        with pytest.raises(PointsExceeded):
            await save(world, ("x:a", 9), game_id=CAPPED, request_id="r")
        clock.advance(DAY_SEC)
        for _ in range(2):
            await save(world, ("x:a", 9), game_id=CAPPED, request_id="r")
        assert await today(world, "x:a", CAPPED) == (9, 39)

    async def test_none_is_exceeded_by_processes_that_race(
        self, world: "World", elsewhere: "World", make_world: "WorldMaker", busy_store: "FaultInjectingStore"
    ) -> None:
        crowded, chance = await make_world(busy_store), random.Random(7)
        tried: list[tuple[str, int]] = [(f"x:p{chance.randrange(3)}", chance.randrange(1, 11)) for _ in range(60)]

        async def attempt(number: int, entry: tuple[str, int]) -> tuple[str, int] | None:
            try:
                await save((crowded, elsewhere)[number % 2], entry, ("x:everybody", 0), game_id=CAPPED)
            except PointsExceeded:
                return None
            return entry

        saved = [done for done in await asyncio.gather(*map(attempt, range(60), tried)) if done is not None]
        assert len(saved) == 4, "each save is a session of x:everybody, who may have four"
        sums: dict[str, int] = defaultdict(int)
        for name, points in saved:
            sums[name] += points
        assert {name: (await today(world, name, CAPPED))[0] for name in sums} == sums
        assert max(sums.values()) <= 30


class TestLeaderboards:
    async def test_are_those_of_a_model_while_two_processes_save(
        self, world: "World", elsewhere: "World", make_world: "WorldMaker", busy_store: "FaultInjectingStore"
    ) -> None:
        crowded, chance = await make_world(busy_store), random.Random(11)
        sums: dict[str, int] = defaultdict(int)
        calls = []
        for number in range(12):
            batch = [(f"x:p{chance.randrange(160)}", chance.randrange(50)) for _ in range(40)]
            for name, points in batch:
                sums[player(name)] += points
            calls.append(save((crowded, elsewhere)[number % 2], *batch))
        await asyncio.gather(*calls)
        model = sorted(((id_, points) for id_, points in sums.items() if points), key=lambda row: (-row[1], row[0]))
        assert len(model) > 100
        assert await board(world, limit=100) == model[:100]
        assert await board(world) == model[:10]

    async def test_whoever_had_as_many_first_leads_and_each_day_has_its_own(self, world: "World", clock: ManualClock) -> None:
        await save(world, ("x:ben", 4))
        clock.advance(1)
        await save(world, ("x:ann", 5))
        clock.advance(1)
        await save(world, ("x:ben", 1), ("x:nobody", 0))
        clock.advance(1)
        await save(world, ("x:ann", 0))
        ann, ben = player("x:ann"), player("x:ben")
        assert await board(world) == await board(world, date="2026-01-01") == [(ann, 5), (ben, 5)]
        clock.advance(DAY_SEC)
        assert await board(world) == await board(world, date="2025-12-31") == []
        await save(world, ("x:ben", 1))
        assert await board(world) == await board(world, date="2026-01-02") == [(ben, 1)]
        assert await board(world, date="2026-01-01") == [(ann, 5), (ben, 5)]
        date, leaders = await world.engine.points.leaders(OWNER, GAME)
        assert (date, leaders) == ("2026-01-02", (Leader(ben, 1, clock.now_ms()),))

    @pytest.mark.parametrize(
        ("asked", "field"), [({"limit": -1}, "limit"), ({"limit": 101}, "limit"), ({"date": "yesterday"}, "date")]
    )
    async def test_what_is_asked_wrongly_is_refused(self, world: "World", asked: dict[str, Any], field: str) -> None:
        with pytest.raises(BadRequest) as caught:
            await world.engine.points.leaders(OWNER, GAME, **asked)
        assert list(caught.value.violations) == [field]


class TestStreaks:
    async def test_count_days_running(self, world: "World", clock: ManualClock) -> None:
        told = []
        for amount in (1, 1, 0, 1):
            await save(world, ("x:ann", amount))
            streak = await world.engine.points.streak(OWNER, GAME, "x:ann")
            told.append((streak.today, streak.days))
            clock.advance(DAY_SEC)
        assert told == [(True, 1), (True, 2), (False, 2), (True, 1)]


class TestWhose:
    async def test_another_developers_game_is_refused(self, world: "World") -> None:
        engine = world.engine
        await save(world, (STRANGER.id, 5), ("x:ann", 5))
        for call in (
            save(world, ("x:ann", 1), caller=STRANGER),
            save(world, ("x:ann", 1), caller=CREATOR),
            engine.points.get(STRANGER, GAME, "x:ann"),
            engine.points.leaders(STRANGER, GAME),
            engine.points.streak(STRANGER, GAME, "x:ann"),
        ):
            with pytest.raises(PermissionDenied):
                await call
        assert await today(world, "x:ann") == (5, 5)
        assert (await engine.points.get(STRANGER, GAME, STRANGER.id)).total == 5
        assert (await engine.points.streak(STRANGER, GAME, STRANGER.id)).today

    async def test_a_game_that_is_not_there_or_hidden_by_an_operator_takes_no_points(self, world: "World") -> None:
        for game_id, caller in ((UNKNOWN, OWNER), (HIDDEN, OWNER), (HIDDEN, OPERATOR)):
            with pytest.raises(GameNotFound):
                await save(world, ("x:ann", 1), game_id=game_id, caller=caller)
        with pytest.raises(GameNotFound):
            await world.engine.points.get(OWNER, UNKNOWN, "x:ann")
        with pytest.raises(GameNotFound):
            await world.engine.points.get(STRANGER, UNKNOWN, STRANGER.id)
        with pytest.raises(BadRequest):
            await world.engine.points.leaders(OWNER, "game")
        assert await board(world, game_id=HIDDEN) == []

    async def test_what_an_operator_saves_is_in_the_audit_trail_and_what_developers_save_is_not(self, world: "World") -> None:
        before = await world.engine.store.heads()
        await save(world, ("x:ann", 1))
        for _ in range(2):
            await save(world, ("x:ann", 1), ("x:ben", 1), caller=OPERATOR, request_id="r")
        told = [decode(event.data) for event in await world.engine.store.events({0xAB: before.get(0xAB, 0)}, 100)]
        (audit,) = told
        assert isinstance(audit, Audit)
        assert (audit.actor, audit.action, audit.target, audit.detail) == (
            "operator/",
            "BatchSavePoints",
            f"game/{GAME}",
            "2 entries",
        )


class TestSplits:
    async def test_go_to_whoever_is_known_or_can_be(self, world: "World") -> None:
        split = world.engine.players.split
        await save(world, (STRANGER.id, 0))
        wanted = {STRANGER.id: 3_000, "x:Ann": 7_000}
        both = {STRANGER.id: 3_000, player("x:ann"): 7_000}
        assert await split(wanted, creator_id=OWNER.id, is_owner_proven=True) == both
        assert await world.engine.players.is_known(player("x:ann"))
        assert await split(wanted, creator_id=OWNER.id, is_owner_proven=False) == {OWNER.id: 10_000}
        assert await split({}, creator_id=OWNER.id, is_owner_proven=True) == {OWNER.id: 10_000}

    async def test_a_uuid_that_nobody_has_is_refused_in_the_documented_words(self, world: "World") -> None:
        with pytest.raises(BadRequest) as caught:
            await world.engine.players.split({"x:ann": 5_000, UNKNOWN: 5_000}, creator_id=OWNER.id, is_owner_proven=True)
        assert caught.value.violations == {"org_rewards_split": f"Unable to resolve playerId: {UNKNOWN}"}
        assert await world.engine.store.get([player_key(player("x:ann"))]) == [None]
