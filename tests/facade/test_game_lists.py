"""Lists of games that are kept: made once, the newest of each agent, and not without bounds."""

import asyncio

import pytest
from playclock.v1.game_link_service_pb2 import AgentGame, ListAgentGamesResponse
from playclock_http.agents.game_lists import GameLists


def _answer(etag: str, games: int = 3) -> ListAgentGamesResponse:
    listed = [AgentGame(number=number, title=f"Game {number}") for number in range(1, games + 1)]
    return ListAgentGamesResponse(games=listed, etag=etag)


async def test_many_at_once_have_one_made() -> None:
    lists = GameLists()
    made = await asyncio.gather(*(lists.make(1, _answer("v1")) for _ in range(100)))
    assert len({id(listing) for listing in made}) == 1
    assert lists.newest(1) is made[0]
    assert await lists.make(1, _answer("v1")) is made[0]


async def test_whoever_goes_away_takes_nothing_from_the_others() -> None:
    lists = GameLists()
    impatient = asyncio.create_task(lists.make(1, _answer("v1", 2000)))
    patient = asyncio.create_task(lists.make(1, _answer("v1", 2000)))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).etag == "v1"
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_of_each_agent_the_newest_is_kept() -> None:
    lists = GameLists()
    for etag in ("v1", "v2"):
        await lists.make(1, _answer(etag))
    await lists.make(2, _answer("w"))
    assert [listing and listing.etag for listing in map(lists.newest, (1, 2, 3))] == ["v2", "w", None]


async def test_beyond_the_bound_those_go_that_nobody_asked_for() -> None:
    size = (await GameLists().make(0, _answer("v1", 100))).size
    lists = GameLists(bytes_max=int(size * 2.5))
    for agent_id in (1, 2):
        await lists.make(agent_id, _answer("v1", 100))
    lists.newest(1)
    await lists.make(3, _answer("v1", 100))
    assert [agent_id for agent_id in (1, 2, 3) if lists.newest(agent_id)] == [1, 3]
    await lists.make(3, _answer("v2", 1000))
    assert [agent_id for agent_id in (1, 2, 3) if lists.newest(agent_id)] == []
    await lists.make(4, _answer("v1", 100))
    assert lists.newest(4) is not None


async def test_a_version_that_is_made_anew_takes_the_place_of_the_old() -> None:
    size = (await GameLists().make(0, _answer("v01", 100))).size
    lists = GameLists(bytes_max=int(size * 2.5))
    for number in range(10):
        await lists.make(1, _answer(f"v{number:02}", 100))
    await lists.make(2, _answer("v01", 100))
    assert all(lists.newest(agent_id) for agent_id in (1, 2))


async def test_what_cannot_be_made_is_tried_again() -> None:
    lists = GameLists()
    with pytest.raises(AttributeError):
        await lists.make(1, ListAgentGamesRequestWithoutGames())  # type: ignore[arg-type]
    assert (await lists.make(1, _answer("v1"))).etag == "v1"


class ListAgentGamesRequestWithoutGames:
    etag = "v1"
