"""The attacks, each told in a sentence, so that another process can carry them out."""

from collections.abc import Sequence

from simulation.abuse import attacks
from simulation.abuse.http2 import Stranger


def trickle(address: str, count: int) -> str:
    """Let so many connections trickle."""
    came = attacks.trickle(address, count, give_up_sec=60)
    return f"{came.closed} were closed, after {came.shortest:.1f} to {came.longest:.1f} s"


def reset(address: str, count: int, otts: Sequence[str]) -> str:
    """Give so many calls up at once."""
    return _goodbye(attacks.rapid_reset(address, count, otts))


def ping(address: str, count: int) -> str:
    """Ping so often."""
    return _goodbye(attacks.ping_flood(address, count))


def bomb(address: str, size: int) -> str:
    """Send so many zeros, compressed."""
    stranger = attacks.bomb(address, size)
    return f"{_goodbye(stranger)}, answered {stranger.answers.get(1)}"


def _goodbye(stranger: Stranger) -> str:
    goodbye = "" if stranger.goaway is None else f", told {stranger.goaway[0]} {stranger.goaway[1].decode()}"
    return f"the stranger was {'cut off' if stranger.is_closed else 'let stay'}{goodbye}"
