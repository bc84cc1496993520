"""The durations that the rules work with."""

import msgspec


class Timers(msgspec.Struct, frozen=True, kw_only=True):
    """Durations in milliseconds. The defaults are the documented ones."""

    ott_ttl_ms: int = 60_000
    """How long an OTT can be redeemed."""
    link_ttl_ms: int = 300_000
    """How long the OTT of an agent's link can be redeemed."""
    demo_ttl_ms: int = 3_600_000
    """How long the token of a demo link is valid."""
    heartbeat_interval_ms: int = 120_000
    """How often a game server, or a launcher, says that it is alive."""
    session_ttl_ms: int = 240_000
    """How long a session lives without a heartbeat: its lease. No heartbeat ever bills more."""
    launcher_ttl_ms: int = 240_000
    """How long a launch lives without a sign of life from its launcher."""
    grace_ms: int = 120_000
    """How long a session whose credit is used up lives on, unbilled."""
    tombstone_retention_ms: int = 86_400_000
    """How long used OTTs and ended sessions are remembered, so that a late caller hears what happened."""
    signature_window_ms: int = 300_000
    """How far a signed time may be from ours, either way."""
    session_max_ms: int | None = None
    """How long a session may last at most; None for no limit."""
    player_token_ttl_ms: int = 1_800_000
    """How long a player's session token is good."""
    points_retention_ms: int = 31_536_000_000
    """How long a leaderboard is kept after its day, and a player's points after the last ones: a year."""
