"""Bets in the store: begun, brought to their outcome, found again. All of a session's lie in its partition."""

from collections.abc import Sequence
from typing import Final

import msgspec

from playclock.core import wallet as core
from playclock.core.bet_ledger import bet_transfer, rollback_transfer
from playclock.core.guards import is_kept
from playclock.core.ids import (
    bet_id_of,
    bet_key,
    bet_page_key,
    book_key,
    partition_in,
    round_key,
    session_key,
)
from playclock.core.wallet import PAGE_BETS, Bet, BetEvent, BetState, Book, Round, WalletRules
from playclock.engine.audit import audit
from playclock.engine.callers import Caller
from playclock.engine.context import Context
from playclock.engine.purses import Seen, seen
from playclock.engine.records import BET_PAGES, BETS, BOOKS, ROUNDS, SESSIONS
from playclock.engine.work import Work
from playclock.errors import BetNotFound, EngineError


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A bet as somebody asks for it."""

    session_id: str
    transaction_id: str
    round_id: str
    bet_micros: int
    win_micros: int


class Bets:
    """Reads and writes bets."""

    def __init__(self, context: Context, rules: WalletRules) -> None:
        self._context = context
        self._rules: Final = rules

    async def see(self, caller: Caller, session_id: str) -> Seen:
        """Return what is known of a session's wallet. Raises SessionNotFound, NoWallet, StoreAway."""
        (_, session), (_, book) = await self._context.records.load([session_key(session_id), book_key(session_id)], fresh=True)
        return seen(self._context, caller, session, book, self._context.clock.now_ms())

    async def begin(self, work: Work, caller: Caller, wanted: Wanted) -> Bet | EngineError:
        """Note a bet, pending; return the one that is there already, or why there is none.

        Raises SessionNotFound, NoWallet.
        """
        session_id, bet_id = wanted.session_id, bet_id_of(wanted.session_id, wanted.transaction_id)
        round_at = round_key(session_id, wanted.round_id)
        await work.prefetch(session_key(session_id), bet_key(bet_id), book_key(session_id), round_at, fresh=True)
        wallet = await self._see(work, caller, session_id)
        there = await self.read(work, bet_id)
        if there is not None:
            return core.first_answer(
                there, round_id=wanted.round_id, bet_micros=wanted.bet_micros, win_micros=wanted.win_micros
            )
        round_ = await work.read(ROUNDS, round_at) or Round()
        error = core.why_no_bet(wanted.bet_micros, round_, is_live=wallet.is_live, end_reason=wallet.end_reason)
        if error is not None:
            return error
        book = wallet.book or Book(wallet.purse, 0, ())
        bet = Bet(
            id=bet_id,
            session_id=session_id,
            number=book.count,
            purse=wallet.purse,
            transaction_id=wanted.transaction_id,
            round_id=wanted.round_id,
            bet_micros=wanted.bet_micros,
            win_micros=wanted.win_micros,
            made_ms=work.now_ms,
            due_ms=core.given_up_ms(work.now_ms, self._rules),
        )
        self._write(work, bet)
        booked, page = core.booked(book, bet.transaction_id)
        retain_until_ms = self._retain_until_ms(work)
        work.write(book_key(session_id), booked, retain_until_ms=retain_until_ms)
        if page is not None:
            page_at = bet_page_key(session_id, bet.number // PAGE_BETS)
            await work.prefetch(page_at)
            work.write(page_at, page, retain_until_ms=retain_until_ms)
        if core.counts_as_win(bet):
            work.write(round_at, Round((*round_.wins, bet.number)), retain_until_ms=retain_until_ms)
        audit(self._context, work, caller, "MakeBet", session_id, detail=bet.id)
        return bet

    async def take_back(self, work: Work, caller: Caller, session_id: str, transaction_id: str) -> Bet | EngineError:
        """Begin to take an accepted bet back; return one for which there is no need as it stands, or why it cannot be.

        Raises SessionNotFound, NoWallet.
        """
        bet_id = bet_id_of(session_id, transaction_id)
        await work.prefetch(session_key(session_id), bet_key(bet_id), book_key(session_id), fresh=True)
        await self._see(work, caller, session_id)
        bet = await self.read(work, bet_id)
        if bet is None:
            return no_such_bet()
        if bet.state is BetState.PENDING:
            return core.pending()
        if bet.state is BetState.ACCEPTED:
            round_at = round_key(session_id, bet.round_id)
            await work.prefetch(round_at, fresh=True)
            error = core.why_no_rollback(bet, await work.read(ROUNDS, round_at) or Round())
            if error is not None:
                return error
            audit(self._context, work, caller, "RollbackBet", session_id, detail=bet.id)
            bet = await self.move(work, bet, BetEvent.TAKE_BACK)
        if bet.state is BetState.ROLLING_BACK:
            bet = core.asked_again(bet, self._rules, now_ms=work.now_ms)
            self._write(work, bet)
        return bet

    async def settle(self, bet_id: str, event: BetEvent, **changes: object) -> Bet:
        """Bring a bet to an outcome, and return it as it stands: others may have been faster. Raises StoreAway."""

        async def decision(work: Work) -> Bet:
            bet = await work.read(BETS, bet_key(bet_id))
            assert bet is not None, "a bet that waits is kept"
            return await self.move(work, bet, event, **changes)

        return await self._context.turns.decide(partition_in(bet_id), self._context.clock.now_ms(), decision)

    async def move(self, work: Work, bet: Bet, event: BetEvent, **changes: object) -> Bet:
        """Write a bet after an event, with what the ledger and its round have to know; as it is where that cannot happen."""
        moved = core.move(bet, event, now_ms=work.now_ms, **changes)
        if moved is None:
            return bet
        self._write(work, moved)
        is_lost_win = core.counts_as_win(bet) and not core.counts_as_win(moved)
        if is_lost_win or event is BetEvent.TAKE_BACK:
            # Also where it stays as it is: a win that another process notes meanwhile has to meet another version.
            at = round_key(bet.session_id, bet.round_id)
            wins = (await work.read(ROUNDS, at) or Round()).wins
            left = tuple(number for number in wins if not (is_lost_win and number == bet.number))
            work.write(at, Round(left), retain_until_ms=self._retain_until_ms(work))
        self._tell(work, bet, moved)
        return moved

    async def sweep(self, work: Work, key: str) -> Bet | None:
        """Look after a bet whose time has come. Return one whose agent has to be told of the rollback."""
        # Afresh: one that is remembered as accepted may be rolling back since, by another process.
        await work.prefetch(key, fresh=True)
        bet = await work.read(BETS, key)
        if bet is None or not core.is_waiting(bet):
            return None
        if bet.due_ms > work.now_ms:
            self._write(work, bet)
            return None
        if bet.state is BetState.PENDING:
            bet = await self.move(work, bet, BetEvent.DOUBT, agent_error="abandoned")
        asked = core.asked_again(bet, self._rules, now_ms=work.now_ms)
        self._write(work, asked)
        return asked

    async def note(self, bet: Bet, agent_error: str) -> None:
        """Note what an agent has said instead of confirming a rollback. Raises StoreAway."""

        async def decision(work: Work) -> None:
            current = await work.read(BETS, bet_key(bet.id))
            if current is not None and current.state is BetState.ROLLING_BACK and current.agent_error != agent_error:
                self._write(work, msgspec.structs.replace(current, agent_error=agent_error))

        await self._context.turns.decide(partition_in(bet.id), self._context.clock.now_ms(), decision)

    async def read(self, work: Work, bet_id: str) -> Bet | None:
        """Return a bet that is still remembered."""
        bet = await work.read(BETS, bet_key(bet_id))
        return self._kept(bet, work.now_ms)

    async def load(self, session_id: str, transaction_ids: Sequence[str]) -> list[Bet | None]:
        """Return bets of a session as they stand; None for each that is not, or no longer, known. Raises StoreAway."""
        now_ms = self._context.clock.now_ms()
        keys = [bet_key(bet_id_of(session_id, transaction_id)) for transaction_id in transaction_ids]
        found = await self._context.records.load(keys, fresh=True)
        return [self._kept(bet, now_ms) for _, bet in found]

    async def listed(self, session_id: str, book: Book, first: int, limit: int) -> list[str]:
        """Return the transaction ids of so many of a session's bets, from one number on. Raises StoreAway."""
        until, paged = min(first + limit, book.count), book.count - len(book.tail)
        pages = range(first // PAGE_BETS, -(-min(until, paged) // PAGE_BETS))
        found = await self._context.records.load([bet_page_key(session_id, page) for page in pages], fresh=True)
        ids: list[str] = []
        for page, (_, record) in zip(pages, found, strict=True):
            inside = () if record is None else BET_PAGES.checked(record).transaction_ids
            ids += [each for number, each in enumerate(inside, page * PAGE_BETS) if first <= number < until]
        return ids + [each for number, each in enumerate(book.tail, paged) if first <= number < until]

    async def _see(self, work: Work, caller: Caller, session_id: str) -> Seen:
        session = await work.read(SESSIONS, session_key(session_id))
        book = await work.read(BOOKS, book_key(session_id))
        return seen(self._context, caller, session, book, work.now_ms)

    def _kept(self, bet: Bet | None, now_ms: int) -> Bet | None:
        if bet is None or core.is_waiting(bet):
            return bet
        changed_ms = bet.accepted_ms if bet.closed_ms is None else bet.closed_ms
        return bet if is_kept(changed_ms, now_ms=now_ms, retention_ms=self._rules.bet_retention_ms) else None

    def _write(self, work: Work, bet: Bet) -> None:
        if core.is_waiting(bet):
            work.write(bet_key(bet.id), bet, due_ms=bet.due_ms)
        else:
            work.write(bet_key(bet.id), bet, retain_until_ms=self._retain_until_ms(work))

    def _tell(self, work: Work, before: Bet, after: Bet) -> None:
        """Book what an outcome means in money."""
        if after.state is BetState.ACCEPTED:
            transfer = bet_transfer(after)
        elif after.state is BetState.ROLLED_BACK and before.accepted_ms is not None:
            transfer = rollback_transfer(after)
        else:
            return
        if transfer.legs:
            self._context.tell(work, transfer)

    def _retain_until_ms(self, work: Work) -> int:
        return work.now_ms + self._rules.bet_retention_ms


def no_such_bet() -> BetNotFound:
    """Return what is told of a bet that is not known."""
    return BetNotFound("no such bet of the session")
