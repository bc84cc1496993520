"""HMAC-SHA256, compared in constant time, with as much work for a signer whom nobody knows."""

import hmac
from collections.abc import Iterable, Sequence
from typing import Final

from playclock.errors import InvalidSignature

MAC_BYTES: Final = 32
TRIALS: Final = 2
"""With how many secrets at least a text is tried: as many as are alive while a key is rotated. So the time tells neither
whether a signer is known nor whether its key is being rotated."""

_NOBODYS: Final = b"nobody has this secret"


def mac(secret: bytes, text: bytes) -> bytes:
    """Return the HMAC-SHA256 of a text, 32 bytes."""
    return hmac.digest(secret, text, "sha256")


def is_by(secrets: Sequence[bytes], text: bytes, given: Iterable[bytes]) -> bool:
    """Whether one of the secrets made one of the given MACs of the text.

    The time depends on the lengths of text and lists alone; a list of secrets shorter than `TRIALS` is filled up with one
    that nobody has, whose match counts for nothing.
    """
    candidates = tuple(given)
    known = len(secrets)
    found = False
    # The same steps for all: what is done for a missing secret is what is done for one that is there.
    for number in range(max(known, TRIALS)):
        made = mac(secrets[number] if number < known else _NOBODYS, text)
        for candidate in candidates:
            found |= hmac.compare_digest(made, candidate) & (number < known)
    return found


def verify(secrets: Sequence[bytes], *, signed: bytes, signature: str) -> None:
    """Check that one of the secrets made the signature, lower-case hex, in a time that depends on neither.

    Several secrets are alive while a key is being rotated. None stands for a caller that nobody knows: it fails, and takes
    as long as the others. Raises InvalidSignature.
    """
    if not is_by(secrets, signed, [read_hex(signature) or b""]):
        raise InvalidSignature("no current secret made this signature")


def read_hex(signature: str) -> bytes | None:
    """Return the MAC that is written in lower-case hex, its one spelling here; None for anything else."""
    if len(signature) != 2 * MAC_BYTES or not signature.isascii():
        return None
    try:
        given = bytes.fromhex(signature)
    except ValueError:
        return None
    return given if given.hex() == signature else None
