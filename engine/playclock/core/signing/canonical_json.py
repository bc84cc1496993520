"""JSON read strictly, and written again in the spellings that agents sign.

Numbers keep the digits with which they came. A language writes a float as it likes (1.0 or 1, 1e25 or 1.0e+25); whoever
signed and whoever sent was one program, so its own digits are the only ones that can be right.
"""

import json
import re
from enum import Enum
from typing import Final, NoReturn

BODY_BYTES_MAX: Final = 16_384
DEPTH_MAX: Final = 16
"""How deep arrays and objects may nest; the top-level object is the first level."""
NUMBER_MAX: Final = 40
"""How many characters a number may have."""

# A string without its end runs to the end of the text, and nothing is tried twice: linear for every input.
_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
_WHITESPACE: Final = re.compile(rb'("(?:[^"\\]|\\.)*")|[ \t\n\r]+', re.DOTALL)
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*", re.ASCII)


class Spelling(Enum):
    """How a library writes strings: whether it escapes slashes, and whether it escapes what is not ASCII."""

    PHP = (True, True)
    PHP_UNESCAPED_UNICODE = (True, False)
    PLAIN = (False, False)
    """JavaScript's, and most others'."""
    ASCII = (False, True)
    """Python's."""


class NotCanonical(ValueError):
    """The body is no JSON that means the same to every reader. The message never echoes a value."""


class Number(str):
    """A number in the digits with which it was written."""

    __slots__ = ()


class Members(list[tuple[str, object]]):
    """An object's members, in their order. No name is there twice."""


def read(body: bytes) -> Members:
    """Return the members of the object that the body holds.

    Raises NotCanonical for what is no object, is too long or nests too deep, has a name twice, a number that is too long, NaN,
    or half a character.
    """
    if len(body) > BODY_BYTES_MAX:
        raise NotCanonical(f"longer than {BODY_BYTES_MAX} bytes")
    _check_depth(body)
    try:
        document = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise NotCanonical("expected UTF-8") from None
    except json.JSONDecodeError as error:
        raise NotCanonical(f"not JSON at character {error.pos}") from None
    if not isinstance(document, Members):
        raise NotCanonical("expected a JSON object")
    return document


def canonical_texts(members: Members, body: bytes) -> tuple[bytes, ...]:
    r"""Return the object with its members sorted by name, once as PHP writes it (`\/`, `\u00e9`), once with plain characters.

    Only the outermost level is sorted, as ksort does, and there are no spaces. There is none where it would not be certain
    what the signer wrote: where the body spells its strings as no library does, so that of the many spellings of a body few
    pass; and where a name might be sorted otherwise elsewhere: PHP takes "10" for a number, and there are several orders of
    characters beyond ASCII.
    """
    if not all(_PLAIN_KEY.fullmatch(name) for name, _ in members):
        return ()
    compact = _WHITESPACE.sub(lambda match: match[1] or b"", body)
    if not any(_write(members, spelling).encode() == compact for spelling in Spelling):
        return ()
    ordered = Members(sorted(members, key=lambda member: member[0]))
    return (_write(ordered, Spelling.PHP).encode(), _write(ordered, Spelling.PLAIN).encode())


def _write(value: object, spelling: Spelling) -> str:
    if isinstance(value, Members):
        return "{" + ",".join(f"{_quote(name, spelling)}:{_write(member, spelling)}" for name, member in value) + "}"
    if isinstance(value, list):
        return "[" + ",".join(_write(item, spelling) for item in value) + "]"
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, str):
        return _quote(value, spelling)
    return {None: "null", True: "true", False: "false"}[value]  # type: ignore[index]


def _quote(text: str, spelling: Spelling) -> str:
    escapes_slashes, escapes_characters = spelling.value
    quoted = json.dumps(text, ensure_ascii=False)
    if escapes_characters and not text.isascii():
        # DEL is ASCII and stays as it is in PHP; Python would escape it together with the rest.
        quoted = '"' + "\x7f".join(json.dumps(part)[1:-1] for part in text.split("\x7f")) + '"'
    return quoted.replace("/", "\\/") if escapes_slashes else quoted


def _check_depth(body: bytes) -> None:
    """Refuse what nests too deep before a parser meets it: the parser would recurse."""
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(body):
        if match[0] in {b"{", b"["}:
            depth += 1
            if depth > DEPTH_MAX:
                raise NotCanonical(f"nested deeper than {DEPTH_MAX} levels")
        elif match[0] in {b"}", b"]"}:
            depth -= 1


def _members(pairs: list[tuple[str, object]]) -> Members:
    if len({name for name, _ in pairs}) != len(pairs):
        raise NotCanonical("a name appears twice")
    for name, value in pairs:
        _check_characters(name)
        _check_value(value)
    return Members(pairs)


def _check_value(value: object) -> None:
    if isinstance(value, Members):
        return  # checked when it was made
    if isinstance(value, list):
        for item in value:
            _check_value(item)
    elif isinstance(value, str):
        _check_characters(value)


def _check_characters(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotCanonical("a lone surrogate is no character") from None


def _number(digits: str) -> Number:
    if len(digits) > NUMBER_MAX:
        raise NotCanonical("a number is too long")
    return Number(digits)


def _constant(_name: str) -> NoReturn:
    raise NotCanonical("NaN and Infinity are not JSON")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_members, parse_int=_number, parse_float=_number, parse_constant=_constant)
