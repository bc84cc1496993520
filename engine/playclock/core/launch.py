"""The launch: one launcher on one PC, from its start until it ends or falls silent, and the seat that it sits on."""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from playclock.core.outage import Outage, falls_into, spread_ms
from playclock.core.session import EndReason
from playclock.core.timers import Timers


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


class Seat(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What runs on a PC: one launch at most, one game session at most."""

    launch_id: str
    session_id: str | None = None


def is_live(launch: Launch) -> bool:
    """Whether the launch can be used."""
    return launch.ended_ms is None


def advance(launch: Launch, *, now_ms: int, timers: Timers, outages: Sequence[Outage] = ()) -> Launch:
    """Return the launch as time alone has it now; the same object where nothing happened."""
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
