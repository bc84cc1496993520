"""What the parts of the engine share."""

import secrets
from collections import deque
from collections.abc import Callable, Mapping
from itertools import pairwise

from playclock.clock import Clock
from playclock.core import moves, transfers
from playclock.core import session as core
from playclock.core.catalog_index import Catalog
from playclock.core.charge import Account, moves_money
from playclock.core.estate import Estate
from playclock.core.ids import account_key, make_uuid, player_seat_key, server_key, session_key
from playclock.core.ledger import charge_transfer
from playclock.core.limits import LimitRules
from playclock.core.outage import Outage
from playclock.core.outbox import OutboxEvent
from playclock.core.player import read_attributes
from playclock.core.records import Happening, ServerSessions, SessionEvent, events_of, is_low
from playclock.core.session import Session
from playclock.core.timers import Timers
from playclock.core.wallet import Bet
from playclock.engine.counts import Counts
from playclock.engine.limits import Limits
from playclock.engine.records import ACCOUNTS, SEATS, SERVERS, SESSIONS, Records
from playclock.engine.turns import Turns
from playclock.engine.work import Work
from playclock.stores.base import UNMOVED


class Context:
    """The clock, the records, the estate and the catalogue as they are in force, and what a change of a session takes along."""

    def __init__(self, *, clock: Clock, timers: Timers, records: Records, limits: LimitRules, shares_limits: bool) -> None:
        self.clock = clock
        self.timers = timers
        self.records = records
        self.counts = Counts()
        self.limits = Limits(limits, records, clock.now_ms, self.counts, shared=shares_limits)
        self.turns = Turns(records, self.counts.take)
        self.estate = Estate()
        self.catalog = Catalog()
        self.outages: tuple[Outage, ...] = ()
        self.archived: Callable[[], Mapping[int, int]] | None = None
        """Tells how far each partition's events have been archived; None where no archive waits for them."""
        self.uses: dict[str, int] = {}
        """When each key was last used here, by its id."""
        self.unconfirmed: deque[str] = deque()
        """Ids of sessions whose end a partner has to be asked about."""
        self.rollbacks: deque[Bet] = deque()
        """Bets of whose rollback an agent has to be told."""
        self.unsettled: deque[str] = deque()
        """Ids of matches whose seats wait for steps on accounts."""

    def new_uuid(self, partition: int) -> str:
        """Make a UUIDv4 in the partition, from the operating system's randomness."""
        return make_uuid(partition, secrets.token_bytes(16))

    async def read_session(self, work: Work, session_id: str) -> Session | None:
        """Return the session as time has it now, and write what time has done to it. None where there is none."""
        session = await work.read(SESSIONS, session_key(session_id))
        if session is None:
            return None
        steps = moves.advance(session, now_ms=work.now_ms, timers=self.timers, outages=self.outages)
        if not steps:
            return session
        return await self.save_session(work, session, steps)

    async def read_account(self, work: Work, account_id: str) -> Account | None:
        """Return the account as time has it now, and write what time has done to it. None where there is none."""
        key = account_key(account_id)
        account = await work.read(ACCOUNTS, key)
        if account is None or not account.pending:
            return account
        advanced, booked = transfers.advance(account, work.now_ms)
        if booked:
            work.write(key, advanced)
            for transfer in booked:
                self.tell(work, transfer)
        return advanced

    async def move_session(self, work: Work, session: Session, event: core.Event) -> Session:
        """Move a live session by an event that happens now, and write it."""
        moved = moves.apply(session, event, at_ms=work.now_ms, timers=self.timers)
        return await self.save_session(work, session, [moved])

    async def save_session(self, work: Work, before: Session, steps: list[Session]) -> Session:
        """Write what became of a session: the record, its account's side, what there is to tell, and its indexes."""
        for earlier, later in pairwise([before, *steps]):
            # A transfer for each step, so that the ledger is the same however often somebody looked.
            await self._settle(work, earlier, later)
        after = steps[-1]
        for event in events_of(before, steps, work.now_ms):
            self.tell(work, event)
        if after.ended_ms is not None and before.ended_ms is None:
            await self.unlist_session(work, after)
            await self._leave_seat(work, after)
        is_gone = core.gone_ms(after) is not None
        retain_until_ms = work.now_ms + self.timers.tombstone_retention_ms if is_gone else None
        due_ms = None if is_gone else UNMOVED if after.due_ms == before.due_ms else after.due_ms
        work.write(session_key(after.id), after, due_ms=due_ms, retain_until_ms=retain_until_ms)
        return after

    async def create_session(self, work: Work, session: Session) -> None:
        """Write a session that has just been opened."""
        await self._settle(work, None, session)
        work.write(session_key(session.id), session, due_ms=session.due_ms)
        self.tell(work, SessionEvent(Happening.OPENED, session.started_ms, session))
        if is_low(session):
            self.tell(work, SessionEvent(Happening.LOW_CREDIT, session.started_ms, session))
        if session.server_id:
            key = server_key(work.partition, session.game_id, session.server_id)
            listed = await work.read(SERVERS, key) or ServerSessions(())
            work.write(key, ServerSessions((*listed.session_ids, session.id)))

    async def unlist_session(self, work: Work, session: Session) -> None:
        """Take an ended session off its game server's list."""
        if not session.server_id:
            return
        key = server_key(work.partition, session.game_id, session.server_id)
        listed = await work.read(SERVERS, key)
        if listed is not None and session.id in listed.session_ids:
            left = tuple(listed_id for listed_id in listed.session_ids if listed_id != session.id)
            retain_until_ms = None if left else work.now_ms + self.timers.tombstone_retention_ms
            work.write(key, ServerSessions(left), retain_until_ms=retain_until_ms)

    async def _leave_seat(self, work: Work, session: Session) -> None:
        """Let the seat of an agent's player be forgotten with the session. On a PC's, its launcher still sits."""
        agent_id = read_attributes(session.attributes).get("agent_id")
        if agent_id is None:
            return
        key = player_seat_key(work.partition, int(agent_id), session.provider_user_id, session.game_id)
        seat = await work.read(SEATS, key)
        if seat is not None and seat.session_id == session.id:
            work.write(key, seat, retain_until_ms=work.now_ms + self.timers.tombstone_retention_ms)

    def tell(self, work: Work, event: OutboxEvent) -> None:
        """Put an event into the outbox, for as long as ended sessions are remembered."""
        work.tell(event, retain_until_ms=work.now_ms + self.timers.tombstone_retention_ms)

    async def _settle(self, work: Work, before: Session | None, after: Session) -> None:
        """Book what changed in a session's charge on its account and in the ledger."""
        charge_before = None if before is None else before.charge
        if after.charge is None or (charge_before is not None and not moves_money(charge_before, after.charge)):
            return
        account = await self.read_account(work, after.charge.account_id)
        assert account is not None, "a session's account outlives it"
        account, transfer = charge_transfer(
            account, charge_before, after.charge, session_id=after.id, game_id=after.game_id, at_ms=work.now_ms
        )
        work.write(account_key(account.id), account)
        self.tell(work, transfer)
