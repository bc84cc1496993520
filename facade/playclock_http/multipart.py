"""Forms with files (RFC 7578), read as they arrive: of each part as much is kept as there is room for, and no more."""

import logging
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from playclock_http.refusal import Refusal, bad_request

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks  # which is there for type checkers alone

PARTS_MAX: Final = 64
HEADERS_MAX: Final = 8
"""How many headers a part may have."""
HEADER_BYTES_MAX: Final = 2048
"""How long each of them may be."""

_CONTENT_TYPE_BYTES_MAX: Final = 256
_BOUNDARY_BYTES_MAX: Final = 70
"""RFC 2046, 5.1.1."""
_PLAIN: Final = frozenset({b"", b"7bit", b"8bit", b"binary"})
"""Transfer encodings that change nothing; RFC 7578 has none at all."""

# What is wrong with a form its sender is told: in a log, strangers would write.
logging.getLogger("python_multipart").setLevel(logging.ERROR)


class Part(NamedTuple):
    """One part of a form. `data` is its beginning where `size_bytes` is more."""

    name: str
    is_file: bool
    """Whether it has a file name, which counts for nothing else."""
    file_is_named: bool
    """Whether that name is not empty, as a browser's is where no file was chosen."""
    data: bytes
    size_bytes: int


Room = Callable[[str, bool], int]
"""Says how many bytes are kept of a part, by its name and whether it is a file. May raise Refusal."""


def is_form(content_type: bytes | None) -> bool:
    """Whether a body says to be a form in parts."""
    return (content_type or b"").lower().startswith(b"multipart/")


async def read_form(pieces: AsyncIterator[bytes], content_type: bytes, room: Room) -> list[Part]:
    """Return the parts of a form, in the order in which they came; those without any room are left out.

    Raises Refusal (BAD_REQUEST) for what is no whole form, or is beyond the limits; and what `pieces` and `room` raise.
    """
    form = _Form(room)
    parser = MultipartParser(
        _boundary(content_type), form.callbacks(), max_header_count=HEADERS_MAX, max_header_size=HEADER_BYTES_MAX
    )
    try:
        async for piece in pieces:
            parser.write(piece)
    except FormParserError:
        raise _malformed("a boundary or a part's header is malformed, or too long") from None
    if not form.is_whole:
        raise _malformed("the last boundary is missing")
    return form.parts


def _boundary(content_type: bytes) -> bytes:
    if len(content_type) > _CONTENT_TYPE_BYTES_MAX:
        raise bad_request(f"Content-Type: longer than {_CONTENT_TYPE_BYTES_MAX} bytes")
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= _BOUNDARY_BYTES_MAX:
        raise bad_request(f"Content-Type: expected multipart/form-data with a boundary of at most {_BOUNDARY_BYTES_MAX} bytes")
    return boundary


def _malformed(problem: str) -> Refusal:
    return bad_request(f"body: not multipart/form-data: {problem}")


class _Form:
    """Takes in what the parser finds."""

    def __init__(self, room: Room) -> None:
        self.parts: list[Part] = []
        self.is_whole = False
        self._room = room
        self._begun = 0
        self._headers: dict[bytes, bytes] = {}
        self._name, self._value = bytearray(), bytearray()
        self._field, self._file_name, self._kept_max = "", b"", 0
        self._is_file = False
        self._data, self._size = bytearray(), 0

    def callbacks(self) -> "MultipartCallbacks":
        """Return what the parser calls, by the parser's names."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._take_name,
            "on_header_value": self._take_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._take_data,
            "on_part_end": self._end,
            "on_end": self._end_form,
        }

    def _begin(self) -> None:
        self._begun += 1
        if self._begun > PARTS_MAX:
            raise _malformed(f"more than {PARTS_MAX} parts")
        self._headers = {}
        self._data, self._size = bytearray(), 0

    def _take_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _take_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        name = bytes(self._name).lower()
        if name in self._headers:
            raise _malformed("a part has a header twice")
        self._headers[name] = bytes(self._value).strip(b" \t")
        self._name.clear()
        self._value.clear()

    def _end_headers(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if kind != b"form-data" or b"name" not in options:
            raise _malformed("a part has no name")
        if is_form(self._headers.get(b"content-type")):
            raise _malformed("a part is in parts itself")
        if self._headers.get(b"content-transfer-encoding", b"").lower() not in _PLAIN:
            raise _malformed("a part has a Content-Transfer-Encoding")
        self._field = options[b"name"].decode("utf-8", "replace")
        self._is_file, self._file_name = b"filename" in options, options.get(b"filename", b"")
        self._kept_max = self._room(self._field, self._is_file)

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if len(self._data) < self._kept_max:
            self._data += data[start : min(end, start + self._kept_max - len(self._data))]

    def _end(self) -> None:
        if self._kept_max:
            named = bool(self._file_name)
            self.parts.append(Part(self._field, self._is_file, named, bytes(self._data), self._size))

    def _end_form(self) -> None:
        self.is_whole = True
