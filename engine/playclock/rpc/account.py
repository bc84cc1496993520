"""AccountService: messages to the engine and back."""

from typing import Final

from playclock.core.charge import Account
from playclock.engine import Engine
from playclock.rpc.call import Call
from playclock.rpc.fields import check
from playclock.rpc.messages import timestamp
from playclock.v1 import account_service_pb2 as pb

PAGE_DEFAULT: Final = 100
PAGE_MAX: Final = 1_000


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


def _message(account: Account) -> pb.Account:
    return pb.Account(
        id=account.id,
        currency=account.currency,
        balance_micros=account.balance_micros,
        held_micros=account.held_micros,
        debt_limit_micros=account.debt_limit_micros,
    )
