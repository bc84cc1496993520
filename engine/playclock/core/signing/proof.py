"""What a request says of who signed it, and the one check of it."""

from collections.abc import Callable, Sequence

import msgspec

from playclock.core.signing.mac import is_by
from playclock.core.signing.window import check_age
from playclock.errors import InvalidSignature


class HttpRequest(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A request as it arrived. Nothing in it has been checked."""

    method: str = ""
    path: str = ""
    """Without the query, which no dialect signs."""
    headers: tuple[tuple[str, str], ...] = ()
    """Names and values in the order in which they came, repeats and all."""
    body: bytes = b""


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """A claim to have signed something. True only if `check` says so."""

    signer: str
    """Who says to have signed: the id of the key."""
    signed_ms: int
    macs: tuple[bytes, ...]
    """The MACs that came along; one that is right is enough."""
    text: bytes
    """What was signed, byte for byte."""
    other_texts: Callable[[], Sequence[bytes]] = tuple
    """Makes the other texts that a signer may have meant, where its dialect leaves that open."""
    once: str
    """What is different in any other request of the signer: a nonce, a message's id, or the signature itself."""


def check(proof: Proof, secrets: Sequence[bytes], *, now_ms: int, window_ms: int) -> None:
    """Check that one of the signer's secrets made the proof, and that its time is within the window on either side of now.

    Whoever has no secret learns nothing of the time, and waits as long where the signer is unknown. Raises InvalidSignature,
    RequestExpired.
    """
    if not is_by(secrets, proof.text, proof.macs):
        others = [is_by(secrets, text, proof.macs) for text in proof.other_texts()]
        if not any(others):
            raise InvalidSignature("no current secret made this signature")
    check_age(proof.signed_ms, now_ms=now_ms, window_ms=window_ms)


def is_proof_of(proof: Proof, secret: bytes) -> bool:
    """Whether this secret made a proof that `check` has found right."""
    return any(is_by([secret], text, proof.macs) for text in (proof.text, *proof.other_texts()))
