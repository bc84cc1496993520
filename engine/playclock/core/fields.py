"""What a field from outside may hold. Each check returns a sentence for the caller, or None where all is well."""

import re
from typing import Final

USER_ID_MAX: Final = 128
PC_ID_MAX: Final = 128
SERVER_ID_MAX: Final = 128
REQUEST_ID_MAX: Final = 255
HARDWARE_BYTES_MAX: Final = 16_384
NAME_MAX: Final = 200
URL_MAX: Final = 2_048
CERTIFICATE_NAME_MAX: Final = 255
SECONDS_MAX: Final = (1 << 31) - 1
MICROS_MAX: Final = 1 << 62

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PRINTABLE = re.compile(r"[\x20-\x7e]+", re.ASCII)
_TOKEN = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_RESOURCE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_CURRENCY = re.compile(r"[A-Z][A-Z0-9_]{1,15}", re.ASCII)
_TARGET = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):([0-9]{1,5})", re.ASCII)
_URL = re.compile(r"https?://[\x21-\x7e]+", re.ASCII)


def text_problem(text: str, length_max: int, *, required: bool = True) -> str | None:
    """Check a text that people or platforms chose: bounded, without control characters."""
    if not text:
        return "is required" if required else None
    if len(text) > length_max or _CONTROL.search(text):
        return f"expected 1 to {length_max} characters, none of them a control character"
    return None


def request_id_problem(text: str) -> str | None:
    """Check a request id, which may be absent."""
    if text and (len(text) > REQUEST_ID_MAX or not _PRINTABLE.fullmatch(text)):
        return f"expected 1 to {REQUEST_ID_MAX} printable ASCII characters"
    return None


def token_problem(text: str) -> str | None:
    """Check a secret that travels in a header."""
    return None if _TOKEN.fullmatch(text) else "expected 1 to 255 visible ASCII characters"


def certificate_name_problem(text: str) -> str | None:
    """Check a name in a certificate: a common name, a DNS name or a URI."""
    if text != text.strip() or len(text) > CERTIFICATE_NAME_MAX or not _PRINTABLE.fullmatch(text):
        return f"expected 1 to {CERTIFICATE_NAME_MAX} printable ASCII characters, no blank at either end"
    return None


def resource_id_problem(text: str) -> str | None:
    """Check an id that an operator chose."""
    return None if _RESOURCE_ID.fullmatch(text) else "expected 1 to 64 of A-Z a-z 0-9 . _ - with a letter or digit first"


def currency_problem(text: str) -> str | None:
    """Check a currency's code: ISO 4217's or a platform's own, such as GCOIN."""
    return None if _CURRENCY.fullmatch(text) else "expected 2 to 16 of A-Z 0-9 _ with a letter first"


def url_problem(text: str) -> str | None:
    """Check an http or https URL, which may be absent."""
    if text and (len(text) > URL_MAX or not _URL.fullmatch(text)):
        return f"expected an http or https URL of at most {URL_MAX} characters"
    return None


def target_problem(text: str) -> str | None:
    """Check where a server listens."""
    match = _TARGET.fullmatch(text)
    return None if match and 0 < int(match[1]) < 65_536 else "expected HOST:PORT"
