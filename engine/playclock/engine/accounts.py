"""Accounts: what is in them, top-ups, and what play time would cost."""

from typing import Final

import msgspec

from playclock.core import accounts as core
from playclock.core import moves, transfers
from playclock.core.charge import Account, Charge, anchor, reserve
from playclock.core.fields import request_id_problem, resource_id_problem
from playclock.core.ids import account_key, answer_key, kind_of, transfer_id_of, transfer_key
from playclock.core.records import Answer
from playclock.core.session import NEVER_MS, Session, State
from playclock.core.tariff import cost_micros
from playclock.engine import requests
from playclock.engine.audit import audit
from playclock.engine.callers import Caller
from playclock.engine.context import Context
from playclock.engine.records import ACCOUNTS, ANSWERS, SESSIONS, TOP_UPS
from playclock.engine.work import Work
from playclock.errors import AccountNotFound, BadRequest, CafeNotFound, EngineError, TransferNotFound
from playclock.stores.base import StoreUnavailable

RESUMED_MAX: Final = 1_000
"""How many records of the partition a top-up looks at for sessions in grace; the others resume at their next heartbeat."""
REVERSIBLE_MS: Final = 400 * 86_400_000
"""How long a top-up can be taken back, and its request id gets the first answer: a year and a month."""
DAY_MS: Final = 86_400_000


class Booked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An account right after a transfer."""

    account: Account
    transfer_id: str


class Price(msgspec.Struct, frozen=True, gc=False):
    """What play time would cost; without a currency nobody pays."""

    amount_micros: int
    currency: str
    is_chargeable: bool
    affordable_sec: int | None


_BOOKED: Final = msgspec.msgpack.Decoder(Booked)


class Accounts:
    """What an operator can ask of accounts."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def get(self, account_id: str) -> Account:
        """Return the account as it stands now, read afresh. Raises BadRequest, AccountNotFound, StoreAway."""
        _check(account_id)
        ((_, found),) = await self._context.records.load([account_key(account_id)], fresh=True)
        if found is None:
            raise _no_account(account_id)
        account, _ = transfers.advance(ACCOUNTS.checked(found), self._context.clock.now_ms())
        return account

    async def top_up(self, caller: Caller, account_id: str, amount_micros: int, *, request_id: str) -> Booked:
        """Credit an account, once for each request id, and let its sessions in grace go on.

        Raises BadRequest, AccountNotFound, RequestIdReused, StoreAway, TooMuchContention.
        """
        _check(account_id)
        problem = request_id_problem(request_id) if request_id else "is required"
        if problem:
            raise BadRequest({"request_id": problem})
        context, key = self._context, account_key(account_id)
        partition = int(key[:2], 16)
        contents = ("TopUpAccount", account_id, str(amount_micros))
        await requests.claim(context, caller, request_id, contents, retain_ms=REVERSIBLE_MS)
        answers_at = answer_key(partition, requests.name_of(caller), request_id)
        transfer_id = transfer_id_of(account_id, requests.name_of(caller), request_id)

        async def decision(work: Work) -> Booked | EngineError:
            first = await work.read(ANSWERS, answers_at)
            if first is not None:
                return _BOOKED.decode(first.data)
            account = await context.read_account(work, account_id)
            if account is None:
                return _no_account(account_id)
            error = core.why_no_top_up(account, amount_micros)
            if error is not None:
                return error
            credited, booked, transfer = core.top_up(account, amount_micros, transfer_id=transfer_id, now_ms=work.now_ms)
            work.write(key, credited)
            work.write(transfer_key(partition, transfer_id), booked, retain_until_ms=work.now_ms + REVERSIBLE_MS)
            context.tell(work, transfer)
            audit(context, work, caller, "TopUpAccount", account_id, detail=transfer_id)
            answer = Booked(credited, transfer_id)
            # Kept with the top-up: a repeat after a day must neither credit again nor meet a transfer that is there already.
            retain_until_ms = work.now_ms + REVERSIBLE_MS
            work.write(answers_at, Answer(msgspec.msgpack.encode(answer)), retain_until_ms=retain_until_ms)
            return answer

        answer = await context.turns.decide(partition, context.clock.now_ms(), decision)
        if isinstance(answer, EngineError):
            raise answer
        await self._resume(partition, account_id)
        return answer

    async def reverse(self, caller: Caller, account_id: str, transfer_id: str) -> Booked:
        """Take a top-up back by booking its reverse.

        Raises BadRequest, AccountNotFound, TransferNotFound, AlreadyReversed, InsufficientCredit, StoreAway, TooMuchContention.
        """
        _check(account_id)
        context, key = self._context, account_key(account_id)
        partition = int(key[:2], 16)
        booked_at = transfer_key(partition, transfer_id)

        async def decision(work: Work) -> Booked | EngineError:
            # Afresh: that there is too little to give back is an answer that no commit would check.
            await work.prefetch(key, booked_at, fresh=True)
            account = await context.read_account(work, account_id)
            if account is None:
                return _no_account(account_id)
            booked = await work.read(TOP_UPS, booked_at)
            if booked is None or booked.account_id != account_id:
                return TransferNotFound("no such top-up of this account")
            error = core.why_no_reversal(account, booked)
            if error is not None:
                return error
            debited, reversed_, transfer = core.reverse(account, booked, now_ms=work.now_ms)
            work.write(key, debited)
            work.write(booked_at, reversed_, retain_until_ms=work.now_ms + REVERSIBLE_MS)
            context.tell(work, transfer)
            audit(context, work, caller, "ReverseTopUp", account_id, detail=transfer_id)
            return Booked(debited, transfer.id)

        answer = await context.turns.decide(partition, context.clock.now_ms(), decision)
        if isinstance(answer, EngineError):
            raise answer
        return answer

    async def inquire(self, cafe_id: str, duration_sec: int) -> Price:
        """Tell what a session that begins now would cost, and whether it could. Holds nothing.

        Raises BadRequest, CafeNotFound, StoreAway.
        """
        context = self._context
        if duration_sec <= 0:
            raise BadRequest({"duration_sec": "must be positive"})
        cafe = context.estate.cafes.get(cafe_id)
        if cafe is None:
            raise CafeNotFound("no such cafe", cafe_id=cafe_id)
        if cafe.account_id is None or cafe.tariff_id is None:
            return Price(0, "", is_chargeable=True, affordable_sec=None)
        account = await self.get(cafe.account_id)
        tariff = context.estate.tariffs[cafe.tariff_id]
        charge = anchor(Charge(account.id, tariff, billed_micros=0, held_micros=0), 0, context.clock.now_ms())
        affordable = reserve(charge, DAY_MS, account.free_micros)
        return Price(
            amount_micros=cost_micros(tariff, duration_sec * 1000, charge.anchors),
            currency=tariff.currency,
            is_chargeable=account.free_micros >= tariff.minimum_micros
            and affordable.paid_ms >= context.timers.heartbeat_interval_ms,
            affordable_sec=min(affordable.paid_ms, DAY_MS) // 1000,
        )

    async def _resume(self, partition: int, account_id: str) -> None:
        """Let sessions in grace go on that the account can pay for again. The due index holds all that are alive."""
        context = self._context
        try:
            due = await context.records.store.due(partition, NEVER_MS, RESUMED_MAX)
        except StoreUnavailable as error:
            raise context.records.away() from error
        keys = [entry.key for entry in due if kind_of(entry.key) == "session"]
        found = await context.records.load(keys)
        waiting = [session.id for _, session in found if _may_wait(session, account_id)]

        async def decision(work: Work) -> None:
            for session_id in waiting:
                await self._resume_one(work, session_id)

        if waiting:
            await context.turns.decide(partition, context.clock.now_ms(), decision)

    async def _resume_one(self, work: Work, session_id: str) -> None:
        context = self._context
        session = await context.read_session(work, session_id)
        if session is None or session.state is not State.EXHAUSTED or session.charge is None:
            return
        account = await context.read_account(work, session.charge.account_id)
        free_micros = 0 if account is None else account.free_micros
        resumed = moves.resume(session, free_micros=free_micros, now_ms=work.now_ms, timers=context.timers)
        if resumed.state is State.ACTIVE:
            await context.save_session(work, session, [resumed])


def _may_wait(session: Session | None, account_id: str) -> bool:
    """Whether a remembered session may be in grace on this account's behalf. An old copy is looked at again by the decision."""
    found = None if session is None else SESSIONS.checked(session)
    return found is not None and found.charge is not None and found.charge.account_id == account_id


def _check(account_id: str) -> None:
    problem = resource_id_problem(account_id)
    if problem:
        raise BadRequest({"account_id": problem})


def _no_account(account_id: str) -> AccountNotFound:
    return AccountNotFound("no such account", account_id=account_id)
