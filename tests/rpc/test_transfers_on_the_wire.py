"""Two-phase transfers over a socket: what is shown of them, and how they fail."""

from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.message import Message
from playclock.clock import ManualClock
from playclock.v1 import (
    AccountServiceStub,
    CreateTransferRequest,
    GetAccountRequest,
    GetTransferRequest,
    PostTransferRequest,
    Transfer,
    VoidTransferRequest,
)

if TYPE_CHECKING:
    from playclock.v1 import AccountServiceAsyncStub

    from tests.conftest import World
    from tests.rpc.conftest import Rpc

GAME_ID = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"


def create(**changed: object) -> CreateTransferRequest:
    fields = {
        "account_id": "cafe-1",
        "transfer_id": "t",
        "amount_micros": 500,
        "timeout_sec": 60,
        "game_id": GAME_ID,
        **changed,
    }
    return CreateTransferRequest(**fields)  # type: ignore[arg-type]


@pytest.fixture
def accounts(rpc: "Rpc", world: "World") -> "AccountServiceAsyncStub":  # noqa: ARG001 - is there first
    return AccountServiceStub(rpc.channel)


async def test_a_transfer_is_shown_as_it_stands(accounts: "AccountServiceAsyncStub", rpc: "Rpc", clock: ManualClock) -> None:
    now_ms = clock.now_ms()
    created = (await accounts.CreateTransfer(create(), metadata=rpc.OPERATOR)).transfer
    assert (created.transfer_id, created.account_id, created.amount_micros) == ("t", "cafe-1", 500)
    assert (created.ledger_account, created.state) == (f"revenue/{GAME_ID}", Transfer.STATE_PENDING)
    assert (created.create_time.ToMilliseconds(), created.expire_time.ToMilliseconds()) == (now_ms, now_ms + 60_000)
    assert not created.HasField("close_time")
    shown = (await accounts.GetAccount(GetAccountRequest(account_id="cafe-1"), metadata=rpc.OPERATOR)).account
    assert shown.held_micros == 500
    clock.advance(5)
    request = PostTransferRequest(account_id="cafe-1", transfer_id="t", amount_micros=200)
    posted = (await accounts.PostTransfer(request, metadata=rpc.OPERATOR)).transfer
    assert (posted.state, posted.posted_micros) == (Transfer.STATE_POSTED, 200)
    assert posted.close_time.ToMilliseconds() == now_ms + 5_000
    asked = GetTransferRequest(account_id="cafe-1", transfer_id="t")
    assert (await accounts.GetTransfer(asked, metadata=rpc.OPERATOR)).transfer == posted
    assert (await accounts.CreateTransfer(create(), metadata=rpc.OPERATOR)).transfer == created


async def test_without_an_amount_all_is_posted(accounts: "AccountServiceAsyncStub", rpc: "Rpc") -> None:
    await accounts.CreateTransfer(create(), metadata=rpc.OPERATOR)
    request = PostTransferRequest(account_id="cafe-1", transfer_id="t")
    assert (await accounts.PostTransfer(request, metadata=rpc.OPERATOR)).transfer.posted_micros == 500


async def test_one_that_was_voided_or_is_over_is_closed(
    accounts: "AccountServiceAsyncStub", rpc: "Rpc", clock: ManualClock
) -> None:
    await accounts.CreateTransfer(create(), metadata=rpc.OPERATOR)
    payout = create(transfer_id="v", payout="vendor-1")
    assert (await accounts.CreateTransfer(payout, metadata=rpc.OPERATOR)).transfer.ledger_account == "payout/vendor-1"
    request = VoidTransferRequest(account_id="cafe-1", transfer_id="v")
    assert (await accounts.VoidTransfer(request, metadata=rpc.OPERATOR)).transfer.state == Transfer.STATE_VOIDED
    clock.advance(60)
    for transfer_id, state in (("v", "VOIDED"), ("t", "EXPIRED")):
        posting = PostTransferRequest(account_id="cafe-1", transfer_id=transfer_id)
        failed = await rpc.failure(accounts.PostTransfer(posting, metadata=rpc.OPERATOR))
        assert (failed.code, failed.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "TRANSFER_CLOSED")
        assert failed.metadata == {"state": state}


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (create(account_id=""), "account_id"),
        (create(transfer_id=""), "transfer_id"),
        (create(transfer_id="x" * 256), "transfer_id"),
        *((create(amount_micros=micros), "amount_micros") for micros in (0, -1, (1 << 62) + 1)),
        *((create(timeout_sec=sec), "timeout_sec") for sec in (0, -1, 31_622_401)),
        (create(game_id="X"), "game_id"),
        (create(payout="a/b"), "payout"),
        (CreateTransferRequest(account_id="cafe-1", transfer_id="t", amount_micros=1, timeout_sec=1), "target"),
        *(
            (PostTransferRequest(account_id="cafe-1", transfer_id="t", amount_micros=micros), "amount_micros")
            for micros in (0, -1, 501)
        ),
        (PostTransferRequest(account_id="cafe-1"), "transfer_id"),
        (VoidTransferRequest(transfer_id="t"), "account_id"),
        (GetTransferRequest(account_id="cafe-1", transfer_id="\n"), "transfer_id"),
    ],
)
async def test_what_is_asked_for_wrongly_is_refused_with_the_field(
    accounts: "AccountServiceAsyncStub", rpc: "Rpc", request_: Message, field: str
) -> None:
    await accounts.CreateTransfer(create(), metadata=rpc.OPERATOR)
    call = getattr(accounts, type(request_).__name__.removesuffix("Request"))
    failed = await rpc.failure(call(request_, metadata=rpc.OPERATOR))
    assert (failed.code, failed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST")
    assert failed.violations == (field,)
