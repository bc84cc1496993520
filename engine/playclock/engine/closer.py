"""The closer: asks partners to confirm the end of sessions that they pay for, again and again until they do."""

import asyncio
from typing import Final

from playclock.core import moves
from playclock.core.ids import partition_in, session_key
from playclock.core.session import Session, State
from playclock.engine.authority import Closed
from playclock.engine.context import Context
from playclock.engine.partners import Partners
from playclock.engine.records import SESSIONS
from playclock.engine.work import Work
from playclock.errors import AuthorityAway

CLOSED_MAX: Final = 1_000
"""How many ends one round asks about."""


class Closer:
    """Confirms the ends that the sweeper found due. The sweeper has filed each for the next try before this one."""

    def __init__(self, context: Context, partners: Partners) -> None:
        self._context = context
        self._partners = partners

    async def close(self) -> int:
        """Ask about what the sweeper found, and return how many ends were confirmed. Raises StoreAway, TooMuchContention."""
        due = self._context.unconfirmed
        session_ids = [due.popleft() for _ in range(min(len(due), CLOSED_MAX))]
        confirmed = await asyncio.gather(*(self._confirm(session_id) for session_id in session_ids))
        return sum(confirmed)

    async def _confirm(self, session_id: str) -> bool:
        context = self._context
        ((_, found),) = await context.records.load([session_key(session_id)])
        session = None if found is None else SESSIONS.checked(found)
        if session is None or session.state is not State.ENDING:
            return False
        try:
            closed = await self._partners.confirm(session)
        except AuthorityAway:
            return False

        async def decision(work: Work) -> bool:
            current = await work.read(SESSIONS, session_key(session_id))
            if current is None or current.state is not State.ENDING:
                return False  # another process was faster; the partner has given both the same answer
            await context.save_session(work, current, [self._confirmed(current, closed)])
            return True

        return await context.turns.decide(partition_in(session_id), context.clock.now_ms(), decision)

    def _confirmed(self, session: Session, closed: Closed) -> Session:
        return moves.confirm(session, amount_micros=closed.amount_micros, currency=closed.currency, timers=self._context.timers)
