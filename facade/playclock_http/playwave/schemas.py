"""The bodies of the game-server calls, and the fields that the launcher calls share with them.

Requests are checked by these declarations, answers written and documented by them.

The `$` of Python's `re` also matches before a final line feed, JSON Schema's does not: the look-ahead after
it makes both mean the end.
"""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_END: Final = r"$(?!\n)"
_NO_CONTROLS: Final = rf"^[^\x00-\x1f\x7f-\x9f]*{_END}"
INT32_MAX: Final = 2**31 - 1
GAME_SESSION_ID: Final = f"^gs_{_UUID}{_END}"
"""Pattern of a game session's id."""

_GAME_SESSION_ID: Final = "gs_550e8400-e29b-41d4-a716-446655440000"
_SESSION_TOKEN: Final = "ls_4b1d3c5e-8a34-4a6b-9f38-1f5a0d3f2b6c"  # noqa: S105 - an example for the document
_GAME_ID: Final = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
EXAMPLE_OTT: Final = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"

Ott = Annotated[
    str,
    Meta(
        description="The one-time token that the launcher passed in LaunchData: a UUID in lower case.",
        pattern=f"^{_UUID}{_END}",
        examples=[EXAMPLE_OTT],
        extra={"expected": "a UUID in lower case"},
    ),
]
GameSessionId = Annotated[
    str,
    Meta(
        description="Game session id (used for heartbeat and end).",
        pattern=GAME_SESSION_ID,
        examples=[_GAME_SESSION_ID],
        extra={"expected": "gs_ and a UUID in lower case"},
    ),
]
SessionToken = Annotated[
    str,
    Meta(
        description="Names the launch in the launcher's further calls.",
        pattern=f"^ls_{_UUID}{_END}",
        examples=[_SESSION_TOKEN],
        extra={"expected": "ls_ and a UUID in lower case"},
    ),
]
GameId = Annotated[
    str,
    Meta(
        description="Id of the game: a UUID in lower case.",
        pattern=f"^{_UUID}{_END}",
        examples=[_GAME_ID],
        extra={"expected": "a UUID in lower case"},
    ),
]
Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=_NO_CONTROLS)]
NAME_EXPECTED: Final = {"expected": "a string of 1 to 128 characters without control characters"}
ProviderUserId = Annotated[
    Name,
    Meta(description="The player, as the game's platform names it.", examples=["261"], extra=NAME_EXPECTED),
]
PcId = Annotated[Name, Meta(description="Names the PC within its cafe.", examples=["PC-07"], extra=NAME_EXPECTED)]
ClientSeconds = Annotated[
    Annotated[int, Meta(ge=0, le=INT32_MAX)] | None,
    Meta(
        description="Seconds played as the game server counted them. Recorded and compared, never billed.",
        examples=[1795],
        extra={"expected": f"an integer from 0 to {INT32_MAX}, or null"},
    ),
]
NextHeartbeatIn = Annotated[int, Meta(description="Seconds until the next heartbeat is due.", examples=[120])]
PlayDuration = Annotated[int, Meta(description="Cumulative play time by the server's clock, in seconds.", examples=[1800])]


class Verify(msgspec.Struct, frozen=True):
    """A player who joins, and the token that the player brings."""

    ott: Ott
    provider_user_id: ProviderUserId


class Verified(msgspec.Struct, frozen=True):
    """The token was redeemed, and play time is running."""

    is_valid: Annotated[bool, Meta(extra_json_schema={"const": True})]
    game_session_id: GameSessionId
    is_pc_cafe: Annotated[bool, Meta(description="Whether the player is in a PC cafe.")]


class Refused(msgspec.Struct, frozen=True):
    """The token was not redeemed."""

    is_valid: Annotated[bool, Meta(extra_json_schema={"const": False})]
    reason: Annotated[
        str,
        Meta(
            description="Why not.",
            extra_json_schema={"enum": ["OTT_EXPIRED", "OTT_ALREADY_USED", "GAME_MISMATCH", "NOT_CHARGEABLE"]},
        ),
    ]


class Heartbeat(msgspec.Struct, frozen=True):
    """A session that is still played, and its player."""

    game_session_id: GameSessionId
    provider_user_id: ProviderUserId


class HeartbeatAnswer(msgspec.Struct):
    """How the session stands."""

    result: Annotated[
        str,
        Meta(
            description="OK: go on. CHARGE_EXHAUSTED: tell the player; the session ends after the grace period. "
            "SESSION_REPLACED: it has ended, another one started on the same PC; stop, and do not call end.",
            extra_json_schema={"enum": ["OK", "CHARGE_EXHAUSTED", "SESSION_REPLACED"]},
        ),
    ]
    next_heartbeat_in: NextHeartbeatIn
    play_duration_sec: PlayDuration
    grace_remaining_sec: (
        Annotated[int, Meta(description="Seconds left of the grace period; only with CHARGE_EXHAUSTED.", examples=[120])]
        | UnsetType
    ) = UNSET


class End(msgspec.Struct, frozen=True):
    """The session of a player who left."""

    game_session_id: GameSessionId
    play_duration_sec: ClientSeconds = None


class EndAnswer(msgspec.Struct, frozen=True):
    """The figures of the ended session."""

    result: Annotated[str, Meta(extra_json_schema={"const": "SUCCESS"})]
    play_duration_sec: PlayDuration
    client_play_duration_sec: Annotated[
        int | None, Meta(description="The request's play_duration_sec; null where it had none.", examples=[1795])
    ]
