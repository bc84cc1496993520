"""Matches in the store: read as time has them, changed, and filed for when somebody has to look at them again."""

from collections.abc import Awaitable, Callable
from typing import Final

from playclock.core import match_moves as moves
from playclock.core.escrow import fee_transfer, outstanding
from playclock.core.guards import is_kept
from playclock.core.ids import is_match_id, match_key, partition_in
from playclock.core.match import Match, MatchRules
from playclock.core.match_info import waits_for_push
from playclock.core.match_news import news_of
from playclock.core.outbox import Audit
from playclock.engine.audit import audit
from playclock.engine.callers import Caller, Role
from playclock.engine.context import Context
from playclock.engine.matches.notices import Notices
from playclock.engine.records import MATCHES
from playclock.engine.requests import name_of
from playclock.engine.work import Work
from playclock.errors import BadRequest, EngineError, MatchNotFound

Change = Callable[[Match, int], Match | EngineError]
"""What becomes of a match, given the time; the match itself where nothing does."""


class Keeper:
    """Reads and writes matches."""

    def __init__(self, context: Context, rules: MatchRules, notices: Notices) -> None:
        self._context = context
        self._notices = notices
        self.rules: Final = rules
        self.on_waiting: Callable[[str], None] | None = None
        """Hears of each match that waits for its game's server to be told, as soon as that is committed."""

    async def get(self, caller: Caller, match_id: str) -> Match:
        """Return a match as time has it now. Raises BadRequest, MatchNotFound, StoreAway."""
        _check(match_id)
        ((_, found),) = await self._context.records.load([match_key(match_id)], fresh=True)
        match = None if found is None else self._kept(MATCHES.checked(found), self._context.clock.now_ms())
        if match is None or not self.sees(caller, match):
            raise _no_such_match()
        return moves.advance(match, self.rules, now_ms=self._context.clock.now_ms())

    async def change(self, caller: Caller, action: str, match_id: str, change: Change, *, detail: str = "") -> Match:
        """Change a match, and tell of it. Raises BadRequest, MatchNotFound, what the change returns, StoreAway."""
        _check(match_id)

        async def decision(work: Work) -> Match | EngineError:
            # Afresh: that it is over, or full, are answers that no commit would check.
            await work.prefetch(match_key(match_id), fresh=True)
            match = await self.read(work, match_id)
            if match is None or not self.sees(caller, match):
                return _no_such_match()
            after = change(match, work.now_ms)
            if isinstance(after, EngineError) or after is match:
                return after
            await self.save(work, match, after)
            if after.contradictions > match.contradictions:
                self._record(work, caller, match)
            elif action:
                audit(self._context, work, caller, action, match_id, detail=detail)
            return after

        after = await self.decided(match_id, decision)
        if self.on_waiting is not None and waits_for_push(after):
            self.on_waiting(match_id)
        return after

    async def sweep(self, work: Work, key: str) -> bool:
        """Do what time does to a match, file it anew, and return whether its seats wait for steps."""
        # Afresh: another process may have taken the steps that an old copy waits for.
        await work.prefetch(key, fresh=True)
        match = await work.read(MATCHES, key)
        if match is None:
            return False
        advanced = moves.advance(match, self.rules, now_ms=work.now_ms)
        await self.save(work, match, advanced)
        return bool(outstanding(advanced))

    async def decided(self, match_id: str, decision: Callable[[Work], Awaitable[Match | EngineError]]) -> Match:
        """Decide about a match. Raises what the decision returns."""
        answer = await self._context.turns.decide(partition_in(match_id), self._context.clock.now_ms(), decision)
        if isinstance(answer, EngineError):
            raise answer
        return answer

    async def read(self, work: Work, match_id: str) -> Match | None:
        """Return a match that is still remembered as time has it now, and write what time has done to it."""
        found = await work.read(MATCHES, match_key(match_id))
        match = None if found is None else self._kept(found, work.now_ms)
        if match is None:
            return None
        advanced = moves.advance(match, self.rules, now_ms=work.now_ms)
        if advanced is not match:
            await self.save(work, match, advanced)
        return advanced

    async def save(self, work: Work, before: Match | None, after: Match) -> None:
        """Write a match after a change, file it for when somebody has to look at it, and book the fee at the end.

        What its game's server has to be told of the change is noted in the same commit.
        """
        await self._notices.follow(work, before, after)
        for news in news_of(before, after, now_ms=work.now_ms):
            self._context.tell(work, news)
        if after.settled_ms is not None:
            fee = fee_transfer(after) if before is None or before.settled_ms is None else None
            if fee is not None:
                self._context.tell(work, fee)
            until_ms = after.settled_ms + self.rules.retention_ms
            work.write(match_key(after.id), after, due_ms=self._listed_until_ms(after, work.now_ms), retain_until_ms=until_ms)
            return
        due_ms = work.now_ms + self.rules.retry_ms if outstanding(after) else moves.deadline_ms(after)
        work.write(match_key(after.id), after, due_ms=due_ms)

    def _listed_until_ms(self, match: Match, now_ms: int) -> int | None:
        """Return until when a settled match stays in the index of what is due, which lists read; None from then on."""
        listed_ms = min(self.rules.listed_ms, self.rules.retention_ms)
        until_ms = None if match.settled_ms is None else match.settled_ms + listed_ms
        return until_ms if until_ms is not None and now_ms < until_ms else None

    def is_listed(self, match: Match, now_ms: int) -> bool:
        """Whether a match is in lists: until some time after its last step."""
        return match.settled_ms is None or self._listed_until_ms(match, now_ms) is not None

    def _record(self, work: Work, caller: Caller, match: Match) -> None:
        event = Audit(work.now_ms, name_of(caller), "ContradictResult", match.id, "", self._context.new_uuid(work.partition))
        self._context.tell(work, event)

    def _kept(self, match: Match, now_ms: int) -> Match | None:
        return match if is_kept(match.settled_ms, now_ms=now_ms, retention_ms=self.rules.retention_ms) else None

    def sees(self, caller: Caller, match: Match) -> bool:
        """Whether the match is of a game for which the caller may ask: a match client of its own alone."""
        if caller.role is not Role.MATCH_CLIENT:
            return True
        client = self._context.estate.match_clients.get(caller.id)
        return client is not None and client.game_id == match.terms.game_id


def _check(match_id: str) -> None:
    if not is_match_id(match_id):
        raise BadRequest({"match_id": "expected 24 lower-case hex digits"})


def _no_such_match() -> MatchNotFound:
    return MatchNotFound("no such match")
