"""Five units of credit at a unit a second: used up after 5.0 s, over 120 s later, to the millisecond, whoever looks when."""

import random
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Result
from playclock.core.outbox import decode
from playclock.core.records import Happening, SessionEvent
from playclock.core.session import EndReason, State
from playclock.core.timers import Timers
from playclock.errors import AlreadyEnded, SessionEnded
from playclock.stores.base import Store
from playclock.v1 import ProvisionedAccount, ProvisionedCafe, Provisioning, Tariff

if TYPE_CHECKING:
    from tests.conftest import World, WorldMaker

UNIT = 1_000_000
OUT_MS, OVER_MS = 5_000, 125_000
NOTABLE_MS = (1, 999, 2_500, 4_999, 5_000, 5_001, 64_321, 124_999)
END_MS = (125_000, 125_001, 126_000, 200_000)
"""When somebody looks at last. Until then the launcher counts as alive."""


def moments(seed: int) -> list[int]:
    """Return when heartbeats come: notable moments and any others, none of them or many."""
    chance = random.Random(seed)
    any_ms = [chance.randrange(OVER_MS) for _ in range(chance.randrange(6))]
    return sorted({*chance.sample(NOTABLE_MS, chance.randrange(len(NOTABLE_MS) + 1)), *any_ms})


@pytest.fixture
async def world(make_world: "WorldMaker", store: Store) -> "World":
    """Return a world in which five seconds of credit are enough to begin with."""
    world = await make_world(store, timers=Timers(heartbeat_interval_ms=5_000))
    await world.provision()
    return world


async def five_units(world: "World", number: int) -> str:
    """Open a session in a cafe that has five units, and return its id."""
    name = f"five-{number}"
    await world.provision(
        Provisioning(
            tariffs=[Tariff(id="second", currency="GCOIN", unit_sec=1, price_micros=UNIT)],
            accounts=[ProvisionedAccount(id=name, currency="GCOIN", opening_balance_micros=5 * UNIT)],
            cafes=[ProvisionedCafe(id=name, name=name, networks=[f"198.51.{number}.0/24"], account=name, tariff="second")],
        )
    )
    return await world.open(at=f"198.51.{number}.1")


async def events_of(world: "World", session_id: str) -> list[tuple[Happening, int]]:
    store = world.engine.store
    stored = await store.events(dict.fromkeys(await store.heads(), 0), 100_000)
    events = [event for event in map(decode, (each.data for each in stored)) if isinstance(event, SessionEvent)]
    return [(event.happening, event.at_ms - event.session.started_ms) for event in events if event.session.id == session_id]


@pytest.mark.parametrize("swept", [False, True], ids=["unswept", "swept"])
@pytest.mark.parametrize("seed", range(16))
async def test_it_is_used_up_and_over_at_its_moments_however_the_heartbeats_come(
    world: "World", clock: ManualClock, seed: int, *, swept: bool
) -> None:
    session_id = await five_units(world, seed)
    began_ms = clock.now_ms()
    for at_ms in moments(seed):
        clock.advance(ms=began_ms + at_ms - clock.now_ms())
        if swept:
            await world.engine.sweep()
        beat = await world.beat(session_id)
        if at_ms < OUT_MS:
            assert (beat.result, beat.next_heartbeat_sec) == (Result.OK, -(-(OUT_MS - at_ms) // 1_000))
        else:
            assert (beat.result, beat.grace_remaining_sec) == (Result.CHARGE_EXHAUSTED, -(-(OVER_MS - at_ms) // 1_000))

    clock.advance(ms=began_ms + END_MS[seed % len(END_MS)] - clock.now_ms())
    if swept:
        await world.engine.sweep()
    with pytest.raises(SessionEnded):
        await world.beat(session_id)
    with pytest.raises(AlreadyEnded) as refused:
        await world.end(session_id)
    assert refused.value.metadata == {
        "end_reason": "CHARGE_EXHAUSTED",
        "play_duration_sec": "125",
        "billed_sec": "5",
        "grace_sec": "120",
        "amount_micros": str(5 * UNIT),
    }
    ended = await world.stored(session_id)
    assert (ended.state, ended.end_reason, ended.ended_ms) == (State.ENDED, EndReason.CHARGE_EXHAUSTED, began_ms + OVER_MS)
    account = await world.account(f"five-{seed}")
    assert (account.balance_micros, account.held_micros) == (0, 0)
    assert await events_of(world, session_id) == [
        (Happening.OPENED, 0),
        (Happening.LOW_CREDIT, 0),
        (Happening.EXHAUSTED, OUT_MS),
        (Happening.ENDED, OVER_MS),
    ]


async def test_a_top_up_in_grace_is_ok_at_the_next_heartbeat_elsewhere_too(
    world: "World", make_world: "WorldMaker", store: Store, clock: ManualClock
) -> None:
    session_id = await five_units(world, 200)
    clock.advance(ms=OVER_MS - 1)
    other = await make_world(store, timers=Timers(heartbeat_interval_ms=5_000))
    assert (await other.beat(session_id)).result is Result.CHARGE_EXHAUSTED
    await world.engine.accounts.top_up(world.OPERATOR, "five-200", 5 * UNIT, request_id="r")
    assert (await other.beat(session_id)).result is Result.OK
    # Of the grace there is a millisecond left.
    clock.advance(ms=5_000)
    assert (await other.beat(session_id)).grace_remaining_sec == 1
    clock.advance(ms=1)
    with pytest.raises(SessionEnded):
        await other.beat(session_id)
