"""Lists live sessions, and what else is in the due index, which holds all of them: so lists need no index of their own."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import msgspec

from playclock.core import moves
from playclock.core import session as core
from playclock.core.ids import kind_of
from playclock.core.session import NEVER_MS, Session
from playclock.engine.callers import Caller
from playclock.engine.context import Context
from playclock.engine.records import SESSIONS
from playclock.errors import BadRequest
from playclock.stores.base import PARTITIONS, Due, StoreUnavailable

PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1_000
LOOKED_AT_MAX: Final = 2_000
"""How many entries of the index one page looks at; after that it is handed out as short as it is."""
AT_ONCE: Final = 200
"""How many of them are read at once."""
PAGE_BYTES: Final = 1_000_000
"""What a page may have before it ends. A message has room for four times that, and so for what is read at once beyond it."""

T = TypeVar("T")


class Place(msgspec.Struct, array_like=True):
    """Where the next page begins."""

    partition: int
    after: Due | None


_PLACES: Final = msgspec.msgpack.Decoder(Place)


class Listing:
    """Lists live sessions page by page."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def page(
        self, caller: Caller, *, page_size: int, page_token: str, game_id: str | None, cafe_id: str | None
    ) -> tuple[list[Session], str]:
        """Return some live sessions, and the token of the next page, which is empty after the last.

        A page may be short, or empty, and yet not the last. Raises BadRequest, StoreAway.
        """
        context, wanted = self._context, caller.game_id or game_id

        async def look(keys: list[str]) -> list[Session]:
            now_ms, sessions = context.clock.now_ms(), []
            for _, value in await context.records.load(keys, fresh=True):
                if value is None:
                    continue
                session = SESSIONS.checked(value)
                steps = moves.advance(session, now_ms=now_ms, timers=context.timers, outages=context.outages)
                session = steps[-1] if steps else session
                is_wanted = (wanted is None or session.game_id == wanted) and (cafe_id is None or session.cafe_id == cafe_id)
                if core.is_live(session) and is_wanted:
                    sessions.append(session)
            return sessions

        return await filed(context, "session", look, page_size=page_size, page_token=page_token)


async def filed(
    context: Context,
    kind: str,
    look: Callable[[list[str]], Awaitable[list[T]]],
    *,
    page_size: int,
    page_token: str,
    at_once: int = AT_ONCE,
    size_of: Callable[[T], int] = lambda _: 0,
) -> tuple[list[T], str]:
    """Return a page of what `look` makes of the keys of one kind in the index of what is due, and the next page's token.

    What may be large has a size in bytes, and is looked at a few `at_once`: a page ends when it has `PAGE_BYTES` of it. Raises
    BadRequest, StoreAway.
    """
    if page_size < 0:
        raise BadRequest({"page_size": "must not be negative"})
    place = parse_place(page_token) if page_token else Place(0, None)
    left, looked_at, size_bytes = min(page_size or PAGE_DEFAULT, PAGE_MAX), 0, 0
    found: list[T] = []
    while place.partition < PARTITIONS and left > len(found) and looked_at < LOOKED_AT_MAX:
        size = min(left - len(found), AT_ONCE)
        try:
            due = await context.records.store.due(place.partition, NEVER_MS, size, after=place.after)
        except StoreUnavailable as error:
            raise context.records.away() from error
        looked_at += max(1, len(due))
        for at in range(0, len(due), at_once):
            entries = due[at : at + at_once]
            taken = await look([entry.key for entry in entries if kind_of(entry.key) == kind])
            found += taken
            size_bytes += sum(map(size_of, taken))
            if size_bytes >= PAGE_BYTES:
                return found, print_place(Place(place.partition, entries[-1]))
        place = Place(place.partition, due[-1]) if len(due) == size else Place(place.partition + 1, None)
    return found, "" if place.partition == PARTITIONS else print_place(place)


def print_place(place: Place) -> str:
    """Return the token of the page that begins after a place."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(place)).decode().rstrip("=")


def parse_place(page_token: str) -> Place:
    """Return the place after which a page begins. Raises BadRequest."""
    try:
        place = _PLACES.decode(base64.urlsafe_b64decode(page_token + "=" * (-len(page_token) % 4)))
    except (binascii.Error, ValueError, msgspec.MsgspecError) as error:
        raise BadRequest({"page_token": "not a page token of this service"}) from error
    if not 0 <= place.partition < PARTITIONS or (place.after is not None and not 0 <= place.after.due_ms <= NEVER_MS):
        raise BadRequest({"page_token": "not a page token of this service"})
    return place
