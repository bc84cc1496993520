"""Steps on accounts that matches wait for. Each can be taken again: what it does has an id that is derived from the seat."""

from playclock.core import escrow
from playclock.core.escrow import Outcome, Payout, Step, StepKind, entry_id_of, escrow_of, hold_ms, payout_id_of
from playclock.core.ids import account_key, payout_key
from playclock.core.match import Match, Seat
from playclock.engine.callers import Caller, Role
from playclock.engine.context import Context
from playclock.engine.records import PAYOUTS
from playclock.engine.transfers import FINISHED_MS, Transfers
from playclock.engine.work import Work
from playclock.errors import (
    AccountNotFound,
    BadRequest,
    EngineError,
    InsufficientCredit,
    TooManyTransfers,
    TransferClosed,
    TransferIdReused,
    TransferNotFound,
)


class Money:
    """Takes steps on accounts."""

    def __init__(self, context: Context, transfers: Transfers) -> None:
        self._context = context
        self._transfers = transfers

    async def take(self, match: Match, step: Step) -> Outcome:
        """Take a step, and return what became of it. Raises StoreAway, TooMuchContention."""
        if step.kind is StepKind.HOLD:
            return await self._hold(match, step.seat)
        if step.kind is StepKind.POST:
            return await self._post(match, step.seat)
        if step.kind is StepKind.RELEASE:
            return await self._release(match, step.seat)
        return await self._pay(match, step.seat, step.seat.payout_micros)

    async def hold(self, match: Match, seat: Seat) -> None:
        """Hold a seat's entry fee.

        Raises BadRequest where the account is kept in another currency, AccountNotFound, InsufficientCredit, TooManyTransfers,
        TransferIdReused, StoreAway, TooMuchContention.
        """
        await self._check_currency(match, seat)
        await self._create(match, seat)
        # The currency of an account that nobody has used can be changed until now.
        await self._check_currency(match, seat)

    async def _hold(self, match: Match, seat: Seat) -> Outcome:
        try:
            await self.hold(match, seat)
        except (AccountNotFound, BadRequest, InsufficientCredit, TooManyTransfers, TransferIdReused) as error:
            return outcome_of(error)
        return Outcome.DONE

    async def _post(self, match: Match, seat: Seat) -> Outcome:
        try:
            await self._transfers.post(_caller(match), seat.account_id, entry_id_of(match, seat))
        except (InsufficientCredit, TransferClosed, TransferNotFound):
            return Outcome.REFUSED
        return Outcome.DONE

    async def _release(self, match: Match, seat: Seat) -> Outcome:
        """Void what is held. The transfer is made first if need be, so that nobody who is late can make it afterwards."""
        try:
            await self._create(match, seat)
            await self._transfers.void(_caller(match), seat.account_id, entry_id_of(match, seat))
        except (AccountNotFound, InsufficientCredit, TransferIdReused):
            return Outcome.DONE  # nothing is held, nor can be any more
        except TooManyTransfers:
            return Outcome.UNCERTAIN
        except TransferClosed as error:
            posted_micros = int(error.metadata.get("posted_micros", 0))
            return await self._pay(match, seat, posted_micros) if posted_micros else Outcome.DONE
        return Outcome.DONE

    async def _pay(self, match: Match, seat: Seat, amount_micros: int) -> Outcome:
        context, account_id = self._context, seat.account_id
        payout = Payout(payout_id_of(match, seat), amount_micros)
        key, at = account_key(account_id), payout_key(account_id, payout.transfer_id)

        async def decision(work: Work) -> Outcome:
            await work.prefetch(key, at)
            if await work.read(PAYOUTS, at) is not None:
                return Outcome.DONE
            account = await context.read_account(work, account_id)
            assert account is not None, "an account outlives the matches that it has paid for"
            if not escrow.has_room(account, payout):
                return Outcome.UNCERTAIN
            credited, transfer = escrow.pay(account, match.id, payout, now_ms=work.now_ms)
            work.write(key, credited)
            work.write(at, payout, retain_until_ms=work.now_ms + FINISHED_MS)
            context.tell(work, transfer)
            return Outcome.DONE

        return await context.turns.decide(int(key[:2], 16), context.clock.now_ms(), decision)

    async def _create(self, match: Match, seat: Seat) -> None:
        await self._transfers.create(
            _caller(match),
            seat.account_id,
            entry_id_of(match, seat),
            amount_micros=match.terms.entry_fee_micros,
            target=escrow_of(match.id),
            timeout_ms=hold_ms(match),
        )

    async def _check_currency(self, match: Match, seat: Seat) -> None:
        ((_, account),) = await self._context.records.load([account_key(seat.account_id)], fresh=True)
        if account is None:
            raise AccountNotFound("no such account", account_id=seat.account_id)
        if account.currency != match.terms.currency:
            raise BadRequest({"account_id": f"is kept in {account.currency}, and the match is in {match.terms.currency}"})


def outcome_of(error: EngineError) -> Outcome:
    """Return what became of a hold that raised this. For lack of credit it keeps failing; all else could be another time."""
    return Outcome.REFUSED if isinstance(error, InsufficientCredit) else Outcome.UNCERTAIN


def _caller(match: Match) -> Caller:
    """Return in whose name the steps are taken: they follow from a call that was audited itself."""
    return Caller(Role.MATCH_CLIENT, match.terms.client_id)
