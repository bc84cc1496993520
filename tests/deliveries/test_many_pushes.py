"""Engines that die or race while they tell games' servers, servers that hang, and keys that change."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.delivery import DeliveryState
from playclock.core.match import AbortReason, MatchState
from playclock.engine import OPERATOR
from playclock.engine.matches.lines import PER_CLIENT
from playclock.v1 import MatchClient, Provisioning

from tests.conftest import World
from tests.deliveries.conftest import SECRET, GameServer, Told, ToldMaker, trust
from tests.matches.conftest import OPENING, PUSHED, check

if TYPE_CHECKING:
    from tests.conftest import StoreOpener

ROOT = Path(__file__).parents[2]
OTHER = "other-told-game"
NEW_SECRET = "the-second-secret-of-the-client"


def pushing(store_url: str, match_id: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.deliveries.pusher", store_url, match_id]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("store_kind", ["sqlite", "redis"], indirect=True)
async def test_an_engine_killed_before_it_noted_the_answer_is_followed_by_another(
    told: Told, game_server: GameServer, store_url: str, clock: ManualClock
) -> None:
    match = await told.join(await told.create(client_id=PUSHED.id), 0, 1)
    game_server.answer("held", "200")
    with pushing(store_url, match.id) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started STARTING\n"
        await game_server.until_seen(match, "PUT")
        process.kill()
    game_server.release()
    assert (await told.sweep(match)).state is MatchState.STARTING  # the lease of who was killed
    clock.advance(60)
    match = await told.sweep(match)
    assert match.state is MatchState.LIVE
    first, second = game_server.seen(match)
    assert (first["id"], first["body"]) == (second["id"], second["body"])
    put = await told.delivery(match)
    assert put is not None
    assert (put.state, put.tries) == (DeliveryState.DELIVERED, 1)
    await told.matches.cancel(OPERATOR, match.id)
    assert await check(told, [await told.sweep(match)], kept=0) == [OPENING] * 4


async def test_two_engines_send_each_message_once(
    make_told: ToldMaker, open_again: "StoreOpener", game_server: GameServer, clock: ManualClock
) -> None:
    first = await make_told(push_retries=MatchClient.PUSH_RETRIES_STANDARD)
    second = await make_told(store=await open_again(), provisions=False)
    await second.engine.estate.refresh()
    game_server.answer(*["500"] * 12, "200")
    begun = [await first.told(entry_fee_micros=1) for _ in range(12)]
    clock.advance(6)
    await asyncio.gather(first.engine.sweep(), second.engine.sweep())
    for match in begun:
        assert (await first.settled(match)).state is MatchState.LIVE
        assert game_server.methods(match) == ["PUT", "PUT"]


@pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
class TestAServerThatHangs:
    async def test_has_a_bounded_number_of_requests_and_holds_up_nobody_else(self, told: Told, game_server: GameServer) -> None:
        client = MatchClient(
            client_id=OTHER,
            client_secret=NEW_SECRET,
            game=World.GAME_ID,
            match_info_url=f"http://127.0.0.1:{game_server.port}/other",
        )
        await World(told.engine).provision(Provisioning(match_clients=[client]))
        await trust(game_server, told, SECRET, NEW_SECRET)
        game_server.answer("held", other=("200",))
        hung = [await told.begin(entry_fee_micros=1) for _ in range(PER_CLIENT + 4)]
        await game_server.until_crowd(PER_CLIENT)
        match = await told.live(2, client_id=OTHER)
        await game_server.until_seen(match, "PUT")
        async with asyncio.timeout(20):
            while (await told.matches.get(OPERATOR, match.id)).state is not MatchState.LIVE:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0)
        assert game_server.crowd()[0] == PER_CLIENT
        game_server.release()
        assert {(await told.settled(each)).state for each in hung} == {MatchState.LIVE}

    async def test_is_asked_by_one_at_a_time_after_a_while(
        self, told: Told, game_server: GameServer, clock: ManualClock
    ) -> None:
        game_server.answer(*["gone"] * 5, "held")
        for _ in range(5):
            assert (await told.told(entry_fee_micros=1)).state is MatchState.ABORTED
        hung = [await told.begin(entry_fee_micros=1) for _ in range(5)]
        await game_server.until_crowd(1)
        await told.engine.sweeper.sweep()
        assert sum(len(game_server.seen(each)) for each in hung) == 1
        waiting = [await told.delivery(each) for each in hung]
        assert sum(each is not None and each.leased_until_ms > 0 for each in waiting) == 3
        game_server.release()
        assert [(await told.settled(each)).state for each in hung].count(MatchState.LIVE) == 3
        clock.advance(60)
        await told.engine.sweep()
        assert {(await told.settled(each)).state for each in hung} == {MatchState.LIVE}

    async def test_has_matches_aborted_that_find_no_room_for_minutes(
        self, told: Told, game_server: GameServer, clock: ManualClock
    ) -> None:
        game_server.answer(*["gone"] * 5, "held")
        for _ in range(5):
            assert (await told.told(entry_fee_micros=1)).state is MatchState.ABORTED
        hung = [await told.begin(entry_fee_micros=1) for _ in range(5)]
        await game_server.until_crowd(1)
        for _ in range(4):
            await told.engine.sweeper.sweep()
            clock.advance(60)
        assert {(await told.matches.get(OPERATOR, each.id)).state for each in hung} == {MatchState.STARTING}
        clock.advance(60)
        await told.engine.sweeper.sweep()
        async with asyncio.timeout(20):
            while told.engine.counts.deliveries["PUT", "dead"] < 5 + 5:  # noqa: ASYNC110 - no event tells
                await asyncio.sleep(0)
        game_server.release()
        ended = [await told.settled(each) for each in hung]
        assert {match.abort_reason for match in ended} == {AbortReason.NOT_TOLD}
        puts = [await told.delivery(match) for match in ended]
        assert sorted(put.error for put in puts if put is not None) == ["", *["NO_ROOM"] * 4]  # one was answered too late
        assert sum(len(game_server.seen(each)) for each in hung) == 1

    async def test_has_what_waits_too_long_given_back(self, told: Told, game_server: GameServer, clock: ManualClock) -> None:
        """What comes to its turn only when its lease is nearly over is not sent by who had it, and does not count as a try."""
        game_server.answer(*["gone"] * 5, "held")
        for _ in range(5):
            assert (await told.told(entry_fee_micros=1)).state is MatchState.ABORTED
        first, second = [await told.begin(entry_fee_micros=1) for _ in range(2)]
        await game_server.until_crowd(1)
        clock.advance(50)
        game_server.release()
        states = [(await told.settled(each)).state for each in (first, second)]
        assert sorted(states) == [MatchState.STARTING, MatchState.LIVE]
        waits = first if states[0] is MatchState.STARTING else second
        given_back = await told.delivery(waits)
        assert given_back is not None
        assert (given_back.tries, given_back.leased_until_ms, given_back.is_sent) == (0, 0, False)
        clock.advance(5)
        assert (await told.sweep(waits)).state is MatchState.LIVE


@pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
class TestSignatures:
    async def test_are_made_with_every_secret_that_counts(self, told: Told, game_server: GameServer) -> None:
        made = await told.engine.keys.create(OPERATOR, f"match_client/{PUSHED.id}", request_id="r1")
        for secret in (SECRET, made.secret):
            await trust(game_server, told, secret)
            assert (await told.told(entry_fee_micros=1)).state is MatchState.LIVE

    async def test_of_others_are_no_good(self, told: Told, game_server: GameServer) -> None:
        await trust(game_server, told, NEW_SECRET)
        match = await told.told()
        assert (match.state, match.abort_reason) == (MatchState.ABORTED, AbortReason.NOT_TOLD)
        assert game_server.forgeries()[-1] == "the body is not signed"

    async def test_of_a_realm_with_a_new_key_are_those_of_its_tokens(self, told: Told, game_server: GameServer) -> None:
        await told.engine.openid.rotate(OPERATOR, at_once=True)
        assert (await told.told(entry_fee_micros=1)).state is MatchState.ABORTED
        assert game_server.forgeries()[-1].startswith("the token is bad")
        await trust(game_server, told)
        assert (await told.told(entry_fee_micros=1)).state is MatchState.LIVE
