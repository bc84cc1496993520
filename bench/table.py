"""What was measured, row by row: the goal beside the ratio and its spread over the rounds."""

import json
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, Final, NamedTuple

from bench.load import Burst


class Spread(NamedTuple):
    """Rounds of one figure."""

    min: float
    median: float
    max: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Return the spread of some values."""
        found = list(values)
        return cls(min(found), median(found), max(found))


class Row(NamedTuple):
    """A path of playclock beside a server that does nothing, round by round."""

    name: str
    goal: str
    ours: Sequence[Burst]
    bare: Sequence[Burst] = ()

    @property
    def ratio(self) -> Spread | None:
        """What the bare server's process spends on a heartbeat over what ours does, in the same round.

        Processor time instead of time: it counts neither what others do on the machine, nor what a server waits for a load
        generator that cannot keep up. A server that has its core to itself and is always busy shows the same both ways.
        """
        if not self.bare:
            return None
        return Spread.of(bare.cpu_us / ours.cpu_us for ours, bare in zip(self.ours, self.bare, strict=True))

    @property
    def rate_ratio(self) -> Spread | None:
        """Heartbeats per second over the bare server's in the same round."""
        if not self.bare:
            return None
        return Spread.of(ours.rate / bare.rate for ours, bare in zip(self.ours, self.bare, strict=True))

    @property
    def busy(self) -> float:
        """How busy the server's core was with the server, at the median."""
        return median(burst.cpu_seconds / burst.seconds for burst in self.ours)

    def figures(self) -> dict[str, Any]:
        """Return the row for programs."""
        return {
            "name": self.name,
            "goal": self.goal,
            "ratio": self.ratio and self.ratio._asdict(),
            "rate_ratio": self.rate_ratio and self.rate_ratio._asdict(),
            "heartbeats_per_second": Spread.of(burst.rate for burst in self.ours)._asdict(),
            "cpu_us": Spread.of(burst.cpu_us for burst in self.ours)._asdict(),
            "bare_per_second": Spread.of(burst.rate for burst in self.bare)._asdict() if self.bare else None,
            "bare_cpu_us": Spread.of(burst.cpu_us for burst in self.bare)._asdict() if self.bare else None,
        }


_HEADS: Final = (
    "heartbeat",
    "goal",
    "ratio (min-max)",
    "ratio of rates (min-max)",
    "per second",
    "bare",
    "CPU µs",
    "bare",
    "busy",
)


def render(rows: Sequence[Row]) -> str:
    """Return the rows as a table for people."""
    lines = [_HEADS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_HEADS))]
    return "\n".join("  ".join(_aligned(line, widths)).rstrip() for line in lines)


def as_json(rows: Sequence[Row]) -> str:
    """Return the rows as JSON."""
    return json.dumps([row.figures() for row in rows], indent=2)


def _cells(row: Row) -> tuple[str, ...]:
    bare_rate = f"{median(burst.rate for burst in row.bare):,.0f}" if row.bare else ""
    bare_us = f"{median(burst.cpu_us for burst in row.bare):.4g}" if row.bare else ""
    return (
        row.name,
        row.goal,
        _spread(row.ratio),
        _spread(row.rate_ratio),
        f"{median(burst.rate for burst in row.ours):,.0f}",
        bare_rate,
        f"{median(burst.cpu_us for burst in row.ours):.4g}",
        bare_us,
        f"{row.busy:.0%}",
    )


def _spread(spread: Spread | None) -> str:
    return "" if spread is None else f"{spread.median:.2f} ({spread.min:.2f}-{spread.max:.2f})"


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> Iterable[str]:
    for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
        yield cell.ljust(width) if column == 0 else cell.rjust(width)
