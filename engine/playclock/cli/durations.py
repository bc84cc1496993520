"""Durations on the command line: 90s, 30m, 12h, 90d."""

import re
from typing import Final

import click

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION: Final = re.compile(r"([0-9]{1,9})([smhd])", re.ASCII)


class _Duration(click.ParamType[int]):
    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the duration in seconds."""
        if isinstance(value, int):
            return value
        match = _DURATION.fullmatch(str(value))
        if match is None:
            self.fail(f"expected a number and s, m, h or d, such as 24h, not {value!r}", param, ctx)
        return int(match[1]) * _UNITS[match[2]]


DURATION: Final = _Duration()
"""Reads a duration, as seconds."""
