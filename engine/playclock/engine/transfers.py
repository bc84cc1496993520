"""Two-phase transfers of accounts: created, posted or voided, each step once however often it is asked for."""

from collections.abc import Awaitable, Callable
from typing import Final

from playclock.core import transfers as core
from playclock.core.charge import Account
from playclock.core.fields import request_id_problem, resource_id_problem
from playclock.core.guards import is_kept
from playclock.core.ids import account_key, two_phase_key
from playclock.core.transfers import Done, TransferState, TwoPhase
from playclock.engine.audit import audit
from playclock.engine.callers import Caller
from playclock.engine.context import Context
from playclock.engine.records import ACCOUNTS, TRANSFERS
from playclock.engine.work import Work
from playclock.errors import AccountNotFound, BadRequest, EngineError, TransferNotFound

FINISHED_MS: Final = 400 * 86_400_000
"""How long a finished transfer is remembered: as long as a top-up can be taken back."""


class Transfers:
    """What an operator can ask of transfers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def create(
        self, caller: Caller, account_id: str, transfer_id: str, *, amount_micros: int, target: str, timeout_ms: int
    ) -> TwoPhase:
        """Hold money of an account for a target, until it is posted, voided, or the time is over.

        Raises BadRequest, AccountNotFound, TransferIdReused, InsufficientCredit, TooManyTransfers, StoreAway,
        TooMuchContention.
        """
        _check(account_id, transfer_id, core.problems_of(amount_micros=amount_micros, timeout_ms=timeout_ms))

        async def decision(work: Work) -> TwoPhase | EngineError:
            account = await self._account(work, account_id)
            wanted = TwoPhase(
                id=transfer_id,
                account_id=account_id,
                amount_micros=amount_micros,
                target=target,
                timeout_ms=timeout_ms,
                created_ms=work.now_ms,
            )
            there = await self._read(work, account_id, transfer_id)
            if there is not None:
                return core.first_answer(there, wanted)
            answer = self._take(work, caller, "CreateTransfer", core.create(account, wanted))
            if isinstance(answer, TwoPhase) and answer.state is TransferState.REFUSED:
                self._write(work, answer)
                return core.first_answer(answer, wanted)
            return answer

        return await self._decide(account_id, transfer_id, decision)

    async def post(self, caller: Caller, account_id: str, transfer_id: str, *, amount_micros: int | None = None) -> TwoPhase:
        """Let the target have what is pending, or a part of it, and free the rest.

        Raises BadRequest, AccountNotFound, TransferNotFound, TransferClosed, InsufficientCredit for a transfer that was
        refused, StoreAway, TooMuchContention.
        """

        def step(account: Account, there: TwoPhase, now_ms: int) -> Done:
            return core.post(account, there, amount_micros, now_ms=now_ms)

        return await self._step(caller, "PostTransfer", account_id, transfer_id, step)

    async def void(self, caller: Caller, account_id: str, transfer_id: str) -> TwoPhase:
        """Free what is pending. Raises as `post` does."""

        def step(account: Account, there: TwoPhase, now_ms: int) -> Done:
            return core.void(account, there, now_ms=now_ms)

        return await self._step(caller, "VoidTransfer", account_id, transfer_id, step)

    async def get(self, account_id: str, transfer_id: str) -> TwoPhase:
        """Return a transfer as it stands. Raises BadRequest, AccountNotFound, TransferNotFound, StoreAway."""
        _check(account_id, transfer_id)
        context, now_ms = self._context, self._context.clock.now_ms()
        keys = [account_key(account_id), two_phase_key(account_id, transfer_id)]
        (_, account), (_, there) = await context.records.load(keys, fresh=True)
        if account is None:
            raise AccountNotFound("no such account", account_id=account_id)
        if there is None or not self._is_kept(TRANSFERS.checked(there), now_ms):
            raise _no_such_transfer()
        advanced, _ = core.advance(ACCOUNTS.checked(account), now_ms)
        return core.standing(advanced, TRANSFERS.checked(there))

    async def sweep(self, work: Work, key: str) -> None:
        """Do the bookkeeping of a transfer whose time has come: note that it expired, or file it anew."""
        there = await work.read(TRANSFERS, key)
        if there is None or there.state is not TransferState.PENDING:
            return
        # Afresh: an old copy of the account that lacks the hold would pass for one that has freed it.
        await work.prefetch(account_key(there.account_id), fresh=True)
        account = await self._context.read_account(work, there.account_id)
        assert account is not None, "a transfer's account outlives it"
        self._write(work, core.standing(account, there))

    async def _step(
        self,
        caller: Caller,
        action: str,
        account_id: str,
        transfer_id: str,
        step: Callable[[Account, TwoPhase, int], Done],
    ) -> TwoPhase:
        _check(account_id, transfer_id)

        async def decision(work: Work) -> TwoPhase | EngineError:
            account = await self._account(work, account_id)
            there = await self._read(work, account_id, transfer_id)
            if there is None:
                return _no_such_transfer()
            return self._take(work, caller, action, step(account, there, work.now_ms))

        return await self._decide(account_id, transfer_id, decision)

    def _take(self, work: Work, caller: Caller, action: str, done: Done) -> TwoPhase | EngineError:
        """Write what a step did, if it did anything."""
        if not isinstance(done, tuple):
            return done
        account, there, transfer = done
        work.write(account_key(account.id), account)
        self._write(work, there)
        self._context.tell(work, transfer)
        audit(self._context, work, caller, action, account.id, detail=there.id)
        return there

    def _write(self, work: Work, there: TwoPhase) -> None:
        due_ms = there.expires_ms if there.state is TransferState.PENDING else None
        retain_until_ms = None if there.closed_ms is None else there.closed_ms + self._remembered_ms(there)
        work.write(two_phase_key(there.account_id, there.id), there, due_ms=due_ms, retain_until_ms=retain_until_ms)

    async def _decide(
        self, account_id: str, transfer_id: str, decision: Callable[[Work], Awaitable[TwoPhase | EngineError]]
    ) -> TwoPhase:
        context, keys = self._context, (account_key(account_id), two_phase_key(account_id, transfer_id))

        async def decided(work: Work) -> TwoPhase | EngineError:
            # Afresh: that something is over, or that there is too little, are answers that no commit of the account checks.
            await work.prefetch(*keys, fresh=True)
            return await decision(work)

        answer = await context.turns.decide(int(keys[0][:2], 16), context.clock.now_ms(), decided)
        if isinstance(answer, EngineError):
            raise answer
        return answer

    async def _account(self, work: Work, account_id: str) -> Account:
        account = await self._context.read_account(work, account_id)
        if account is None:
            raise AccountNotFound("no such account", account_id=account_id)
        return account

    async def _read(self, work: Work, account_id: str, transfer_id: str) -> TwoPhase | None:
        there = await work.read(TRANSFERS, two_phase_key(account_id, transfer_id))
        return there if there is not None and self._is_kept(there, work.now_ms) else None

    def _is_kept(self, there: TwoPhase, now_ms: int) -> bool:
        return is_kept(there.closed_ms, now_ms=now_ms, retention_ms=self._remembered_ms(there))

    def _remembered_ms(self, there: TwoPhase) -> int:
        is_refused = there.state is TransferState.REFUSED
        return self._context.timers.tombstone_retention_ms if is_refused else FINISHED_MS


def _check(account_id: str, transfer_id: str, problems: dict[str, str] | None = None) -> None:
    found = dict(problems or {})
    problem = resource_id_problem(account_id)
    if problem:
        found["account_id"] = problem
    problem = request_id_problem(transfer_id) if transfer_id else "is required"
    if problem:
        found["transfer_id"] = problem
    if found:
        raise BadRequest(found)


def _no_such_transfer() -> TransferNotFound:
    return TransferNotFound("no such transfer of the account")
