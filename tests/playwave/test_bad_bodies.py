"""Bodies that are no JSON, or hostile: 400 in the envelope for every call, never a 5xx, and 401 first for strangers."""

import gzip
import json
import zlib
from collections.abc import AsyncIterator
from typing import Final

import pytest

from .callers import GameServer, LauncherPc
from .endpoints import ENDPOINTS, Endpoint
from .envelope import data_of, error_of, refusal_of
from .server import Server

BAD: Final = (400, "BAD_REQUEST")
LIMIT: Final = 64 * 1024

pytestmark = pytest.mark.parametrize("kind", ["memory"], indirect=True)
"""Before any store: these are refused by whatever reads bodies."""


@pytest.fixture(params=ENDPOINTS, ids=lambda endpoint: endpoint.name.replace(" ", "-"))
def endpoint(request: pytest.FixtureRequest) -> Endpoint:
    found: Endpoint = request.param
    return found


def hostile(endpoint: Endpoint) -> dict[str, bytes]:
    """Return bodies that are wrong whatever the call is. Most are good but for one thing."""
    good = json.dumps(endpoint.body).encode()
    field = next(iter(endpoint.body))
    value = json.dumps(endpoint.body[field])

    def also(json_value: str) -> bytes:
        return good[:-1] + f', "x": {json_value}}}'.encode()

    return {
        "nothing": b"",
        "blanks": b" \r\n\t",
        "words": b"hello",
        "half": good[:-1],
        "twice": good + good,
        "and more": good + b"}",
        "single quotes": good.replace(b'"', b"'"),
        "trailing comma": good[:-1] + b",}",
        "a comment": b"/* */" + good,
        "a form": b"ott=a&provider_user_id=261",
        "array": b"[" + good + b"]",
        "empty array": b"[]",
        "string": json.dumps(good.decode()).encode(),
        "number": b"1",
        "null": b"null",
        "true": b"true",
        "a key twice": good[:-1] + f', "{field}": {value}}}'.encode(),
        "a key twice, once escaped": good[:-1] + f', "\\u{ord(field[0]):04x}{field[1:]}": {value}}}'.encode(),
        "an inner key twice": also('{"a": 1, "a": 1}'),
        "NaN": also("NaN"),
        "Infinity": also("Infinity"),
        "-Infinity": also("-Infinity"),
        "1e999": also("1e999"),
        "-1e999": also("-1e999"),
        "4,000 digits": also("9" * 4_000),
        "5,000 digits": also("9" * 5_000),
        "65 bits": also(str(2**64)),
        "100,000 [": b"[" * 100_000,
        "60,000 [": b"[" * 60_000,
        "60,000 [ in a field": good[:-1] + b', "x": ' + b"[" * 60_000,
        "10,000 objects deep": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        "17 levels": also("[" * 16 + "]" * 16),
        "70 kB of blanks": good + b" " * (70_000 - len(good)),
        "70 kB in a field": also(json.dumps("x" * 70_000)),
        "a byte too long": good + b" " * (LIMIT + 1 - len(good)),
        "lone surrogate": also('"\\ud800"'),
        "lone low surrogate": also('"\\udc00x"'),
        "surrogates in the wrong order": also('"\\udc00\\ud800"'),
        "lone surrogate in a key": good[:-1] + b', "\\ud83d": 1}',
        "surrogate as UTF-8": good[:-1] + b', "x": "\xed\xa0\x80"}',
        "BOM": b"\xef\xbb\xbf" + good,
        "UTF-16": good.decode().encode("utf-16"),
        "UTF-16 without a BOM": good.decode().encode("utf-16-le"),
        "latin-1": good[:-1] + b', "x": "caf\xe9"}',
        "overlong UTF-8": good[:-1] + b', "x": "\xc0\xaf"}',
        "half a character": good[:-1] + b', "x": "\xe2\x82"}',
        "beyond Unicode": good[:-1] + b', "x": "\xf4\x90\x80\x80"}',
        "a raw control character": good[:-1] + b', "x": "\x01"}',
        "a raw line feed": good[:-1] + b', "x": "a\nb"}',
        "NUL": good + b"\x00",
        "a bad escape": good[:-1] + b', "x": "\\x41"}',
        "hexadecimal": also("0x10"),
        "leading zero": also("01"),
        "full-width digits": also("\uff11"),
        "compressed": gzip.compress(good),
    }


async def test_a_hostile_body_is_a_bad_request(server: Server, endpoint: Endpoint) -> None:
    answers = {}
    for name, raw in hostile(endpoint).items():
        response = await endpoint.send(server, raw, endpoint.credentials(server, raw))
        answers[name] = refusal_of(response)
        assert len(error_of(response)["message"]) < 200, name
    assert {name: answer for name, answer in answers.items() if answer != BAD} == {}


async def test_without_credentials_it_is_401_first(server: Server, endpoint: Endpoint) -> None:
    answers = {name: refusal_of(await endpoint.send(server, raw, {})) for name, raw in hostile(endpoint).items()}
    assert {name: answer for name, answer in answers.items() if answer != endpoint.unauthenticated} == {}


async def test_with_wrong_credentials_it_is_401_first(server: Server, endpoint: Endpoint) -> None:
    answers = {
        name: refusal_of(await endpoint.send(server, raw, endpoint.wrong_credentials(raw)))
        for name, raw in hostile(endpoint).items()
        # What a launcher signs is the whole body, and one that is too long is not read to its end.
        if not (endpoint.by_launcher and len(raw) > LIMIT)
    }
    assert {name: answer for name, answer in answers.items() if answer != endpoint.unauthenticated} == {}


@pytest.fixture(scope="session")
def bomb() -> bytes:
    """Return 60 kB that would be 60 MB."""
    return gzip.compress(b" " * 60_000_000)


async def test_a_content_encoding_is_refused(server: Server, endpoint: Endpoint, bomb: bytes) -> None:
    good = json.dumps(endpoint.body).encode()
    for encoding in ("gzip", "deflate", "br", "zstd", "identity", "x-gzip, gzip", ""):
        for raw in (good, gzip.compress(good), zlib.compress(good), bomb):
            headers = endpoint.credentials(server, raw) | {"Content-Encoding": encoding}
            assert refusal_of(await endpoint.send(server, raw, headers)) == BAD


async def test_a_body_without_an_announced_length_is_read_up_to_the_limit(server: Server, endpoint: Endpoint) -> None:
    good = json.dumps(endpoint.body).encode()

    async def in_chunks(raw: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(raw), 10_000):
            yield raw[at : at + 10_000]

    for length, too_long in ((LIMIT, False), (LIMIT + 1, True)):
        raw = good + b" " * (length - len(good))
        headers = endpoint.credentials(server, raw)
        response = await server.client().request(endpoint.method, endpoint.path, content=in_chunks(raw), headers=headers)
        assert (response.status_code == BAD[0]) is too_long, length


async def test_what_is_well_formed_but_unusual_is_no_bad_request(server: Server, endpoint: Endpoint) -> None:
    good = json.dumps(endpoint.body)
    unusual = {
        "as long as it may be": good.encode() + b" " * (LIMIT - len(good)),
        "blanks around it": b"\r\n\t " + good.encode() + b"\n",
        "every character escaped": ("{" + json_escaped(endpoint.body) + "}").encode(),
        "fields of a later version": (
            good[:-1] + ', "new": {"a": [1, 2.5, null, true, "\U0001f3ae \\ud83c\\udfae"]}}'
        ).encode(),
        "16 levels": (good[:-1] + f', "x": {"[" * 15 + "]" * 15}}}').encode(),
        "no spaces": json.dumps(endpoint.body, separators=(",", ":")).encode(),
    }
    answers = {
        name: (await endpoint.send(server, raw, endpoint.credentials(server, raw))).status_code for name, raw in unusual.items()
    }
    assert {name: status for name, status in answers.items() if status not in {200, 404}} == {}


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8", ""]
)
async def test_the_content_type_is_not_what_a_body_is_judged_by(game: GameServer, pc: LauncherPc, content_type: str) -> None:
    assert data_of(await game.verify(await pc.ott(), Content_Type=content_type))["is_valid"] is True


def json_escaped(document: dict[str, object]) -> str:
    """Write the fields of an object with every character of its keys and texts escaped."""
    return ",".join(f"{_escaped(key)}:{_escaped(value)}" for key, value in document.items())


def _escaped(value: object) -> str:
    if isinstance(value, str):
        return '"' + "".join(f"\\u{ord(character):04x}" for character in value) + '"'
    return json.dumps(value)
