"""What a game's server's answer to a message comes to.

Source: OkLetsPlay, "Match discovery" (200 and nothing else), and Standard Webhooks (410, and 429 and 503 with Retry-After).
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from playclock.core.delivery import RETRY_AFTER_MAX_MS, Method, Tried, Verdict

OK: Final = 200
GONE: Final = 410

_SUCCESSES: Final = range(200, 300)
_NOT_THERE: Final = frozenset({404, 410})
_SAYS_WHEN: Final = frozenset({429, 503})
_SECONDS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE: Final = re.compile(
    rf"[A-Z][a-z]{{2}}, ([0-9]{{2}}) ({'|'.join(_MONTHS)}) ([0-9]{{4}}) ([0-9]{{2}}):([0-9]{{2}}):([0-9]{{2}}) GMT", re.ASCII
)
"""The date of RFC 9110, section 5.6.7, as everybody has to send it. The obsolete spellings are left alone."""


def read_answer(method: Method, status: int, headers: Mapping[str, str], *, now_ms: int) -> Tried:
    """Return what an answer comes to; `headers` by name in lower case. A redirect is a failure: nobody follows it.

    That a match is off has been told also where the receiver knows no such match any more.
    """
    if method is Method.DELETE and (status in _SUCCESSES or status in _NOT_THERE):
        return Tried(verdict=Verdict.TOLD, status=status)
    if status == OK:
        return Tried(verdict=Verdict.TOLD, status=status)
    if status == GONE:
        return Tried(verdict=Verdict.GONE, status=status)
    wait_ms = retry_after_ms(headers.get("retry-after", ""), now_ms=now_ms) if status in _SAYS_WHEN else 0
    return Tried(verdict=Verdict.FAILED, status=status, retry_after_ms=wait_ms)


def retry_after_ms(text: str, *, now_ms: int) -> int:
    """Return how long a header Retry-After asks to wait, in seconds or as a date, at most a day; 0 for what is neither."""
    if _SECONDS.fullmatch(text):
        return min(int(text) * 1000, RETRY_AFTER_MAX_MS)
    match = _DATE.fullmatch(text)
    if match is None:
        return 0
    day, month, year, hour, minute, second = match.groups()
    try:
        at = datetime(int(year), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second), tzinfo=UTC)
    except ValueError:
        return 0
    return max(0, min(round(at.timestamp() * 1000) - now_ms, RETRY_AFTER_MAX_MS))
