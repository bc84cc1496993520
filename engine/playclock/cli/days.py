"""Days that people name, and when they begin where."""

from datetime import datetime, tzinfo
from zoneinfo import ZoneInfo

from google.protobuf.timestamp_pb2 import Timestamp

from playclock.cli.failures import UsageFailure


def zone_of(name: str) -> tzinfo:
    """Return a time zone of the IANA database. Raises UsageFailure."""
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # not there; no name; a folder of the database
        raise UsageFailure(f"there is no time zone {name!r}; name one as the IANA database does, such as Asia/Seoul") from None


def beginning(day: str | None, zone: tzinfo) -> Timestamp | None:
    """Return when a day such as 2026-11-01 begins; None for none. Raises UsageFailure."""
    if day is None:
        return None
    timestamp = Timestamp()
    try:
        timestamp.FromDatetime(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise UsageFailure(f"{day!r} is no day; write it as 2026-11-01") from None
    return timestamp
