"""Play time costs credit, to the millisecond and never more than there is; without credit there is grace, and then an end."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Beat, Opened, Refused, Result
from playclock.core.charge import Account
from playclock.core.ott import REFUSALS_MAX, Refusal
from playclock.core.session import EndReason, State
from playclock.errors import SessionEnded, SessionNotFound
from playclock.v1 import ProvisionedAccount, ProvisionedCafe, Provisioning, Tariff

if TYPE_CHECKING:
    from tests.conftest import FaultInjectingStore, World, WorldMaker

NOT_CHARGEABLE = Refused(Refusal.NOT_CHARGEABLE)
MINUTE_MICROS = 1_000_000
LEASE_MICROS = 4 * MINUTE_MICROS


class TestReservation:
    async def test_opening_holds_a_lease_and_bills_nothing_yet(self, world: "World") -> None:
        session = await world.open()
        assert await world.account() == Account(world.ACCOUNT, "GCOIN", world.OPENING_MICROS, LEASE_MICROS)
        opened = await world.stored(session)
        assert opened.paid_until_ms == opened.lease_until_ms

    async def test_a_heartbeat_bills_what_was_played_and_holds_a_lease_ahead(self, world: "World", clock: ManualClock) -> None:
        session = await world.open()
        clock.advance(90)
        assert await world.beat(session) == Beat(Result.OK, 120, 90)
        # 90 s cost two minutes that have begun; 90 + 240 s cost six.
        account = await world.account()
        assert (account.balance_micros, account.held_micros) == (world.OPENING_MICROS - 2 * MINUTE_MICROS, 4 * MINUTE_MICROS)

    async def test_the_bill_does_not_depend_on_how_many_heartbeats_came(self, world: "World", clock: ManualClock) -> None:
        bills = []
        for number, wait_sec in enumerate((1, 7, 77, 231)):
            launch = await world.start(f"pc-{number}")
            session = await world.join(launch)
            for _ in range(231 * 4 // wait_sec):
                clock.advance(wait_sec)
                await world.engine.launches.heartbeat(world.OPERATOR, launch)
                await world.beat(session)
            ended = await world.end(session)
            assert ended.charge is not None
            bills.append((ended.billed_ms, ended.charge.billed_micros))
        assert bills == [(924_000, 16 * MINUTE_MICROS)] * 4
        account = await world.account()
        assert (account.balance_micros, account.held_micros) == (world.OPENING_MICROS - 64 * MINUTE_MICROS, 0)

    async def test_a_heartbeat_that_comes_twice_costs_once(self, world: "World", clock: ManualClock) -> None:
        session = await world.open()
        clock.advance(30)
        await world.beat(session)
        before = await world.account()
        for _ in range(5):
            await world.beat(session)
        assert await world.account() == before

    @pytest.mark.parametrize("swept", [False, True])
    async def test_silence_costs_up_to_the_last_heartbeat_and_releases_the_rest(
        self, world: "World", clock: ManualClock, *, swept: bool
    ) -> None:
        session = await world.open()
        clock.advance(61)
        await world.beat(session)
        clock.advance(240)
        if swept:
            await world.engine.sweep()
        else:
            with pytest.raises(SessionNotFound):
                await world.end(session)
        account = await world.account()
        assert (account.balance_micros, account.held_micros) == (world.OPENING_MICROS - 2 * MINUTE_MICROS, 0)

    async def test_an_ended_session_releases_what_it_held(self, world: "World", clock: ManualClock) -> None:
        sessions = [await world.open(f"pc-{number}") for number in range(3)]
        clock.advance(1)
        await world.end(sessions[0])
        await world.engine.sessions.terminate(world.OPERATOR, sessions[1])
        await world.open("pc-2")
        account = await world.account()
        assert (account.balance_micros, account.held_micros) == (world.OPENING_MICROS - 3 * MINUTE_MICROS, LEASE_MICROS)

    async def test_who_pays_nothing_moves_no_account(self, world: "World", clock: ManualClock) -> None:
        before = await world.account()
        session = await world.open(at=world.FREE)
        clock.advance(100)
        await world.beat(session)
        ended = await world.end(session)
        assert ended.charge is None
        assert await world.account() == before

    async def test_a_free_tariff_plays_for_ever_and_costs_nothing(self, world: "World", clock: ManualClock) -> None:
        await world.provision(
            Provisioning(
                tariffs=[Tariff(id="free", currency="GCOIN", unit_sec=60, price_micros=0)],
                accounts=[ProvisionedAccount(id="empty", currency="GCOIN", opening_balance_micros=0)],
                cafes=[ProvisionedCafe(id="cafe-9", name="Nine", networks=["198.51.9.0/24"], account="empty", tariff="free")],
            )
        )
        launch = await world.start(at="198.51.9.1")
        session = await world.join(launch)
        for _ in range(5):
            clock.advance(200)
            await world.engine.launches.heartbeat(world.OPERATOR, launch)
            assert (await world.beat(session)).result is Result.OK
        assert (await world.end(session)).billed_ms == 1_000_000
        assert await world.account("empty") == Account("empty", "GCOIN", 0, 0)


class TestOpening:
    async def test_a_minute_short_of_an_interval_is_not_chargeable(self, world: "World") -> None:
        await world.provision_poor(2 * MINUTE_MICROS - 1)
        assert await world.redeem(await world.ott(at=world.POOR)) == NOT_CHARGEABLE
        assert await world.account(world.POOR_ACCOUNT) == Account(world.POOR_ACCOUNT, "GCOIN", 2 * MINUTE_MICROS - 1, 0)

    async def test_exactly_an_interval_is_enough_and_the_heartbeat_is_asked_for_at_its_end(
        self, world: "World", clock: ManualClock
    ) -> None:
        await world.provision_poor(2 * MINUTE_MICROS)
        opened = await world.redeem(await world.ott(at=world.POOR))
        assert isinstance(opened, Opened)
        assert opened.next_heartbeat_sec == 120
        clock.advance(70)
        assert await world.beat(opened.session_id) == Beat(Result.OK, 50, 70)

    async def test_a_minimum_is_not_promised_twice_while_time_is_free(
        self, world: "World", elsewhere: "World", clock: ManualClock
    ) -> None:
        await world.provision_poor(7 * MINUTE_MICROS)
        entry = Tariff(
            id="standard",
            currency="GCOIN",
            unit_sec=60,
            price_micros=MINUTE_MICROS,
            minimum_micros=3 * MINUTE_MICROS,
            free_sec=600,
        )
        await world.provision(Provisioning(tariffs=[entry]))
        await elsewhere.engine.estate.refresh()
        otts = [await world.ott(pc=f"pc-{number}", at=world.POOR) for number in range(6)]
        answers = await asyncio.gather(*((world, elsewhere)[n % 2].redeem(ott) for n, ott in enumerate(otts)))
        opened = [answer.session_id for answer in answers if isinstance(answer, Opened)]
        assert (len(opened), answers.count(NOT_CHARGEABLE)) == (2, 4)
        account = await world.account(world.POOR_ACCOUNT)
        assert (account.held_micros, account.free_micros) == (6 * MINUTE_MICROS, MINUTE_MICROS)
        clock.advance(50)
        assert (await world.end(opened[0])).charge is not None
        assert await world.redeem(await world.ott(pc="pc-7", at=world.POOR)) != NOT_CHARGEABLE
        account = await world.account(world.POOR_ACCOUNT)
        assert (account.balance_micros, account.held_micros) == (7 * MINUTE_MICROS, 6 * MINUTE_MICROS)

    async def test_fifty_players_on_credit_for_three(
        self, world: "World", elsewhere: "World", busy_store: "FaultInjectingStore", make_world: "WorldMaker"
    ) -> None:
        await world.provision_poor(3 * LEASE_MICROS)
        crowded = await make_world(busy_store)
        await elsewhere.engine.estate.refresh()
        otts = [await world.ott(pc=f"pc-{number}", at=world.POOR) for number in range(50)]
        done = False

        async def watch_the_account() -> int:
            looked = 0
            while not done:
                account = await world.account(world.POOR_ACCOUNT)
                assert 0 <= account.held_micros <= account.balance_micros
                looked += 1
                await asyncio.sleep(0)
            return looked

        watching = asyncio.create_task(watch_the_account())
        answers = await asyncio.gather(*((crowded, elsewhere)[n % 2].redeem(ott) for n, ott in enumerate(otts)))
        done = True
        assert await watching > 10
        assert sum(isinstance(answer, Opened) for answer in answers) == 3
        assert answers.count(NOT_CHARGEABLE) == 47
        account = await world.account(world.POOR_ACCOUNT)
        assert (account.balance_micros, account.held_micros) == (3 * LEASE_MICROS, 3 * LEASE_MICROS)

    async def test_a_refusal_for_credit_does_not_replace_the_session_on_the_pc(
        self, world: "World", clock: ManualClock
    ) -> None:
        await world.provision_poor(3 * MINUTE_MICROS)
        launch = await world.start(at=world.POOR)
        session = await world.join(launch)
        clock.advance(100)
        await world.beat(session)
        ott = await world.ott(launch)
        before = await world.account(world.POOR_ACCOUNT), await world.stored(session), await world.engine.store.heads()
        # The old session's hold counts, as it would end: but what is left then is less than an interval.
        assert await world.redeem(ott) == NOT_CHARGEABLE
        after = await world.account(world.POOR_ACCOUNT), await world.stored(session), await world.engine.store.heads()
        assert before[0] == after[0]
        assert before[2] == after[2]
        assert after[1].state is State.ACTIVE
        assert (await world.beat(session)).result is Result.OK

    async def test_what_the_replaced_session_held_pays_for_the_new_one(self, world: "World") -> None:
        await world.provision_poor(LEASE_MICROS)
        launch = await world.start(at=world.POOR)
        old = await world.join(launch)
        new = await world.join(launch)
        assert (await world.beat(old)).result is Result.SESSION_REPLACED
        assert (await world.beat(new)).result is Result.OK
        assert await world.account(world.POOR_ACCOUNT) == Account(world.POOR_ACCOUNT, "GCOIN", LEASE_MICROS, LEASE_MICROS)

    async def test_five_refusals_for_credit_use_an_ott_up_too(self, world: "World") -> None:
        await world.provision_poor(0)
        ott = await world.ott(at=world.POOR)
        for _ in range(REFUSALS_MAX):
            assert await world.redeem(ott) == NOT_CHARGEABLE
        assert await world.redeem(ott) == Refused(Refusal.ALREADY_USED)

    async def test_credit_that_comes_back_within_the_minute_redeems_the_same_ott(
        self, world: "World", clock: ManualClock
    ) -> None:
        await world.provision_poor(LEASE_MICROS)
        neighbour = await world.open("pc-1", at=world.POOR)
        ott = await world.ott(pc="pc-2", at=world.POOR)
        assert await world.redeem(ott) == NOT_CHARGEABLE
        clock.advance(10)
        await world.end(neighbour)
        assert isinstance(await world.redeem(ott), Opened)


@pytest.mark.parametrize("swept", [False, True], ids=["unswept", "swept"])
class TestExhaustion:
    """Credit for 240 seconds, then two minutes of grace."""

    @pytest.fixture
    async def launch(self, world: "World") -> str:
        await world.provision_poor(LEASE_MICROS)
        return await world.start(at=world.POOR)

    @pytest.fixture
    async def session(self, world: "World", launch: str) -> str:
        return await world.join(launch)

    async def _pass(self, world: "World", clock: ManualClock, launch: str, *, ms: int, swept: bool) -> None:
        clock.advance(ms=ms)
        await world.engine.launches.heartbeat(world.OPERATOR, launch)
        if swept:
            await world.engine.sweep()

    async def test_it_comes_at_its_moment_and_grace_ends_at_its_own(
        self, world: "World", clock: ManualClock, launch: str, session: str, *, swept: bool
    ) -> None:
        await self._pass(world, clock, launch, ms=150_000, swept=swept)
        assert await world.beat(session) == Beat(Result.OK, 90, 150)
        await self._pass(world, clock, launch, ms=89_999, swept=swept)
        assert await world.beat(session) == Beat(Result.OK, 1, 239)
        await self._pass(world, clock, launch, ms=1, swept=swept)
        assert await world.beat(session) == Beat(Result.CHARGE_EXHAUSTED, 120, 240, grace_remaining_sec=120)
        assert await world.account(world.POOR_ACCOUNT) == Account(world.POOR_ACCOUNT, "GCOIN", 0, 0)
        await self._pass(world, clock, launch, ms=100_000, swept=swept)
        assert await world.beat(session) == Beat(Result.CHARGE_EXHAUSTED, 120, 340, grace_remaining_sec=20)
        await self._pass(world, clock, launch, ms=19_999, swept=swept)
        assert await world.beat(session) == Beat(Result.CHARGE_EXHAUSTED, 120, 359, grace_remaining_sec=1)
        await self._pass(world, clock, launch, ms=1, swept=swept)
        with pytest.raises(SessionEnded) as refusal:
            await world.beat(session)
        assert refusal.value.metadata == {"end_reason": "CHARGE_EXHAUSTED"}
        ended = await world.stored(session)
        assert (ended.end_reason, ended.ended_ms) == (EndReason.CHARGE_EXHAUSTED, ended.started_ms + 360_000)
        assert (ended.billed_ms, ended.charge and ended.charge.billed_micros) == (240_000, LEASE_MICROS)

    async def test_who_leaves_in_grace_pays_for_no_grace(
        self, world: "World", clock: ManualClock, launch: str, session: str, *, swept: bool
    ) -> None:
        for ms in (200_000, 100_000):
            await self._pass(world, clock, launch, ms=ms, swept=swept)
            await world.beat(session)
        ended = await world.end(session)
        assert (ended.end_reason, ended.billed_ms) == (EndReason.CLIENT_END, 240_000)
        assert await world.account(world.POOR_ACCOUNT) == Account(world.POOR_ACCOUNT, "GCOIN", 0, 0)

    async def test_credit_that_comes_back_in_grace_makes_the_session_active_again(
        self, world: "World", clock: ManualClock, *, swept: bool
    ) -> None:
        await world.provision_poor(2 * LEASE_MICROS)
        launch = await world.start("pc-1", at=world.POOR)
        session = await world.join(launch)
        await self._pass(world, clock, launch, ms=195_000, swept=swept)
        neighbour = await world.open("pc-2", at=world.POOR)
        for ms in (5_000, 39_000, 31_000):
            await self._pass(world, clock, launch, ms=ms, swept=swept)
            last = await world.beat(session)
        assert last == Beat(Result.CHARGE_EXHAUSTED, 120, 270, grace_remaining_sec=90)
        await world.end(neighbour)
        assert (await world.beat(session)).result is Result.OK
        active = await world.stored(session)
        assert (active.state, active.grace_used_ms, active.billed_ms) == (State.ACTIVE, 30_000, 240_000)
