"""The one-time token: redeemed once, in time, by the right game and player; and the session that it replaces."""

from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Opened, Refused, Result
from playclock.core.ids import is_session_id
from playclock.core.ott import REFUSALS_MAX, Refusal
from playclock.core.session import EndReason, State
from playclock.errors import BadRequest

if TYPE_CHECKING:
    from tests.conftest import World

OTT_TTL_MS = 60_000
UNKNOWN = "ab3f0e8a-6c1b-4a53-9f0e-0d1f2a3b4c5d"

EXPIRED = Refused(Refusal.EXPIRED)
ALREADY_USED = Refused(Refusal.ALREADY_USED)
GAME_MISMATCH = Refused(Refusal.GAME_MISMATCH)
USER_MISMATCH = Refused(Refusal.USER_MISMATCH)


class TestOnce:
    async def test_an_ott_is_redeemed_once(self, world: "World") -> None:
        ott = await world.ott()
        opened = await world.redeem(ott)
        assert isinstance(opened, Opened)
        assert is_session_id(opened.session_id)
        assert (opened.is_pc_cafe, opened.next_heartbeat_sec) == (True, 120)
        for _ in range(3):
            assert await world.redeem(ott) == ALREADY_USED

    async def test_the_session_is_the_players_from_the_moment_of_the_ott(self, world: "World", clock: ManualClock) -> None:
        ott = await world.ott(pc="pc-7")
        now_ms = clock.advance(ms=12_345)
        opened = await world.redeem(ott, user="player-7", server="server-7")
        assert isinstance(opened, Opened)
        session = await world.stored(opened.session_id)
        assert (session.state, session.game_id, session.provider_user_id) == (State.ACTIVE, world.GAME_ID, "player-7")
        assert (session.cafe_id, session.pc_id, session.server_id) == ("cafe-1", "pc-7", "server-7")
        assert (session.started_ms, session.last_heartbeat_ms, session.lease_until_ms) == (now_ms, now_ms, now_ms + 240_000)

    async def test_an_ott_stays_used_after_its_minute_and_its_session(self, world: "World", clock: ManualClock) -> None:
        ott = await world.ott()
        opened = await world.redeem(ott)
        assert isinstance(opened, Opened)
        await world.end(opened.session_id)
        clock.advance(3_600)
        await world.engine.sweep()
        assert await world.redeem(ott) == ALREADY_USED

    async def test_an_ott_that_was_used_in_another_process_is_used_here(self, world: "World", elsewhere: "World") -> None:
        ott = await world.ott()
        assert await elsewhere.redeem(ott, caller=world.OTHER_GAME) == GAME_MISMATCH
        assert isinstance(await world.redeem(ott), Opened)
        assert await elsewhere.redeem(ott) == ALREADY_USED

    async def test_a_used_ott_says_so_to_a_wrong_key_and_a_wrong_player_too(self, world: "World") -> None:
        ott = await world.ott(user=world.PLAYER)
        await world.redeem(ott)
        assert await world.redeem(ott, caller=world.OTHER_GAME) == ALREADY_USED
        assert await world.redeem(ott, user="somebody-else") == ALREADY_USED


class TestTime:
    async def test_an_ott_lives_for_its_minute_to_the_millisecond(self, world: "World", clock: ManualClock) -> None:
        in_time, too_late = await world.ott(pc="pc-1"), await world.ott(pc="pc-2")
        clock.advance(ms=OTT_TTL_MS - 1)
        assert isinstance(await world.redeem(in_time), Opened)
        clock.advance(ms=1)
        assert await world.redeem(too_late) == EXPIRED

    async def test_an_expired_ott_says_so_to_a_wrong_key_too(self, world: "World", clock: ManualClock) -> None:
        ott = await world.ott()
        clock.advance(ms=OTT_TTL_MS)
        assert await world.redeem(ott, caller=world.OTHER_GAME) == EXPIRED

    async def test_an_unknown_ott_has_expired(self, world: "World") -> None:
        assert await world.redeem(UNKNOWN) == EXPIRED
        assert await world.redeem(UNKNOWN, caller=world.OPERATOR) == EXPIRED

    @pytest.mark.parametrize(
        "ott",
        [
            "",
            UNKNOWN.upper(),
            UNKNOWN.replace("-", ""),
            "{" + UNKNOWN + "}",
            "gs_" + UNKNOWN,
            UNKNOWN + "\n",
            UNKNOWN[:-1] + "\uff14",
        ],
    )
    async def test_an_ott_has_one_spelling(self, world: "World", ott: str) -> None:
        with pytest.raises(BadRequest) as refusal:
            await world.redeem(ott)
        assert list(refusal.value.violations) == ["ott"]


class TestRefusals:
    async def test_a_rivals_key_does_not_burn_an_ott(self, world: "World") -> None:
        ott = await world.ott()
        for _ in range(REFUSALS_MAX - 1):
            assert await world.redeem(ott, caller=world.OTHER_GAME) == GAME_MISMATCH
        assert isinstance(await world.redeem(ott), Opened)

    async def test_the_fifth_refusal_uses_an_ott_up(self, world: "World") -> None:
        ott = await world.ott()
        for _ in range(REFUSALS_MAX):
            assert await world.redeem(ott, caller=world.OTHER_GAME) == GAME_MISMATCH
        assert await world.redeem(ott, caller=world.OTHER_GAME) == ALREADY_USED
        assert await world.redeem(ott) == ALREADY_USED

    async def test_refusals_of_all_kinds_count_together(self, world: "World") -> None:
        ott = await world.ott(user=world.PLAYER)
        for _ in range(2):
            assert await world.redeem(ott, caller=world.OTHER_GAME) == GAME_MISMATCH
        for _ in range(3):
            assert await world.redeem(ott, user="somebody-else") == USER_MISMATCH
        assert await world.redeem(ott) == ALREADY_USED

    async def test_a_bound_ott_is_redeemed_by_its_player_only(self, world: "World") -> None:
        ott = await world.ott(user=world.PLAYER)
        assert await world.redeem(ott, user="somebody-else") == USER_MISMATCH
        assert isinstance(await world.redeem(ott), Opened)

    async def test_an_unbound_ott_is_redeemed_by_anybody(self, world: "World") -> None:
        assert isinstance(await world.redeem(await world.ott(), user="anybody"), Opened)

    async def test_an_operator_may_redeem_for_any_game(self, world: "World") -> None:
        opened = await world.redeem(await world.ott(game_id=world.OTHER_GAME_ID), caller=world.OPERATOR)
        assert isinstance(opened, Opened)
        assert (await world.stored(opened.session_id)).game_id == world.OTHER_GAME_ID

    async def test_refusals_leave_nothing_behind_but_their_count(self, world: "World") -> None:
        ott = await world.ott()
        before, told = await world.account(), await world.engine.store.heads()
        await world.redeem(ott, caller=world.OTHER_GAME)
        assert await world.account() == before
        assert await world.engine.store.heads() == told


class TestReplacement:
    async def test_a_new_session_on_the_same_pc_ends_the_old_one(self, world: "World", clock: ManualClock) -> None:
        launch = await world.start("pc-1")
        old = await world.join(launch)
        now_ms = clock.advance(30)
        new = await world.join(launch)
        told = await world.beat(old)
        assert (told.result, told.next_heartbeat_sec, told.play_duration_sec) == (Result.SESSION_REPLACED, 0, 30)
        ended = await world.stored(old)
        assert (ended.state, ended.end_reason, ended.ended_ms) == (State.ENDED, EndReason.REPLACED, now_ms)
        assert (await world.beat(new)).result is Result.OK

    async def test_it_does_so_whatever_game_and_player_it_is(self, world: "World") -> None:
        launch = await world.start("pc-1")
        old = await world.join(launch)
        other = await world.ott(launch, game_id=world.OTHER_GAME_ID)
        assert isinstance(await world.redeem(other, caller=world.OTHER_GAME, user="player-2"), Opened)
        assert (await world.beat(old)).result is Result.SESSION_REPLACED

    async def test_other_pcs_play_on(self, world: "World") -> None:
        neighbour = await world.open("pc-2")
        elsewhere = await world.open("pc-1", at=world.FREE)
        await world.open("pc-1")
        for session in (neighbour, elsewhere):
            assert (await world.beat(session)).result is Result.OK

    async def test_a_refused_ott_replaces_nothing(self, world: "World") -> None:
        launch = await world.start("pc-1")
        old = await world.join(launch)
        await world.redeem(await world.ott(launch), caller=world.OTHER_GAME)
        assert (await world.beat(old)).result is Result.OK

    async def test_a_session_that_was_opened_in_another_process_is_replaced_all_the_same(
        self, world: "World", elsewhere: "World"
    ) -> None:
        launch = await world.start("pc-1")
        mine = await world.join(launch)
        theirs = await elsewhere.join(launch)
        again = await world.join(launch)
        assert (await elsewhere.beat(mine)).result is Result.SESSION_REPLACED
        assert (await elsewhere.beat(theirs)).result is Result.SESSION_REPLACED
        assert (await elsewhere.beat(again)).result is Result.OK
