"""Pages of games: how many, and where the next one begins."""

import base64
import binascii
from typing import Final

import msgspec

from playclock.core.gamelist import Place, Query, Sort
from playclock.core.ids import is_uuid
from playclock.errors import BadRequest

PAGE_DEFAULT: Final = 50
PAGE_MAX: Final = 100
"""A hundred games with all that they may hold fit into a message."""
BATCH_MAX: Final = 100


class _Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The last game of a page, and in which order."""

    sort: Sort
    is_descending: bool
    place: Place


_CURSORS: Final = msgspec.msgpack.Decoder(_Cursor)


def limit_of(wanted: int) -> int:
    """Return how many games a page has at most."""
    return min(wanted or PAGE_DEFAULT, PAGE_MAX)


def page_token(query: Query, last: Place | None) -> str:
    """Return what asks for the page after a game; empty where that was the last."""
    if last is None:
        return ""
    cursor = _Cursor(query.sort, query.is_descending, last)
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(cursor)).decode().rstrip("=")


def place_in(token: str, query: Query) -> Place | None:
    """Return after which game a page begins; None for the first. Raises BadRequest."""
    if not token:
        return None
    try:
        cursor = _CURSORS.decode(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise BadRequest({"page_token": "not a page token of this service"}) from error
    is_text = isinstance(cursor.place[0], str)
    if (cursor.sort, cursor.is_descending, is_text) != (query.sort, query.is_descending, query.sort is Sort.NAME):
        raise BadRequest({"page_token": "of a list in another order"})
    return cursor.place


def id_problem(game_id: str) -> str | None:
    """Check a UUID."""
    return None if is_uuid(game_id) else "expected a lower-case UUID"


def count_problem(count: int) -> str | None:
    """Check how many of something."""
    return None if count >= 0 else "must not be negative"
