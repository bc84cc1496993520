"""A partner pays: its word counts for addresses and time, and its silence is dealt with as the game's policy says."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core import session as core
from playclock.core.answers import Beat, Opened, Refused, Result
from playclock.core.breaker import FAILURES_MAX
from playclock.core.ott import Refusal
from playclock.core.outbox import decode
from playclock.core.records import Happening, SessionEvent
from playclock.core.session import EndReason, State
from playclock.core.settlement import FIRST_HASH, settlement_of
from playclock.engine.heartbeats import HeartbeatCall
from playclock.engine.turns import TOGETHER_MAX
from playclock.errors import AlreadyEnded, AuthorityAway, NotPcCafe, SessionEnding
from playclock.rpc.partner import connect
from playclock.stores.base import Store

if TYPE_CHECKING:
    from tests.conftest import StoreOpener, World, WorldMaker
    from tests.partner.conftest import Partner

ALL_AWAY = dict.fromkeys(("VerifyAddress", "OpenCharge", "RenewCharge", "CloseCharge"), "away")


async def happenings(store: Store) -> list[Happening]:
    events = [decode(stored.data) for stored in await store.events(dict.fromkeys(range(256), 0), 10_000)]
    return [event.happening for event in events if isinstance(event, SessionEvent)]


async def play(world: "World", session_id: str, clock: ManualClock, sec: float) -> Beat:
    """Let the player play for so long, while the launcher says that it is alive, and then send a heartbeat."""
    clock.advance(sec)
    await world.engine.launches.heartbeat(world.OPERATOR, (await world.stored(session_id)).launch_id)
    return await world.beat(session_id)


async def used(partner: "Partner") -> list[int]:
    return [charge["used_ms"] for charge in await partner.charges()]


class TestAddresses:
    async def test_an_address_that_is_no_cafe_s_here_may_be_the_partner_s(self, there: "World", partner: "Partner") -> None:
        started = await there.engine.launches.start(
            there.OPERATOR, pc_id="pc-1", internal_ip="", external_ip=partner.AT, hardware=b""
        )
        assert (started.cafe.id, started.cafe.name) == ("partner-1/seoul", "Seoul")

    async def test_an_address_that_is_nobody_s_is_no_cafe_s(self, there: "World") -> None:
        with pytest.raises(NotPcCafe):
            await there.start(at="172.16.0.1")

    async def test_cafes_of_our_own_are_not_asked_about(self, there: "World", partner: "Partner") -> None:
        await there.start(at=there.FREE)
        assert await partner.calls() == {}

    async def test_what_it_said_is_remembered_for_a_minute_and_for_an_hour_while_it_is_away(
        self, there: "World", partner: "Partner", clock: ManualClock
    ) -> None:
        await there.start(at=partner.AT)
        await there.start(at=partner.AT)
        assert await partner.calls() == {"VerifyAddress": 1}
        clock.advance(60)
        await partner.fault(VerifyAddress="away")
        await there.start(at=partner.AT)
        clock.advance(3_539)
        await there.start(at=partner.AT)
        clock.advance(1)
        with pytest.raises(AuthorityAway):
            await there.start(at=partner.AT)

    async def test_a_no_is_not_believed_while_it_is_away(self, there: "World", partner: "Partner", clock: ManualClock) -> None:
        with pytest.raises(NotPcCafe):
            await there.start(at="172.16.0.1")
        await partner.fault(VerifyAddress="away")
        with pytest.raises(NotPcCafe):
            await there.start(at="172.16.0.1")
        clock.advance(60)
        with pytest.raises(AuthorityAway):
            await there.start(at="172.16.0.1")

    @pytest.mark.parametrize("fault", ["away", "lost", "late", "slow", "faulty"])
    async def test_no_answer_is_no_no(self, there: "World", partner: "Partner", fault: str) -> None:
        await partner.fault(VerifyAddress=fault)
        with pytest.raises(AuthorityAway):
            await there.start(at=partner.AT)

    async def test_a_partner_that_takes_our_token_for_none_counts_as_away(self, there: "World", partner: "Partner") -> None:
        await partner.provision(there, token="another")
        with pytest.raises(AuthorityAway, match="UNAUTHENTICATED"):
            await there.start(at=partner.AT)


class TestPaying:
    async def test_time_is_granted_used_and_closed(
        self, there: "World", partner: "Partner", clock: ManualClock, store: Store
    ) -> None:
        session_id = await there.open(at=partner.AT)
        (charge,) = await partner.charges()
        assert (charge["cafe_id"], charge["granted_ms"], charge["used_ms"]) == ("seoul", 240_000, 0)
        clock.advance(100)
        assert (await there.beat(session_id)).result is Result.OK
        (charge,) = await partner.charges()
        assert (charge["game_session_id"], charge["granted_ms"], charge["used_ms"]) == (session_id, 340_000, 100_000)
        clock.advance(50)
        ending = await there.end(session_id, counted_sec=149)
        assert (ending.state, ending.billed_ms) == (State.ENDING, 150_000)
        ends = {(there.GAME_ID, "CLIENT_END"): 1}
        assert there.engine.counts.ended == ends
        await there.engine.sweep()
        assert there.engine.counts.ended == ends
        ended = await there.get(session_id)
        assert (ended.state, ended.end_reason, ended.client_play_duration_sec) == (State.ENDED, EndReason.CLIENT_END, 149)
        (charge,) = await partner.charges()
        assert (charge["used_ms"], charge["is_closed"]) == (150_000, 1)
        settlement = settlement_of(ended, FIRST_HASH)
        assert (settlement.account_id, settlement.amount_micros, settlement.currency) == (
            "provider/partner-1",
            2_500_000,
            "GCOIN",
        )
        assert await happenings(store) == [Happening.OPENED, Happening.ENDING, Happening.ENDED]

    async def test_a_cafe_of_ours_may_be_paid_for_by_the_partner(self, there: "World", partner: "Partner") -> None:
        await there.open(at=partner.AT_OURS)
        assert [charge["cafe_id"] for charge in await partner.charges()] == ["seoul"]

    async def test_credit_runs_out_at_its_moment_and_a_top_up_goes_on(
        self, there: "World", partner: "Partner", clock: ManualClock
    ) -> None:
        session_id = await there.open(at=partner.AT_POOR)
        beat = await play(there, session_id, clock, 120)
        assert (beat.result, beat.next_heartbeat_sec) == (Result.OK, 80)
        beat = await play(there, session_id, clock, 80)
        assert (beat.result, beat.grace_remaining_sec) == (Result.CHARGE_EXHAUSTED, 120)
        await partner.top_up("poor", 600_000)
        assert (await play(there, session_id, clock, 30)).result is Result.OK
        clock.advance(60)
        assert (await there.end(session_id)).billed_ms == 260_000

    async def test_without_a_top_up_the_grace_ends_it(self, there: "World", partner: "Partner", clock: ManualClock) -> None:
        session_id = await there.open(at=partner.AT_POOR)
        for wait_sec in (100, 100, 119):
            await play(there, session_id, clock, wait_sec)
        clock.advance(1)
        await there.engine.sweep()
        ended = await there.stored(session_id)
        assert (ended.state, ended.end_reason, ended.billed_ms) == (State.ENDED, EndReason.CHARGE_EXHAUSTED, 200_000)
        assert await used(partner) == [200_000]

    async def test_without_credit_for_an_interval_nothing_opens(self, there: "World", partner: "Partner") -> None:
        session_id = await there.open(at=partner.AT_POOR)
        assert await there.redeem(await there.ott(pc="pc-2", at=partner.AT_POOR)) == Refused(Refusal.NOT_CHARGEABLE)
        await there.end(session_id)
        await there.engine.sweep()
        ott = await there.ott(pc="pc-3", at=partner.AT_POOR)
        assert isinstance(await there.redeem(ott), Opened)

    async def test_a_refused_ott_can_be_redeemed_after_a_top_up(self, there: "World", partner: "Partner") -> None:
        await there.open(at=partner.AT_POOR)
        ott = await there.ott(pc="pc-2", at=partner.AT_POOR)
        assert await there.redeem(ott) == Refused(Refusal.NOT_CHARGEABLE)
        await partner.top_up("poor", 600_000)
        assert isinstance(await there.redeem(ott), Opened)

    async def test_a_larger_reserve_is_asked_for_less_often(
        self, there: "World", partner: "Partner", clock: ManualClock
    ) -> None:
        await partner.provision(there, reserve_sec=1_800)
        session_id = await there.open(at=partner.AT)
        for _ in range(13):
            await play(there, session_id, clock, 120)
        assert (await partner.calls())["OpenCharge"] == 1
        assert (await partner.calls()).get("RenewCharge", 0) == 0
        await play(there, session_id, clock, 120)
        assert (await partner.calls())["RenewCharge"] == 1

    async def test_many_heartbeats_are_asked_about_at_once(
        self, there: "World", partner: "Partner", clock: ManualClock
    ) -> None:
        sessions = [await there.open(f"pc-{number}", at=partner.AT) for number in range(20)]
        clock.advance(100)
        answers = await there.engine.heartbeats.beat_many(
            there.GAME, [HeartbeatCall(session_id, there.PLAYER) for session_id in sessions]
        )
        assert {type(answer).__name__ for answer in answers} == {"Beat"}
        assert await used(partner) == [100_000] * 20


class TestOnce:
    async def test_a_race_on_one_ott_asks_once_a_turn_and_opens_once(self, there: "World", partner: "Partner") -> None:
        ott = await there.ott(at=partner.AT)
        answers = await asyncio.gather(*(there.redeem(ott) for _ in range(100)))
        assert sum(isinstance(answer, Opened) for answer in answers) == 1
        assert answers.count(Refused(Refusal.ALREADY_USED)) == 99
        # A later turn may find the first one's question answered, and the OTT not redeemed yet.
        assert (await partner.calls())["OpenCharge"] <= -(-100 // TOGETHER_MAX)
        assert len(await partner.charges()) == 1

    async def test_two_processes_that_race_open_one_charge(
        self, there: "World", partner: "Partner", make_world: "WorldMaker", open_again: "StoreOpener"
    ) -> None:
        other = await make_world(await open_again(), connect=connect)
        await other.engine.estate.refresh()
        ott = await there.ott(at=partner.AT)
        answers = await asyncio.gather(*(world.redeem(ott) for world in (there, other) for _ in range(10)))
        assert sum(isinstance(answer, Opened) for answer in answers) == 1
        assert len(await partner.charges()) == 1

    async def test_a_stranger_s_call_never_reaches_the_partner(self, there: "World", partner: "Partner") -> None:
        ott = await there.ott(at=partner.AT)
        assert await there.redeem(ott, caller=there.OTHER_GAME) == Refused(Refusal.GAME_MISMATCH)
        assert "OpenCharge" not in await partner.calls()

    async def test_a_repeated_request_id_gets_the_first_answer(self, there: "World", partner: "Partner") -> None:
        ott = await there.ott(at=partner.AT)
        first = await there.redeem(ott, request_id="r-1")
        assert isinstance(first, Opened)
        assert await there.redeem(ott, request_id="r-1") == first
        assert (await partner.calls())["OpenCharge"] == 1

    @pytest.mark.parametrize("fault", ["away", "lost", "late", "slow", "faulty"])
    async def test_an_open_without_an_answer_leaves_the_ott_as_it_was(
        self, there: "World", partner: "Partner", fault: str
    ) -> None:
        ott = await there.ott(at=partner.AT)
        await partner.fault(OpenCharge=fault)
        with pytest.raises(AuthorityAway):
            await there.redeem(ott)
        await partner.fault()
        assert isinstance(await there.redeem(ott), Opened)
        assert len(await partner.charges()) == 1

    @pytest.mark.parametrize("fault", ["lost", "late", "slow"])
    async def test_a_renewal_that_was_done_and_not_heard_is_billed_once(
        self, there: "World", partner: "Partner", clock: ManualClock, fault: str
    ) -> None:
        session_id = await there.open(at=partner.AT)
        await partner.fault(RenewCharge=fault)
        clock.advance(60)
        assert (await there.beat(session_id)).result is Result.OK
        await partner.fault()
        clock.advance(60)
        await there.beat(session_id)
        assert (await there.end(session_id)).billed_ms == 120_000
        await there.engine.sweep()
        if fault == "slow":
            await asyncio.sleep(1.0)  # a call of the past arrives after the close: real time, for it is the partner's
        assert await used(partner) == [120_000]

    @pytest.mark.parametrize("fault", ["away", "lost", "late", "slow", "faulty"])
    async def test_a_close_is_repeated_until_it_is_confirmed(
        self, there: "World", partner: "Partner", clock: ManualClock, store: Store, fault: str
    ) -> None:
        session_id = await there.open(at=partner.AT)
        clock.advance(30)
        await partner.fault(CloseCharge=fault)
        ending = await there.end(session_id)
        for wait_sec in (0, 5, 10):
            clock.advance(wait_sec)
            await there.engine.sweep()
            assert (await there.stored(session_id)).state is State.ENDING
        await partner.fault()
        clock.advance(30)
        await there.engine.sweep()
        ended = await there.stored(session_id)
        assert (ended.state, core.amount_micros(ended)) == (State.ENDED, 500_000)
        assert (ended.ended_ms, ended.billed_ms) == (ending.ended_ms, 30_000)
        assert await used(partner) == [30_000]
        assert (await happenings(store)).count(Happening.ENDED) == 1

    async def test_what_waits_for_its_close_is_over_for_the_game(
        self, there: "World", partner: "Partner", clock: ManualClock
    ) -> None:
        session_id = await there.open(at=partner.AT)
        await partner.fault(**ALL_AWAY)
        clock.advance(30)
        await there.end(session_id)
        with pytest.raises(SessionEnding):
            await there.beat(session_id)
        with pytest.raises(AlreadyEnded) as ended:
            await there.end(session_id)
        assert ended.value.metadata["billed_sec"] == "30"
        clock.advance(2 * 86_400)
        with pytest.raises(SessionEnding):
            await there.beat(session_id)

    async def test_the_seat_is_free_while_the_close_waits(self, there: "World", partner: "Partner", clock: ManualClock) -> None:
        first = await there.open("pc-1", at=partner.AT)
        await partner.fault(CloseCharge="away")
        clock.advance(10)
        second = await there.open("pc-1", at=partner.AT)
        await there.engine.sweep()
        replaced = await there.stored(first)
        assert (replaced.state, replaced.end_reason) == (State.ENDING, EndReason.REPLACED)
        assert (await there.stored(second)).state is State.ACTIVE


class TestSilence:
    async def test_deny_plays_what_was_granted_and_then_the_grace(
        self, there: "World", partner: "Partner", clock: ManualClock
    ) -> None:
        session_id = await there.open(at=partner.AT)
        await partner.fault(**ALL_AWAY)
        assert (await play(there, session_id, clock, 120)).next_heartbeat_sec == 120
        assert (await play(there, session_id, clock, 120)).result is Result.CHARGE_EXHAUSTED
        clock.advance(120)
        await there.engine.sweep()
        ending = await there.stored(session_id)
        assert (ending.state, ending.end_reason, ending.billed_ms) == (State.ENDING, EndReason.CHARGE_EXHAUSTED, 240_000)

    @pytest.mark.parametrize(("policy", "billed_ms"), [("ALLOW", 0), ("ALLOW_THEN_RECONCILE", 300_000)])
    async def test_a_policy_that_allows_opens_goes_on_and_closes_in_the_end(
        self, there: "World", partner: "Partner", clock: ManualClock, policy: str, billed_ms: int
    ) -> None:
        await partner.provision(there, policy)
        ott = await there.ott(at=partner.AT)
        await partner.kill()
        answer = await there.redeem(ott)
        assert isinstance(answer, Opened)
        for _ in range(3):
            assert (await play(there, answer.session_id, clock, 100)).result is Result.OK
        await there.end(answer.session_id)
        await there.engine.sweep()
        await partner.start()
        await confirmed(there, answer.session_id, clock)
        assert await used(partner) == [billed_ms]
        assert (await there.stored(answer.session_id)).billed_ms == billed_ms

    @pytest.mark.parametrize(("policy", "billed_ms"), [("ALLOW", 100_000), ("ALLOW_THEN_RECONCILE", 501_000)])
    async def test_a_partner_that_comes_back_pays_from_then_on(
        self, there: "World", partner: "Partner", clock: ManualClock, policy: str, billed_ms: int
    ) -> None:
        await partner.provision(there, policy)
        ott = await there.ott(at=partner.AT)
        await partner.fault(OpenCharge="away", RenewCharge="away")
        answer = await there.redeem(ott)
        assert isinstance(answer, Opened)
        for _ in range(4):
            await play(there, answer.session_id, clock, 100)
        await partner.fault()
        await play(there, answer.session_id, clock, 1)  # until then the breaker leaves it alone
        clock.advance(100)
        await there.beat(answer.session_id)
        await there.end(answer.session_id)
        await confirmed(there, answer.session_id, clock)
        assert await used(partner) == [billed_ms]

    async def test_free_play_ends_at_the_policy_s_limit(self, there: "World", partner: "Partner", clock: ManualClock) -> None:
        await partner.provision(there, "ALLOW", limit_sec=150)
        ott = await there.ott(at=partner.AT)
        await partner.fault(**ALL_AWAY)
        answer = await there.redeem(ott)
        assert isinstance(answer, Opened)
        clock.advance(120)
        assert (await there.beat(answer.session_id)).next_heartbeat_sec == 30
        clock.advance(30)
        assert (await there.beat(answer.session_id)).result is Result.CHARGE_EXHAUSTED


class TestBreaker:
    async def test_who_fails_again_and_again_is_left_alone_and_then_asked_once(
        self, there: "World", partner: "Partner", clock: ManualClock
    ) -> None:
        await partner.fault(OpenCharge="faulty")
        otts = [await there.ott(pc=f"pc-{number}", at=partner.AT) for number in range(FAILURES_MAX + 3)]
        for ott in otts[: FAILURES_MAX + 1]:
            with pytest.raises(AuthorityAway):
                await there.redeem(ott)
        assert (await partner.calls())["OpenCharge"] == FAILURES_MAX
        assert there.engine.partners.circuits == {"partner-1": True}
        await partner.fault()
        clock.advance(0.999)
        with pytest.raises(AuthorityAway, match="of late"):
            await there.redeem(otts[-2])
        clock.advance(0.001)
        assert isinstance(await there.redeem(otts[-1]), Opened)
        assert isinstance(await there.redeem(otts[-2]), Opened)
        assert there.engine.partners.circuits == {"partner-1": False}
        assert there.engine.counts.provider_calls == {
            ("partner-1", "verify_address", "answered"): 1,
            ("partner-1", "open", "failed"): FAILURES_MAX,
            ("partner-1", "open", "skipped"): 2,
            ("partner-1", "open", "answered"): 2,
        }

    async def test_an_engine_that_cannot_reach_partners_says_so(
        self, there: "World", partner: "Partner", make_world: "WorldMaker", open_again: "StoreOpener"
    ) -> None:
        assert there.engine.context.estate.providers
        alone = await make_world(await open_again())
        await alone.engine.estate.refresh()
        with pytest.raises(AuthorityAway, match="cannot reach providers"):
            await alone.start(at=partner.AT)


async def confirmed(world: "World", session_id: str, clock: ManualClock) -> None:
    """Sweep until the partner has confirmed the end, but not for ever."""
    for _ in range(20):
        if (await world.stored(session_id)).state is State.ENDED:
            return
        clock.advance(61)
        await world.engine.sweep()
        await asyncio.sleep(0.1)  # gRPC connects anew in real time
    raise AssertionError("the end was never confirmed")
