"""One OTT, a thousand verifies from two processes at once, and that two hundred times: one wins, the others are told so."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from playclock.clock import ManualClock
from playclock.engine import OPERATOR, Engine
from playclock.stores.urls import open_store

from simulation.soak import audit
from simulation.soak.answers import Answers
from simulation.soak.loader import ADDRESSES, ESTATE, GAME_ID
from simulation.soak.racers import RACERS, racers
from simulation.soak.stages import stage


@dataclass
class Race(Answers):
    """What came of it so far."""

    rounds: int = 0
    verifies: int = 0
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line of a report."""
        found = f"{len(self.violations)} violations" if self.violations else "no violation"
        return f"{self.rounds} rounds, {self.verifies:,} verifies, {len(self.opened)} sessions: {found}"

    def take(self, ott: str, answers: list[str]) -> None:
        """Take in what the racers of one round were answered."""
        won, refused = zip(*map(json.loads, answers), strict=True)
        opened = [session for each in won for session in each]
        told = Counter(reason for each in refused for reason in each)
        self.rounds += 1
        self.verifies += len(opened) + told.total()
        if len(opened) != 1 or opened[0] in self.opened:
            self.violations.append(f"round {self.rounds} opened {opened}")
        if set(told) != {"ALREADY_USED"}:
            self.violations.append(f"round {self.rounds} was told {dict(told)}")
        self.otts.add(ott)
        self.opened.update(dict.fromkeys(opened, ott))


def race(kind: str, folder: Path, *, rounds: int, verifies: int) -> Iterator[Race]:
    """Race so often for an OTT, by so many verifies each time. Yields after each round; the last time, after the audit."""
    each = verifies // RACERS
    came = Race()
    with stage(kind, folder) as (url, read):
        otts = asyncio.run(_issue(url, rounds))
        with racers("verifying", url, str(each)) as racing:
            for ott in otts:
                came.take(ott, racing.race(ott))
                yield came
        if came.verifies != rounds * each * RACERS:
            came.violations.append(f"{came.verifies} of {rounds * each * RACERS} verifies were answered")
        came.violations += audit.violations(came, read())
        yield came


async def _issue(url: str, count: int) -> list[str]:
    """Issue so many OTTs, each of a PC of its own, in turn for nothing and in the cafe that pays."""
    store = await open_store(url)
    async with Engine(store, clock=ManualClock()) as engine:
        await engine.estate.apply(ESTATE)
        otts = []
        for number in range(count):
            at = ADDRESSES[number % len(ADDRESSES)]
            started = await engine.launches.start(OPERATOR, pc_id=f"pc-{number}", internal_ip="", external_ip=at, hardware=b"")
            otts.append(await engine.launches.issue_ott(OPERATOR, started.launch.id, game_id=GAME_ID, provider_user_id=None))
    await store.close()
    return otts
