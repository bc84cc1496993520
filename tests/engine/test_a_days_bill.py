"""A day's sessions and the ledger come to the same, to the micro-unit: on days on which the clocks are changed, too."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from playclock.clock import ManualClock
from playclock.core.ledger import Transfer
from playclock.core.outbox import OutboxEvent, decode
from playclock.core.records import Happening, SessionEvent
from playclock.core.settlement import FIRST_HASH, settlement_of
from playclock.v1 import PriceWindow, Provisioning, Tariff

if TYPE_CHECKING:
    from tests.conftest import World

BERLIN = ZoneInfo("Europe/Berlin")
DAY_MICROS, NIGHT_MICROS = 1_000_003, 333_331
NIGHT_FROM, NIGHT_UNTIL = 1, 6
"""The hours between which the night's price holds: the change of the clocks, at two or three, is among them."""
DAYS = {"spring": datetime(2026, 3, 29, tzinfo=BERLIN), "plain": datetime(2026, 6, 1, tzinfo=BERLIN)} | {
    "autumn": datetime(2026, 10, 25, tzinfo=BERLIN)
}
HOURS = {"spring": 23, "plain": 24, "autumn": 25}


@pytest.fixture(params=list(DAYS))
def day(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def clock(day: str) -> ManualClock:
    return ManualClock(int(DAYS[day].timestamp()) * 1_000)


@pytest.fixture
async def night_owls(world: "World") -> "World":
    """Return the world with a price for the night, to the second."""
    night = PriceWindow(from_time="01:00", until_time="06:00", price_micros=NIGHT_MICROS)
    tariff = Tariff(id="standard", currency="GCOIN", unit_sec=1, price_micros=DAY_MICROS, rounding=Tariff.ROUNDING_EXACT)
    tariff.time_zone = BERLIN.key
    tariff.windows.append(night)
    await world.provision(Provisioning(tariffs=[tariff]))
    await world.engine.accounts.top_up(world.OPERATOR, world.ACCOUNT, 10**12, request_id="much")
    return world


async def told(world: "World") -> list[OutboxEvent]:
    store = world.engine.store
    return [decode(event.data) for event in await store.events(dict.fromkeys(await store.heads(), 0), 100_000)]


def price_of(from_ms: int, until_ms: int) -> int:
    """Walk along the clock on the wall, second by second."""
    return sum(micros_of_quarter(second // 900) for second in range(from_ms // 1_000, until_ms // 1_000))


@cache
def micros_of_quarter(quarter: int) -> int:
    """Return what a second costs in a quarter of an hour since 1970: clocks are changed at the end of one."""
    shown = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * quarter)).astimezone(BERLIN)
    return NIGHT_MICROS if NIGHT_FROM <= shown.hour < NIGHT_UNTIL else DAY_MICROS


async def test_a_days_sessions_are_the_ledgers_revenue(night_owls: "World", clock: ManualClock, day: str) -> None:
    world, began_ms = night_owls, clock.now_ms()
    launches = [await world.start(f"pc-{number}") for number in range(2)]
    # One plays through the whole day, the other in stretches that begin and end at odd seconds.
    whole = await world.join(launches[0])
    stretch, stretches = await world.join(launches[1], game_id=world.OTHER_GAME_ID), 0
    end_ms = began_ms + HOURS[day] * 3_600_000
    while clock.now_ms() < end_ms:
        clock.advance(min(227, (end_ms - clock.now_ms()) // 1_000))
        for launch in launches:
            await world.engine.launches.heartbeat(world.OPERATOR, launch)
        await world.beat(whole)
        stretches += 1
        if stretches % 17 == 0:
            await world.end(stretch, caller=world.OPERATOR)
            stretch = await world.join(launches[1], game_id=world.OTHER_GAME_ID)
        else:
            await world.beat(stretch, caller=world.OPERATOR)
    assert clock.now_ms() == int((DAYS[day] + timedelta(days=1)).timestamp()) * 1_000
    await world.end(whole)
    await world.end(stretch, caller=world.OPERATOR)

    events = await told(world)
    settlements = [
        settlement_of(event.session, FIRST_HASH)
        for event in events
        if isinstance(event, SessionEvent) and event.happening is Happening.ENDED
    ]
    revenue: Counter[str] = Counter()
    for transfer in events:
        if isinstance(transfer, Transfer):
            revenue.update({leg.ledger_account: leg.amount_micros for leg in transfer.legs})
    for settlement in settlements:
        assert settlement.amount_micros == price_of(settlement.started_ms, settlement.ended_ms)
    for game_id in (world.GAME_ID, world.OTHER_GAME_ID):
        amounts = [each.amount_micros for each in settlements if each.game_id == game_id]
        # The stretches follow upon one another, so both games have sold the whole day.
        assert sum(amounts) == revenue[f"revenue/{game_id}"] == price_of(began_ms, end_ms)
    account = await world.account()
    assert account.held_micros == 0
    assert account.balance_micros == revenue[f"wallet/{world.ACCOUNT}"]
    assert account.balance_micros == world.OPENING_MICROS + 10**12 - 2 * price_of(began_ms, end_ms)
