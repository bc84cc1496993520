"""`playclock accounts`: what is in an account, and putting more in."""

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import click
from google.protobuf.json_format import MessageToDict

from playclock.cli.engines import RemoteEngine
from playclock.cli.options import operator_options
from playclock.cli.printing import amount, print_json, print_table
from playclock.cli.remote import CALL_SEC, ask, authorization
from playclock.cli.teaching import example
from playclock.v1.account_service_pb2 import Account, GetAccountRequest, ReverseTopUpRequest, TopUpAccountRequest
from playclock.v1.account_service_pb2_grpc import AccountServiceStub

if TYPE_CHECKING:
    from playclock.v1.account_service_pb2_grpc import AccountServiceAsyncStub


@click.group(
    epilog=example("playclock accounts top-up cafe-1 100000000 --request-id invoice-2026-11 --token dev-operator-token")
)
def accounts() -> None:
    """Show accounts and top them up."""


@accounts.command(epilog=example("playclock accounts show cafe-1"))
@click.argument("account_id", metavar="ID")
@operator_options
def show(*, account_id: str, engine: RemoteEngine, token: str | None, as_json: bool) -> None:
    """Show an account."""

    async def get(service: "AccountServiceAsyncStub") -> Account:
        request = GetAccountRequest(account_id=account_id)
        return (await service.GetAccount(request, metadata=authorization(token), timeout=CALL_SEC)).account

    _print(ask(engine, AccountServiceStub, get), as_json=as_json)


@accounts.command(name="top-up", epilog=example("playclock accounts top-up cafe-1 100000000 --request-id invoice-2026-11"))
@click.argument("account_id", metavar="ID")
@click.argument("amount_micros", metavar="MICROS", type=click.IntRange(min=1))
@click.option(
    "--request-id", metavar="TEXT", help="Makes a repeat safe: one with the same id changes nothing. Default: random."
)
@operator_options
def top_up(
    *, account_id: str, amount_micros: int, request_id: str | None, engine: RemoteEngine, token: str | None, as_json: bool
) -> None:
    """Credit an account with MICROS millionths of its currency."""

    async def credit(service: "AccountServiceAsyncStub") -> tuple[Account, str]:
        request = TopUpAccountRequest(
            account_id=account_id, amount_micros=amount_micros, request_id=request_id or secrets.token_hex(16)
        )
        answer = await service.TopUpAccount(request, metadata=authorization(token), timeout=CALL_SEC)
        return answer.account, answer.transfer_id

    account, transfer_id = ask(engine, AccountServiceStub, credit)
    _print(account, as_json=as_json, transfer_id=transfer_id)


@accounts.command(epilog=example("playclock accounts reverse cafe-1 topup/cafe-1/0123456789abcdef0123456789abcdef"))
@click.argument("account_id", metavar="ID")
@click.argument("transfer_id", metavar="TRANSFER")
@operator_options
def reverse(*, account_id: str, transfer_id: str, engine: RemoteEngine, token: str | None, as_json: bool) -> None:
    """Take a top-up back, as far as nothing of it is held or spent."""

    async def take_back(service: "AccountServiceAsyncStub") -> tuple[Account, str]:
        request = ReverseTopUpRequest(account_id=account_id, transfer_id=transfer_id)
        answer = await service.ReverseTopUp(request, metadata=authorization(token), timeout=CALL_SEC)
        return answer.account, answer.transfer_id

    account, reversal_id = ask(engine, AccountServiceStub, take_back)
    _print(account, as_json=as_json, transfer_id=reversal_id)


_ROWS: Final[dict[str, Callable[[Account], str]]] = {
    "account": lambda account: account.id,
    "currency": lambda account: account.currency,
    "balance": lambda account: amount(account.balance_micros),
    "held": lambda account: amount(account.held_micros),
    "free": lambda account: amount(max(0, account.balance_micros - account.held_micros + account.debt_limit_micros)),
    "debt limit": lambda account: amount(account.debt_limit_micros),
}


def _print(account: Account, *, as_json: bool, transfer_id: str = "") -> None:
    told = {"transfer_id": transfer_id} if transfer_id else {}
    if as_json:
        fields = MessageToDict(account, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        print_json({**fields, **told})
        return
    rows = [[name, cell(account)] for name, cell in _ROWS.items()]
    print_table(("field", "value"), [*rows, *([name.replace("_", " "), value] for name, value in told.items())])
