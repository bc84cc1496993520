"""How a process's time follows the clock of the server that its store lies on: smoothly, and never back.

Whatever somebody sets the server's clock to, our time goes on: the difference becomes an offset, which lies in the store for
all processes, so that those that start later agree with those that run.
"""

import msgspec

SLEW = 20
"""A small error is made good by running faster or slower by one part in so many."""
STEP_MS = 1_000
"""What is further off than that is no drift: a clock was set, or a process stood still."""
ALIVE_MS = 3_000
"""The last sign of life of a process that lives is not older."""


class Slew(msgspec.Struct, frozen=True):
    """Make a small error good, little by little."""

    error_ms: int


class CatchUp(msgspec.Struct, frozen=True):
    """Take over the time that the others have: this process fell behind them."""

    error_ms: int


class SetApart(msgspec.Struct, frozen=True):
    """Go on as before, and let everybody know by how much we are ahead of the server's clock now."""

    offset_ms: int


Course = Slew | CatchUp | SetApart


def slewed_ns(elapsed_ns: int, error_ns: int) -> int:
    """Return how far time has come after `elapsed_ns` on the way to make an error good; an error above 0 is to be gained."""
    most_ns = elapsed_ns // SLEW
    return elapsed_ns + max(-most_ns, min(error_ns, most_ns))


def course(*, now_ms: int, server_ms: int, offset_ms: int, beat_ms: int) -> Course:
    """Return what to do about the difference between our time and the server's, with the offset that everybody knows.

    `beat_ms` is the last sign of life of any process. If it is as far ahead as the server says, others live there, and the
    one that is wrong is this process. Otherwise the server's clock was set. A process that is ahead is never taken back.
    """
    error_ms = server_ms + offset_ms - now_ms
    if abs(error_ms) <= STEP_MS:
        return Slew(error_ms)
    if error_ms > 0 and beat_ms >= now_ms + error_ms - ALIVE_MS:
        return CatchUp(error_ms)
    return SetApart(now_ms - server_ms)


def beginning(*, server_ms: int, offset_ms: int, beat_ms: int | None) -> int:
    """Return the offset with which a process starts that finds another offset and the last sign of life in the store.

    An offset holds as long as somebody lives by it. When all have stopped, time may jump ahead to the server's, which is an
    outage like any other; but it never begins before what was seen last, or leases would be longer than they are.
    """
    if beat_ms is None:
        return 0
    ahead_ms = server_ms + offset_ms - beat_ms
    if -STEP_MS <= ahead_ms <= ALIVE_MS:
        return offset_ms
    return max(0, beat_ms - server_ms)
