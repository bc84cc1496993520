"""The launcher's side: a launch starts, stays alive, gives way, adopts what runs on its PC, and ends."""

from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Opened, Refused, Result
from playclock.core.ott import Refusal
from playclock.core.session import EndReason, State
from playclock.core.timers import Timers
from playclock.engine import Caller, Role
from playclock.errors import BadRequest, GameNotFound, LaunchEnded, LaunchNotFound, NotPcCafe, SessionEnded, SessionNotFound
from playclock.stores.base import Store

if TYPE_CHECKING:
    from tests.conftest import World, WorldMaker

LAUNCHER = Caller(Role.LAUNCHER, "launcher-1")
RIVAL = Caller(Role.LAUNCHER, "launcher-2")
UNKNOWN = "ls_ab3f0e8a-6c1b-4a53-9f0e-0d1f2a3b4c5d"
TTL_MS = 240_000


class TestStart:
    async def test_a_launch_starts_in_the_cafe_to_which_the_address_belongs(self, world: "World") -> None:
        for address, cafe_id in [(world.PAYING, "cafe-1"), (world.FREE, "cafe-2")]:
            started = await world.engine.launches.start(
                LAUNCHER, pc_id="pc-1", internal_ip="192.168.0.7", external_ip=address, hardware=b"cpu"
            )
            assert started.cafe.id == started.launch.cafe_id == cafe_id
            assert (started.launch.launcher_id, started.launch.pc_id) == ("launcher-1", "pc-1")
            assert (started.launch.internal_ip, started.launch.external_ip) == ("192.168.0.7", address)
            assert started.launch.hardware == b"cpu"
            assert started.launch.lease_until_ms - started.launch.started_ms == TTL_MS

    @pytest.mark.parametrize("address", ["192.0.2.1", "", "localhost", "127.0.0.1:80", "::1", "128.0.0.0"])
    async def test_an_address_outside_every_cafe_is_refused(self, world: "World", address: str) -> None:
        with pytest.raises(NotPcCafe):
            await world.start(at=address)

    async def test_an_address_in_ipv6_clothes_is_the_same_address(self, world: "World") -> None:
        await world.start(at="::ffff:127.0.0.1")

    async def test_all_of_a_cafe_lies_in_one_partition(self, world: "World") -> None:
        launches = [await world.start(f"pc-{number}") for number in range(5)]
        otts = [await world.ott(launch) for launch in launches]
        sessions = [await world.open(f"pc-{number}") for number in range(5)]
        assert len({id_[3:5] for id_ in (*launches, *sessions)} | {ott[:2] for ott in otts}) == 1


class TestHeartbeat:
    async def test_heartbeats_keep_a_launch_alive(self, world: "World", clock: ManualClock) -> None:
        launch = await world.start()
        for _ in range(5):
            clock.advance(ms=TTL_MS - 1)
            assert await world.engine.launches.heartbeat(world.OPERATOR, launch) is Result.OK

    async def test_a_launch_that_fell_silent_is_not_found_to_the_millisecond(self, world: "World", clock: ManualClock) -> None:
        launch = await world.start()
        clock.advance(ms=TTL_MS)
        for call in (world.engine.launches.heartbeat, world.engine.launches.end):
            with pytest.raises(LaunchNotFound):
                await call(world.OPERATOR, launch)
        with pytest.raises(LaunchNotFound):
            await world.ott(launch)

    async def test_a_launch_that_fell_silent_is_not_found_after_the_sweep_either(
        self, world: "World", clock: ManualClock
    ) -> None:
        launch = await world.start()
        clock.advance(ms=TTL_MS)
        assert await world.engine.sweep() == 1
        assert await world.engine.sweep() == 0
        with pytest.raises(LaunchNotFound):
            await world.engine.launches.heartbeat(world.OPERATOR, launch)

    async def test_every_call_of_the_launcher_is_a_sign_of_life(self, world: "World", clock: ManualClock) -> None:
        launch = await world.start()
        for _ in range(3):
            clock.advance(ms=TTL_MS - 1)
            await world.ott(launch)
        assert await world.engine.launches.heartbeat(world.OPERATOR, launch) is Result.OK

    async def test_the_launchers_heartbeat_keeps_its_game_session_from_ending(self, world: "World", clock: ManualClock) -> None:
        launch = await world.start()
        session = await world.join(launch)
        clock.advance(200)
        await world.engine.launches.heartbeat(world.OPERATOR, launch)
        await world.beat(session)
        clock.advance(200)
        assert (await world.beat(session)).result is Result.OK

    async def test_a_game_session_ends_with_the_silence_of_its_launcher(self, world: "World", clock: ManualClock) -> None:
        session = await world.open()
        clock.advance(120)
        await world.beat(session)
        clock.advance(ms=TTL_MS - 120_000 - 1)
        await world.beat(session)
        clock.advance(ms=1)
        with pytest.raises(SessionEnded):
            await world.beat(session)
        ended = await world.stored(session)
        assert (ended.state, ended.end_reason) == (State.ENDED, EndReason.LAUNCHER_TIMEOUT)
        assert ended.ended_ms == ended.started_ms + TTL_MS

    async def test_after_its_own_lease_a_session_of_a_silent_launcher_is_not_found(
        self, world: "World", clock: ManualClock
    ) -> None:
        session = await world.open()
        clock.advance(100)
        await world.beat(session)
        clock.advance(ms=TTL_MS - 1)
        with pytest.raises(SessionEnded):
            await world.beat(session)
        clock.advance(ms=1)
        with pytest.raises(SessionNotFound):
            await world.beat(session)


class TestReplacement:
    async def test_a_new_launch_on_the_same_pc_replaces_the_old_one(self, world: "World") -> None:
        old = await world.start("pc-1")
        new = await world.start("pc-1")
        assert await world.engine.launches.heartbeat(world.OPERATOR, old) is Result.SESSION_REPLACED
        assert await world.engine.launches.heartbeat(world.OPERATOR, new) is Result.OK
        with pytest.raises(LaunchEnded):
            await world.engine.launches.end(world.OPERATOR, old)
        with pytest.raises(LaunchEnded):
            await world.ott(old)

    async def test_other_pcs_and_other_cafes_are_left_alone(self, world: "World") -> None:
        others = [await world.start("pc-2"), await world.start("pc-1", at=world.FREE)]
        await world.start("pc-1")
        for other in others:
            assert await world.engine.launches.heartbeat(world.OPERATOR, other) is Result.OK

    async def test_the_new_launch_adopts_the_game_session_on_its_pc(self, world: "World", clock: ManualClock) -> None:
        session = await world.open("pc-1")
        clock.advance(200)
        new = await world.start("pc-1")
        await world.beat(session)
        clock.advance(200)
        assert (await world.beat(session)).result is Result.OK
        assert (await world.stored(session)).launch_id == new
        assert await world.engine.launches.end(world.OPERATOR, new) == session

    async def test_the_replaced_launch_no_longer_speaks_for_the_game_session(self, world: "World", clock: ManualClock) -> None:
        old = await world.start("pc-1")
        session = await world.join(old)
        new = await world.start("pc-1")
        clock.advance(200)
        assert await world.engine.launches.heartbeat(world.OPERATOR, old) is Result.SESSION_REPLACED
        await world.beat(session)
        clock.advance(40)
        with pytest.raises(SessionEnded):
            await world.beat(session)
        with pytest.raises(LaunchNotFound):
            await world.engine.launches.heartbeat(world.OPERATOR, new)

    async def test_a_launch_that_was_replaced_in_another_process_knows_it_here(
        self, world: "World", elsewhere: "World"
    ) -> None:
        old = await world.start("pc-1")
        assert await world.engine.launches.heartbeat(world.OPERATOR, old) is Result.OK
        await elsewhere.start("pc-1")
        assert await world.engine.launches.heartbeat(world.OPERATOR, old) is Result.SESSION_REPLACED


class TestEnd:
    async def test_ending_a_launch_ends_its_game_session_and_says_which(self, world: "World") -> None:
        launch = await world.start()
        session = await world.join(launch)
        assert await world.engine.launches.end(world.OPERATOR, launch) == session
        with pytest.raises(SessionEnded):
            await world.beat(session)
        ended = await world.stored(session)
        assert (ended.state, ended.end_reason) == (State.ENDED, EndReason.CLIENT_END)

    async def test_a_launch_without_a_game_session_ends_alone(self, world: "World") -> None:
        launch = await world.start()
        assert await world.engine.launches.end(world.OPERATOR, launch) is None

    async def test_a_game_session_that_has_ended_before_is_not_named(self, world: "World") -> None:
        launch = await world.start()
        session = await world.join(launch)
        await world.end(session)
        assert await world.engine.launches.end(world.OPERATOR, launch) is None

    async def test_a_launch_ends_once(self, world: "World") -> None:
        launch = await world.start()
        await world.engine.launches.end(world.OPERATOR, launch)
        for call in (world.engine.launches.heartbeat, world.engine.launches.end):
            with pytest.raises(LaunchEnded) as refusal:
                await call(world.OPERATOR, launch)
            assert refusal.value.metadata == {"end_reason": "CLIENT_END"}

    async def test_the_game_session_of_an_adopted_pc_is_not_ended_by_the_old_launch(self, world: "World") -> None:
        old = await world.start("pc-1")
        session = await world.join(old)
        await world.start("pc-1")
        with pytest.raises(LaunchEnded):
            await world.engine.launches.end(world.OPERATOR, old)
        assert (await world.beat(session)).result is Result.OK


class TestOtherCallers:
    async def test_another_launchers_token_is_not_found(self, world: "World") -> None:
        launch = await world.start(caller=LAUNCHER)
        launches = world.engine.launches
        with pytest.raises(LaunchNotFound) as theirs:
            await launches.heartbeat(RIVAL, launch)
        with pytest.raises(LaunchNotFound) as unknown:
            await launches.heartbeat(RIVAL, UNKNOWN)
        assert (str(theirs.value), theirs.value.metadata) == (str(unknown.value), unknown.value.metadata)
        with pytest.raises(LaunchNotFound):
            await launches.end(RIVAL, launch)
        with pytest.raises(LaunchNotFound):
            await launches.issue_ott(RIVAL, launch, game_id=world.GAME_ID, provider_user_id=None)
        assert await launches.heartbeat(LAUNCHER, launch) is Result.OK

    async def test_a_launcher_cannot_use_what_an_operator_started_but_an_operator_can_use_anything(
        self, world: "World"
    ) -> None:
        operators, launchers = await world.start("pc-1"), await world.start("pc-2", caller=LAUNCHER)
        with pytest.raises(LaunchNotFound):
            await world.engine.launches.heartbeat(LAUNCHER, operators)
        assert await world.engine.launches.heartbeat(world.OPERATOR, launchers) is Result.OK

    @pytest.mark.parametrize("token", ["", "ls_", UNKNOWN[3:], UNKNOWN.upper(), "gs" + UNKNOWN[2:], UNKNOWN + " "])
    async def test_a_token_that_is_not_spelled_as_one_is_a_bad_request(self, world: "World", token: str) -> None:
        for call in (world.engine.launches.heartbeat, world.engine.launches.end):
            with pytest.raises(BadRequest) as refusal:
                await call(world.OPERATOR, token)
            assert list(refusal.value.violations) == ["session_token"]

    async def test_an_ott_is_issued_for_a_known_game_only(self, world: "World") -> None:
        launch = await world.start()
        with pytest.raises(GameNotFound):
            await world.ott(launch, game_id="00000000-0000-4000-8000-000000000000")


class TestOttsOfLaunches:
    async def test_an_ott_of_an_ended_launch_has_expired(self, world: "World") -> None:
        launch = await world.start()
        ott = await world.ott(launch)
        await world.engine.launches.end(world.OPERATOR, launch)
        assert await world.redeem(ott) == Refused(Refusal.EXPIRED)

    async def test_an_ott_of_a_replaced_launch_has_expired(self, world: "World") -> None:
        ott = await world.ott(pc="pc-1")
        await world.start("pc-1")
        assert await world.redeem(ott) == Refused(Refusal.EXPIRED)

    async def test_an_ott_of_a_silent_launch_has_expired(
        self, make_world: "WorldMaker", store: Store, clock: ManualClock
    ) -> None:
        # Only where OTTs live longer than launches can one outlive its launch.
        patient = await make_world(store, timers=Timers(ott_ttl_ms=TTL_MS + 1))
        await patient.provision()
        ott = await patient.ott()
        clock.advance(ms=TTL_MS - 1)
        late = await patient.ott(pc="pc-2")
        clock.advance(ms=1)
        assert await patient.redeem(ott) == Refused(Refusal.EXPIRED)
        assert isinstance(await patient.redeem(late), Opened)
