"""The list of live sessions: every one of them once, page by page, and nobody else's."""

import asyncio
import base64
from typing import TYPE_CHECKING

import msgspec
import pytest
from playclock.clock import ManualClock
from playclock.core.session import Session, State
from playclock.engine import Caller
from playclock.errors import BadRequest
from playclock.v1 import ProvisionedCafe, Provisioning

if TYPE_CHECKING:
    from tests.conftest import World


async def pages(
    world: "World",
    *,
    size: int = 0,
    caller: Caller | None = None,
    game_id: str | None = None,
    cafe_id: str | None = None,
) -> list[list[Session]]:
    """Read the list to its end."""
    found: list[list[Session]] = []
    token = ""
    while not found or token:
        page, token = await world.engine.listing.page(
            caller or world.OPERATOR, page_size=size, page_token=token, game_id=game_id, cafe_id=cafe_id
        )
        found.append(page)
    return found


async def ids(world: "World", **filters: object) -> list[str]:
    return [session.id for page in await pages(world, **filters) for session in page]  # type: ignore[arg-type]


async def test_an_empty_list_is_a_page_and_no_more(world: "World") -> None:
    assert await ids(world) == []


async def test_live_sessions_are_listed_as_they_stand_now(world: "World", clock: ManualClock) -> None:
    first, second = await world.open("pc-1"), await world.open("pc-1", at=world.FREE)
    clock.advance(30)
    listed = {session.id: session for page in await pages(world) for session in page}
    assert listed == {id_: await world.stored(id_) for id_ in (first, second)}
    assert {session.state for session in listed.values()} == {State.ACTIVE}


async def test_sessions_of_a_game_or_a_cafe_are_listed_apart(world: "World") -> None:
    here, there = await world.open("pc-1"), await world.open("pc-1", at=world.FREE)
    other = await world.open("pc-2", game_id=world.OTHER_GAME_ID)
    assert sorted(await ids(world, game_id=world.GAME_ID)) == sorted([here, there])
    assert sorted(await ids(world, cafe_id="cafe-1")) == sorted([here, other])
    assert await ids(world, game_id=world.GAME_ID, cafe_id="cafe-1") == [here]
    assert await ids(world, game_id="nobody's") == []


async def test_a_game_sees_its_own_sessions_only_whatever_it_asks_for(world: "World") -> None:
    mine, other = await world.open("pc-1"), await world.open("pc-2", game_id=world.OTHER_GAME_ID)
    assert await ids(world, caller=world.GAME) == [mine]
    assert await ids(world, caller=world.GAME, game_id=world.OTHER_GAME_ID) == [mine]
    assert await ids(world, caller=world.OTHER_GAME) == [other]


async def test_what_has_ended_or_run_out_is_absent_swept_or_not(world: "World", clock: ManualClock) -> None:
    ended, silent = await world.open("pc-1"), await world.open("pc-2")
    await world.end(ended)
    clock.advance(120)
    alive = await world.open("pc-3")
    clock.advance(120)
    assert await ids(world) == [alive]
    assert (await world.stored(silent)).state is State.ACTIVE
    await world.engine.sweep()
    assert await ids(world) == [alive]
    assert (await world.stored(silent)).state is State.ENDED


async def test_2500_sessions_are_listed_once_each(world: "World") -> None:
    # Cafes of their own partitions, and one that is as large as all others together.
    names = [f"cafe-{number:03}" for number in range(50)]
    await world.provision(
        Provisioning(
            cafes=[ProvisionedCafe(id=name, name=name, networks=[f"198.51.{number}.0/24"]) for number, name in enumerate(names)]
        )
    )
    addresses = [f"198.51.{number}.1" for number in range(50) for _ in range(25)] + [world.FREE] * 1_250
    opened = await asyncio.gather(*(world.open(f"pc-{number}", at=at) for number, at in enumerate(addresses)))
    assert len(set(opened)) == 2_500
    for size, longest in ((0, 100), (7, 7), (1_000, 1_000), (5_000, 1_000)):
        read = await pages(world, size=size)
        assert max(map(len, read)) <= longest
        assert sorted(session.id for page in read for session in page) == sorted(opened), size
    assert len(await ids(world, size=1_000, cafe_id="cafe-2")) == 1_250


async def test_a_session_that_lives_through_the_reading_is_listed_whatever_ends_meanwhile(world: "World") -> None:
    opened = [await world.open(f"pc-{number}", at=world.FREE) for number in range(20)]
    page, token = await world.engine.listing.page(world.OPERATOR, page_size=5, page_token="", game_id=None, cafe_id=None)
    seen = [session.id for session in page]
    leaving = [session for session in opened if session not in seen][::2]
    for session in (*leaving, *seen[::2]):
        await world.end(session)
    while token:
        page, token = await world.engine.listing.page(world.OPERATOR, page_size=5, page_token=token, game_id=None, cafe_id=None)
        seen += [session.id for session in page]
    assert sorted(seen) == sorted(set(opened) - set(leaving))


def token_of(*place: object) -> str:
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).decode().rstrip("=")


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "é",
        "!!!!",
        "AAAA",
        token_of(256, None),
        token_of(-1, None),
        token_of(0),
        token_of("0", None),
        token_of(0, "due"),
        token_of(0, {"due_ms": 1 << 63, "key": "00"}),
        token_of(0, {"due_ms": -(1 << 63), "key": 7}),
        "A" * 10_000,
    ],
)
async def test_a_token_of_nobodys_is_refused(world: "World", token: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        await world.engine.listing.page(world.OPERATOR, page_size=0, page_token=token, game_id=None, cafe_id=None)
    assert refusal.value.violations == {"page_token": "not a page token of this service"}


async def test_a_negative_page_size_is_refused(world: "World") -> None:
    with pytest.raises(BadRequest) as refusal:
        await pages(world, size=-1)
    assert list(refusal.value.violations) == ["page_size"]
