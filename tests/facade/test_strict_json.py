"""What strict JSON takes and refuses. A refusal never echoes what was in the body."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playclock_http.refusal import Refusal
from playclock_http.strict_json import parse


def _nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b"{}", {}),
        (b' \t\r\n{"a" : 1}\n', {"a": 1}),
        (b'{"a":-9223372036854775808}', {"a": -(2**63)}),
        (b'{"a":18446744073709551615}', {"a": 2**64 - 1}),
        (b'{"a":1.5e3,"b":-0,"c":true,"d":null}', {"a": 1500.0, "b": 0, "c": True, "d": None}),
        (b'{"a":"\\ud83d\\ude00"}', {"a": "😀"}),
        ('{"a":"한글"}'.encode(), {"a": "한글"}),
        (b'{"a":{"k":1},"b":{"k":1}}', {"a": {"k": 1}, "b": {"k": 1}}),
        (b'{"a":"[[[[[[[[[[[[[[[[[[[[{{{{{{"}', {"a": "[[[[[[[[[[[[[[[[[[[[{{{{{{"}),
        (b'{"a":"\\"[[[[[[[[[[[[[[[[[[[["}', {"a": '"[[[[[[[[[[[[[[[[[[[['}),
        (b'{"a":[' + b"[]," * 100 + b"[]]}", {"a": [[]] * 101}),
    ],
)
def test_takes_what_every_reader_reads_alike(body: bytes, document: dict[str, object]) -> None:
    assert parse(body) == document


def test_takes_16_levels() -> None:
    assert parse(_nested(16))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "body: not JSON at character 0"),
        (b"{", "body: not JSON at character 1"),
        (b'{"a":1}x', "body: not JSON at character 7"),
        (b'{"a":1,}', "body: not JSON at character 7"),
        (b"{'a':1}", "body: not JSON at character 1"),
        (b'{"a":01}', "body: not JSON at character 6"),
        (b'{"a":+1}', "body: not JSON at character 5"),
        (b'{"a":"\x01"}', "body: not JSON at character 6"),
        (b'{"a":"\\x"}', "body: not JSON at character 6"),
        ('{"a":\uff11}'.encode(), "body: not JSON at character 5"),
        (b"\xef\xbb\xbf{}", "body: not JSON at character 0"),
        ('{"a":1}'.encode("utf-16"), "body: expected UTF-8"),
        (b'{"a":"\xff"}', "body: expected UTF-8"),
        (b'{"a":"\xed\xa0\x80"}', "body: expected UTF-8"),
        (b'{"a":"\xc0\xaf"}', "body: expected UTF-8"),
        (b"[]", "body: expected a JSON object"),
        (b"null", "body: expected a JSON object"),
        (b'"secret"', "body: expected a JSON object"),
        (b"1", "body: expected a JSON object"),
        (b'{"secret":1,"secret":1}', "body: a key appears twice"),
        (b'{"a":[{"secret":1,"\\u0073ecret":2}]}', "body: a key appears twice"),
        (b'{"a":NaN}', "body: NaN and Infinity are not JSON"),
        (b'{"a":Infinity}', "body: NaN and Infinity are not JSON"),
        (b'{"a":-Infinity}', "body: NaN and Infinity are not JSON"),
        (b'{"a":1e999}', "body: a number is out of range"),
        (b'{"a":-1e999}', "body: a number is out of range"),
        (b'{"a":18446744073709551616}', "body: a number is out of range"),
        (b'{"a":-9223372036854775809}', "body: a number is out of range"),
        (b'{"a":' + b"9" * 60_000 + b"}", "body: a number is out of range"),
        (b'{"a":-' + b"9" * 60_000 + b"}", "body: a number is out of range"),
        (b'{"a":"\\ud83d"}', "body: a lone surrogate is no character"),
        (b'{"a":"\\uDE00x"}', "body: a lone surrogate is no character"),
        (b'{"a":[{"\\udfff":1}]}', "body: a lone surrogate is no character"),
        (_nested(17), "body: nested deeper than 16 levels"),
        (b'{"\\"":' + b"[" * 16 + b"]" * 16 + b"}", "body: nested deeper than 16 levels"),
        (b"[" * 100_000, "body: nested deeper than 16 levels"),
        (b'{"a":' * 100_000, "body: nested deeper than 16 levels"),
    ],
)
def test_refuses_the_rest_without_echoing_it(body: bytes, message: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse(body)
    assert (caught.value.reason, caught.value.message) == ("BAD_REQUEST", message)


@pytest.mark.timeout(5)
@pytest.mark.parametrize("piece", [b'\\"', b'"', b'"\\', b"[]", b'{"a":', b"\\\\"])
def test_takes_linear_time_for_64_kib_of_a_hostile_piece(piece: bytes) -> None:
    with pytest.raises(Refusal):
        parse(b'{"[[[[[[[[[[[[[[[[[' + piece * (65_000 // len(piece)))


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def _depth(value: object) -> int:
    match value:
        case dict():
            return 1 + max(map(_depth, value.values()), default=0)
        case list():
            return 1 + max(map(_depth, value), default=0)
    return 0


@given(st.dictionaries(st.text(), _VALUES, max_size=4).filter(lambda document: _depth(document) <= 16), st.booleans())
def test_reads_back_every_document_that_json_writes(document: dict[str, object], escape: bool) -> None:
    assert parse(json.dumps(document, ensure_ascii=escape).encode()) == document


_SHREDS = st.lists(
    st.sampled_from(
        [b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b"1", b"e9", b"-", b".", b"NaN", b"\\ud800", b"a", b"\xff"]
    ),
    max_size=40,
)


@given(st.binary(max_size=60) | _SHREDS.map(b"".join) | _SHREDS.map(lambda shreds: b'{"a":' + b"".join(shreds) + b"}"))
def test_never_reads_what_json_would_not_and_raises_nothing_but_refusals(body: bytes) -> None:
    try:
        document = parse(body)
    except Refusal:
        return
    assert document == json.loads(body)
    assert all(math.isfinite(value) for value in document.values() if isinstance(value, float))
