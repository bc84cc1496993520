"""Launch URLs: where players of matches are led, with the match token in the place where the game looks for it."""

import re
from typing import Final
from urllib.parse import urlsplit

from playclock.core.fields import URL_MAX
from playclock.core.link_url import http_url_problem, with_query

PLACE: Final = "{token}"
"""Stands for the token, in a URL that has it."""

_STEAM: Final = re.compile(r"steam://run/[0-9]{1,20}/?", re.ASCII)
_STEAM_WITH_TOKEN: Final = re.compile(r"steam://run/[0-9]{1,20}//[\x20-\x7e]*\{token\}[\x20-\x7e]*", re.ASCII)
_OWN: Final = re.compile(r"[a-z][a-z0-9+.-]{1,63}://[\x21-\x7e]+", re.ASCII)
_NOT_FOR_GAMES: Final = frozenset(
    {"about", "blob", "data", "file", "ftp", "javascript", "steam", "vbscript", "view-source", "ws", "wss"}
)
"""Schemes that would do something else in a browser."""


def launch_url(base: str, token: str) -> str:
    """Return where a player is led; empty where the game has no such place. Tokens need no encoding in a URL."""
    if not base:
        return ""
    if PLACE in base:
        return base.replace(PLACE, token)
    if _STEAM.fullmatch(base):
        return f"{base.rstrip('/')}//-token {token}"
    return with_query(base, {"token": token})


def launch_url_problem(text: str) -> str | None:
    """Check a launch URL, which may be absent."""
    if not text:
        return None
    sentence = f"expected an http or https URL, one of the game's own scheme or steam://run/ID, of at most {URL_MAX} characters"
    if len(text) > URL_MAX or re.sub(re.escape(PLACE), "", text).count("{"):
        return sentence
    if _STEAM.fullmatch(text) or _STEAM_WITH_TOKEN.fullmatch(text):
        return None
    bare = text.replace(PLACE, "token")
    scheme = bare.partition(":")[0].lower()
    if scheme in ("http", "https"):
        return sentence if http_url_problem(bare) else None
    if scheme in _NOT_FOR_GAMES or not _OWN.fullmatch(bare):
        return sentence
    try:
        urlsplit(bare)
    except ValueError:
        return sentence
    return None
