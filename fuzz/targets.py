"""What is fuzzed: each target takes any bytes, and fails where a parser breaks, or believes what it must not."""

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Final

from playclock.core.images import PIXELS_MAX, PROBLEMS, ImageProblem, examine, read_data_uri
from playclock.core.signing import PROOFS, HttpRequest, Scheme, check
from playclock.core.signing.agent import text_to_send
from playclock.core.signing.canonical_json import Members, NotCanonical, Number, canonical_texts, read
from playclock.core.signing.playfun import read_authorization
from playclock.core.signing.webhooks import read_signatures
from playclock.errors import BadRequest, EngineError, InvalidSignature, RequestExpired

SECRET: Final = b"the-secret-of-the-fuzzer"
NOW_MS: Final = 1_640_995_200_000
WINDOW_MS: Final = 300_000

Target = Callable[[bytes], None]


def authorization(data: bytes) -> None:
    """Read play.fun's header: all of it is fields, or it is refused."""
    value = data.decode("latin-1")
    try:
        fields = read_authorization(value)
    except InvalidSignature:
        return
    assert value.isascii()
    assert set(fields) == {"apiKey", "signature", "timestamp"}
    rest = value.removeprefix("HMAC-SHA256")
    for name, field in fields.items():
        assert rest.count(f"{name}={field}") == 1
        rest = rest.replace(f"{name}={field}", "")
    assert rest.strip(" ,") == ""
    assert read_authorization("HMAC-SHA256 " + ", ".join(f"{name}={field}" for name, field in fields.items())) == fields


def webhook_signature(data: bytes) -> None:
    """Read the list of signatures: every MAC is one that stands there in its one spelling."""
    value = data.decode("latin-1")
    try:
        macs = read_signatures(value)
    except InvalidSignature:
        return
    assert 1 <= len(macs) <= 10
    assert [f"v1,{base64.b64encode(mac).decode()}" for mac in macs] == [p for p in value.split(" ") if p.startswith("v1,")]


def body(data: bytes) -> None:
    """Read a body: whatever is taken means the same to Python, and so does what is written again."""
    try:
        members = read(data)
    except NotCanonical:
        return
    assert _plain(members) == json.loads(data, parse_int=Number, parse_float=Number)
    for text in canonical_texts(members, data):
        again = read(text)
        assert _plain(again) == _plain(members)
        assert text in canonical_texts(again, text), "what was written again stays as it is"


def agent(data: bytes) -> None:
    """Sign a body in every way, verify it, and change one byte of what was signed: it must not verify."""
    place, changed, sent = data[:2], data[2:3], data[3:]
    try:
        texts = (sent, *canonical_texts(read(sent), sent))
        assert text_to_send(sent) in texts
    except (NotCanonical, BadRequest):
        return
    for text in texts:
        if not _agent_says(sent, text, "yes"):
            return
    if len(changed) == 1 and sent[_at(place, sent)] != changed[0] and sent in texts[1:]:
        position = _at(place, sent)
        other = sent[:position] + changed + sent[position + 1 :]
        assert not _agent_says(other, sent, "no"), "one changed byte of what was signed verifies"


def data_uri(data: bytes) -> None:
    """Read a data URI: what it holds is what its base64 says, and whatever is judged of that needs no decoder."""
    found = read_data_uri(data)
    if isinstance(found, ImageProblem):
        assert found.name in PROBLEMS
        return
    assert base64.b64decode(data.partition(b",")[2], validate=True) == found
    examine(found)


def image(data: bytes) -> None:
    """Look at an image's header: it is told in some way, and never raises."""
    found = examine(data)
    assert isinstance(found, ImageProblem) or found.measure.width * found.measure.height <= PIXELS_MAX


def requests(data: bytes) -> None:
    """Send anything to every dialect: what it says is refused, or proves nothing without a secret."""
    head, _, rest = data.partition(b"\n\n")
    lines = head.decode("latin-1").split("\n")
    method, _, path = lines[0].partition(" ")
    headers = tuple((name, value) for name, _, value in (line.partition(": ") for line in lines[1:]))
    request = HttpRequest(method=method, path=path, headers=headers, body=rest)
    for scheme in Scheme:
        try:
            check(PROOFS[scheme](request), (SECRET,), now_ms=NOW_MS, window_ms=WINDOW_MS)
        except EngineError:
            continue
        raise AssertionError(f"{scheme} believed a stranger")


def _agent_says(sent: bytes, signed: bytes, expected: str) -> bool:
    """Whether a body passes with the signature of a text; False also where its time or signer is none."""
    signature = hmac.digest(SECRET, signed, "sha256").hex()
    try:
        proof = PROOFS[Scheme.AGENT](HttpRequest(headers=(("X-Signature", signature),), body=sent))
        check(proof, (SECRET,), now_ms=NOW_MS, window_ms=WINDOW_MS)
    except InvalidSignature:
        assert expected == "no", "what was signed does not verify"
        return False
    except BadRequest:
        return False
    except RequestExpired:
        return True
    return True


def _at(place: bytes, whole: bytes) -> int:
    return int.from_bytes(place) % len(whole)


def _plain(value: object) -> object:
    if isinstance(value, Members):
        return {name: _plain(member) for name, member in value}
    return [_plain(item) for item in value] if isinstance(value, list) else value


TARGETS: Final[Mapping[str, Target]] = {
    "authorization": authorization,
    "webhook_signature": webhook_signature,
    "body": body,
    "agent": agent,
    "requests": requests,
    "data_uri": data_uri,
    "image": image,
}
