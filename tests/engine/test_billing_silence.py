"""Silence costs what the tariff says that the session began with, swept or not, and the same figures are told everywhere."""

from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.outbox import decode
from playclock.core.records import Happening, SessionEvent
from playclock.core.session import EndReason, Session
from playclock.core.settlement import FIRST_HASH, settlement_of
from playclock.errors import AlreadyEnded, SessionNotFound
from playclock.v1 import Provisioning, Tariff

if TYPE_CHECKING:
    from tests.conftest import World

MINUTE = 1_000_000


async def provision(world: "World", policy: Tariff.BillOnSilence.ValueType) -> None:
    tariff = Tariff(id="standard", currency="GCOIN", unit_sec=60, price_micros=MINUTE, bill_on_silence=policy)
    await world.provision(Provisioning(tariffs=[tariff]))


async def ended(world: "World") -> list[Session]:
    """Return the sessions of which the outbox tells that they ended."""
    store = world.engine.store
    stored = await store.events(dict.fromkeys(await store.heads(), 0), 100_000)
    told = [decode(event.data) for event in stored]
    return [event.session for event in told if isinstance(event, SessionEvent) and event.happening is Happening.ENDED]


@pytest.mark.parametrize("swept", [False, True], ids=["unswept", "swept"])
@pytest.mark.parametrize(
    ("policy", "minutes"),
    [
        (Tariff.BILL_ON_SILENCE_UNSPECIFIED, 1),
        (Tariff.BILL_ON_SILENCE_LAST_HEARTBEAT, 1),
        (Tariff.BILL_ON_SILENCE_ONE_INTERVAL, 3),
        (Tariff.BILL_ON_SILENCE_LEASE_END, 5),
    ],
)
async def test_silence_costs_what_the_tariff_says(
    world: "World", clock: ManualClock, policy: Tariff.BillOnSilence.ValueType, minutes: int, *, swept: bool
) -> None:
    await provision(world, policy)
    launch = await world.start()
    session = await world.join(launch)
    clock.advance(60)
    await world.beat(session)
    clock.advance(120)
    await world.engine.launches.heartbeat(world.OPERATOR, launch)
    clock.advance(120)
    if swept:
        await world.engine.sweep()
    with pytest.raises(SessionNotFound):
        await world.end(session)
    account = await world.account()
    assert (account.balance_micros, account.held_micros) == (world.OPENING_MICROS - minutes * MINUTE, 0)
    (told,) = await ended(world)
    settlement = settlement_of(told, FIRST_HASH)
    assert (settlement.billed_sec, settlement.amount_micros) == (minutes * 60, minutes * MINUTE)
    assert (settlement.play_duration_sec, settlement.unproven_sec) == (60, 240)


async def test_a_session_keeps_the_policy_that_it_began_with(world: "World", clock: ManualClock) -> None:
    await provision(world, Tariff.BILL_ON_SILENCE_LEASE_END)
    await world.open()
    await provision(world, Tariff.BILL_ON_SILENCE_LAST_HEARTBEAT)
    await world.open("pc-2")
    clock.advance(240)
    await world.engine.sweep()
    assert sorted(session.billed_ms for session in await ended(world)) == [0, 240_000]


async def test_a_silent_launcher_is_billed_until_the_last_heartbeat_and_the_late_end_hears_the_figures(
    world: "World", clock: ManualClock
) -> None:
    await provision(world, Tariff.BILL_ON_SILENCE_LEASE_END)
    session = await world.open()
    clock.advance(100)
    await world.beat(session)
    clock.advance(140)
    with pytest.raises(AlreadyEnded) as refusal:
        await world.end(session)
    stored = await world.stored(session)
    assert stored.end_reason is EndReason.LAUNCHER_TIMEOUT
    figures = refusal.value.metadata
    assert (figures["play_duration_sec"], figures["billed_sec"], figures["amount_micros"]) == ("100", "100", str(2 * MINUTE))
