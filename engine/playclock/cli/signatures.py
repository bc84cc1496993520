"""The headers of a signed call of the launcher API."""

import hashlib
import secrets

from playclock.core.signing import sign_launcher


def signed_headers(
    *,
    launcher_id: str,
    secret: str,
    method: str,
    path: str,
    body: bytes,
    timestamp: str,
    nonce: str | None = None,
) -> dict[str, str]:
    """Return the four headers. The timestamp is in Unix seconds; without a nonce a random one is taken."""
    nonce = nonce or secrets.token_hex(16)
    signature = sign_launcher(
        secret.encode("utf-8", "surrogateescape"),
        method=method,
        path=path,
        timestamp=timestamp,
        nonce=nonce,
        body_sha256=hashlib.sha256(body).digest(),
    )
    return {"X-Launcher-Id": launcher_id, "X-Timestamp": timestamp, "X-Nonce": nonce, "X-Signature": signature}
