"""Three keys on every call: the game's own, another game's, nobody's (failure mode 4). Bodies included."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
import pytest
from playclock.archive.archiving import ArchiveOfStore
from playclock.archive.urls import open_archive
from playclock.engine import Engine, Role
from playclock.rpc.access import ACCESS
from playclock.stores.base import Store
from playclock.v1 import (
    BatchHeartbeatRequest,
    EndSessionRequest,
    EndSessionsOfServerRequest,
    ExportSettlementsRequest,
    GetBalanceRequest,
    GetBetRequest,
    GetSessionRequest,
    HeartbeatRequest,
    ListBetsRequest,
    ListSessionsRequest,
    ListSettlementsRequest,
    MakeBetRequest,
    OpenSessionRequest,
    OpenSessionResponse,
    RollbackBetRequest,
    SummarizeSettlementsRequest,
    VerifyCallerRequest,
    VerifyCallerResponse,
    VerifyDemoTokenRequest,
    WatchSessionsRequest,
    WatchSessionsResponse,
)

from tests.rpc.conftest import Failed, Rpc

if TYPE_CHECKING:
    from tests.conftest import EngineMaker, World
    from tests.rpc.conftest import Metadata

UNKNOWN: Final = "gs_550e8400-e29b-41d4-a716-446655440000"
NOBODY: Final = (("x-api-key", "the-key-of-nobody"),)

Answer = object


@pytest.fixture
async def archive(store: Store, tmp_path: Path) -> AsyncIterator[ArchiveOfStore]:
    async with await open_archive(f"sqlite:///{tmp_path}/archive.db", store) as archive:
        yield archive


@pytest.fixture
async def engine(make_engine: "EngineMaker", store: Store, archive: ArchiveOfStore) -> Engine:
    return await make_engine(store, archive=archive)


PUBLISHED = {"OpenIdService/GetConfiguration", "OpenIdService/GetJwks", "OpenIdService/GetRealm"}


class Target:
    """A game with a live session, one that has ended, and an OTT that nobody has redeemed."""

    def __init__(self, world: "World", rpc: "Rpc") -> None:
        self.world = world
        self.rpc = rpc
        self.live = self.over = self.ott = ""

    async def begin(self) -> None:
        self.live = await self.world.open("pc-1", server="server-1")
        self.over = await self.world.open("pc-2")
        await self.world.end(self.over)
        self.ott = await self.world.ott(pc="pc-3")
        await self.world.engine.sweep()

    async def state(self) -> object:
        """Return all that a stranger could have changed."""
        sessions = [await self.world.stored(session) for session in (self.live, self.over)]
        return sessions, await self.world.account(), await self.world.engine.store.heads()


async def heard(call: "Awaitable[object]", rpc: "Rpc") -> Answer:
    """Return a call's answer, or how it failed."""
    try:
        return await call
    except grpc.aio.AioRpcError as error:
        return rpc.unpacked(error)


def calls_of(rpc: "Rpc", metadata: "Metadata", game_id: str) -> "dict[str, Callable[[str, str], Awaitable[object]]]":
    """Return each call that a game may make, of a session and an OTT; lists and streams as lists."""

    def beat(session: str) -> HeartbeatRequest:
        return HeartbeatRequest(game_session_id=session, provider_user_id="player-1")

    async def export(_session: str, _ott: str) -> list[object]:
        request = ExportSettlementsRequest(game_id=game_id)
        return [each.settlement async for each in rpc.settlements.ExportSettlements(request, metadata=metadata)]

    async def watch(session: str, _ott: str) -> list[object]:
        stream = rpc.sessions.WatchSessions(
            WatchSessionsRequest(game_session_id=session, game_id=game_id), metadata=metadata, timeout=30
        )
        first = await stream.read()
        stream.cancel()
        return [isinstance(first, WatchSessionsResponse) and first.HasField("event")]

    return {
        "AuthService/VerifyCaller": lambda _session, _ott: rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=metadata),
        "SessionService/OpenSession": lambda _session, ott: rpc.sessions.OpenSession(
            OpenSessionRequest(ott=ott, provider_user_id="player-1"), metadata=metadata
        ),
        "SessionService/Heartbeat": lambda session, _ott: rpc.sessions.Heartbeat(beat(session), metadata=metadata),
        "SessionService/BatchHeartbeat": lambda session, _ott: rpc.sessions.BatchHeartbeat(
            BatchHeartbeatRequest(heartbeats=[beat(session)]), metadata=metadata
        ),
        "SessionService/GetSession": lambda session, _ott: rpc.sessions.GetSession(
            GetSessionRequest(game_session_id=session), metadata=metadata
        ),
        "SessionService/ListSessions": lambda _session, _ott: rpc.sessions.ListSessions(
            ListSessionsRequest(game_id=game_id), metadata=metadata
        ),
        "SessionService/WatchSessions": watch,
        "SettlementService/ListSettlements": lambda _session, _ott: rpc.settlements.ListSettlements(
            ListSettlementsRequest(game_id=game_id), metadata=metadata
        ),
        "SettlementService/SummarizeSettlements": lambda _session, _ott: rpc.settlements.SummarizeSettlements(
            SummarizeSettlementsRequest(game_id=game_id), metadata=metadata
        ),
        "SettlementService/ExportSettlements": export,
        "GameLinkService/VerifyDemoToken": lambda _session, _ott: rpc.links.VerifyDemoToken(
            VerifyDemoTokenRequest(token="a.b"), metadata=metadata
        ),
        "WalletService/GetBalance": lambda session, _ott: rpc.wallet.GetBalance(
            GetBalanceRequest(game_session_id=session), metadata=metadata
        ),
        "WalletService/MakeBet": lambda session, _ott: rpc.wallet.MakeBet(
            MakeBetRequest(game_session_id=session, transaction_id="t1", round_id="r1", bet_micros=1), metadata=metadata
        ),
        "WalletService/RollbackBet": lambda session, _ott: rpc.wallet.RollbackBet(
            RollbackBetRequest(game_session_id=session, transaction_id="t1"), metadata=metadata
        ),
        "WalletService/GetBet": lambda session, _ott: rpc.wallet.GetBet(
            GetBetRequest(game_session_id=session, transaction_id="t1"), metadata=metadata
        ),
        "WalletService/ListBets": lambda session, _ott: rpc.wallet.ListBets(
            ListBetsRequest(game_session_id=session), metadata=metadata
        ),
        "SessionService/EndSession": lambda session, _ott: rpc.sessions.EndSession(
            EndSessionRequest(game_session_id=session, play_duration_sec=5), metadata=metadata
        ),
        "SessionService/EndSessionsOfServer": lambda _session, _ott: rpc.sessions.EndSessionsOfServer(
            EndSessionsOfServerRequest(server_id="server-1", game_id=game_id), metadata=metadata
        ),
    }


@pytest.fixture
async def target(world: "World", rpc: "Rpc") -> Target:
    target = Target(world, rpc)
    await target.begin()
    return target


def test_every_call_that_a_game_may_make_is_made_here(rpc: "Rpc") -> None:
    of_games = {name for name, roles in ACCESS.items() if Role.GAME in roles}
    # What is published to the whole world says nothing of anybody's game.
    assert set(calls_of(rpc, (), "")) == of_games - PUBLISHED


@pytest.mark.parametrize("session", ["live", "over"])
async def test_to_another_games_key_a_session_is_one_that_never_was(target: Target, session: str) -> None:
    world, rpc, theirs = target.world, target.rpc, getattr(target, session)
    before = await target.state()
    for name, call in calls_of(rpc, rpc.OTHER_GAME, world.GAME_ID).items():
        answer = await heard(call(theirs, target.ott), rpc)
        if name == "SessionService/OpenSession":
            assert answer == OpenSessionResponse(reason=OpenSessionResponse.REASON_GAME_MISMATCH)
        elif name == "AuthService/VerifyCaller":
            assert answer == VerifyCallerResponse(role=VerifyCallerResponse.ROLE_GAME, id=world.OTHER_GAME_ID)
        else:
            assert answer == await heard(call(UNKNOWN, target.ott), rpc), name
            assert theirs not in repr(answer), name
            assert world.GAME_ID not in repr(answer), name
    assert await target.state() == before
    # The OTT is as good as before: it was refused once, and a foreign key does not use it up.
    opened = await rpc.sessions.OpenSession(OpenSessionRequest(ott=target.ott, provider_user_id="player-1"), metadata=rpc.GAME)
    assert opened.is_valid


async def test_a_key_of_nobodys_is_refused_by_every_call_alike(target: Target) -> None:
    before = await target.state()
    calls = calls_of(target.rpc, NOBODY, target.world.GAME_ID).values()
    for call in calls:
        for session in (target.live, UNKNOWN):
            told = await heard(call(session, target.ott), target.rpc)
            assert isinstance(told, tuple)
            told = Failed(*told)
            assert (told.code, told.reason) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY")
            assert (told.sentence, told.metadata) == ("API Key is invalid or inactive", {})
    assert await target.state() == before


async def test_the_games_own_key_finds_all_of_it(target: Target) -> None:
    told = {
        name: repr(await heard(call(target.live, target.ott), target.rpc))
        for name, call in calls_of(target.rpc, target.rpc.GAME, "").items()
    }
    assert "is_valid: true" in told["SessionService/OpenSession"]
    assert "RESULT_OK" in told["SessionService/Heartbeat"]
    assert "RESULT_OK" in told["SessionService/BatchHeartbeat"]
    for name in ("GetSession", "ListSessions", "EndSession"):
        assert target.live in told[f"SessionService/{name}"], name
    for name in ("ListSettlements", "ExportSettlements"):
        assert target.over in told[f"SettlementService/{name}"], name
    assert "session_count: 1" in told["SettlementService/SummarizeSettlements"]
    # Of a cafe: it is found, and has no wallet.
    assert {"NO_WALLET" in answer for name, answer in told.items() if name.startswith("WalletService/")} == {True}
