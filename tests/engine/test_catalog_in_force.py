"""The catalogue: written one game at a time, and followed by every process as soon as that looks."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from playclock.core import catalog_changes as core
from playclock.core.answers import Refused, Result
from playclock.core.catalog import Game
from playclock.core.ott import Refusal
from playclock.engine.estate import Edit
from playclock.errors import GameNotFound

if TYPE_CHECKING:
    from tests.conftest import Restart, World


def game(index: int, name: str = "Game") -> Game:
    id_ = f"{index % 256:02x}{index:06d}-2222-4333-8444-555555555555"
    return Game(id=id_, number=index, name=name, brand="", image_url="", play_url="", demo_url="")


async def change(world: "World", changed: Game) -> None:
    """Write one game as it is given."""
    context = world.engine.context
    made = core.edit(context.catalog, [changed], context.clock.now_ms())
    await world.engine.estate.edit(lambda _: Edit(games=made))


class TestFollowing:
    async def test_another_process_reads_only_what_was_changed(self, world: "World", elsewhere: "World") -> None:
        catalog = elsewhere.engine.context.catalog
        await world.engine.estate.apply([game(index) for index in range(1_000, 1_010)])
        await elsewhere.engine.estate.refresh()
        assert elsewhere.engine.context.catalog is catalog, "it was not read as a whole"
        assert catalog.games == world.engine.context.catalog.games
        assert catalog.revision == world.engine.context.catalog.revision

    async def test_another_process_that_is_far_behind_reads_all(self, world: "World", elsewhere: "World") -> None:
        many = [game(index) for index in range(1_000, 1_001 + core.RING_MAX)]
        await world.engine.estate.apply(many)
        await world.engine.estate.apply([game(1_000, "Other")])
        await elsewhere.engine.estate.refresh()
        assert elsewhere.engine.context.catalog.games == world.engine.context.catalog.games
        assert elsewhere.engine.context.catalog.games[game(1_000).id].name == "Other"

    async def test_it_is_there_after_a_restart(self, world: "World", restart: "Restart") -> None:
        await world.engine.estate.apply([game(index) for index in range(1_000, 1_010)])
        known = world.engine.context.catalog
        again = await restart()
        assert again.engine.context.catalog.games == known.games
        assert again.engine.context.catalog.revision == known.revision

    async def test_changes_of_two_processes_at_once_are_all_kept(self, world: "World", elsewhere: "World") -> None:
        # All in one list of ids, and each without a number of its own.
        games = [replace(game(256 * index), number=0) for index in range(1, 9)]
        await asyncio.gather(*((world, elsewhere)[index % 2].engine.estate.apply([each]) for index, each in enumerate(games)))
        for there in (world, elsewhere):
            await there.engine.estate.refresh()
            known = there.engine.context.catalog.games
            assert {each.id for each in games} <= set(known)
            assert len({each.number for each in known.values()}) == len(known)

    async def test_a_number_stays_when_a_file_without_one_is_applied_again(self, world: "World") -> None:
        await world.engine.estate.apply([replace(game(1_000), number=0)])
        number = world.engine.context.catalog.games[game(1_000).id].number
        assert number > 0
        changes = await world.engine.estate.apply([replace(game(1_000), number=0)])
        assert (changes.created, changes.updated) == ([], [])
        assert world.engine.context.catalog.by_number(number) is not None


@pytest.mark.parametrize("closed", [{"deleted_ms": 5}, {"is_admin_hidden": True}], ids=["deleted", "hidden"])
async def test_nothing_new_begins_in_a_closed_game_and_what_runs_goes_on(
    world: "World", elsewhere: "World", closed: dict[str, Any]
) -> None:
    playing, ott = await world.open(), await world.ott(pc="pc-2")
    await change(world, replace(world.engine.context.catalog.games[world.GAME_ID], **closed))
    await elsewhere.engine.estate.refresh()
    for there in (world, elsewhere):
        assert await there.redeem(ott) == Refused(Refusal.EXPIRED)
        with pytest.raises(GameNotFound):
            await there.ott(pc="pc-3")
        assert (await there.beat(playing)).result is Result.OK
