"""Games changed by two processes at once, on every store."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace
from playclock.core.catalog import Game, Token
from playclock.core.estate import Agent
from playclock.errors import GameChanged, StoreAway, TooMuchContention

if TYPE_CHECKING:
    from tests.conftest import FaultInjectingStore, Restart, World, WorldMaker

PLAIN = Game(id="", number=0, name="Seven", brand="", image_url="", play_url="", demo_url="")


async def refreshed(*worlds: "World") -> None:
    for each in worlds:
        await each.engine.estate.refresh()


async def test_the_same_request_to_two_processes_creates_one_game(world: "World", elsewhere: "World") -> None:
    made = await asyncio.gather(
        *(there.engine.games.create(world.OPERATOR, PLAIN, request_id="r") for there in (world, elsewhere) for _ in range(4))
    )
    assert len({game.id for game in made}) == 1
    await refreshed(world, elsewhere)
    assert world.engine.context.catalog.games == elsewhere.engine.context.catalog.games
    assert len(world.engine.context.catalog.games) == 3


async def test_games_created_by_two_processes_at_once_have_numbers_of_their_own(world: "World", elsewhere: "World") -> None:
    made = await asyncio.gather(
        *(there.engine.games.create(world.OPERATOR, PLAIN) for there in (world, elsewhere) for _ in range(4))
    )
    assert len({game.number for game in made}) == 8
    await refreshed(world, elsewhere)
    for there in (world, elsewhere):
        assert {game.id for game in made} <= set(there.engine.context.catalog.games)


async def test_no_field_is_lost_where_two_processes_change_one_game(world: "World", elsewhere: "World") -> None:
    game = await world.engine.games.create(world.OPERATOR, PLAIN)
    await asyncio.gather(
        world.engine.games.update(world.OPERATOR, game.id, lambda known: replace(known, name="N")),
        elsewhere.engine.games.update(world.OPERATOR, game.id, lambda known: replace(known, brand="B")),
    )
    await refreshed(world, elsewhere)
    for there in (world, elsewhere):
        known = there.engine.context.catalog.games[game.id]
        assert (known.name, known.brand, known.revision) == ("N", "B", 3)


async def test_of_two_processes_at_one_revision_one_is_told(world: "World", elsewhere: "World") -> None:
    game = await world.engine.games.create(world.OPERATOR, PLAIN)
    revision = game.revision
    answers = await asyncio.gather(
        world.engine.games.update(world.OPERATOR, game.id, lambda known: replace(known, name="A"), revision=revision),
        elsewhere.engine.games.update(world.OPERATOR, game.id, lambda known: replace(known, name="B"), revision=revision),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Game", "GameChanged"]
    (won,) = [answer for answer in answers if isinstance(answer, Game)]
    await refreshed(world, elsewhere)
    assert {there.engine.context.catalog.games[game.id].name for there in (world, elsewhere)} == {won.name}


async def test_what_was_deleted_stays_so_after_a_restart(world: "World", elsewhere: "World", restart: "Restart") -> None:
    game = await world.engine.games.create(world.OPERATOR, replace(PLAIN, tokens=(Token("a"),)))
    deleted = await elsewhere.engine.games.delete(world.OPERATOR, game.id)
    with pytest.raises(GameChanged):
        await elsewhere.engine.games.update(world.OPERATOR, world.GAME_ID, lambda known: known, revision=99)
    again = await restart()
    assert again.engine.context.catalog.tombstones == {game.id: deleted}
    assert (await again.engine.games.create(world.OPERATOR, PLAIN)).number == game.number + 1
    assert again.engine.context.catalog.with_token("a") == []


async def test_what_an_agent_offers_is_changed_by_two_processes_at_once(world: "World", elsewhere: "World") -> None:
    await world.engine.estate.apply([Agent(id=7, name="Seven", secrets=(), games=())])
    numbers = [(await world.engine.games.create(world.OPERATOR, PLAIN)).number for _ in range(4)]
    await asyncio.gather(
        *(
            (world, elsewhere)[index % 2].engine.games.offer(world.OPERATOR, 7, add=[number], remove=())
            for index, number in enumerate(numbers)
        )
    )
    await refreshed(world, elsewhere)
    for there in (world, elsewhere):
        assert there.engine.games.offered_by(7).numbers == frozenset(numbers)


class TestFaults:
    async def test_a_store_that_is_away_leaves_the_catalogue_as_it_was(
        self, make_world: "WorldMaker", faulty_store: "FaultInjectingStore"
    ) -> None:
        world = await make_world(faulty_store)
        await world.provision()
        known = dict(world.engine.context.catalog.games)
        faulty_store.is_away = True
        with pytest.raises(StoreAway):
            await world.engine.games.create(world.OPERATOR, PLAIN)
        faulty_store.is_away = False
        faulty_store.conflict_in = {0}
        with pytest.raises(TooMuchContention):
            await world.engine.games.create(world.OPERATOR, PLAIN)
        assert world.engine.context.catalog.games == known

    async def test_changes_that_overtake_each_other_are_all_kept(
        self, make_world: "WorldMaker", busy_store: "FaultInjectingStore"
    ) -> None:
        worlds = [await make_world(busy_store) for _ in range(2)]
        await worlds[0].provision()
        game = await worlds[0].engine.games.create(worlds[0].OPERATOR, PLAIN)
        await refreshed(*worlds)

        async def count(there: "World") -> None:
            await there.engine.games.update(
                there.OPERATOR, game.id, lambda known: replace(known, max_sessions_per_day=known.max_sessions_per_day + 1)
            )

        for _ in range(5):
            await asyncio.gather(*(count(there) for there in worlds))
        await refreshed(*worlds)
        for there in worlds:
            assert there.engine.context.catalog.games[game.id].max_sessions_per_day == 10
            assert there.engine.context.catalog.games[game.id].revision == 11
