"""Whether a text is a well-formed language tag: the grammar of RFC 5646, section 2.1, which is a part of BCP 47."""

import re
from typing import Final

LANGUAGE_MAX: Final = 35
"""RFC 5646, section 4.4.1: all tags that can sensibly be made fit."""

_IRREGULAR: Final = (
    "en-GB-oed i-ami i-bnn i-default i-enochian i-hak i-klingon i-lux i-mingo i-navajo i-pwn i-tao i-tay i-tsu sgn-BE-FR "
    "sgn-BE-NL sgn-CH-DE"
)
"""Tags of before the grammar that do not match it, and stay well-formed."""
_PRIVATE: Final = r"x(?:-[a-z0-9]{1,8})+"
_TAG: Final = re.compile(
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})"  # language, and extended language
    r"(?:-[a-z]{4})?"  # script
    r"(?:-(?:[a-z]{2}|[0-9]{3}))?"  # region
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*"  # variants
    r"(?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*"  # extensions
    rf"(?:-{_PRIVATE})?"
    rf"|{_PRIVATE}"
    rf"|{_IRREGULAR.replace(' ', '|')}",
    re.ASCII | re.IGNORECASE,
)


def language_problem(text: str) -> str | None:
    """Check a language tag, such as "ru" or "pt-BR"; return a sentence for the caller, or None where all is well."""
    if not text:
        return "is required"
    if len(text) > LANGUAGE_MAX or not _TAG.fullmatch(text):
        return "expected a well-formed language tag (BCP 47), such as en or pt-BR"
    return None
