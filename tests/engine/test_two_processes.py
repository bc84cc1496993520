"""Two processes on one store: real ones, with nothing in common but what lies there."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.ledger import Transfer
from playclock.core.outbox import decode
from playclock.core.records import Happening, SessionEvent
from playclock.core.session import EndReason
from playclock.stores.base import Store

from simulation.soak import verifies
from simulation.soak.racers import racers

if TYPE_CHECKING:
    from tests.conftest import World

VERIFIES = 200
DUE = 2_000
PAYING = 100


@pytest.fixture(params=["sqlite", "redis", "cluster"])
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def race(program: str, *arguments: str, line: str) -> list[str]:
    """Run a program twice at once, and return what each answers to the line."""
    with racers(program, *arguments) as racing:
        return racing.race(line)


async def test_two_processes_with_one_ott_have_one_winner(world: "World", store_url: str) -> None:
    otts = [await world.ott(pc=f"pc-{number}", at=at) for number in range(5) for at in (world.PAYING, world.FREE)]
    answers = await asyncio.to_thread(race, "verifying", store_url, str(VERIFIES), line=" ".join(otts))
    won, refused = zip(*map(json.loads, answers), strict=True)
    opened = [session for each in won for session in each]
    assert len(opened) == len(set(opened)) == len(otts)
    assert [reason for each in refused for reason in each] == ["ALREADY_USED"] * (len(otts) * (2 * VERIFIES - 1))
    listed, _ = await world.engine.listing.page(world.OPERATOR, page_size=99, page_token="", game_id=None, cafe_id=None)
    assert sorted(session.id for session in listed) == sorted(opened)
    assert (await world.account()).held_micros == 5 * 4_000_000


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_an_ott_that_two_processes_verify_again_and_again_opens_one_session(kind: str, tmp_path: Path) -> None:
    *_, came = verifies.race(kind, tmp_path, rounds=4, verifies=200)
    assert came.violations == []
    assert (came.rounds, came.verifies, len(came.opened)) == (4, 800, 4)


class TestTwoSweepers:
    @pytest.fixture
    def store_kind(self) -> str:
        return "redis"

    async def test_end_each_of_two_thousand_sessions_once(
        self, world: "World", store_url: str, clock: ManualClock, store: Store
    ) -> None:
        places = [world.PAYING if number < PAYING else world.FREE for number in range(DUE)]
        launches = await asyncio.gather(*(world.start(f"pc-{number}", at=at) for number, at in enumerate(places)))
        sessions = await asyncio.gather(*(world.join(launch_id) for launch_id in launches))
        assert (await world.account()).held_micros == PAYING * 4_000_000
        at_ms = clock.now_ms() + 241_000
        swept = [int(told) for told in await asyncio.to_thread(race, "sweeping", store_url, str(at_ms), line="go")]
        assert min(swept) > 0, "one was done before the other began"

        told = [decode(event.data) for event in await store.events(dict.fromkeys(await store.heads(), 0), 100_000)]
        ended = [each.session for each in told if isinstance(each, SessionEvent) and each.happening is Happening.ENDED]
        assert sorted(session.id for session in ended) == sorted(sessions)
        assert {session.end_reason for session in ended} == {EndReason.HEARTBEAT_TIMEOUT}
        transfers = [each for each in told if isinstance(each, Transfer)]
        assert len({transfer.id for transfer in transfers}) == len(transfers)
        assert sum(leg.amount_micros for each in transfers for leg in each.legs if leg.ledger_account == "held/cafe-1") == 0
        account = await world.account()
        assert (account.balance_micros, account.held_micros) == (world.OPENING_MICROS, 0)
