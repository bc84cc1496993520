"""Forms: the same is read whatever the pieces are; what is wrong is refused, and nothing is kept beyond its room."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterable
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playclock_http import multipart
from playclock_http.multipart import Part, is_form, read_form
from playclock_http.refusal import Refusal, bad_request

TYPE: Final = b"multipart/form-data; boundary=xyz"
PART: Final = b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\nhello\r\n'
END: Final = b"--xyz--\r\n"


async def pieces(*given: bytes) -> AsyncIterator[bytes]:
    for piece in given:
        yield piece


async def read(*given: bytes, content_type: bytes = TYPE, room: int = 1000) -> list[Part]:
    return await read_form(pieces(*given), content_type, lambda _name, _is_file: room)


async def problem(*given: bytes, content_type: bytes = TYPE) -> str:
    with pytest.raises(Refusal) as caught:
        await read(*given, content_type=content_type)
    assert caught.value.reason == "BAD_REQUEST"
    return caught.value.message


def part(head: bytes, contents: bytes = b"hello") -> bytes:
    return b"--xyz\r\n" + head + b"\r\n\r\n" + contents + b"\r\n" + END


def cut(body: bytes, places: Iterable[int]) -> list[bytes]:
    """Return the body in pieces."""
    bounds = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[start:end] for start, end in itertools.pairwise(bounds)]


async def test_texts_and_files_in_their_order() -> None:
    file = b'--xyz\r\nContent-Disposition: form-data; name="f"; filename="x.png"\r\nContent-Type: image/png\r\n\r\n\r\n--xy\r\n'
    empty = b'--xyz\r\nContent-Disposition: form-data; name="e"; filename=""\r\n\r\n\r\n'
    assert await read(PART, file, empty, END) == [
        Part("a", is_file=False, file_is_named=False, data=b"hello", size_bytes=5),
        Part("f", is_file=True, file_is_named=True, data=b"\r\n--xy", size_bytes=6),
        Part("e", is_file=True, file_is_named=False, data=b"", size_bytes=0),
    ]


@given(
    contents=st.lists(st.binary(max_size=60).filter(lambda data: b"--xyz" not in data), max_size=4),
    places=st.lists(st.integers(min_value=0, max_value=2000), max_size=8),
)
async def test_a_form_is_the_same_in_whatever_pieces_it_comes(contents: list[bytes], places: list[int]) -> None:
    head = b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
    body = b"".join(head + data + b"\r\n" for data in contents) + END
    assert [found.data for found in await read(*cut(body, places))] == contents


@given(
    places=st.lists(st.integers(min_value=0, max_value=500), max_size=4),
    at=st.integers(min_value=0, max_value=200),
    junk=st.one_of(st.binary(max_size=8), st.sampled_from([b"\r\n", b"--xyz", b"--xyz--", b"\0", b'"', b";", b":"])),
    is_cut=st.booleans(),
)
async def test_a_form_with_junk_in_it_is_read_or_refused(places: list[int], at: int, junk: bytes, is_cut: bool) -> None:
    body = PART + part(b'Content-Disposition: form-data; name="f"; filename="x"\r\nContent-Type: image/png')
    broken = body[:at] + junk + (b"" if is_cut else body[at:])
    with contextlib.suppress(Refusal):
        found = await read(*cut(broken, places))
        assert sum(len(each.data) for each in found) <= len(broken)


@given(at=st.integers(min_value=1, max_value=len(PART + END) - 3))
async def test_a_form_that_is_cut_off_is_refused(at: int) -> None:
    body = (PART + END)[:at]
    assert (await problem(body)).startswith("body: not multipart/form-data: ")


async def test_of_a_part_no_more_is_kept_than_there_is_room_for() -> None:
    head = b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
    (found,) = await read(head, *[b"x" * 1000] * 50, b"\r\n", END, room=1500)
    assert (found.data, found.size_bytes) == (b"x" * 1500, 50_000)
    assert await read(head, b"x" * 1000, b"\r\n", END, room=0) == []


async def test_what_the_room_refuses_is_refused_at_once() -> None:
    def no_room(name: str, _is_file: bool) -> int:
        raise bad_request(f"{name}: no room")

    given = pieces(PART, b"never read")
    with pytest.raises(Refusal, match="a: no room"):
        await read_form(given, TYPE, no_room)
    assert await anext(given) == b"never read"


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b'Content-Disposition: form-data; name="a"\r\nContent-Type: multipart/mixed; boundary=b', "a part is in parts itself"),
        (
            b'Content-Disposition: form-data; name="a"\r\nContent-Transfer-Encoding: base64',
            "a part has a Content-Transfer-Encoding",
        ),
        (b'Content-Disposition: form-data; name="a"\r\ncontent-disposition: form-data; name="b"', "a part has a header twice"),
        (b'Content-Disposition: attachment; name="a"', "a part has no name"),
        (b"Content-Disposition: form-data", "a part has no name"),
        (b"Content-Disposition: form-data; name*=utf-8''a", "a part has no name"),
        (b"Content-Type: text/plain", "a part has no name"),
        (
            b'Content-Disposition: form-data; name="' + b"a" * 2048 + b'"',
            "a boundary or a part's header is malformed, or too long",
        ),
        (b"X" * 3000 + b": y", "a boundary or a part's header is malformed, or too long"),
        (b"\r\n".join(b"X-%d: y" % number for number in range(9)), "a boundary or a part's header is malformed, or too long"),
        (b"Content Disposition: form-data", "a boundary or a part's header is malformed, or too long"),
    ],
)
async def test_a_part_that_is_wrong(head: bytes, told: str) -> None:
    assert await problem(part(head)) == f"body: not multipart/form-data: {told}"


async def test_so_many_parts_and_no_more() -> None:
    assert len(await read(PART * multipart.PARTS_MAX, END)) == 64
    assert await problem(PART * 65, END) == "body: not multipart/form-data: more than 64 parts"


@pytest.mark.parametrize(
    "content_type",
    [
        b"multipart/form-data",
        b"multipart/form-data; boundary=",
        b'multipart/form-data; boundary=""',
        b"multipart/mixed; boundary=xyz",
        b"multipart/form-data; boundary=" + b"x" * 71,
        b"multipart/form-data; boundary*=utf-8''xyz",
    ],
)
async def test_a_content_type_that_is_none_of_a_form(content_type: bytes) -> None:
    told = await problem(PART, END, content_type=content_type)
    assert told == "Content-Type: expected multipart/form-data with a boundary of at most 70 bytes"


async def test_a_content_type_has_an_end() -> None:
    assert await problem(PART, content_type=TYPE + b"; x=" + b"y" * 256) == "Content-Type: longer than 256 bytes"


@pytest.mark.parametrize("body", [b"", b"hello", END[2:], PART.replace(b"xyz", b"abc") + END, b"\r\n" * 100])
async def test_what_is_no_form(body: bytes) -> None:
    assert (await problem(body)).startswith("body: not multipart/form-data: ")


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [(TYPE, True), (b"Multipart/Mixed", True), (b"application/json", False), (b"", False), (None, False)],
)
def test_whether_a_body_is_to_be_a_form(content_type: bytes | None, *, expected: bool) -> None:
    assert is_form(content_type) is expected
