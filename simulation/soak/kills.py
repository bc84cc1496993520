"""kill -9 under load, again and again: the store is audited after each death, before anybody lives on it again."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from simulation.soak.audit import violations
from simulation.soak.books import Books
from simulation.soak.lives import Loader
from simulation.soak.stages import stage

MOMENT_SEC: Final = 0.05
"""How long after an answer it is killed, at most."""
ANSWERS: Final = 150
"""How many answers it gives before that, at most."""
DEATHS_EACH: Final = 50
"""How often one store is played and died on. Each death's audit reads all there is."""


@dataclass
class Deaths:
    """What came of it so far."""

    deaths: int = 0
    opened: int = 0
    ended: int = 0
    transfers: int = 0
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """One line of a report."""
        found = f"{len(self.violations)} violations" if self.violations else "no violation"
        sessions = f"{self.opened:,} sessions opened, {self.ended:,} ended"
        return f"{self.deaths} deaths, {sessions}, {self.transfers:,} transfers: {found}"


def kill(kind: str, folder: Path, *, cycles: int, seed: int) -> Iterator[Deaths]:
    """Kill who plays on a store of the kind so many times, at moments that the seed decides. Yields after each audit."""
    dice, before = random.Random(seed), Deaths()
    while before.deaths < cycles:
        with stage(kind, folder / f"from-{before.deaths}") as (url, read):
            after = before
            for loader, books in _lives(url, read, min(DEATHS_EACH, cycles - before.deaths), dice):
                after = Deaths(
                    after.deaths + 1,
                    before.opened + len(loader.opened),
                    before.ended + len(loader.ended),
                    before.transfers + len(books.transfers),
                    violations(loader, books),
                )
                yield after
                if after.violations:
                    return
            before = after


def _lives(url: str, read: Callable[[], Books], cycles: int, dice: random.Random) -> Iterator[tuple[Loader, Books]]:
    loader = Loader(url)
    try:
        for _ in range(cycles):
            loader.live_and_die(dice.randrange(ANSWERS), dice.uniform(0, MOMENT_SEC))
            yield loader, read()
        loader.close()
    finally:
        loader.abandon()
