"""JSON as agents sign it: one meaning, and no more spellings than there are libraries."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playclock.core.signing.canonical_json import BODY_BYTES_MAX, NotCanonical, canonical_texts, read

REPEATABLE = settings(deadline=None, derandomize=True, max_examples=40)

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ["/", "\\u007f", "\x7f", "é/\U0001f600", '"', "\\", "\u2028"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_.-]{0,6}\Z"), VALUES, max_size=5)


def canonical(body: bytes) -> tuple[bytes, ...]:
    return canonical_texts(read(body), body)


def dumps(value: object, *, ascii_only: bool = False) -> bytes:
    return json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":")).encode()


class TestWriting:
    @pytest.mark.parametrize(
        ("body", "php", "plain"),
        [
            (b'{"b":1,"a":2}', b'{"a":2,"b":1}', b'{"a":2,"b":1}'),
            (b'{ "a" : [1 , { "z" : 1, "y" : "a b" }] }\n', b'{"a":[1,{"z":1,"y":"a b"}]}', b'{"a":[1,{"z":1,"y":"a b"}]}'),
            ('{"u":"https://é"}'.encode(), b'{"u":"https:\\/\\/\\u00e9"}', '{"u":"https://é"}'.encode()),
            (rb'{"u":"\/\u00e9"}', rb'{"u":"\/\u00e9"}', '{"u":"/é"}'.encode()),
            (rb'{"u":"/\ud83d\ude00"}', rb'{"u":"\/\ud83d\ude00"}', '{"u":"/\U0001f600"}'.encode()),
            (b'{"u":"\x7f","v":"\xc3\xa9\x7f"}', b'{"u":"\x7f","v":"\\u00e9\x7f"}', b'{"u":"\x7f","v":"\xc3\xa9\x7f"}'),
            (rb'{"u":"\b\f\n\r\t\u0001\"\\"}', rb'{"u":"\b\f\n\r\t\u0001\"\\"}', rb'{"u":"\b\f\n\r\t\u0001\"\\"}'),
            (b'{"t":true,"f":false,"n":null}', b'{"f":false,"n":null,"t":true}', b'{"f":false,"n":null,"t":true}'),
            (b'{"B":1,"a":1,"_":1,"A":1}', b'{"A":1,"B":1,"_":1,"a":1}', b'{"A":1,"B":1,"_":1,"a":1}'),
            (b"{}", b"{}", b"{}"),
        ],
    )
    def test_sorts_the_outermost_names_and_knows_two_spellings(self, body: bytes, php: bytes, plain: bytes) -> None:
        assert canonical(body) == (php, plain)

    @pytest.mark.parametrize(
        "number", ["0", "-0", "1.0", "1.10", "1e2", "1E2", "1e+2", "0.1e-7", "12345678901234567890123", "1e999", "-1.5"]
    )
    def test_keeps_numbers_in_the_digits_with_which_they_came(self, number: str) -> None:
        assert canonical(f'{{"n": {number}}}'.encode())[0] == f'{{"n":{number}}}'.encode()

    @pytest.mark.parametrize(
        "body",
        [
            rb'{"u":"\u00E9"}',
            rb'{"u":"\u0041"}',
            rb'{"u":"\u002f"}',
            rb'{"u":"\/ /"}',
            '{"u":"\\u00e9é"}'.encode(),
            rb'{"u":"\u0009"}',
            rb'{"u":"\u007f"}',
            rb'{"\u0061":1}',
        ],
    )
    def test_leaves_a_spelling_alone_that_no_library_writes(self, body: bytes) -> None:
        assert canonical(body) == ()

    @pytest.mark.parametrize("name", ["1", "", "é", "-1", " a", "a b", "0x1", ".5", "+1", "a\\n"])
    def test_leaves_names_alone_that_others_sort_otherwise(self, name: str) -> None:
        assert canonical(f'{{"{name}":1}}'.encode()) == ()

    @REPEATABLE
    @given(OBJECTS, st.booleans(), st.booleans())
    def test_is_what_python_writes_where_python_can(self, value: dict[str, object], ascii_only: bool, spaced: bool) -> None:
        sent = json.dumps(value, ensure_ascii=ascii_only, indent=2 if spaced else None).encode()
        ordered = {name: value[name] for name in sorted(value)}
        if ascii_only and b"\\u007f" in sent and "\x7f" in json.dumps(value, ensure_ascii=False):
            return  # Python alone escapes DEL
        assert canonical(sent)[1] == dumps(ordered)
        assert json.loads(canonical(sent)[0]) == value


class TestReading:
    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[]",
            b"1",
            b'"a"',
            b"null",
            b"{",
            b'{"a":1}}',
            b'{"a":1,}',
            b"{'a':1}",
            b'{"a":NaN}',
            b'{"a":-Infinity}',
            b'{"a":01}',
            b'{"a":+1}',
            b'{"a":1_0}',
            '{"a":\uff11}'.encode(),
            b'{"a":"\n"}',
            b'{"a":"\xff"}',
            b'{"a":"\xed\xa0\x80"}',
            rb'{"a":"\ud800"}',
            rb'{"a":["\udc00"]}',
            rb'{"\ud800":1}',
            b"\xef\xbb\xbf{}",
            b'{"a":1}\0',
            b'{"a":1,"a":1}',
            rb'{"a":1,"\u0061":2}',
            b'{"o":{"b":1,"b":2}}',
            b'{"l":[{"b":1,"b":2}]}',
            b'{"a":' + b"9" * 41 + b"}",
            b'{"a":' + b"[" * 16 + b"]" * 16 + b"}",
            b"[" * 16_000,
            b'{"a":"' + b"x" * BODY_BYTES_MAX + b'"}',
            "{}".encode("utf-16"),
        ],
    )
    def test_refuses_what_means_nothing_or_more_than_one_thing(self, body: bytes) -> None:
        with pytest.raises(NotCanonical):
            read(body)

    def test_takes_what_is_just_small_and_flat_enough(self) -> None:
        assert read(b'{"a":' + b"[" * 15 + b"]" * 15 + b"}")
        assert read(b'{"a":"' + b"[{" * 50 + b'"}')
        assert read(b'{"a":' + b"9" * 40 + b"}") == [("a", "9" * 40)]
        assert read(b'{"a":"' + b"x" * (BODY_BYTES_MAX - 8) + b'"}')

    @REPEATABLE
    @given(st.binary(max_size=60) | OBJECTS.map(dumps))
    def test_takes_nothing_that_python_would_not_take_for_the_same(self, body: bytes) -> None:
        try:
            members = read(body)
        except NotCanonical:
            return
        assert [name for name, _ in members] == list(json.loads(body))
