"""AccountService: messages to the engine and back."""

from typing import Final

from playclock.core.charge import Account
from playclock.core.fields import resource_id_problem
from playclock.core.ids import is_uuid
from playclock.core.transfers import TransferState, TwoPhase
from playclock.engine import Engine
from playclock.errors import BadRequest
from playclock.rpc.call import Call
from playclock.rpc.fields import check
from playclock.rpc.messages import timestamp
from playclock.v1 import account_service_pb2 as pb

PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1_000

_STATES: Final = {
    TransferState.PENDING: pb.Transfer.STATE_PENDING,
    TransferState.POSTED: pb.Transfer.STATE_POSTED,
    TransferState.VOIDED: pb.Transfer.STATE_VOIDED,
    TransferState.EXPIRED: pb.Transfer.STATE_EXPIRED,
    TransferState.REFUSED: pb.Transfer.STATE_REFUSED,
}


class AccountServicer:
    """Translates for operators."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def GetAccount(self, request: pb.GetAccountRequest, call: Call) -> pb.GetAccountResponse:  # noqa: ARG002
        """Show an account."""
        return pb.GetAccountResponse(account=_message(await self._engine.accounts.get(request.account_id)))

    async def TopUpAccount(self, request: pb.TopUpAccountRequest, call: Call) -> pb.TopUpAccountResponse:
        """Credit an account."""
        booked = await self._engine.accounts.top_up(
            call.caller, request.account_id, request.amount_micros, request_id=request.request_id
        )
        return pb.TopUpAccountResponse(account=_message(booked.account), transfer_id=booked.transfer_id)

    async def ReverseTopUp(self, request: pb.ReverseTopUpRequest, call: Call) -> pb.ReverseTopUpResponse:
        """Take a top-up back."""
        booked = await self._engine.accounts.reverse(call.caller, request.account_id, request.transfer_id)
        return pb.ReverseTopUpResponse(account=_message(booked.account), transfer_id=booked.transfer_id)

    async def CreateTransfer(self, request: pb.CreateTransferRequest, call: Call) -> pb.CreateTransferResponse:
        """Create a pending transfer."""
        transfer = await self._engine.transfers.create(
            call.caller,
            request.account_id,
            request.transfer_id,
            amount_micros=request.amount_micros,
            target=_target(request),
            timeout_ms=request.timeout_sec * 1000,
        )
        return pb.CreateTransferResponse(transfer=_transfer_message(transfer))

    async def PostTransfer(self, request: pb.PostTransferRequest, call: Call) -> pb.PostTransferResponse:
        """Post a pending transfer."""
        amount_micros = request.amount_micros if request.HasField("amount_micros") else None
        transfer = await self._engine.transfers.post(
            call.caller, request.account_id, request.transfer_id, amount_micros=amount_micros
        )
        return pb.PostTransferResponse(transfer=_transfer_message(transfer))

    async def VoidTransfer(self, request: pb.VoidTransferRequest, call: Call) -> pb.VoidTransferResponse:
        """Void a pending transfer."""
        transfer = await self._engine.transfers.void(call.caller, request.account_id, request.transfer_id)
        return pb.VoidTransferResponse(transfer=_transfer_message(transfer))

    async def GetTransfer(self, request: pb.GetTransferRequest, call: Call) -> pb.GetTransferResponse:  # noqa: ARG002
        """Show a transfer."""
        transfer = await self._engine.transfers.get(request.account_id, request.transfer_id)
        return pb.GetTransferResponse(transfer=_transfer_message(transfer))

    async def InquirePrice(self, request: pb.InquirePriceRequest, call: Call) -> pb.InquirePriceResponse:  # noqa: ARG002
        """Tell what play time would cost."""
        price = await self._engine.accounts.inquire(request.cafe_id, request.duration_sec)
        return pb.InquirePriceResponse(
            amount_micros=price.amount_micros,
            currency=price.currency,
            is_chargeable=price.is_chargeable,
            affordable_sec=price.affordable_sec,
        )

    async def ListEntries(self, request: pb.ListEntriesRequest, call: Call) -> pb.ListEntriesResponse:  # noqa: ARG002
        """List an account's entries."""
        await self._engine.accounts.get(request.account_id)
        entries, next_page_token = await self._engine.history.entries(
            request.account_id, page_token=request.page_token, limit=page_limit(request.page_size)
        )
        return pb.ListEntriesResponse(
            entries=[
                pb.Entry(
                    transfer_id=entry.transfer_id,
                    leg=entry.leg,
                    ledger_account=entry.ledger_account,
                    amount_micros=entry.amount_micros,
                    kind=entry.kind,
                    book_time=timestamp(entry.booked_ms),
                    game_session_id=entry.game_session_id,
                )
                for entry in entries
            ],
            next_page_token=next_page_token,
        )


def page_limit(page_size: int) -> int:
    """Return how long a page may be. Raises BadRequest for a negative size."""
    check(page_size="must not be negative" if page_size < 0 else None)
    return min(page_size or PAGE_DEFAULT, PAGE_MAX)


def _target(request: pb.CreateTransferRequest) -> str:
    """Return the account of the ledger that a transfer is for. Raises BadRequest."""
    match request.WhichOneof("target"):
        case "game_id":
            check(game_id=None if is_uuid(request.game_id) else "expected a lower-case UUID")
            return f"revenue/{request.game_id}"
        case "payout":
            check(payout=resource_id_problem(request.payout))
            return f"payout/{request.payout}"
        case None:
            raise BadRequest({"target": "is required: a game_id or a payout"})


def _transfer_message(transfer: TwoPhase) -> pb.Transfer:
    return pb.Transfer(
        transfer_id=transfer.id,
        account_id=transfer.account_id,
        amount_micros=transfer.amount_micros,
        ledger_account=transfer.target,
        state=_STATES[transfer.state],
        posted_micros=transfer.posted_micros,
        create_time=timestamp(transfer.created_ms),
        expire_time=timestamp(transfer.expires_ms),
        close_time=None if transfer.closed_ms is None else timestamp(transfer.closed_ms),
    )


def _message(account: Account) -> pb.Account:
    return pb.Account(
        id=account.id,
        currency=account.currency,
        balance_micros=account.balance_micros,
        held_micros=account.held_micros,
        debt_limit_micros=account.debt_limit_micros,
    )
