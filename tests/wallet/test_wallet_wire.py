"""WalletService over a channel: what its messages say, and which errors it names; and how an agent's URL is provisioned."""

from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from playclock.provisioning import load
from playclock.rpc.inprocess import InProcessChannel
from playclock.tomlfile import ConfigurationError
from playclock.v1 import (
    Agent as AgentMessage,
)
from playclock.v1 import (
    ApplyProvisioningRequest,
    Bet,
    GetBalanceRequest,
    GetBalanceResponse,
    GetBetRequest,
    GetProvisioningRequest,
    ListBetsRequest,
    MakeBetRequest,
    MakeBetResponse,
    Provisioning,
    ProvisioningServiceStub,
    RollbackBetRequest,
    WalletServiceStub,
)

from tests.conftest import World
from tests.rpc.conftest import Rpc
from tests.wallet.conftest import MICROS, Agent, Table

if TYPE_CHECKING:
    from playclock.v1 import WalletServiceAsyncStub

KEY = (("x-api-key", World.KEY),)


@pytest.fixture
def store_kind() -> str:
    """Return the one kind that is needed where no store matters."""
    return "memory"


@pytest.fixture
def wallet(table: Table) -> "WalletServiceAsyncStub":
    return WalletServiceStub(InProcessChannel(table.world.engine))


def request(table: Table, transaction_id: str, bet: int = 0, win: int = 0) -> MakeBetRequest:
    return MakeBetRequest(
        game_session_id=table.session_id, transaction_id=transaction_id, round_id="r1", bet_micros=bet, win_micros=win
    )


async def test_a_game_server_sees_what_became_of_its_bets(table: Table, agent: Agent, wallet: "WalletServiceAsyncStub") -> None:
    session = table.session_id
    told = await wallet.GetBalance(GetBalanceRequest(game_session_id=session), metadata=KEY)
    assert told == GetBalanceResponse(balance_micros=agent.OPENING, currency="EUR")

    made = await wallet.MakeBet(request(table, "t1", 5 * MICROS, MICROS), metadata=KEY)
    assert (made.result, made.balance_micros) == (MakeBetResponse.RESULT_ACCEPTED, agent.OPENING - 4 * MICROS)
    assert (made.bet.state, made.bet.currency, made.bet.round_id) == (Bet.STATE_ACCEPTED, "EUR", "r1")
    assert made.bet.agent_transaction_id in agent.transactions()
    assert not made.bet.HasField("close_time")

    poor = await wallet.MakeBet(request(table, "t2", 5_000 * MICROS), metadata=KEY)
    assert (poor.result, poor.balance_micros) == (MakeBetResponse.RESULT_INSUFFICIENT_FUNDS, agent.OPENING - 4 * MICROS)
    agent.fault(makeBet="refuse")
    refused = await wallet.MakeBet(request(table, "t3", 1), metadata=KEY)
    assert (refused.result, refused.bet.agent_error) == (MakeBetResponse.RESULT_REFUSED, "player_blocked")
    assert not refused.HasField("balance_micros")
    agent.fault(makeBet="lost")
    lost = await wallet.MakeBet(request(table, "t4", 1), metadata=KEY)
    assert (lost.result, lost.bet.state) == (MakeBetResponse.RESULT_ROLLED_BACK, Bet.STATE_ROLLING_BACK)
    agent.fault()

    back = await wallet.RollbackBet(RollbackBetRequest(game_session_id=session, transaction_id="t1"), metadata=KEY)
    assert back.bet.state == Bet.STATE_ROLLED_BACK
    got = await wallet.GetBet(GetBetRequest(game_session_id=session, transaction_id="t1"), metadata=KEY)
    assert got.bet == back.bet
    first = await wallet.ListBets(ListBetsRequest(game_session_id=session, page_size=3), metadata=KEY)
    last = await wallet.ListBets(
        ListBetsRequest(game_session_id=session, page_size=3, page_token=first.next_page_token), metadata=KEY
    )
    assert [bet.transaction_id for bet in (*first.bets, *last.bets)] == ["t1", "t2", "t3", "t4"]
    assert last.next_page_token == ""


async def test_errors_have_their_reasons(table: Table, agent: Agent, wallet: "WalletServiceAsyncStub") -> None:
    async def reason(wanted: MakeBetRequest) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await wallet.MakeBet(wanted, metadata=KEY)
        failed = Rpc.unpacked(caught.value)
        return failed.code, failed.reason

    await wallet.MakeBet(request(table, "t1", 1), metadata=KEY)
    assert await reason(request(table, "t1", 2)) == (grpc.StatusCode.ALREADY_EXISTS, "TRANSACTION_ID_REUSED")
    assert await reason(request(table, "", 2)) == (grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST")
    agent.fault(makeBet="busy")
    await wallet.MakeBet(request(table, "t2", 1), metadata=KEY)
    assert await reason(request(table, "t3", 1)) == (grpc.StatusCode.UNAVAILABLE, "AGENT_UNAVAILABLE")
    await table.world.end(table.session_id)
    assert await reason(request(table, "t3", 1)) == (grpc.StatusCode.FAILED_PRECONDITION, "SESSION_ENDED")


async def test_the_url_is_shown_and_kept(table: Table, agent: Agent) -> None:
    provisioning = ProvisioningServiceStub(InProcessChannel(table.world.engine, operator=True))
    shown = (await provisioning.GetProvisioning(GetProvisioningRequest())).provisioning.agents

    assert [(each.id, each.callback_url, each.api_token) for each in shown] == [(1, agent.url, "")]
    for wrong in ("file:///etc/passwd", "https://a b", "https://" + "x" * 2_048):
        bad = Provisioning(agents=[AgentMessage(id=1, name="Agent One", callback_url=wrong)])
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await provisioning.ApplyProvisioning(ApplyProvisioningRequest(provisioning=bad))
        assert Rpc.unpacked(caught.value).violations == ("agents[0].callback_url",)


def test_the_file_names_the_url(tmp_path: Path) -> None:
    file = tmp_path / "estate.toml"
    file.write_text('[[agent]]\nid = 1\nname = "One"\ncallback_url = "https://agent.example.com/callbacks"\n')
    assert load(file, {}).message.agents[0].callback_url == "https://agent.example.com/callbacks"
    file.write_text('[[agent]]\nid = 1\nname = "One"\ncallback_url = "agent.example.com"\n')
    with pytest.raises(ConfigurationError, match=r"toml:4: \[\[agent\]\] #1: 'callback_url': expected an http"):
        load(file, {})
