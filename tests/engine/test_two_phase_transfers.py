"""Two-phase transfers on an account: each step once, over exactly at their time, beside sessions that live on its money."""

import asyncio
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Opened, Refused
from playclock.core.ledger import Transfer
from playclock.core.ott import Refusal
from playclock.core.outbox import Audit, decode
from playclock.core.transfers import PENDING_MAX, TransferState, TwoPhase
from playclock.engine import OPERATOR
from playclock.errors import (
    AccountNotFound,
    BadRequest,
    InsufficientCredit,
    TooManyTransfers,
    TransferClosed,
    TransferIdReused,
    TransferNotFound,
)

if TYPE_CHECKING:
    from tests.conftest import Restart, World

MINUTE = 1_000_000
DAY_SEC = 86_400


async def create(
    world: "World",
    transfer_id: str = "t",
    *,
    amount: int = MINUTE,
    seconds: int = 60,
    account: str = "",
    target: str = "payout/x",
) -> TwoPhase:
    return await world.engine.transfers.create(
        OPERATOR,
        account or world.ACCOUNT,
        transfer_id,
        amount_micros=amount,
        target=target,
        timeout_ms=seconds * 1_000,
    )


async def ledger(world: "World") -> dict[str, int]:
    """Return what is in each account of the ledger, after a look at what must hold of it."""
    store, sums, ids = world.engine.store, dict[str, int](), list[str]()
    for stored in await store.events(dict.fromkeys(await store.heads(), 0), 100_000):
        event = decode(stored.data)
        if isinstance(event, Transfer):
            ids.append(event.id)
            assert sum(leg.amount_micros for leg in event.legs) == 0
            for leg in event.legs:
                sums[leg.ledger_account] = sums.get(leg.ledger_account, 0) + leg.amount_micros
    assert len(ids) == len(set(ids))
    account = await world.account()
    assert sums[f"wallet/{world.ACCOUNT}"] == account.unheld_micros
    assert sums.get(f"held/{world.ACCOUNT}", 0) == account.held_micros
    return sums


class TestSteps:
    async def test_a_part_is_posted_and_the_rest_is_free(self, world: "World", clock: ManualClock) -> None:
        transfers = world.engine.transfers
        pending = await create(world, amount=5 * MINUTE)
        assert pending.state is TransferState.PENDING
        assert pending.expires_ms == clock.now_ms() + 60_000
        assert (await world.engine.accounts.get(world.ACCOUNT)).held_micros == 5 * MINUTE
        clock.advance(30)
        posted = await transfers.post(OPERATOR, world.ACCOUNT, "t", amount_micros=2 * MINUTE)
        assert (posted.state, posted.posted_micros, posted.closed_ms) == (TransferState.POSTED, 2 * MINUTE, clock.now_ms())
        assert await transfers.get(world.ACCOUNT, "t") == posted
        account = await world.account()
        assert (account.balance_micros, account.held_micros, account.pending) == (world.OPENING_MICROS - 2 * MINUTE, 0, ())
        assert (await ledger(world))["payout/x"] == 2 * MINUTE

    async def test_each_can_be_repeated_and_gets_its_first_answer(self, world: "World", clock: ManualClock) -> None:
        transfers = world.engine.transfers
        first = [await create(world), await create(world, "v")]
        clock.advance(1)
        assert [await create(world), await create(world, "v")] == first
        posted = await transfers.post(OPERATOR, world.ACCOUNT, "t")
        voided = await transfers.void(OPERATOR, world.ACCOUNT, "v")
        clock.advance(100)
        heads = await world.engine.store.heads()
        assert await transfers.post(OPERATOR, world.ACCOUNT, "t") == posted
        assert await transfers.post(OPERATOR, world.ACCOUNT, "t", amount_micros=MINUTE) == posted
        assert await transfers.void(OPERATOR, world.ACCOUNT, "v") == voided
        assert [await create(world), await create(world, "v")] == first
        assert await world.engine.store.heads() == heads
        assert (await world.account()).balance_micros == world.OPENING_MICROS - MINUTE

    async def test_what_is_closed_stays_so(self, world: "World") -> None:
        transfers = world.engine.transfers
        await create(world)
        await create(world, "v")
        await transfers.post(OPERATOR, world.ACCOUNT, "t")
        await transfers.void(OPERATOR, world.ACCOUNT, "v")
        for step in (transfers.void(OPERATOR, world.ACCOUNT, "t"), transfers.post(OPERATOR, world.ACCOUNT, "v")):
            with pytest.raises(TransferClosed):
                await step
        with pytest.raises(TransferClosed) as refusal:
            await transfers.post(OPERATOR, world.ACCOUNT, "t", amount_micros=1)
        assert refusal.value.metadata == {"state": "POSTED", "posted_micros": str(MINUTE)}

    async def test_an_id_means_one_thing_on_one_account(self, world: "World") -> None:
        await world.provision_poor(MINUTE)
        await create(world)
        for other in ({"amount": MINUTE + 1}, {"seconds": 61}, {"target": "payout/y"}):
            with pytest.raises(TransferIdReused):
                await create(world, **other)
        assert (await create(world, account=world.POOR_ACCOUNT)).account_id == world.POOR_ACCOUNT

    async def test_fifty_at_once_in_two_processes_create_and_post_once(self, world: "World", elsewhere: "World") -> None:
        created = await asyncio.gather(*(create((world, elsewhere)[number % 2]) for number in range(50)))
        assert all(each == created[0] for each in created)
        posted = await asyncio.gather(
            *((world, elsewhere)[number % 2].engine.transfers.post(OPERATOR, world.ACCOUNT, "t") for number in range(50))
        )
        assert all(each == posted[0] for each in posted)
        assert (await world.account()).balance_micros == world.OPENING_MICROS - MINUTE
        await ledger(world)

    async def test_of_a_post_and_a_void_at_once_one_wins(self, world: "World", elsewhere: "World") -> None:
        await create(world)
        steps = (
            world.engine.transfers.post(OPERATOR, world.ACCOUNT, "t"),
            elsewhere.engine.transfers.void(OPERATOR, world.ACCOUNT, "t"),
        )
        answers = await asyncio.gather(*steps, return_exceptions=True)
        assert sorted(type(answer).__name__ for answer in answers) == ["TransferClosed", "TwoPhase"]
        assert (await world.account()).held_micros == 0
        await ledger(world)

    async def test_what_an_operator_did_is_told(self, world: "World") -> None:
        await create(world)
        await world.engine.transfers.void(OPERATOR, world.ACCOUNT, "t")
        store = world.engine.store
        told = [decode(event.data) for event in await store.events(dict.fromkeys(await store.heads(), 0), 1_000)]
        audits = [(each.action, each.target, each.detail) for each in told if isinstance(each, Audit)]
        assert audits.pop(0)[:2] == ("ApplyProvisioning", "revision/1")
        assert audits == [("CreateTransfer", world.ACCOUNT, "t"), ("VoidTransfer", world.ACCOUNT, "t")]

    async def test_what_nobody_knows_is_not_found(self, world: "World") -> None:
        transfers = world.engine.transfers
        with pytest.raises(AccountNotFound):
            await create(world, account="nobody")
        for call in (transfers.get("nobody", "t"), transfers.post(OPERATOR, "nobody", "t")):
            with pytest.raises(AccountNotFound):
                await call
        for call in (transfers.get(world.ACCOUNT, "t"), transfers.void(OPERATOR, world.ACCOUNT, "t")):
            with pytest.raises(TransferNotFound):
                await call

    @pytest.mark.parametrize(
        ("wrong", "field"),
        [
            ({"amount": 0}, "amount_micros"),
            ({"seconds": 0}, "timeout_sec"),
            ({"account": "no body"}, "account_id"),
            ({"transfer_id": ""}, "transfer_id"),
            ({"transfer_id": "a\nb"}, "transfer_id"),
            ({"transfer_id": "x" * 256}, "transfer_id"),
        ],
    )
    async def test_what_is_asked_for_wrongly_is_refused(self, world: "World", wrong: dict[str, str], field: str) -> None:
        with pytest.raises(BadRequest) as refused:
            await create(world, **wrong)  # type: ignore[arg-type]
        assert set(refused.value.violations) == {field}


@pytest.mark.parametrize("swept", [False, True], ids=["unswept", "swept"])
class TestExpiry:
    async def test_the_money_is_free_at_its_time_whoever_looked(
        self, world: "World", clock: ManualClock, *, swept: bool
    ) -> None:
        transfers = world.engine.transfers
        pending = await create(world, amount=world.OPENING_MICROS)
        ott = await world.ott()
        clock.advance(ms=59_999)
        if swept:
            await world.engine.sweep()
        assert (await world.engine.accounts.get(world.ACCOUNT)).free_micros == 0
        assert (await transfers.get(world.ACCOUNT, "t")).state is TransferState.PENDING
        assert await world.redeem(ott) == Refused(Refusal.NOT_CHARGEABLE)
        ott = await world.ott()
        clock.advance(ms=1)
        if swept:
            await world.engine.sweep()
        assert (await world.engine.accounts.get(world.ACCOUNT)).free_micros == world.OPENING_MICROS
        expired = await transfers.get(world.ACCOUNT, "t")
        assert (expired.state, expired.closed_ms) == (TransferState.EXPIRED, pending.expires_ms)
        for step in (transfers.post, transfers.void):
            with pytest.raises(TransferClosed) as refusal:
                await step(OPERATOR, world.ACCOUNT, "t")
            assert refusal.value.metadata == {"state": "EXPIRED"}
        assert await create(world, amount=world.OPENING_MICROS) == pending
        assert isinstance(await world.redeem(ott), Opened)
        await world.engine.sweep()
        assert await transfers.get(world.ACCOUNT, "t") == expired
        assert (await world.account()).pending == ()
        await ledger(world)

    async def test_a_post_right_before_it_is_in_time(self, world: "World", clock: ManualClock, *, swept: bool) -> None:
        await create(world)
        clock.advance(ms=59_999)
        if swept:
            await world.engine.sweep()
        await world.engine.transfers.post(OPERATOR, world.ACCOUNT, "t")
        clock.advance(100)
        await world.engine.sweep()
        assert (await world.engine.transfers.get(world.ACCOUNT, "t")).state is TransferState.POSTED
        assert (await ledger(world))["payout/x"] == MINUTE

    async def test_it_comes_after_a_restart_too(
        self, world: "World", restart: "Restart", clock: ManualClock, *, swept: bool
    ) -> None:
        await create(world, amount=world.OPENING_MICROS)
        world = await restart()
        clock.advance(60)
        if swept:
            await world.engine.sweep()
        assert (await world.engine.accounts.get(world.ACCOUNT)).free_micros == world.OPENING_MICROS
        await create(world, "next", amount=world.OPENING_MICROS)
        await ledger(world)

    async def test_a_sweeper_that_remembers_the_account_of_before_frees_it_too(
        self, world: "World", elsewhere: "World", clock: ManualClock, *, swept: bool
    ) -> None:
        await elsewhere.open()  # remembers the account
        await create(world)
        if swept:
            await elsewhere.engine.transfers.get(world.ACCOUNT, "t")
        clock.advance(60)
        await elsewhere.engine.sweep()
        assert (await world.account()).pending == ()
        await ledger(world)

    async def test_finished_ones_are_dropped_in_the_end(self, world: "World", clock: ManualClock, *, swept: bool) -> None:
        await create(world)
        clock.advance(60)
        await world.engine.sweep()
        clock.advance(400 * DAY_SEC - 1)
        if swept:
            await world.engine.sweep()
        assert (await world.engine.transfers.get(world.ACCOUNT, "t")).state is TransferState.EXPIRED
        clock.advance(1)
        if swept:
            await world.engine.sweep()
        with pytest.raises(TransferNotFound):
            await world.engine.transfers.get(world.ACCOUNT, "t")


class TestCredit:
    async def test_one_refused_keeps_being_refused_for_a_day_whatever_is_topped_up(
        self, world: "World", clock: ManualClock
    ) -> None:
        await world.provision_poor(MINUTE)
        for _ in range(2):
            with pytest.raises(InsufficientCredit):
                await create(world, amount=2 * MINUTE, account=world.POOR_ACCOUNT)
            await world.engine.accounts.top_up(OPERATOR, world.POOR_ACCOUNT, 9 * MINUTE, request_id="r")
        assert (await world.engine.transfers.get(world.POOR_ACCOUNT, "t")).state is TransferState.REFUSED
        clock.advance(DAY_SEC - 1)
        with pytest.raises(InsufficientCredit) as refusal:
            await create(world, amount=2 * MINUTE, account=world.POOR_ACCOUNT)
        assert refusal.value.metadata == {"free_micros": str(MINUTE)}
        clock.advance(1)
        there = await create(world, amount=2 * MINUTE, account=world.POOR_ACCOUNT)
        assert there.state is TransferState.PENDING

    async def test_sessions_and_transfers_do_not_spend_the_same_money(
        self, world: "World", elsewhere: "World", clock: ManualClock
    ) -> None:
        await world.provision_poor(12 * MINUTE)
        await elsewhere.engine.estate.refresh()
        otts = [await world.ott(pc=f"pc-{number}", at=world.POOR) for number in range(4)]
        there = (world, elsewhere)
        wanted = [create(there[n % 2], f"t-{n}", amount=4 * MINUTE, account=world.POOR_ACCOUNT) for n in range(4)]
        opened = [there[n % 2].redeem(ott) for n, ott in enumerate(otts)]
        answers = await asyncio.gather(*wanted, *opened, return_exceptions=True)
        assert sum(isinstance(answer, TwoPhase | Opened) for answer in answers) == 3
        account = await world.account(world.POOR_ACCOUNT)
        assert account.held_micros == account.balance_micros == 12 * MINUTE
        clock.advance(60)
        sessions = [answer.session_id for answer in answers if isinstance(answer, Opened)]
        for session in sessions:
            await world.end(session)
        account = await elsewhere.engine.accounts.get(world.POOR_ACCOUNT)
        assert (account.balance_micros, account.held_micros) == ((12 - len(sessions)) * MINUTE, 0)

    async def test_an_account_has_a_bounded_number_pending(self, world: "World", clock: ManualClock) -> None:
        for number in range(PENDING_MAX):
            await create(world, f"t-{number}", amount=1)
        with pytest.raises(TooManyTransfers):
            await create(world, "one more", amount=1)
        await world.engine.transfers.void(OPERATOR, world.ACCOUNT, "t-7")
        await create(world, "one more", amount=1)
        clock.advance(60)
        assert (await world.engine.accounts.get(world.ACCOUNT)).held_micros == 0
        await world.engine.sweep()
        assert await world.engine.sweep() == 0
        await ledger(world)
