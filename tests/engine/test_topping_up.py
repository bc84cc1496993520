"""Top-ups, once each; taking them back; what play time would cost; and who hears of it."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Result
from playclock.core.ledger import Transfer
from playclock.core.outbox import Audit, OutboxEvent, decode
from playclock.core.records import Happening, SessionEvent
from playclock.core.session import State
from playclock.engine import OPERATOR, Caller, Role
from playclock.errors import (
    AccountNotFound,
    AlreadyReversed,
    BadRequest,
    CafeNotFound,
    InsufficientCredit,
    RequestIdReused,
    TransferNotFound,
)
from playclock.v1 import PriceWindow, Provisioning, Tariff

if TYPE_CHECKING:
    from tests.conftest import Restart, World

MINUTE = 1_000_000


async def told(world: "World") -> list[OutboxEvent]:
    store = world.engine.store
    return [decode(event.data) for event in await store.events(dict.fromkeys(await store.heads(), 0), 100_000)]


async def happenings(world: "World") -> list[Happening]:
    return [event.happening for event in await told(world) if isinstance(event, SessionEvent)]


class TestTopUp:
    async def test_credits_the_account_and_says_so_in_the_ledger(self, world: "World") -> None:
        booked = await world.engine.accounts.top_up(OPERATOR, world.ACCOUNT, 5 * MINUTE, request_id="r-1")
        assert booked.account.balance_micros == world.OPENING_MICROS + 5 * MINUTE
        assert await world.engine.accounts.get(world.ACCOUNT) == booked.account
        transfers = [event for event in await told(world) if isinstance(event, Transfer)]
        last = transfers[-1]
        assert {leg.ledger_account: leg.amount_micros for leg in last.legs} == {
            "funding/GCOIN": -5 * MINUTE,
            f"wallet/{world.ACCOUNT}": 5 * MINUTE,
        }
        assert last.id == booked.transfer_id
        audits = [event for event in await told(world) if isinstance(event, Audit)]
        assert [(audit.action, audit.target) for audit in audits] == [
            ("ApplyProvisioning", "revision/1"),
            ("TopUpAccount", world.ACCOUNT),
        ]

    async def test_a_second_one_with_the_same_request_id_changes_nothing_and_gets_the_first_answer(
        self, world: "World"
    ) -> None:
        accounts = world.engine.accounts
        first = await accounts.top_up(OPERATOR, world.ACCOUNT, MINUTE, request_id="r-1")
        await accounts.top_up(OPERATOR, world.ACCOUNT, MINUTE, request_id="r-2")
        assert await accounts.top_up(OPERATOR, world.ACCOUNT, MINUTE, request_id="r-1") == first
        assert (await world.account()).balance_micros == world.OPENING_MICROS + 2 * MINUTE

    async def test_fifty_at_once_with_one_request_id_credit_once(self, world: "World") -> None:
        calls = (world.engine.accounts.top_up(OPERATOR, world.ACCOUNT, MINUTE, request_id="r") for _ in range(50))
        answers = await asyncio.gather(*calls)
        assert set(map(repr, answers)) == {repr(answers[0])}
        assert (await world.account()).balance_micros == world.OPENING_MICROS + MINUTE

    async def test_the_same_request_id_with_another_amount_is_refused(self, world: "World") -> None:
        await world.engine.accounts.top_up(OPERATOR, world.ACCOUNT, MINUTE, request_id="r")
        with pytest.raises(RequestIdReused):
            await world.engine.accounts.top_up(OPERATOR, world.ACCOUNT, 2 * MINUTE, request_id="r")
        assert (await world.account()).balance_micros == world.OPENING_MICROS + MINUTE

    async def test_a_repeat_days_later_still_gets_the_first_answer(self, world: "World", clock: ManualClock) -> None:
        accounts = world.engine.accounts
        first = await accounts.top_up(OPERATOR, world.ACCOUNT, MINUTE, request_id="r")
        for _ in range(2):
            clock.advance(200 * 86_400 - 1)
            await world.engine.sweep()
            assert await accounts.top_up(OPERATOR, world.ACCOUNT, MINUTE, request_id="r") == first
            with pytest.raises(RequestIdReused):
                await accounts.top_up(OPERATOR, world.ACCOUNT, 2 * MINUTE, request_id="r")
        assert (await world.account()).balance_micros == world.OPENING_MICROS + MINUTE

    async def test_callers_have_request_ids_of_their_own(self, world: "World") -> None:
        for caller in (OPERATOR, Caller(Role.OPERATOR, "another")):
            await world.engine.accounts.top_up(caller, world.ACCOUNT, MINUTE, request_id="r")
        assert (await world.account()).balance_micros == world.OPENING_MICROS + 2 * MINUTE

    async def test_is_not_repeated_after_a_restart(self, world: "World", restart: "Restart") -> None:
        first = await world.engine.accounts.top_up(OPERATOR, world.ACCOUNT, MINUTE, request_id="r")
        world = await restart()
        assert await world.engine.accounts.top_up(OPERATOR, world.ACCOUNT, MINUTE, request_id="r") == first
        assert (await world.account()).balance_micros == world.OPENING_MICROS + MINUTE

    @pytest.mark.parametrize("amount_micros", [0, -1, 1 << 62])
    async def test_an_amount_that_is_none_is_refused(self, world: "World", amount_micros: int) -> None:
        with pytest.raises(BadRequest) as refused:
            await world.engine.accounts.top_up(OPERATOR, world.ACCOUNT, amount_micros, request_id="r")
        assert set(refused.value.violations) == {"amount_micros"}

    @pytest.mark.parametrize("request_id", ["", "x" * 256, "a\tb"])
    async def test_a_request_id_is_required(self, world: "World", request_id: str) -> None:
        with pytest.raises(BadRequest) as refused:
            await world.engine.accounts.top_up(OPERATOR, world.ACCOUNT, 1, request_id=request_id)
        assert set(refused.value.violations) == {"request_id"}

    async def test_an_unknown_account_is_not_found(self, world: "World") -> None:
        with pytest.raises(AccountNotFound):
            await world.engine.accounts.top_up(OPERATOR, "nobody", 1, request_id="r")
        with pytest.raises(AccountNotFound):
            await world.engine.accounts.get("nobody")
        with pytest.raises(BadRequest):
            await world.engine.accounts.get("no body")


class TestGrace:
    async def test_a_top_up_ends_it_at_once_and_watchers_hear(self, world: "World", clock: ManualClock) -> None:
        await world.provision_poor(2 * MINUTE)
        session_id = await world.open(at=world.POOR)
        clock.advance(130)
        assert (await world.get(session_id)).state is State.EXHAUSTED
        await world.engine.accounts.top_up(OPERATOR, world.POOR_ACCOUNT, 10 * MINUTE, request_id="r")
        session = await world.get(session_id)
        assert session.state is State.ACTIVE
        assert session.lease_until_ms - session.started_ms == 240_000
        assert (await world.beat(session_id)).result is Result.OK
        assert await happenings(world) == [
            Happening.OPENED,
            Happening.LOW_CREDIT,
            Happening.EXHAUSTED,
            Happening.RESUMED,
        ]

    async def test_too_little_does_not(self, world: "World", clock: ManualClock) -> None:
        await world.provision_poor(2 * MINUTE)
        session_id = await world.open(at=world.POOR)
        clock.advance(130)
        await world.engine.accounts.top_up(OPERATOR, world.POOR_ACCOUNT, MINUTE, request_id="r")
        assert (await world.beat(session_id)).result is Result.CHARGE_EXHAUSTED

    async def test_one_coin_every_two_minutes_for_two_hours_gains_one_grace_budget_at_most(
        self, world: "World", clock: ManualClock
    ) -> None:
        await world.provision_poor(2 * MINUTE)
        launch_id = await world.start(at=world.POOR)
        session_id = await world.join(launch_id)
        paid_micros, began_ms = 2 * MINUTE, clock.now_ms()
        for number in range(60):
            clock.advance(119)
            await world.engine.accounts.top_up(OPERATOR, world.POOR_ACCOUNT, MINUTE, request_id=f"r-{number}")
            paid_micros += MINUTE
            session = await world.get(session_id)
            if session.state is State.ENDED:
                break
            await world.engine.launches.heartbeat(OPERATOR, launch_id)
            await world.beat(session_id)
        session = await world.get(session_id)
        assert session.ended_ms is not None
        assert session.charge is not None
        billed_ms = session.charge.billed_micros // MINUTE * 60_000
        assert session.ended_ms - began_ms <= billed_ms + 120_000
        assert session.charge.billed_micros <= paid_micros


class TestReversal:
    async def test_takes_a_top_up_back_once(self, world: "World") -> None:
        accounts = world.engine.accounts
        booked = await accounts.top_up(OPERATOR, world.ACCOUNT, MINUTE, request_id="r")
        assert (await accounts.reverse(OPERATOR, world.ACCOUNT, booked.transfer_id)).account == await world.account()
        assert (await world.account()).balance_micros == world.OPENING_MICROS
        with pytest.raises(AlreadyReversed):
            await accounts.reverse(OPERATOR, world.ACCOUNT, booked.transfer_id)
        reversal = [event for event in await told(world) if isinstance(event, Transfer)][-1]
        assert reversal.reverses == booked.transfer_id

    async def test_does_not_touch_what_sessions_hold(self, world: "World") -> None:
        await world.provision_poor(0)
        booked = await world.engine.accounts.top_up(OPERATOR, world.POOR_ACCOUNT, 4 * MINUTE, request_id="r")
        await world.open(at=world.POOR)
        with pytest.raises(InsufficientCredit):
            await world.engine.accounts.reverse(OPERATOR, world.POOR_ACCOUNT, booked.transfer_id)

    async def test_sees_what_another_process_has_let_go(self, world: "World", elsewhere: "World") -> None:
        await world.provision_poor(0)
        await elsewhere.engine.estate.refresh()
        booked = await world.engine.accounts.top_up(OPERATOR, world.POOR_ACCOUNT, 4 * MINUTE, request_id="r")
        session = await elsewhere.open(at=world.POOR)
        await world.end(session)
        await elsewhere.engine.accounts.reverse(OPERATOR, world.POOR_ACCOUNT, booked.transfer_id)
        assert (await world.account(world.POOR_ACCOUNT)).balance_micros == 0

    async def test_knows_only_top_ups_of_the_account(self, world: "World") -> None:
        await world.provision_poor(0)
        booked = await world.engine.accounts.top_up(OPERATOR, world.ACCOUNT, MINUTE, request_id="r")
        for account_id, transfer_id in ((world.POOR_ACCOUNT, booked.transfer_id), (world.ACCOUNT, "nonsense")):
            with pytest.raises(TransferNotFound):
                await world.engine.accounts.reverse(OPERATOR, account_id, transfer_id)


class TestPrice:
    async def test_tells_what_it_costs_and_how_long_the_account_could_pay(self, world: "World") -> None:
        await world.provision_poor(3 * MINUTE)
        cafe = world.engine.context.estate.cafe_at(world.POOR)
        assert cafe is not None
        price = await world.engine.accounts.inquire(cafe.id, 90)
        assert (price.amount_micros, price.currency, price.is_chargeable, price.affordable_sec) == (
            2 * MINUTE,
            "GCOIN",
            True,
            180,
        )

    async def test_an_account_below_one_interval_is_not_chargeable(self, world: "World") -> None:
        await world.provision_poor(MINUTE)
        cafe = world.engine.context.estate.cafe_at(world.POOR)
        assert cafe is not None
        price = await world.engine.accounts.inquire(cafe.id, 60)
        assert (price.is_chargeable, price.affordable_sec) == (False, 60)

    async def test_knows_prices_by_the_time_of_day(self, world: "World", clock: ManualClock) -> None:
        # The clock of the tests starts at midnight UTC.
        night = PriceWindow(from_time="00:00", until_time="00:01", price_micros=5 * MINUTE)
        tariff = Tariff(id="standard", currency="GCOIN", unit_sec=60, price_micros=MINUTE, windows=[night])
        await world.provision(Provisioning(tariffs=[tariff]))
        cafe = world.engine.context.estate.cafe_at(world.PAYING)
        assert cafe is not None
        assert (await world.engine.accounts.inquire(cafe.id, 120)).amount_micros == 6 * MINUTE
        clock.advance(60)
        assert (await world.engine.accounts.inquire(cafe.id, 120)).amount_micros == 2 * MINUTE

    async def test_free_time_costs_nothing_whatever_the_minimum(self, world: "World") -> None:
        tariff = Tariff(
            id="standard", currency="GCOIN", unit_sec=60, price_micros=MINUTE, minimum_micros=4 * MINUTE, free_sec=300
        )
        await world.provision(Provisioning(tariffs=[tariff]))
        cafe = world.engine.context.estate.cafe_at(world.PAYING)
        assert cafe is not None
        prices = [(await world.engine.accounts.inquire(cafe.id, sec)).amount_micros for sec in (1, 300, 301, 600)]
        assert prices == [0, 0, 4 * MINUTE, 5 * MINUTE]

    async def test_a_minimum_that_the_account_has_not_is_not_chargeable(self, world: "World") -> None:
        await world.provision_poor(3 * MINUTE)
        cafe = world.engine.context.estate.cafe_at(world.POOR)
        assert cafe is not None
        assert cafe.tariff_id is not None
        dear = Tariff(id=cafe.tariff_id, currency="GCOIN", unit_sec=60, price_micros=MINUTE, minimum_micros=4 * MINUTE)
        await world.provision(Provisioning(tariffs=[dear]))
        assert not (await world.engine.accounts.inquire(cafe.id, 60)).is_chargeable

    async def test_where_nobody_pays_there_is_no_price(self, world: "World") -> None:
        cafe = world.engine.context.estate.cafe_at(world.FREE)
        assert cafe is not None
        price = await world.engine.accounts.inquire(cafe.id, 60)
        assert (price.amount_micros, price.currency, price.is_chargeable, price.affordable_sec) == (0, "", True, None)

    async def test_an_unknown_cafe_or_no_time_is_refused(self, world: "World") -> None:
        with pytest.raises(CafeNotFound):
            await world.engine.accounts.inquire("nowhere", 60)
        with pytest.raises(BadRequest):
            await world.engine.accounts.inquire("nowhere", 0)
