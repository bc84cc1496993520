"""Debt: down to its limit and no further, apart in the ledger, paid first; and limits that change while sessions run."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Opened, Refused, Result
from playclock.core.estate import AccountPlan
from playclock.core.ledger import Transfer
from playclock.core.ott import Refusal
from playclock.core.outbox import decode
from playclock.core.session import State
from playclock.engine import OPERATOR
from playclock.errors import BadRequest, InsufficientCredit
from playclock.v1 import ProvisionedAccount, ProvisionedCafe, Provisioning

if TYPE_CHECKING:
    from tests.conftest import Restart, World

MINUTE = 1_000_000


async def ledger(world: "World") -> dict[str, int]:
    """Return what is in each account of the ledger."""
    store, sums = world.engine.store, dict[str, int]()
    for stored in await store.events(dict.fromkeys(await store.heads(), 0), 100_000):
        event = decode(stored.data)
        if isinstance(event, Transfer):
            assert sum(leg.amount_micros for leg in event.legs) == 0
            for leg in event.legs:
                sums[leg.ledger_account] = sums.get(leg.ledger_account, 0) + leg.amount_micros
    return sums


async def limit(world: "World", micros: int) -> None:
    """Let the poor account owe so much."""
    await world.engine.estate.apply(
        [AccountPlan(id=world.POOR_ACCOUNT, currency="GCOIN", opening_balance_micros=0, debt_limit_micros=micros)]
    )


@pytest.fixture
async def indebted(world: "World") -> "World":
    """Return a world in which the poor account has nothing, and may owe six minutes."""
    account = ProvisionedAccount(
        id=world.POOR_ACCOUNT, currency="GCOIN", opening_balance_micros=0, debt_limit_micros=6 * MINUTE
    )
    cafe = ProvisionedCafe(
        id="cafe-3", name="Poor", networks=["198.51.100.0/24"], account=world.POOR_ACCOUNT, tariff="standard"
    )
    await world.provision(Provisioning(accounts=[account], cafes=[cafe]))
    return world


async def test_play_goes_on_down_to_the_limit_and_ends_there(indebted: "World", clock: ManualClock) -> None:
    launch = await indebted.start(at=indebted.POOR)
    session = await indebted.join(launch)
    for _ in range(3):
        clock.advance(100)
        await indebted.engine.launches.heartbeat(OPERATOR, launch)
        assert (await indebted.beat(session)).result is Result.OK
    clock.advance(60)
    assert (await indebted.beat(session)).result is Result.CHARGE_EXHAUSTED
    account = await indebted.account(indebted.POOR_ACCOUNT)
    assert (account.balance_micros, account.held_micros, account.free_micros) == (-6 * MINUTE, 0, 0)
    sums = await ledger(indebted)
    assert sums[f"debt/{indebted.POOR_ACCOUNT}"] == -6 * MINUTE
    assert sums.get(f"wallet/{indebted.POOR_ACCOUNT}", 0) == sums[f"held/{indebted.POOR_ACCOUNT}"] == 0
    assert await indebted.redeem(await indebted.ott(pc="pc-2", at=indebted.POOR)) == Refused(Refusal.NOT_CHARGEABLE)


async def test_the_next_top_up_pays_it_first(indebted: "World", clock: ManualClock) -> None:
    session = await indebted.open(at=indebted.POOR)
    clock.advance(180)
    await indebted.end(session)
    account = indebted.POOR_ACCOUNT
    assert (await ledger(indebted))[f"debt/{account}"] == -3 * MINUTE
    booked = await indebted.engine.accounts.top_up(OPERATOR, account, 5 * MINUTE, request_id="r")
    assert (booked.account.balance_micros, booked.account.free_micros) == (2 * MINUTE, 8 * MINUTE)
    sums = await ledger(indebted)
    assert (sums[f"debt/{account}"], sums[f"wallet/{account}"]) == (0, 2 * MINUTE)


async def test_a_top_up_that_is_spent_can_be_taken_back_down_to_the_limit(indebted: "World", clock: ManualClock) -> None:
    accounts, account = indebted.engine.accounts, indebted.POOR_ACCOUNT
    booked = [await accounts.top_up(OPERATOR, account, 4 * MINUTE, request_id=f"r-{number}") for number in range(2)]
    session = await indebted.open(at=indebted.POOR)
    clock.advance(180)
    await indebted.end(session)
    await accounts.reverse(OPERATOR, account, booked[0].transfer_id)
    await accounts.reverse(OPERATOR, account, booked[1].transfer_id)
    assert (await indebted.account(account)).balance_micros == -3 * MINUTE
    assert (await ledger(indebted))[f"debt/{account}"] == -3 * MINUTE
    third = await accounts.top_up(OPERATOR, account, 4 * MINUTE, request_id="r-3")
    await limit(indebted, 2 * MINUTE)
    with pytest.raises(InsufficientCredit):
        await accounts.reverse(OPERATOR, account, third.transfer_id)


async def test_many_at_once_stay_above_the_floor(indebted: "World", elsewhere: "World") -> None:
    await elsewhere.engine.estate.refresh()
    otts = [await indebted.ott(pc=f"pc-{number}", at=indebted.POOR) for number in range(20)]
    answers = await asyncio.gather(*((indebted, elsewhere)[n % 2].redeem(ott) for n, ott in enumerate(otts)))
    # A lease of four minutes for one, the two that are left for another.
    assert sum(isinstance(answer, Opened) for answer in answers) == 2
    account = await indebted.account(indebted.POOR_ACCOUNT)
    assert (account.balance_micros, account.held_micros) == (0, 6 * MINUTE)
    assert (await ledger(indebted))[f"debt/{indebted.POOR_ACCOUNT}"] == -6 * MINUTE


class TestLimit:
    async def test_it_is_shown_and_in_force_as_soon_as_it_is_applied(self, world: "World", elsewhere: "World") -> None:
        await world.provision_poor(0)
        await elsewhere.engine.estate.refresh()
        assert await world.redeem(await world.ott(at=world.POOR)) == Refused(Refusal.NOT_CHARGEABLE)
        await limit(world, 4 * MINUTE)
        assert (await elsewhere.engine.accounts.get(world.POOR_ACCOUNT)).debt_limit_micros == 4 * MINUTE
        assert isinstance(await elsewhere.redeem(await elsewhere.ott(at=world.POOR)), Opened)

    async def test_lowered_below_the_debt_it_lets_what_runs_go_on_and_nothing_new_begin(
        self, indebted: "World", clock: ManualClock
    ) -> None:
        launch = await indebted.start(at=indebted.POOR)
        session = await indebted.join(launch)
        await limit(indebted, 0)
        clock.advance(100)
        # It goes on with the four minutes that it holds, and can hold nothing more.
        assert (await indebted.beat(session)).result is Result.OK
        account = await indebted.account(indebted.POOR_ACCOUNT)
        assert (account.balance_micros, account.held_micros, account.free_micros) == (-2 * MINUTE, 2 * MINUTE, 0)
        assert await indebted.redeem(await indebted.ott(pc="pc-2", at=indebted.POOR)) == Refused(Refusal.NOT_CHARGEABLE)
        clock.advance(110)
        await indebted.engine.launches.heartbeat(OPERATOR, launch)
        clock.advance(30)
        assert (await indebted.beat(session)).result is Result.CHARGE_EXHAUSTED
        assert (await indebted.account(indebted.POOR_ACCOUNT)).balance_micros == -4 * MINUTE
        await indebted.engine.accounts.top_up(OPERATOR, indebted.POOR_ACCOUNT, 4 * MINUTE, request_id="r-1")
        assert (await indebted.get(session)).state is State.EXHAUSTED
        await indebted.engine.accounts.top_up(OPERATOR, indebted.POOR_ACCOUNT, 2 * MINUTE, request_id="r-2")
        assert (await indebted.get(session)).state is State.ACTIVE

    async def test_raised_it_ends_a_grace_with_the_next_heartbeat(self, world: "World", clock: ManualClock) -> None:
        await world.provision_poor(2 * MINUTE)
        session = await world.open(at=world.POOR)
        clock.advance(130)
        assert (await world.beat(session)).result is Result.CHARGE_EXHAUSTED
        await limit(world, 2 * MINUTE)
        assert (await world.beat(session)).result is Result.OK

    async def test_only_looking_changes_none(self, indebted: "World") -> None:
        lower = AccountPlan(id=indebted.POOR_ACCOUNT, currency="GCOIN", opening_balance_micros=0)
        await indebted.engine.estate.apply([lower], validate_only=True)
        assert (await indebted.account(indebted.POOR_ACCOUNT)).debt_limit_micros == 6 * MINUTE

    async def test_an_application_that_is_refused_changes_none(self, indebted: "World") -> None:
        lower = AccountPlan(id=indebted.POOR_ACCOUNT, currency="KRW", opening_balance_micros=0)
        with pytest.raises(BadRequest):
            await indebted.engine.estate.apply([lower])
        assert (await indebted.account(indebted.POOR_ACCOUNT)).debt_limit_micros == 6 * MINUTE

    @pytest.mark.usefixtures("indebted")
    async def test_it_survives_a_restart(self, restart: "Restart") -> None:
        again = await restart()
        assert (await again.account(again.POOR_ACCOUNT)).debt_limit_micros == 6 * MINUTE

    async def test_a_second_application_writes_nothing(self, indebted: "World") -> None:
        before = await indebted.engine.store.heads(), await indebted.account(indebted.POOR_ACCOUNT)
        await limit(indebted, 6 * MINUTE)
        assert (await indebted.engine.store.heads(), await indebted.account(indebted.POOR_ACCOUNT)) == before
