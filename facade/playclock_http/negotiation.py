"""What a caller says of the answer that it takes: content codings, and the version that it has already (RFC 9110)."""

import re
from collections.abc import Sequence
from typing import Final

_CODING: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*(?:;[ \t]*[qQ]=([01](?:\.[0-9]{0,3})?))?")
_ETAG: Final = re.compile(rb'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_GZIP: Final = (b"gzip", b"x-gzip")
_HEADER_BYTES_MAX: Final = 1024
"""How much of either header is read: no client needs more, and a longer one says nothing."""


def takes_gzip(accept_encoding: Sequence[bytes]) -> bool:
    """Whether an answer is best sent in gzip, by the values of Accept-Encoding; without any it is not.

    Of gzip and identity the one with the greater weight is meant, and gzip where they are equal or identity is not named.
    """
    weights = _weights(b",".join(accept_encoding))
    gzip = max((weights[name] for name in _GZIP if name in weights), default=weights.get(b"*", 0.0))
    return gzip > 0 and gzip >= weights.get(b"identity", 0.0)


def has_version(if_none_match: Sequence[bytes], etag: bytes) -> bool:
    """Whether the values of If-None-Match name the entity tag, compared weakly, or any."""
    value = b",".join(if_none_match)
    if len(value) > _HEADER_BYTES_MAX:
        return False
    if value.strip(b" \t") == b"*":
        return True
    return etag.removeprefix(b"W/") in _ETAG.findall(value)


def _weights(value: bytes) -> dict[bytes, float]:
    if len(value) > _HEADER_BYTES_MAX:
        return {}
    weights = {}
    for element in value.split(b","):
        if coding := _CODING.fullmatch(element.strip(b" \t")):
            weights[coding[1].lower()] = min(float(coding[2] or 1), 1.0)
    return weights
