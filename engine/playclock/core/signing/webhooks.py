"""Standard Webhooks (standardwebhooks.com): what we send to others, signed over id, time and body."""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final

from playclock.core.signing.headers import only
from playclock.core.signing.mac import MAC_BYTES, mac
from playclock.core.signing.proof import HttpRequest, Proof
from playclock.core.signing.window import read_seconds
from playclock.errors import InvalidSignature

KEY_PREFIX: Final = b"whsec_"
SIGNATURES_MAX: Final = 10
"""How many signatures a request may carry."""

# No dot: it separates id, time and body, and an id with one could be taken for another id, another time and another body.
_MESSAGE_ID = re.compile(r"[\x21-\x2d\x2f-\x7e]{1,256}", re.ASCII)
_SIGNATURE = re.compile(r"([a-z0-9]{1,8}),([A-Za-z0-9+/]{1,128}={0,2})", re.ASCII)


def webhook_key(secret: bytes) -> bytes:
    """Return the key that a secret stands for: the base64 after `whsec_`, padded or not, or else its own bytes.

    Raises ValueError for `whsec_` with anything but base64 after it.
    """
    if not secret.startswith(KEY_PREFIX):
        return secret
    text = secret.removeprefix(KEY_PREFIX)
    try:
        key = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("expected base64 after whsec_") from error
    if not key:
        raise ValueError("expected base64 after whsec_")
    return key


def webhook_text(*, message_id: str, timestamp: str, body: bytes) -> bytes:
    """Return what is signed: id, Unix seconds and body, with dots between."""
    return f"{message_id}.{timestamp}.".encode("utf-8", "surrogatepass") + body


def is_message_id(text: str) -> bool:
    """Whether the text may be a message's id: 1 to 256 visible ASCII characters, none of them a dot."""
    return _MESSAGE_ID.fullmatch(text) is not None


def webhook_headers(secrets: Sequence[bytes], *, message_id: str, timestamp: str, body: bytes) -> dict[str, str]:
    """Return the headers that sign a message, with a signature for each secret, so that a receiver may know either.

    Raises ValueError for an id that is none, and for a secret that is no key.
    """
    if not is_message_id(message_id):
        raise ValueError("expected 1 to 256 visible ASCII characters, none of them a dot")
    text = webhook_text(message_id=message_id, timestamp=timestamp, body=body)
    signatures = [f"v1,{base64.b64encode(mac(webhook_key(secret), text)).decode()}" for secret in secrets]
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": " ".join(signatures)}


def read_signatures(value: str) -> tuple[bytes, ...]:
    """Return the MACs of version v1 in the header's value; other versions are left alone.

    Raises InvalidSignature for a value that is no list of signatures, or has none of v1 or more than ten.
    """
    parts = value.split(" ")
    matches = [_SIGNATURE.fullmatch(part) for part in parts[: SIGNATURES_MAX + 1]]
    if len(matches) > SIGNATURES_MAX:
        raise InvalidSignature("the header webhook-signature has too many signatures")
    macs = []
    for match in matches:
        if match is None:
            raise InvalidSignature("the header webhook-signature is malformed")
        if match[1] == "v1":
            macs.append(_read_base64(match[2]))
    if not macs:
        raise InvalidSignature("the header webhook-signature has no signature of version v1")
    return tuple(macs)


def proof_of(request: HttpRequest, *, signer: str = "") -> Proof:
    """Return the proof in a message; its headers do not say who signed. Raises InvalidSignature for what cannot be one."""
    message_id = only(request.headers, "webhook-id")
    timestamp = only(request.headers, "webhook-timestamp")
    if not is_message_id(message_id):
        raise InvalidSignature("the header webhook-id is malformed")
    return Proof(
        signer=signer,
        signed_ms=read_seconds(timestamp),
        macs=read_signatures(only(request.headers, "webhook-signature")),
        text=webhook_text(message_id=message_id, timestamp=timestamp, body=request.body),
        once=message_id,
    )


def _read_base64(text: str) -> bytes:
    try:
        given = base64.b64decode(text, validate=True)
    except binascii.Error:
        given = b""
    # Base64 has spellings that differ in bits which nobody reads: only the one that encoding gives is the signature.
    if len(given) != MAC_BYTES or base64.b64encode(given).decode() != text:
        raise InvalidSignature("the header webhook-signature is malformed")
    return given
