"""Tells agents of rollbacks until they have confirmed them. The sweeper has filed each for the next try before this one."""

import asyncio
import logging
from collections import defaultdict
from typing import Final

from playclock.core import wallet as core
from playclock.core.callbacks import Heard, Kind, Word, is_rolled_back_already, knows_no_bet, rollback_body
from playclock.core.ids import bet_key
from playclock.core.wallet import Bet, BetEvent, BetState, WalletRules
from playclock.engine.bets import Bets
from playclock.engine.callbacks import Callbacks
from playclock.engine.context import Context
from playclock.engine.records import BETS
from playclock.errors import AgentAway, NoWallet, TryAgain

ROUND_MAX: Final = 1_000
"""How many rollbacks one round takes up. The others come with the next."""

_log = logging.getLogger(__name__)


class Rollbacks:
    """Tells agents of what the sweeper found due. An agent that is slow holds up nobody else's."""

    def __init__(self, context: Context, rules: WalletRules, bets: Bets, callbacks: Callbacks) -> None:
        self._context = context
        self._rules = rules
        self._bets = bets
        self._callbacks = callbacks
        self._under_way: dict[int, asyncio.Task[None]] = {}

    async def begin(self) -> None:
        """Take up what the sweeper found, a task for each agent that has none: what it leaves out is due again."""
        due, found = self._context.rollbacks, defaultdict[int, list[Bet]](list)
        for _ in range(min(len(due), ROUND_MAX)):
            bet = due.popleft()
            found[bet.purse.agent_id].append(bet)
        for agent_id, bets in found.items():
            if agent_id not in self._under_way:
                self._under_way[agent_id] = asyncio.create_task(self._tell_all(agent_id, bets), name="playclock rollbacks")

    async def finish(self) -> None:
        """Wait until what was taken up has been told, or not."""
        await asyncio.gather(*self._under_way.values())

    def cancel(self) -> None:
        """Let go of what is under way. It is due again."""
        for task in self._under_way.values():
            task.cancel()

    async def tell(self, bet: Bet) -> Bet:
        """Tell an agent of a rollback, once, and return the bet as it stands then. Raises StoreAway, TooMuchContention."""
        context, now_ms = self._context, self._context.clock.now_ms()
        ((_, found),) = await context.records.load([bet_key(bet.id)], fresh=True)
        if found is None or (bet := BETS.checked(found)).state is not BetState.ROLLING_BACK:
            return bet
        body = rollback_body(bet, request_id=context.new_uuid(0), now_ms=now_ms)
        try:
            heard = await self._callbacks.ask(bet.purse.agent_id, Kind.ROLLBACK, body, by_ms=now_ms + self._rules.timeout_ms)
        except (AgentAway, NoWallet):
            return bet
        if self._is_confirmed(bet, heard):
            return await self._bets.settle(bet.id, BetEvent.CONFIRM, agent_error=heard.error)
        await self._bets.note(bet, heard.error)
        return bet

    def _is_confirmed(self, bet: Bet, heard: Heard) -> bool:
        if heard.word is Word.YES or (not heard.is_down and is_rolled_back_already(heard)):
            return True
        if heard.is_down or not knows_no_bet(heard):
            return False
        if bet.accepted_ms is not None:
            fields = {"agent": bet.purse.agent_id, "bet": bet.id, "session": bet.session_id}
            _log.error("an agent does not know a bet that it had accepted; compare its books", extra={"fields": fields})
            return True
        return core.is_past(bet, self._rules, now_ms=self._context.clock.now_ms())

    async def _tell_all(self, agent_id: int, bets: list[Bet]) -> None:
        try:
            for outcome in await asyncio.gather(*map(self.tell, bets), return_exceptions=True):
                if isinstance(outcome, TryAgain):
                    _log.warning("a rollback has to wait", extra={"fields": {"agent": agent_id, "reason": outcome.reason}})
                elif isinstance(outcome, Exception):
                    _log.error("a rollback failed", exc_info=outcome, extra={"fields": {"agent": agent_id}})
        finally:
            del self._under_way[agent_id]
