"""Signatures over the bytes that arrived. Nothing is parsed or serialised again here."""

import hmac
import re
from collections.abc import Sequence
from typing import Final

from playclock.errors import InvalidSignature, RequestExpired

_TIMESTAMP = re.compile(r"[0-9]{1,11}", re.ASCII)
NONCE = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)
"""What a nonce may look like: 1 to 128 visible ASCII characters."""

_NO_SECRETS: Final = (b"nobody has this secret",)
"""Stands in for an unknown launcher's secrets, so that its call takes as long as a known one's."""


def launcher_text(*, method: str, path: str, timestamp: str, nonce: str, body_sha256: bytes) -> bytes:
    """Return what a launcher signs: method, path, time, nonce and the body's SHA-256 in hex, a line each."""
    return f"{method}\n{path}\n{timestamp}\n{nonce}\n{body_sha256.hex()}".encode("utf-8", "surrogatepass")


def sign_launcher(secret: bytes, *, method: str, path: str, timestamp: str, nonce: str, body_sha256: bytes) -> str:
    """Return a launcher's signature: lower-case hex of HMAC-SHA256 over `launcher_text`."""
    text = launcher_text(method=method, path=path, timestamp=timestamp, nonce=nonce, body_sha256=body_sha256)
    return hmac.digest(secret, text, "sha256").hex()


def verify(secrets: Sequence[bytes], *, signed: bytes, signature: str) -> None:
    """Check that one of the secrets made the signature, in a time that depends on neither.

    Several secrets are alive while a key is being rotated. None stands for a caller that nobody knows: it fails, and takes
    as long as the others. Raises InvalidSignature.
    """
    given = signature.encode("utf-8", "surrogatepass")
    matches = [
        hmac.compare_digest(hmac.digest(secret, signed, "sha256").hex().encode(), given) for secret in secrets or _NO_SECRETS
    ]
    if not secrets or not any(matches):
        raise InvalidSignature("no current secret made this signature")


def check_window(timestamp: str, *, now_ms: int, window_ms: int) -> int:
    """Return the signed Unix seconds in milliseconds, if they are within the window on either side of now.

    Raises InvalidSignature for what is no timestamp, RequestExpired for one outside the window.
    """
    if not _TIMESTAMP.fullmatch(timestamp):
        raise InvalidSignature("the timestamp is not a number of Unix seconds")
    signed_ms = int(timestamp) * 1000
    if abs(now_ms - signed_ms) > window_ms:
        raise RequestExpired("the signed time is too far from the server's", window_sec=window_ms // 1000)
    return signed_ms
