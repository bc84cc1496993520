"""Agents: `X-Signature` over the JSON body, which holds the signer (`agent_id`) and the time (`timestamp`, Unix seconds).

What an agent signs is the body with its top-level names sorted, as PHP's ksort and json_encode write it. Most send that very
text; some sign it and send the same object in another order or spelling. So the body as it arrived comes first, then both
spellings of the sorted one. Source: FAR Games, "Authorization".
"""

import re
from typing import Final

from playclock.core.signing.canonical_json import Members, NotCanonical, Number, canonical_texts, read
from playclock.core.signing.headers import only
from playclock.core.signing.mac import mac, read_hex
from playclock.core.signing.proof import HttpRequest, Proof
from playclock.errors import BadRequest, InvalidSignature

_AGENT_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_TIMESTAMP = re.compile(r"-?[0-9]{1,18}", re.ASCII)

HEADER: Final = "X-Signature"


def sign_agent(secret: bytes, text: bytes) -> str:
    """Return an agent's signature: lower-case hex of the HMAC-SHA256 of the text."""
    return mac(secret, text).hex()


def text_to_send(body: bytes) -> bytes:
    """Return the body as it is best signed and sent: as PHP would write it again, so that all receivers compute the same.

    A body that cannot be written again for certain is sent as it is. Raises BadRequest for what is no JSON object.
    """
    return (*canonical_texts(_read(body), body), body)[0]


def agent_headers(secret: bytes, *, body: bytes) -> dict[str, str]:
    """Return the header that signs a body."""
    return {HEADER: sign_agent(secret, body)}


def proof_of(request: HttpRequest) -> Proof:
    """Return the proof in an agent's request.

    Raises InvalidSignature for a header that cannot be a signature, BadRequest for a body that names no signer or no time.
    """
    given = read_hex(only(request.headers, "x-signature"))
    if given is None:
        raise InvalidSignature("the signature is not 64 lower-case hex digits")
    members = _read(request.body)
    fields = dict(members)
    agent_id, timestamp = fields.get("agent_id"), fields.get("timestamp")
    if not isinstance(agent_id, Number) or not _AGENT_ID.fullmatch(agent_id):
        raise BadRequest({"agent_id": "expected a positive integer"})
    if not isinstance(timestamp, Number) or not _TIMESTAMP.fullmatch(timestamp):
        raise BadRequest({"timestamp": "expected an integer, Unix seconds"})
    return Proof(
        signer=str(agent_id),
        signed_ms=int(timestamp) * 1000,
        macs=(given,),
        text=request.body,
        other_texts=lambda: canonical_texts(members, request.body),
        once=given.hex(),
    )


def _read(body: bytes) -> Members:
    try:
        return read(body)
    except NotCanonical as error:
        raise BadRequest({"body": str(error)}) from None
