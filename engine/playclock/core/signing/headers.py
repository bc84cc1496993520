"""Header fields that carry signatures: bounded, in visible ASCII, and each of them once."""

import re
from collections.abc import Sequence
from typing import Final

from playclock.errors import InvalidSignature

VALUE_MAX: Final = 2_048
"""How long a field's value may be."""

_METHOD = re.compile(r"[A-Za-z]{1,16}", re.ASCII)
_PATH = re.compile(r"/[\x21\x22\x24-\x3e\x40-\x7e]{0,2047}", re.ASCII)
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,2046}[\x21-\x7e])?", re.ASCII)


def only(headers: Sequence[tuple[str, str]], name: str) -> str:
    """Return the value of the one field of this name, lower case here and of any case there.

    Raises InvalidSignature where it is missing, comes twice, is too long or holds anything but visible ASCII and spaces within.
    """
    values = [value for field, value in headers if len(field) == len(name) and field.isascii() and field.lower() == name]
    if len(values) != 1:
        raise InvalidSignature(f"the header {name} is {'repeated' if values else 'missing'}")
    if len(values[0]) > VALUE_MAX or not _VALUE.fullmatch(values[0]):
        raise InvalidSignature(f"the header {name} is malformed")
    return values[0]


def method_problem(method: str) -> str | None:
    """Check an HTTP method: return a sentence, or None where all is well."""
    return None if _METHOD.fullmatch(method) else "expected an HTTP method: 1 to 16 letters"


def path_problem(path: str) -> str | None:
    """Check the path of a request, as it is sent: return a sentence, or None where all is well."""
    return None if _PATH.fullmatch(path) else "expected visible ASCII, from '/' on, without query and fragment"


def check_target(method: str, path: str) -> None:
    """Raise InvalidSignature for what is no method, or no path."""
    if method_problem(method) or path_problem(path):
        raise InvalidSignature("the method or path is malformed")
