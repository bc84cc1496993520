"""Times as the dialects write them."""

from datetime import UTC, datetime


def iso_ms(now: datetime) -> str:
    """Return an aware time as ISO 8601 with milliseconds, in UTC: 2024-01-01T00:00:00.000Z."""
    return now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
