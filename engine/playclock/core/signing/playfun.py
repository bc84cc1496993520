"""Developers of play.fun's games API: `Authorization: HMAC-SHA256 apiKey=…, signature=…, timestamp=…`.

Signed are the method and the path, both in lower case, and the time; the query and the body are not. Source: the API
reference of docs.play.fun.
"""

import re
from typing import Final

from playclock.core.ids import is_uuid
from playclock.core.signing.headers import check_target, only
from playclock.core.signing.mac import mac, read_hex
from playclock.core.signing.proof import HttpRequest, Proof
from playclock.errors import InvalidSignature

AUTHORIZATION_MAX: Final = 512
SECONDS_BELOW: Final = 10**11
"""A timestamp below it is in seconds: as milliseconds it would be of 1973."""

_SCHEME: Final = "HMAC-SHA256"
_FIELD: Final = r"(apiKey|signature|timestamp)=([0-9a-f-]{1,64})"
_BETWEEN: Final = r"(?: {0,4}, {0,4}| {1,4})"
_AUTHORIZATION = re.compile(rf"{_SCHEME} {{1,4}}{_FIELD}{_BETWEEN}{_FIELD}{_BETWEEN}{_FIELD}", re.ASCII)
_TIMESTAMP = re.compile(r"[0-9]{1,15}", re.ASCII)


def playfun_text(*, method: str, path: str, timestamp: str) -> bytes:
    """Return what a developer signs: method and path in lower case and the time as it is sent, a line each."""
    return f"{method.lower()}\n{path.lower()}\n{timestamp}".encode("utf-8", "surrogatepass")


def playfun_headers(secret: bytes, *, developer_id: str, method: str, path: str, timestamp: str) -> dict[str, str]:
    """Return the headers that sign a request; the timestamp is in Unix milliseconds."""
    signature = mac(secret, playfun_text(method=method, path=path, timestamp=timestamp)).hex()
    authorization = f"{_SCHEME} apiKey={developer_id}, signature={signature}, timestamp={timestamp}"
    return {"Authorization": authorization, "x-auth-provider": "hmac"}


def read_authorization(value: str) -> dict[str, str]:
    """Return the three fields of the header's value, in whichever order, with commas or spaces between.

    Raises InvalidSignature for anything else: a field that is missing, unknown or there twice, another scheme, quotes.
    """
    match = _AUTHORIZATION.fullmatch(value) if len(value) <= AUTHORIZATION_MAX else None
    if match is None:
        raise InvalidSignature("the Authorization header is malformed")
    fields = dict(zip(match.groups()[::2], match.groups()[1::2], strict=True))
    if len(fields) != 3:
        raise InvalidSignature("the Authorization header repeats a field")
    return fields


def proof_of(request: HttpRequest) -> Proof:
    """Return the proof in a developer's request. Raises InvalidSignature for what cannot be one."""
    check_target(request.method, request.path)
    fields = read_authorization(only(request.headers, "authorization"))
    given, timestamp = read_hex(fields["signature"]), fields["timestamp"]
    if given is None or not is_uuid(fields["apiKey"]) or not _TIMESTAMP.fullmatch(timestamp):
        raise InvalidSignature("the Authorization header is malformed")
    value = int(timestamp)
    return Proof(
        signer=fields["apiKey"],
        signed_ms=value * 1000 if value < SECONDS_BELOW else value,
        macs=(given,),
        text=playfun_text(method=request.method, path=request.path, timestamp=timestamp),
        once=fields["signature"],
    )
