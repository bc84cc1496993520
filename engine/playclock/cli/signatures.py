"""The headers of a request that is signed by hand."""

import secrets

from playclock.core.signing import Scheme
from playclock.core.signing.agent import agent_headers
from playclock.core.signing.launcher import launcher_headers
from playclock.core.signing.playfun import playfun_headers
from playclock.core.signing.webhooks import is_message_id, webhook_headers, webhook_key


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
    """Return the four headers of a launcher's call. The timestamp is in Unix seconds; without a nonce a random one is taken."""
    return launcher_headers(
        _bytes(secret),
        launcher_id=launcher_id,
        method=method,
        path=path,
        timestamp=timestamp,
        nonce=nonce or secrets.token_hex(16),
        body=body,
    )


def problem_of(scheme: Scheme, *, signer_id: str | None, secret: str, message_id: str | None) -> str | None:
    """Return what stands in the way of signing; None where nothing does."""
    if scheme is Scheme.LAUNCHER and not signer_id:
        return "Missing option '--launcher-id' (env var: 'PLAYCLOCK_LAUNCHER_ID')."
    if scheme is Scheme.PLAYFUN and not signer_id:
        return "Missing option '--developer-id'."
    if message_id is not None and not is_message_id(message_id):
        return "--message-id: expected 1 to 256 visible ASCII characters, none of them a dot"
    if scheme is Scheme.STANDARD_WEBHOOKS:
        try:
            webhook_key(_bytes(secret))
        except ValueError as error:
            return f"--secret: {error}"
    return None


def headers_of(
    scheme: Scheme,
    *,
    signer_id: str,
    secret: str,
    method: str,
    path: str,
    body: bytes,
    timestamp: str | None,
    nonce: str | None,
    message_id: str | None,
    now_ms: int,
) -> dict[str, str]:
    """Return the headers that sign a request, at the time `now_ms` where no other is given."""
    seconds = timestamp or str(now_ms // 1000)
    if scheme is Scheme.AGENT:
        return agent_headers(_bytes(secret), body=body)
    if scheme is Scheme.PLAYFUN:
        return playfun_headers(
            _bytes(secret), developer_id=signer_id, method=method, path=path, timestamp=timestamp or str(now_ms)
        )
    if scheme is Scheme.STANDARD_WEBHOOKS:
        message_id = message_id or f"msg_{secrets.token_hex(16)}"
        return webhook_headers([_bytes(secret)], message_id=message_id, timestamp=seconds, body=body)
    return signed_headers(
        launcher_id=signer_id, secret=secret, method=method, path=path, body=body, timestamp=seconds, nonce=nonce
    )


def _bytes(secret: str) -> bytes:
    return secret.encode("utf-8", "surrogateescape")
