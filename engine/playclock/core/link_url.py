"""The URLs of links: a game's own URL with what the game has to know added to its query, and nothing else changed.

RFC 3986 says where a query begins and ends.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import quote, unquote_plus, urlsplit

from playclock.core.fields import URL_MAX

_NOT_IN_URLS: Final = r"\s\x00-\x20\x7f-\x9f\"<>\\^`{|}"
_HTTP_URL: Final = re.compile(rf"https?://[^{_NOT_IN_URLS}/?#@]+(?:[/?#][^{_NOT_IN_URLS}]*)?", re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"(?P<before>[^:/?#]+://(?:[^/?#@]*@)?)(?P<host>[^/?#:]*)(?P<after>.*)", re.DOTALL)
_BEYOND_ASCII: Final = re.compile(r"[^\x21-\x7e]+")


def with_query(url: str, added: Mapping[str, str]) -> str:
    """Return the URL with the names and values added to its query, in place of whatever had these names there.

    The rest stays as it is spelled, the fragment behind the query. What is beyond ASCII is written so that every client reads
    it alike: a host in punycode, anything else in percent-encoded UTF-8.
    """
    beginning, hash_, fragment = _in_ascii(url).partition("#")
    path, _, query = beginning.partition("?")
    kept = [part for part in query.split("&") if unquote_plus(part.partition("=")[0]) not in added] if query else []
    made = [f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in added.items()]
    return f"{path}?{'&'.join([*kept, *made])}{hash_}{fragment}"


def http_url_problem(text: str) -> str | None:
    """Check where players are to be led: an http or https URL with a host, and without a user or a password."""
    if not text:
        return "is required"
    sentence = f"expected an http or https URL of at most {URL_MAX} characters, without user and password"
    if len(text) > URL_MAX or not _HTTP_URL.fullmatch(text):
        return sentence
    try:
        parts = urlsplit(text)
        is_good = bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, brackets that hold no address
        return sentence
    return None if is_good else sentence


def _in_ascii(url: str) -> str:
    if url.isascii():
        return url
    found = _AUTHORITY.match(url)
    if found is not None:
        # What is no name that DNS could have is percent-encoded below, as any other part.
        with suppress(UnicodeError):
            url = f"{found['before']}{found['host'].encode('idna').decode('ascii')}{found['after']}"
    return _BEYOND_ASCII.sub(lambda beyond: quote(beyond[0], safe=""), url)
