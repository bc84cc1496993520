"""The audit trail: what operators and services change is told once, with the change; what others do for themselves is not."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from playclock.core.catalog import Game
from playclock.core.estate import Cafe, Service, hash_key
from playclock.engine import OPERATOR, Caller, Role
from playclock.engine.audit import NAMED_MAX
from playclock.errors import AlreadyEnded, EngineError, LaunchEnded, SessionNotFound

from tests.audit_trail import trail

if TYPE_CHECKING:
    from tests.conftest import World

SERVICE = Caller(Role.SERVICE, "billing")
ACTORS = {"operator/": OPERATOR, "service/billing": SERVICE, "operator/alice": Caller(Role.OPERATOR, "alice")}


@pytest.mark.parametrize("actor", ACTORS)
async def test_a_life_in_others_stead(world: "World", actor: str) -> None:
    engine, caller, game = world.engine, ACTORS[actor], f"game/{world.GAME_ID}"
    launch = await world.start(caller=caller)
    ott = await engine.launches.issue_ott(caller, launch, game_id=world.GAME_ID, provider_user_id=None)
    opened = await world.redeem(ott, caller=caller, request_id="r-1", server="server-1")
    assert opened == await world.redeem(ott, caller=caller, request_id="r-1", server="server-1")
    session = getattr(opened, "session_id", "")
    await world.beat(session, caller=caller)
    await engine.launches.heartbeat(caller, launch)
    await world.end(session, caller=caller)
    with pytest.raises(AlreadyEnded):
        await world.end(session, caller=caller)
    assert await engine.sessions.end_of_server(caller, world.GAME_ID, "server-1") == []
    await engine.launches.end(caller, launch)
    with pytest.raises(LaunchEnded):
        await engine.launches.end(caller, launch)
    expected = [
        ("StartLaunch", "cafe-1/pc-1", ""),
        ("IssueOtt", "cafe-1/pc-1", game),
        ("OpenSession", session, game),
        ("EndSession", session, ""),
        ("EndLaunch", "cafe-1/pc-1", ""),
    ]
    assert await trail(world) == await trail(world, actor) == expected
    said = repr(await trail(world))
    assert launch not in said
    assert ott not in said


@pytest.mark.parametrize("actor", ACTORS)
async def test_ends_that_no_game_asked_for(world: "World", actor: str) -> None:
    caller, launcher = ACTORS[actor], Caller(Role.LAUNCHER, world.LAUNCHER_ID)
    session = await open_by_game(world, launcher, "pc-1")
    await world.engine.sessions.terminate(caller, session)
    with pytest.raises(AlreadyEnded):
        await world.engine.sessions.terminate(caller, session)
    lost = sorted([await open_by_game(world, launcher, pc, server="server-1") for pc in ("pc-2", "pc-3")])
    for expected in (lost, []):
        assert sorted(await world.engine.sessions.end_of_server(caller, world.GAME_ID, "server-1")) == expected
    told = await trail(world, actor)
    assert told[0] == ("TerminateSession", session, "")
    assert sorted(told[1:]) == [("EndSessionsOfServer", each, "server-1") for each in lost]
    assert told == await trail(world)


async def open_by_game(world: "World", launcher: Caller, pc: str, *, server: str = "") -> str:
    launch = await world.start(pc, caller=launcher)
    ott = await world.engine.launches.issue_ott(launcher, launch, game_id=world.GAME_ID, provider_user_id=None)
    return str(getattr(await world.redeem(ott, server=server), "session_id", ""))


async def test_what_games_and_launchers_do_for_themselves_is_no_audit(world: "World") -> None:
    launcher = Caller(Role.LAUNCHER, world.LAUNCHER_ID)
    session = await open_by_game(world, launcher, "pc-1", server="server-1")
    await world.beat(session)
    await world.engine.sessions.end_of_server(world.GAME, world.GAME_ID, "server-1")
    await world.end(await open_by_game(world, launcher, "pc-2"))
    assert await trail(world) == []


async def test_what_is_refused_changes_nothing_and_is_not_told(world: "World") -> None:
    session = await world.open()
    before = await trail(world)
    unknown = "gs_00000000-0000-4000-8000-000000000000"
    for refused in (
        world.engine.sessions.terminate(SERVICE, unknown),
        world.end(unknown, caller=SERVICE),
        world.end(session, caller=world.OTHER_GAME),
    ):
        with pytest.raises(SessionNotFound):
            await refused
    await world.redeem("00000000-0000-4000-8000-000000000000", caller=SERVICE)
    assert await trail(world) == before


async def test_of_two_processes_that_do_the_same_one_is_told(world: "World", elsewhere: "World") -> None:
    session = await world.open()
    calls = [there.engine.sessions.terminate(SERVICE, session) for there in (world, elsewhere) for _ in range(5)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(isinstance(answer, EngineError) for answer in answers) == 9
    assert await trail(world, "service/billing") == [("TerminateSession", session, "")]


class TestApplying:
    async def test_tells_what_was_created_and_changed_at_which_revision(self, world: "World") -> None:
        apply = world.engine.estate.apply
        cafe = Cafe(id="cafe-9", name="Nine", networks=("192.0.2.9/32",), account_id=None, tariff_id=None)
        billing = Service(id="billing", token_hashes=(hash_key("of-billing"),), certificates=(), allow=())
        await apply([cafe, billing], validate_only=True)
        await apply([cafe, billing])
        await apply([cafe, billing], caller=SERVICE)
        renamed = Cafe(id="cafe-9", name="Neun", networks=("192.0.2.9/32",), account_id=None, tariff_id=None)
        for _ in range(2):
            await apply([renamed], caller=ACTORS["operator/alice"])
        assert await trail(world, "operator/") == [("ApplyProvisioning", "revision/2", "created cafe/cafe-9, service/billing")]
        assert await trail(world, "operator/alice") == [("ApplyProvisioning", "revision/3", "updated cafe/cafe-9")]
        assert await trail(world, "service/billing") == []

    async def test_of_many_things_names_some_and_counts_the_rest(self, world: "World") -> None:
        games = [
            Game(
                id=f"{n:08}-0000-4000-8000-000000000000",
                number=0,
                name="G",
                brand="",
                image_url="",
                play_url="",
                demo_url="",
                api_key_hashes=(),
            )
            for n in range(1_000)
        ]
        await world.engine.estate.apply(games)
        [(_, _, detail)] = await trail(world)
        assert detail.endswith(f" and {1_000 - NAMED_MAX} more")
        assert detail.count("game/") == NAMED_MAX
        assert len(detail) < 2_000

    async def test_at_the_same_time_tells_of_each_once(self, world: "World", elsewhere: "World") -> None:
        cafes = [
            Cafe(id=f"cafe-{n}", name="N", networks=(f"192.0.2.{n}/32",), account_id=None, tariff_id=None)
            for n in range(10, 16)
        ]
        await asyncio.gather(*((world, elsewhere)[n % 2].engine.estate.apply([each]) for n, each in enumerate(cafes)))
        told = await trail(world)
        assert sorted(detail for _, _, detail in told) == [f"created cafe/{each.id}" for each in cafes]
        assert [target for _, target, _ in told] == [f"revision/{n}" for n in range(2, 8)]
