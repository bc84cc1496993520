"""Request ids: the same caller with the same id and contents gets the first answer again, and nothing happens twice."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Opened, Refused
from playclock.core.ott import Refusal
from playclock.errors import RequestIdReused

if TYPE_CHECKING:
    from tests.conftest import Restart, World


async def sessions_on(world: "World") -> int:
    """Count the live sessions."""
    found, _ = await world.engine.listing.page(world.OPERATOR, page_size=1000, page_token="", game_id=None, cafe_id=None)
    return len(found)


async def test_a_repeat_gets_the_same_session(world: "World") -> None:
    ott = await world.ott()
    first = await world.redeem(ott, request_id="r-1")
    assert isinstance(first, Opened)
    before = await world.account()
    for _ in range(3):
        assert await world.redeem(ott, request_id="r-1") == first
    assert await world.account() == before
    assert await sessions_on(world) == 1


async def test_a_repeat_without_the_id_is_a_second_use(world: "World") -> None:
    ott = await world.ott()
    await world.redeem(ott, request_id="r-1")
    assert await world.redeem(ott) == Refused(Refusal.ALREADY_USED)
    assert await world.redeem(ott, request_id="r-2") == Refused(Refusal.ALREADY_USED)


async def test_a_repeat_gets_the_same_refusal_and_counts_once(world: "World") -> None:
    ott = await world.ott()
    for _ in range(10):
        refused = await world.redeem(ott, caller=world.OTHER_GAME, request_id="r-1")
        assert refused == Refused(Refusal.GAME_MISMATCH)
    assert isinstance(await world.redeem(ott), Opened)
    assert await world.redeem(ott, caller=world.OTHER_GAME, request_id="r-1") == Refused(Refusal.GAME_MISMATCH)


async def test_a_repeat_gets_the_first_answer_even_when_the_session_has_ended(world: "World", clock: ManualClock) -> None:
    ott = await world.ott()
    first = await world.redeem(ott, request_id="r-1")
    assert isinstance(first, Opened)
    await world.end(first.session_id)
    clock.advance(86_400 - 1)
    await world.engine.sweep()
    assert await world.redeem(ott, request_id="r-1") == first


@pytest.mark.parametrize("change", ["user", "server", "ott", "far ott"])
async def test_the_same_id_with_other_contents_is_refused(world: "World", change: str) -> None:
    otts = {"ott": await world.ott(pc="pc-2"), "far ott": await world.ott(at=world.FREE)}
    ott = await world.ott(pc="pc-1")
    first = await world.redeem(ott, request_id="r-1")
    # The free cafe lies in another partition, where nothing of the first request can be seen.
    assert otts["far ott"][:2] != ott[:2]
    with pytest.raises(RequestIdReused):
        await world.redeem(
            otts.get(change, ott),
            request_id="r-1",
            user="somebody-else" if change == "user" else world.PLAYER,
            server="server-2" if change == "server" else "",
        )
    assert await world.redeem(ott, request_id="r-1") == first
    for other in otts.values():
        assert isinstance(await world.redeem(other), Opened)


async def test_contents_that_only_read_alike_are_others(world: "World") -> None:
    ott = await world.ott()
    await world.redeem(ott, request_id="r-1", user="player", server="1")
    with pytest.raises(RequestIdReused):
        await world.redeem(ott, request_id="r-1", user="player1", server="")


async def test_another_callers_same_id_is_independent(world: "World") -> None:
    mine, theirs = await world.ott(pc="pc-1"), await world.ott(pc="pc-2", game_id=world.OTHER_GAME_ID)
    first = await world.redeem(mine, request_id="r-1")
    second = await world.redeem(theirs, caller=world.OTHER_GAME, request_id="r-1")
    assert isinstance(first, Opened)
    assert isinstance(second, Opened)
    assert first.session_id != second.session_id
    assert await world.redeem(mine, request_id="r-1") == first
    assert await world.redeem(theirs, caller=world.OTHER_GAME, request_id="r-1") == second


async def test_a_hundred_repeats_at_once_open_one_session(world: "World", elsewhere: "World") -> None:
    ott = await world.ott()
    answers = await asyncio.gather(*(there.redeem(ott, request_id="r-1") for _ in range(50) for there in (world, elsewhere)))
    assert isinstance(answers[0], Opened)
    assert answers == [answers[0]] * 100
    assert await sessions_on(world) == 1


async def test_a_repeat_after_a_restart_gets_the_same_session(world: "World", restart: "Restart") -> None:
    ott = await world.ott()
    first = await world.redeem(ott, request_id="r-1")
    again = await restart()
    assert await again.redeem(ott, request_id="r-1") == first
    assert await sessions_on(again) == 1
    with pytest.raises(RequestIdReused):
        await again.redeem(ott, request_id="r-1", user="somebody-else")


async def test_a_claim_whose_request_never_ran_does_not_stand_in_the_way(world: "World") -> None:
    from playclock.engine.requests import claim

    ott = await world.ott()
    await claim(world.engine.context, world.GAME, "r-1", (ott, world.PLAYER, ""))
    assert isinstance(await world.redeem(ott, request_id="r-1"), Opened)
