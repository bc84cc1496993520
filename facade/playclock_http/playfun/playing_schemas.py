"""The bodies of the calls of players' clients: requests are checked by these declarations, answers written by them."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from playclock_http.playfun.point_schemas import POINTS_MAX, Digits

_END: Final = r"$(?!\n)"
_HASH: Final = "0" * 64

_WHOLE: Final = {"expected": f"a whole number from 0 to {POINTS_MAX}"}

Sequence = Annotated[int, Meta(description="The report's number.", examples=[1], ge=0, le=POINTS_MAX, extra=_WHOLE)]
Hash = Annotated[
    str,
    Meta(
        description="The hash after a report: 64 hex digits.",
        examples=[_HASH],
        pattern=f"^[0-9a-f]{{64}}{_END}",
        extra={"expected": "64 lower-case hex digits"},
    ),
]
Points = Annotated[int, Meta(description="Points.", examples=[10], ge=0, le=POINTS_MAX, extra=_WHOLE)]
StepKey = Annotated[str, Meta(description="The key of the next report's proof.", examples=[_HASH])]


class SessionState(msgspec.Struct, frozen=True, rename="camel"):
    """Where the client is."""

    last_seq: Sequence
    last_hash: Hash
    step_key: StepKey
    total_points: Annotated[int, Meta(description="All points that were reported in the session.", examples=[10])]


class Flush(msgspec.Struct, frozen=True, rename="camel"):
    """Points that the client reports. Other fields, such as clientInstanceId, may be there."""

    seq: Sequence
    points: Points
    prev_hash: Hash
    proof: Annotated[
        str,
        Meta(
            description="HMAC-SHA256 in lower-case hex, by the step key, of `playerId:gameId|seq|points|prevHash`.",
            examples=[_HASH],
            pattern=f"^[0-9a-f]{{64}}{_END}",
            extra={"expected": "64 lower-case hex digits"},
        ),
    ]


class Flushed(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Where the client is then."""

    seq: Sequence
    new_hash: Hash
    next_step_key: StepKey
    total: Annotated[int, Meta(description="All points that were reported in the session.", examples=[10])]
    added: Points
    duplicate: Annotated[bool, Meta(description="Whether the report was taken before.", examples=[True])] = False


class Commit(msgspec.Struct, frozen=True, rename="camel"):
    """What is to be saved: all that was reported. Other fields, such as referrer and distributors, may be there."""

    seq: Sequence
    prev_hash: Hash


class Committed(msgspec.Struct, frozen=True, rename="camel"):
    """It is saved."""

    saved: Annotated[bool, Meta(description="Always true.", examples=[True])]
    status: Annotated[
        Literal["accepted", "pending_review"],
        Meta(description="pending_review for a session that somebody should look at. Its points count all the same."),
    ]
    risk_score: Annotated[float, Meta(description="What speaks against the session.", examples=[0.0], ge=0, le=1)]


class OwnPoints(msgspec.Struct, frozen=True, rename="camel"):
    """What a player has in the game that the token is for."""

    points: Digits
    active_multiplier: Annotated[int, Meta(description="1: points count as they are.", examples=[1])] = 1
