"""The durations that are documented."""

from playclock.core.timers import Timers


def test_the_defaults_are_the_documented_ones() -> None:
    assert Timers() == Timers(
        ott_ttl_ms=60_000,
        link_ttl_ms=300_000,
        demo_ttl_ms=3_600_000,
        heartbeat_interval_ms=120_000,
        session_ttl_ms=240_000,
        launcher_ttl_ms=240_000,
        grace_ms=120_000,
        tombstone_retention_ms=86_400_000,
        signature_window_ms=300_000,
        session_max_ms=None,
        player_token_ttl_ms=1_800_000,
        points_retention_ms=31_536_000_000,
    )
