"""What callers are told: everyday answers as values."""

from enum import IntEnum

import msgspec

from playclock.core.ott import Refusal


class Opened(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=1):
    """An OTT became a session."""

    session_id: str
    is_pc_cafe: bool
    next_heartbeat_sec: int
    attributes: bytes = b""
    """What the session tells of the player."""


class Refused(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=2):
    """An OTT did not."""

    refusal: Refusal


class Result(IntEnum):
    """What a game server, or a launcher, has to do after its heartbeat."""

    OK = 1
    CHARGE_EXHAUSTED = 2
    SESSION_REPLACED = 3


class Beat(msgspec.Struct, frozen=True, gc=False):
    """The answer to a game server's heartbeat."""

    result: Result
    next_heartbeat_sec: int
    play_duration_sec: int
    grace_remaining_sec: int = 0
