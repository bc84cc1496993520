"""A form as RFC 6749 has it: application/x-www-form-urlencoded, each field once, an empty one as if it were not there."""

import re
from typing import Final
from urllib.parse import parse_qsl

from playclock_http.incoming import Incoming
from playclock_http.refusal import bad_request

MAX_BODY_BYTES: Final = 8 * 1024

_FIELDS_MAX: Final = 32
_CONTENT_TYPE: Final = re.compile(rb'application/x-www-form-urlencoded[ \t]*(?:;[ \t]*charset="?utf-8"?[ \t]*)?', re.IGNORECASE)


async def read_form(incoming: Incoming) -> dict[str, str]:
    """Return the fields of the body. Raises Refusal (BAD_REQUEST, REQUEST_TIMEOUT)."""
    raw = await incoming.body(at_most=MAX_BODY_BYTES)
    if not _CONTENT_TYPE.fullmatch(incoming.header(b"content-type") or b""):
        raise bad_request("Content-Type: expected application/x-www-form-urlencoded")
    if incoming.header(b"content-encoding") is not None:
        raise bad_request("Content-Encoding: not accepted on a request")
    try:
        pairs = parse_qsl(raw.decode(), errors="strict", max_num_fields=_FIELDS_MAX)
    except ValueError:
        raise bad_request("body: expected a form in UTF-8") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise bad_request("body: a field appears twice")
    return form
