"""Launchers: headers X-Launcher-Id, X-Timestamp, X-Nonce, X-Signature, over method, path, time, nonce and body."""

import hashlib
import re
from typing import Final

from playclock.core.signing.headers import check_target, only
from playclock.core.signing.mac import mac, read_hex
from playclock.core.signing.proof import HttpRequest, Proof
from playclock.core.signing.window import read_seconds
from playclock.errors import InvalidSignature

NONCE: Final = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)
"""What a nonce may look like: 1 to 128 visible ASCII characters."""


def launcher_text(*, method: str, path: str, timestamp: str, nonce: str, body_sha256: bytes) -> bytes:
    """Return what a launcher signs: method, path, time, nonce and the body's SHA-256 in hex, a line each."""
    return f"{method}\n{path}\n{timestamp}\n{nonce}\n{body_sha256.hex()}".encode("utf-8", "surrogatepass")


def sign_launcher(secret: bytes, *, method: str, path: str, timestamp: str, nonce: str, body_sha256: bytes) -> str:
    """Return a launcher's signature: lower-case hex of HMAC-SHA256 over `launcher_text`."""
    text = launcher_text(method=method, path=path, timestamp=timestamp, nonce=nonce, body_sha256=body_sha256)
    return mac(secret, text).hex()


def launcher_headers(
    secret: bytes, *, launcher_id: str, method: str, path: str, timestamp: str, nonce: str, body: bytes
) -> dict[str, str]:
    """Return the four headers that sign a request."""
    digest = hashlib.sha256(body).digest()
    signature = sign_launcher(secret, method=method, path=path, timestamp=timestamp, nonce=nonce, body_sha256=digest)
    return {"X-Launcher-Id": launcher_id, "X-Timestamp": timestamp, "X-Nonce": nonce, "X-Signature": signature}


def launcher_proof(
    *, launcher_id: str, timestamp: str, nonce: str, signature: str, method: str, path: str, body_sha256: bytes
) -> Proof:
    """Return the proof in a launcher's headers. Raises InvalidSignature for what cannot be one."""
    check_target(method, path)
    if not NONCE.fullmatch(nonce):
        raise InvalidSignature("the nonce is not 1 to 128 visible ASCII characters")
    given = read_hex(signature)
    if given is None:
        raise InvalidSignature("the signature is not 64 lower-case hex digits")
    return Proof(
        signer=launcher_id,
        signed_ms=read_seconds(timestamp),
        macs=(given,),
        text=launcher_text(method=method, path=path, timestamp=timestamp, nonce=nonce, body_sha256=body_sha256),
        once=nonce,
    )


def proof_of(request: HttpRequest) -> Proof:
    """Return the proof in a launcher's request. Raises InvalidSignature for what cannot be one."""
    return launcher_proof(
        launcher_id=only(request.headers, "x-launcher-id"),
        timestamp=only(request.headers, "x-timestamp"),
        nonce=only(request.headers, "x-nonce"),
        signature=only(request.headers, "x-signature"),
        method=request.method,
        path=request.path,
        body_sha256=hashlib.sha256(request.body).digest(),
    )
