"""JSON that means the same to every reader: UTF-8, no key twice, no NaN, 64-bit integers, a depth that fits any stack."""

import json
import math
import re
from typing import Final, NoReturn

from playclock_http.refusal import Refusal, bad_request

MAX_DEPTH: Final = 16
"""How deep arrays and objects may nest; the top-level object is the first level."""

_INT_RANGE: Final = range(-(2**63), 2**64)
_INT_DIGITS: Final = 20
_ESCAPED_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
# A string without its end runs to the end of the text, and nothing is tried twice: linear for every input.
_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)


def parse(body: bytes) -> dict[str, object]:
    """Return the JSON object that the body holds. Raises Refusal (BAD_REQUEST), whose message never echoes a value."""
    _check_depth(body)
    try:
        document = _DECODER.decode(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise bad_request("body: expected UTF-8") from None
    except json.JSONDecodeError as error:
        raise bad_request(f"body: not JSON at character {error.pos}") from None
    if not isinstance(document, dict):
        raise bad_request("body: expected a JSON object")
    if _ESCAPED_SURROGATE.search(body):
        _check_surrogates(document)
    return document


def _check_depth(body: bytes) -> None:
    """Refuse what nests too deep before a parser meets it: the parser would recurse."""
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(body):
        token = match[0]
        if token in {b"{", b"["}:
            depth += 1
            if depth > MAX_DEPTH:
                raise bad_request(f"body: nested deeper than {MAX_DEPTH} levels")
        elif token in {b"}", b"]"}:
            depth -= 1


def _check_surrogates(document: dict[str, object]) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise bad_request("body: a lone surrogate is no character") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise bad_request("body: a key appears twice")
    return document


def _int(digits: str) -> int:
    # The length first: int() takes quadratic time, and Python refuses some lengths with an error of its own.
    if len(digits.lstrip("-")) <= _INT_DIGITS and (number := int(digits)) in _INT_RANGE:
        return number
    raise _number_out_of_range()


def _float(digits: str) -> float:
    if math.isfinite(number := float(digits)):
        return number
    raise _number_out_of_range()


def _constant(_name: str) -> NoReturn:
    raise bad_request("body: NaN and Infinity are not JSON")


def _number_out_of_range() -> Refusal:
    return bad_request("body: a number is out of range")


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_object, parse_int=_int, parse_float=_float, parse_constant=_constant)
