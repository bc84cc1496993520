"""Whose money a session plays with: found by the session, or, when that is forgotten, by the book of its bets."""

import msgspec

from playclock.core import moves
from playclock.core import session as sessions
from playclock.core.guards import is_kept, no_such_session
from playclock.core.player import read_attributes
from playclock.core.session import Session
from playclock.core.wallet import Book, Purse
from playclock.engine.callers import Caller
from playclock.engine.context import Context
from playclock.errors import NoWallet


class Seen(msgspec.Struct, frozen=True):
    """What is known of a session that may be asked about its bets."""

    purse: Purse
    is_live: bool
    end_reason: str | None
    book: Book | None


def seen(context: Context, caller: Caller, session: Session | None, book: Book | None, now_ms: int) -> Seen:
    """Return what is known of a session, by its record and its book. Raises SessionNotFound, NoWallet."""
    if session is not None:
        steps = moves.advance(session, now_ms=now_ms, timers=context.timers, outages=context.outages)
        session = steps[-1] if steps else session
        retention_ms = context.timers.tombstone_retention_ms
        session = session if is_kept(sessions.gone_ms(session), now_ms=now_ms, retention_ms=retention_ms) else None
    game_id = session.game_id if session is not None else None if book is None else book.purse.game_id
    if game_id is None or caller.game_id not in (None, game_id):
        raise no_such_session()
    end_reason = None if session is None or session.end_reason is None else session.end_reason.name
    purse = book.purse if book is not None else _purse(context, session)
    return Seen(purse, session is not None and sessions.is_live(session), end_reason, book)


def _purse(context: Context, session: Session | None) -> Purse:
    assert session is not None, "there is a session or a book"
    told = read_attributes(session.attributes)
    game = context.catalog.known(session.game_id)
    if "agent_id" not in told or game is None:
        raise NoWallet("the session is no agent's, so nobody keeps money for it")
    return Purse(
        agent_id=int(told["agent_id"]),
        player_id=session.provider_user_id,
        username=told["player_username"],
        currency=told["currency"],
        language=told["language"],
        game_id=session.game_id,
        game_number=game.number,
    )
