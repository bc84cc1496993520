"""When a signature is too old, or too far ahead. Times are in Unix milliseconds unless a name says otherwise."""

import re
from typing import Final

from playclock.errors import InvalidSignature, RequestExpired

SKEW_MS: Final = 60_000
"""How much longer than its window a signature is remembered, for clocks that differ."""

_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)


def read_seconds(timestamp: str) -> int:
    """Return Unix seconds, 1 to 11 ASCII digits, in milliseconds. Raises InvalidSignature."""
    if not _SECONDS.fullmatch(timestamp):
        raise InvalidSignature("the timestamp is not a number of Unix seconds")
    return int(timestamp) * 1000


def check_age(signed_ms: int, *, now_ms: int, window_ms: int) -> None:
    """Raise RequestExpired for a signed time outside the window on either side of now."""
    if abs(now_ms - signed_ms) > window_ms:
        raise RequestExpired("the signed time is too far from the server's", window_sec=window_ms // 1000)


def check_window(timestamp: str, *, now_ms: int, window_ms: int) -> int:
    """Return the signed Unix seconds in milliseconds, if they are within the window on either side of now.

    Raises InvalidSignature for what is no timestamp, RequestExpired for one outside the window.
    """
    signed_ms = read_seconds(timestamp)
    check_age(signed_ms, now_ms=now_ms, window_ms=window_ms)
    return signed_ms


def check_life(first_ms: int, *, now_ms: int, window_ms: int) -> None:
    """Raise RequestExpired for a signature that was used first longer ago than the window.

    The window is open on both sides of the signed time, for clocks that differ. Without this, a signature from the future
    could be repeated for twice as long.
    """
    if now_ms - first_ms > window_ms:
        raise RequestExpired("the signature was used first too long ago", window_sec=window_ms // 1000)


def remember_until_ms(signed_ms: int, *, now_ms: int, window_ms: int) -> int:
    """Return until when a used signature or nonce has to be remembered: until its time alone refuses it, and a little more."""
    return max(signed_ms, now_ms) + window_ms + SKEW_MS
