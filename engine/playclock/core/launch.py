"""The launch: one launcher on one PC, from its start until it ends or falls silent, and the seat that it sits on."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from playclock.core.ids import player_seat_key, seat_key
from playclock.core.outage import Outage, falls_into, spread_ms
from playclock.core.session import EndReason
from playclock.core.timers import Timers


class AgentLaunch(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """What a launch has that an agent brought about instead of a launcher: who plays what, and the last link to it."""

    agent_id: int
    game_id: str
    player_id: str
    attributes: bytes
    """What the session will tell of the player: see `playclock.core.player`."""
    number: int
    """How many links were made to the launch."""
    key_id: str
    """The agent's key from which the OTT of the last link was derived."""
    expires_ms: int
    """Until when that OTT can be redeemed."""


class Launch(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A launcher on a PC. Times are milliseconds since the Unix epoch."""

    id: str
    launcher_id: str
    """Whose signature it takes to use the launch; empty where an operator started it."""
    cafe_id: str
    account_id: str | None
    tariff_id: str | None
    pc_id: str
    internal_ip: str
    external_ip: str
    hardware: bytes
    """What the launcher told of the PC, as it came."""
    started_ms: int
    lease_until_ms: int
    outage_seen_ms: int
    ended_ms: int | None = None
    end_reason: EndReason | None = None
    provider_id: str | None = None
    """The partner that pays, where no account does."""
    agent: AgentLaunch | None = None
    """Present where an agent brought it about. Nobody watches over such a launch, so it neither falls silent nor ends: it is
    forgotten some time after its last link."""


class Seat(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What runs on a PC, or of an agent's player in one game: one launch at most, one game session at most."""

    launch_id: str
    session_id: str | None = None


def seat_key_of(launch: Launch, partition: int) -> str:
    """Return the key of the launch's seat."""
    agent = launch.agent
    if agent is None:
        return seat_key(partition, launch.cafe_id, launch.pc_id)
    return player_seat_key(partition, agent.agent_id, agent.player_id, agent.game_id)


def retain_until_ms(launch: Launch, timers: Timers) -> int | None:
    """Return until when a live launch is kept for certain; None where a launcher keeps it alive."""
    return None if launch.agent is None else launch.agent.expires_ms + timers.tombstone_retention_ms


def is_live(launch: Launch) -> bool:
    """Whether the launch can be used."""
    return launch.ended_ms is None


def advance(launch: Launch, *, now_ms: int, timers: Timers, outages: Sequence[Outage] = ()) -> Launch:
    """Return the launch as time alone has it now; the same object where nothing happened."""
    if launch.agent is not None:
        return launch
    for outage in outages:
        if is_live(launch) and falls_into(outage, lease_until_ms=launch.lease_until_ms, seen_ms=launch.outage_seen_ms):
            until_ms = outage.end_ms + timers.launcher_ttl_ms + spread_ms(launch.id, timers.launcher_ttl_ms // 4)
            # A process that does not know of the outage yet may have renewed the launch since.
            until_ms = max(launch.lease_until_ms, until_ms)
            launch = replace(launch, lease_until_ms=until_ms, outage_seen_ms=outage.end_ms)
    if is_live(launch) and now_ms >= launch.lease_until_ms:
        return end(launch, EndReason.LAUNCHER_TIMEOUT, at_ms=launch.lease_until_ms)
    return launch


def renew(launch: Launch, *, now_ms: int, timers: Timers) -> Launch:
    """Note a sign of life from the launcher."""
    return replace(launch, lease_until_ms=max(launch.lease_until_ms, now_ms + timers.launcher_ttl_ms))


def end(launch: Launch, reason: EndReason, *, at_ms: int) -> Launch:
    """End a live launch."""
    return replace(launch, ended_ms=at_ms, end_reason=reason)
