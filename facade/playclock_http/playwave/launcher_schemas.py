"""The bodies of the launcher calls."""

from ipaddress import ip_address
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from playclock_http.playwave.schemas import (
    EXAMPLE_OTT,
    NAME_EXPECTED,
    GameId,
    Name,
    NextHeartbeatIn,
    PcId,
    SessionToken,
)

MAX_HARDWARE_BYTES: Final = 16 * 1024


class LaunchStart(msgspec.Struct, frozen=True):
    """The PC on which a launcher starts."""

    pc_id: PcId
    internal_ip: Annotated[
        str,
        Meta(
            description="The PC's address within the cafe.",
            examples=["192.168.0.17"],
            extra={"expected": "an IPv4 or IPv6 address"},
            extra_json_schema={"anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
        ),
    ]
    hardware: Annotated[
        dict[str, Any],
        Meta(
            description="What the launcher tells of the hardware, at most 16 KiB. Kept, not interpreted.",
            examples=[{"cpu": "8 cores", "ram_gib": 32}],
            extra={"expected": "an object"},
        ),
    ] = {}

    def __post_init__(self) -> None:
        """Check what a schema cannot say. Raises ValueError, which msgspec hands on as the cause of its own error."""
        try:
            ip_address(self.internal_ip)
        except ValueError:
            raise ValueError("internal_ip: expected an IPv4 or IPv6 address") from None
        if "%" in self.internal_ip:
            raise ValueError("internal_ip: expected an address without a zone")
        if len(msgspec.json.encode(self.hardware)) > MAX_HARDWARE_BYTES:
            raise ValueError(f"hardware: expected at most {MAX_HARDWARE_BYTES} bytes of JSON")


class CafeAnswer(msgspec.Struct, frozen=True):
    """The PC cafe."""

    id: Annotated[str, Meta(examples=["cafe-1"])]
    name: Annotated[str, Meta(examples=["Seoul One"])]


class LaunchableGame(msgspec.Struct, frozen=True):
    """A game that can be launched."""

    game_id: GameId
    name: Annotated[str, Meta(examples=["Champagne Party"])]
    image_url: Annotated[str, Meta(examples=["https://cdn.example.com/champagne.jpg"])]


class LaunchAnswer(msgspec.Struct, frozen=True):
    """What the launcher needs to go on."""

    session_token: SessionToken
    is_pc_cafe: bool
    cafe: CafeAnswer
    heartbeat_interval: Annotated[int, Meta(description="Seconds between the launcher's heartbeats.", examples=[120])]
    games: list[LaunchableGame]


class OttOrder(msgspec.Struct, frozen=True):
    """The game that the player chose."""

    session_token: SessionToken
    game_id: GameId
    provider_user_id: Annotated[
        Name | None,
        Meta(
            description="Binds the token to this player: nobody else can redeem it.",
            examples=["261"],
            extra={"expected": NAME_EXPECTED["expected"] + ", or null"},
        ),
    ] = None


class OttAnswer(msgspec.Struct, frozen=True):
    """The one-time token for LaunchData."""

    ott: Annotated[str, Meta(examples=[EXAMPLE_OTT])]
    expires_in: Annotated[int, Meta(description="Seconds until it expires.", examples=[60])]


class LaunchName(msgspec.Struct, frozen=True):
    """A launch."""

    session_token: SessionToken


class LaunchHeartbeatAnswer(msgspec.Struct, frozen=True):
    """How the launch stands."""

    result: Annotated[
        str,
        Meta(
            description="OK: go on. SESSION_REPLACED: another launch started on the same PC; this one has ended.",
            extra_json_schema={"enum": ["OK", "SESSION_REPLACED"]},
        ),
    ]
    next_heartbeat_in: NextHeartbeatIn


class LaunchEndAnswer(msgspec.Struct, frozen=True):
    """The launch has ended, and the game session on its PC with it."""

    result: Annotated[str, Meta(extra_json_schema={"const": "SUCCESS"})]
