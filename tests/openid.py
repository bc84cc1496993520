"""Tokens as tests make them: whole, bent, and forged by those who know everything but the private key."""

import base64
import hashlib
import hmac
import json
import string
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

_ALPHABET: Final = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
"""Of base64url. The last four bits of a signature's last character belong to nothing."""

STRANGERS_KEY: Final = rsa.generate_private_key(65537, 2048)


def part(content: object) -> str:
    """Return a part of a token: what it is, or the JSON of it, in base64url."""
    raw = content if isinstance(content, bytes) else json.dumps(content, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def read(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a token's header and claims, believed as they are."""
    header, claims, _ = token.split(".")
    found = [json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))) for text in (header, claims)]
    return found[0], found[1]


def forgeries(token: str, public_der: bytes) -> dict[str, str]:
    """Return what must never pass for a token: by names that say what is wrong."""
    header, claims = read(token)
    first, second, signature = token.split(".")
    public = load_der_public_key(public_der)
    pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def hs256(secret: bytes) -> str:
        text = f"{part({**header, 'alg': 'HS256'})}.{second}"
        return f"{text}.{part(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"

    def strangers(algorithm: str = "RS256", **changed: object) -> str:
        return jwt.encode(claims, STRANGERS_KEY, algorithm=algorithm, headers={**header, **changed, "alg": algorithm})

    endless = b'{"alg":"RS256","kid":"x","a":' + b"[" * 900
    no_utf8 = b'{"alg":"RS256","kid":"\xff"}'
    jwk = jwt.get_algorithm_by_name("RS256").to_jwk(STRANGERS_KEY.public_key(), as_dict=True)
    return {
        "no algorithm": f"{part({**header, 'alg': 'none'})}.{second}.",
        "no algorithm, but a signature": f"{part({**header, 'alg': 'none'})}.{second}.{signature}",
        "NONE": f"{part({**header, 'alg': 'NONE'})}.{second}.{signature}",
        "HS256 with the public key as PEM": hs256(pem),
        "HS256 with the public key as DER": hs256(public_der),
        "HS256 with the key as it is shown": hs256(base64.b64encode(public_der)),
        "another of RSA's algorithms in the header": f"{part({**header, 'alg': 'RS512'})}.{second}.{signature}",
        "PS256": strangers("PS256"),
        "somebody else's key": strangers(),
        "somebody else's key under its own id": strangers(kid="theirs"),
        "a key that the header brings along": strangers(jwk=jwk),
        "a key that the header points to": strangers(jku="http://127.0.0.1:1/certs", x5u="http://127.0.0.1:1/cert"),
        "an extension that nobody knows": strangers(crit=["exp"]),
        "an extension that is no text": f"{part({**header, 'crit': [[]]})}.{second}.{signature}",
        "no key id": strangers(kid=""),
        "other claims": f"{first}.{part({**claims, 'azp': 'else'})}.{signature}",
        "no signature": f"{first}.{second}.",
        "half a signature": f"{first}.{second}.{signature[:171]}",
        "another spelling of the signature": token[:-1] + _ALPHABET[_ALPHABET.index(token[-1]) + 1],
        "a signature and more": f"{token}AAAA",
        "a header that is no object": f"{part(['alg', 'kid'])}.{second}.{signature}",
        "a header that is a text": f"{part('alg kid')}.{second}.{signature}",
        "a header of other types": f"{part({'alg': 1, 'kid': []})}.{second}.{signature}",
        "a type that is no text": f"{part({**header, 'typ': 7})}.{second}.{signature}",
        "a header without end": f"{part(endless)}.{second}.{signature}",
        "a header that is no JSON": f"eyJ_.{second}.{signature}",
        "a header that is no UTF-8": f"{part(no_utf8)}.{second}.{signature}",
        "a token too long": f"{first}.{second}{'A' * 4_000}.{signature}",
        "four parts": f"{token}.{signature}",
        "two parts": f"{first}.{second}",
        "blanks": f"{token} ",
        "padding": f"{first}.{second}=.{signature}",
    }


def bent(token: str) -> "list[str]":
    """Return the token with one bit changed, at places all over it, the last of them at its end."""
    places = [*(at for at in range(0, len(token), 13) if token[at] != "."), len(token) - 1]
    return [token[:at] + chr(ord(token[at]) ^ 1) + token[at + 1 :] for at in places]
