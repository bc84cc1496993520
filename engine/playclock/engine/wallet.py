"""The wallet: what a game server can ask of the money that an agent keeps for a player.

A bet is noted, sent, and brought to its outcome by a task of its own, which no caller that goes away takes with it. Whatever
becomes of this process in between, the bet is found by the sweeper, and taken back.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar

from playclock.core import wallet as core
from playclock.core.callbacks import Kind, Word, balance_body, bet_body, is_poor
from playclock.core.fields import text_problem
from playclock.core.ids import bet_id_of, is_session_id, partition_in
from playclock.core.wallet import TRANSACTION_ID_MAX, Bet, BetEvent, BetState, Result, WalletRules
from playclock.engine.bets import Bets, Wanted, no_such_bet
from playclock.engine.callbacks import Callbacks
from playclock.engine.callers import Caller
from playclock.engine.context import Context
from playclock.engine.rollbacks import Rollbacks
from playclock.engine.work import Work
from playclock.errors import AgentAway, AgentRefused, BadRequest, BetPending, EngineError, NoWallet

PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1_000
FINISH_SEC: Final = 5.0
"""How long calls of agents that are under way may hold up an engine that stops."""

_PLACE: Final = re.compile(r"[0-9]{1,12}", re.ASCII)

T = TypeVar("T")
Decision = Callable[[Work], Awaitable[Bet | EngineError]]


class Wallet:
    """Asks agents about their players' money."""

    def __init__(self, context: Context, rules: WalletRules, bets: Bets, callbacks: Callbacks) -> None:
        self._context = context
        self._rules = rules
        self._bets = bets
        self._callbacks = callbacks
        self.rollbacks: Final = Rollbacks(context, rules, bets, callbacks)
        self._making: dict[str, asyncio.Task[Bet]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    async def close(self) -> None:
        """Let what is under way come to its end, for a while; what does not, the sweeper of another process finds."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=FINISH_SEC)
        for task in self._tasks:
            task.cancel()
        self.rollbacks.cancel()

    async def balance(self, caller: Caller, session_id: str) -> tuple[int, str]:
        """Return what the player has, in micro-units, and the currency.

        Raises BadRequest, SessionNotFound, NoWallet, AgentAway, AgentRefused, StoreAway.
        """
        _check(session_id)
        purse, now_ms = (await self._bets.see(caller, session_id)).purse, self._context.clock.now_ms()
        body = balance_body(purse, session_id, request_id=self._context.new_uuid(0), now_ms=now_ms)
        heard = await self._callbacks.ask(purse.agent_id, Kind.GET_BALANCE, body, by_ms=now_ms + self._rules.timeout_ms)
        if heard.word is Word.NO:
            raise AgentRefused("the agent does not tell the balance", agent_error=heard.error)
        if heard.word is Word.DOUBT or heard.balance_micros is None:
            raise AgentAway("the agent's answer tells no balance", agent_id=purse.agent_id)
        return heard.balance_micros, purse.currency

    async def make(self, caller: Caller, wanted: Wanted) -> Bet:
        """Make a bet, once, and return it with its outcome; a repeat returns it as it stands.

        Raises BadRequest, SessionNotFound, NoWallet, TransactionIdReused, SessionEnded, AgentAway, BetPending, StoreAway,
        TooMuchContention.
        """
        _check(
            wanted.session_id,
            core.problems_of(
                transaction_id=wanted.transaction_id,
                round_id=wanted.round_id,
                bet_micros=wanted.bet_micros,
                win_micros=wanted.win_micros,
            ),
        )
        return await self._shielded(self._make(caller, wanted))

    async def roll_back(self, caller: Caller, session_id: str, transaction_id: str) -> Bet:
        """Take an accepted bet back, and tell the agent at once; return the bet as it stands then.

        Raises BadRequest, SessionNotFound, BetNotFound, BetClosed, BetPending, StoreAway, TooMuchContention.
        """
        _check(session_id, _transaction_problems(transaction_id))
        return await self._shielded(self._roll_back(caller, session_id, transaction_id))

    async def get(self, caller: Caller, session_id: str, transaction_id: str) -> Bet:
        """Return a bet as it stands. Raises BadRequest, SessionNotFound, NoWallet, BetNotFound, StoreAway."""
        _check(session_id, _transaction_problems(transaction_id))
        await self._bets.see(caller, session_id)
        (bet,) = await self._bets.load(session_id, [transaction_id])
        if bet is None:
            raise no_such_bet()
        return bet

    async def list(self, caller: Caller, session_id: str, *, page_size: int, page_token: str) -> tuple[list[Bet], str]:
        """Return some of a session's bets, oldest first, and the token of the next page, empty after the last.

        Raises BadRequest, SessionNotFound, NoWallet, StoreAway.
        """
        problems = {} if page_size >= 0 else {"page_size": "must not be negative"}
        if page_token and not _PLACE.fullmatch(page_token):
            problems |= {"page_token": "not a page token of this service"}
        _check(session_id, problems)
        book = (await self._bets.see(caller, session_id)).book
        if book is None:
            return [], ""
        first, limit = int(page_token or 0), min(page_size or PAGE_DEFAULT, PAGE_MAX)
        found = await self._bets.load(session_id, await self._bets.listed(session_id, book, first, limit))
        return [bet for bet in found if bet is not None], "" if first + limit >= book.count else str(first + limit)

    async def _make(self, caller: Caller, wanted: Wanted) -> Bet:
        begun: list[str] = []

        async def decision(work: Work) -> Bet | EngineError:
            begun.clear()
            answer = await self._bets.begin(work, caller, wanted)
            if isinstance(answer, Bet) and answer.state is BetState.PENDING:
                self._callbacks.check(answer.purse.agent_id)
                begun.append(answer.id)
            return answer

        bet = await self._decided(wanted.session_id, wanted.transaction_id, decision)
        if not begun:
            return bet
        # One that others may wait for, who ask for the same bet meanwhile.
        task = self._making[bet.id] = asyncio.create_task(self._send(bet))
        task.add_done_callback(lambda _: self._making.pop(bet.id, None))
        return await task

    async def _send(self, bet: Bet) -> Bet:
        """Ask the agent, once, and bring the bet to its outcome."""
        body = bet_body(bet, request_id=self._context.new_uuid(0), now_ms=self._context.clock.now_ms())
        by_ms = core.send_by_ms(bet, self._rules)
        try:
            heard = await self._callbacks.ask(bet.purse.agent_id, Kind.MAKE_BET, body, by_ms=by_ms)
        except (AgentAway, NoWallet):
            return await self._bets.settle(bet.id, BetEvent.NOT_SENT, agent_error="not_sent")
        if heard.word is Word.YES and heard.balance_micros is not None:
            return await self._bets.settle(bet.id, BetEvent.ACCEPT, balance_micros=heard.balance_micros)
        if heard.word is Word.NO:
            refusal = Result.INSUFFICIENT_FUNDS if is_poor(heard) else Result.REFUSED
            changes = {"balance_micros": heard.balance_micros, "agent_error": heard.error, "refusal": refusal}
            return await self._bets.settle(bet.id, BetEvent.REFUSE, **changes)
        return await self._bets.settle(bet.id, BetEvent.DOUBT, agent_error=heard.error or "unreadable")

    async def _roll_back(self, caller: Caller, session_id: str, transaction_id: str) -> Bet:
        async def decision(work: Work) -> Bet | EngineError:
            return await self._bets.take_back(work, caller, session_id, transaction_id)

        bet = await self._decided(session_id, transaction_id, decision)
        return await self.rollbacks.tell(bet) if bet.state is BetState.ROLLING_BACK else bet

    async def _decided(self, session_id: str, transaction_id: str, decision: Decision) -> Bet:
        """Decide, and once more when a call of this process that is making the same bet has come to its end."""
        partition = partition_in(session_id)
        answer = await self._context.turns.decide(partition, self._context.clock.now_ms(), decision)
        making = self._making.get(bet_id_of(session_id, transaction_id))
        if isinstance(answer, BetPending) and making is not None:
            await asyncio.wait([making])
            answer = await self._context.turns.decide(partition, self._context.clock.now_ms(), decision)
        if isinstance(answer, EngineError):
            raise answer
        return answer

    async def _shielded(self, steps: Coroutine[Any, Any, T]) -> T:
        """Take steps that a caller who goes away does not stop."""
        task = asyncio.create_task(steps)
        self._tasks.add(task)
        task.add_done_callback(self._taken)
        return await asyncio.shield(task)

    def _taken(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # looked at here, for the caller may have gone


def _check(session_id: str, problems: dict[str, str] | None = None) -> None:
    found = dict(problems or {})
    if not is_session_id(session_id):
        found["game_session_id"] = "expected gs_ and a lower-case UUID"
    if found:
        raise BadRequest(found)


def _transaction_problems(transaction_id: str) -> dict[str, str]:
    problem = text_problem(transaction_id, TRANSACTION_ID_MAX)
    return {"transaction_id": problem} if problem else {}
