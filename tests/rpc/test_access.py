"""Who may call what, written out again; and how a caller proves who it is."""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio
import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor
from playclock import v1
from playclock.clock import ManualClock
from playclock.core.limits import LimitRules
from playclock.engine import Role
from playclock.rpc import access
from playclock.rpc.inprocess import InProcessChannel
from playclock.v1 import (
    Agent,
    Developer,
    EndLaunchRequest,
    GetSessionRequest,
    HeartbeatLaunchRequest,
    InternalService,
    Launcher,
    MatchClient,
    Provisioning,
    StartLaunchRequest,
    VerifyCallerRequest,
    VerifyCallerResponse,
)

if TYPE_CHECKING:
    from playclock.engine import Engine
    from playclock.stores.base import Store

    from tests.conftest import EngineMaker, World
    from tests.rpc.conftest import Metadata, Rpc

pytestmark = pytest.mark.usefixtures("world")

GAME, LAUNCHER, OPERATOR, AGENT, DEVELOPER = "game", "launcher", "operator", "agent", "developer"
MATCH_CLIENT, SERVICE = "match client", "service"
SERVICE_OF_NOTHING, NOBODY = "service whose list is empty", "nobody"
EVERYBODY = {GAME, LAUNCHER, AGENT, DEVELOPER, MATCH_CLIENT, OPERATOR, SERVICE, SERVICE_OF_NOTHING}

ACCESS: dict[str, set[str]] = {
    "AccountService/CreateTransfer": {OPERATOR, SERVICE},
    "AccountService/GetAccount": {OPERATOR, SERVICE},
    "AccountService/GetTransfer": {OPERATOR, SERVICE},
    "AccountService/InquirePrice": {OPERATOR, SERVICE},
    "AccountService/ListEntries": {OPERATOR, SERVICE},
    "AccountService/PostTransfer": {OPERATOR, SERVICE},
    "AccountService/ReverseTopUp": {OPERATOR, SERVICE},
    "AccountService/TopUpAccount": {OPERATOR, SERVICE},
    "AccountService/VoidTransfer": {OPERATOR, SERVICE},
    "AuditService/ListAuditEvents": {OPERATOR},
    "AuthService/SignRequest": {OPERATOR, SERVICE},
    "AuthService/VerifyCaller": EVERYBODY,
    "AuthService/VerifyRequest": {OPERATOR, SERVICE},
    "CatalogService/BatchGetGames": {OPERATOR, SERVICE},
    "CatalogService/CreateGame": {OPERATOR, SERVICE},
    "CatalogService/DeleteGame": {OPERATOR, SERVICE},
    "CatalogService/GetGame": {OPERATOR, SERVICE},
    "CatalogService/ListGames": {OPERATOR, SERVICE},
    "CatalogService/UpdateAgentGames": {OPERATOR, SERVICE},
    "CatalogService/UpdateGame": {OPERATOR, SERVICE},
    "DeliveryService/GetDelivery": {OPERATOR, SERVICE},
    "DeliveryService/ListDeliveries": {OPERATOR, SERVICE},
    "DeliveryService/ReplayDelivery": {OPERATOR, SERVICE},
    "DeliveryService/ResumeDeliveries": {OPERATOR, SERVICE},
    "DeveloperGameService/BatchGetGamesByToken": {OPERATOR, SERVICE},
    "DeveloperGameService/BatchGetPublicGames": {OPERATOR, SERVICE},
    "DeveloperGameService/BeginClaim": {DEVELOPER, OPERATOR, SERVICE},
    "DeveloperGameService/ClaimOwnership": {DEVELOPER, OPERATOR, SERVICE},
    "DeveloperGameService/GetGameByToken": {OPERATOR, SERVICE},
    "DeveloperGameService/GetPublicGame": {OPERATOR, SERVICE},
    "DeveloperGameService/ListMyGames": {DEVELOPER, OPERATOR, SERVICE},
    "DeveloperGameService/ListPublicGames": {OPERATOR, SERVICE},
    "DeveloperGameService/RegisterGame": {DEVELOPER, OPERATOR, SERVICE},
    "DeveloperGameService/ToggleVisibility": {DEVELOPER, OPERATOR, SERVICE},
    "DeveloperGameService/UpdateRegisteredGame": {DEVELOPER, OPERATOR, SERVICE},
    "GameLinkService/CreateDemoLink": {AGENT, OPERATOR, SERVICE},
    "GameLinkService/CreateGameLink": {AGENT, OPERATOR, SERVICE},
    "GameLinkService/ListAgentGames": {AGENT, OPERATOR, SERVICE},
    "GameLinkService/VerifyDemoToken": {GAME, OPERATOR, SERVICE},
    "ImageService/GetImage": {DEVELOPER, OPERATOR, SERVICE},
    "ImageService/PutImage": {DEVELOPER, OPERATOR, SERVICE},
    "KeyService/CreateKey": {OPERATOR},
    "KeyService/ListKeys": {OPERATOR},
    "KeyService/RotateKey": {OPERATOR},
    "KeyService/ExpireKey": {OPERATOR},
    "KeyService/RevokeKey": {OPERATOR},
    "KeyService/ResealKeys": {OPERATOR},
    "KeyService/RotateSigningKey": {OPERATOR},
    "LaunchService/StartLaunch": {LAUNCHER, OPERATOR, SERVICE},
    "LaunchService/HeartbeatLaunch": {LAUNCHER, OPERATOR, SERVICE},
    "LaunchService/EndLaunch": {LAUNCHER, OPERATOR, SERVICE},
    "LaunchService/IssueOtt": {LAUNCHER, OPERATOR, SERVICE},
    "LimitService/TakeLimit": {OPERATOR, SERVICE},
    "MatchService/CancelMatch": {OPERATOR, SERVICE},
    "MatchService/CreateMatch": {OPERATOR, SERVICE},
    "MatchService/GetMatch": {MATCH_CLIENT, OPERATOR, SERVICE},
    "MatchService/InspectMatchToken": {MATCH_CLIENT, OPERATOR, SERVICE},
    "MatchService/IssueMatchToken": {OPERATOR, SERVICE},
    "MatchService/JoinMatch": {OPERATOR, SERVICE},
    "MatchService/LeaveMatch": {OPERATOR, SERVICE},
    "MatchService/ListMatches": {MATCH_CLIENT, OPERATOR, SERVICE},
    "MatchService/ReportResult": {MATCH_CLIENT, OPERATOR, SERVICE},
    "MatchService/StartMatch": {OPERATOR, SERVICE},
    "MatchService/WatchMatches": {MATCH_CLIENT, OPERATOR, SERVICE},
    "OpenIdService/GetConfiguration": EVERYBODY - {SERVICE_OF_NOTHING},
    "OpenIdService/GetJwks": EVERYBODY - {SERVICE_OF_NOTHING},
    "OpenIdService/GetRealm": EVERYBODY - {SERVICE_OF_NOTHING},
    "OpenIdService/IssueAccessToken": {MATCH_CLIENT},
    "PointsService/BatchSavePoints": {DEVELOPER, OPERATOR, SERVICE},
    "PointsService/GetLeaderboard": {DEVELOPER, OPERATOR, SERVICE},
    "PointsService/GetPoints": {DEVELOPER, OPERATOR, SERVICE},
    "PointsService/GetStreak": {DEVELOPER, OPERATOR, SERVICE},
    "PointsService/InvalidateSessions": {DEVELOPER, OPERATOR, SERVICE},
    "PointsService/IssueSessionToken": {DEVELOPER, OPERATOR, SERVICE},
    "PointsService/ListPlayerSessions": {DEVELOPER, OPERATOR, SERVICE},
    "PointsService/GetPlayerPoints": {OPERATOR, SERVICE},
    "PointsService/GetPlayerStreak": {OPERATOR, SERVICE},
    "PointsService/GetSessionState": {OPERATOR, SERVICE},
    "PointsService/FlushPoints": {OPERATOR, SERVICE},
    "PointsService/CommitPoints": {OPERATOR, SERVICE},
    "PointsService/ListRiskySessions": {DEVELOPER, OPERATOR, SERVICE},
    "PointsService/ValidateSessionToken": {DEVELOPER, OPERATOR, SERVICE},
    "ProvisioningService/ApplyProvisioning": {OPERATOR},
    "ProvisioningService/GetProvisioning": {OPERATOR, SERVICE},
    "SessionService/OpenSession": {GAME, OPERATOR, SERVICE},
    "SessionService/Heartbeat": {GAME, OPERATOR, SERVICE},
    "SessionService/BatchHeartbeat": {GAME, OPERATOR, SERVICE},
    "SessionService/EndSession": {GAME, OPERATOR, SERVICE},
    "SessionService/EndSessionsOfServer": {GAME, OPERATOR, SERVICE},
    "SessionService/GetSession": {GAME, OPERATOR, SERVICE},
    "SessionService/ListSessions": {GAME, OPERATOR, SERVICE},
    "SessionService/TerminateSession": {OPERATOR, SERVICE},
    "SessionService/WatchSessions": {GAME, OPERATOR, SERVICE},
    "SettlementService/ExportSettlements": {GAME, OPERATOR, SERVICE},
    "SettlementService/ListSettlements": {GAME, OPERATOR, SERVICE},
    "SettlementService/SummarizeSettlements": {GAME, OPERATOR, SERVICE},
    "WalletService/GetBalance": {GAME, OPERATOR, SERVICE},
    "WalletService/MakeBet": {GAME, OPERATOR, SERVICE},
    "WalletService/RollbackBet": {GAME, OPERATOR, SERVICE},
    "WalletService/GetBet": {GAME, OPERATOR, SERVICE},
    "WalletService/ListBets": {GAME, OPERATOR, SERVICE},
}
"""Written out again: whoever changes the code's table says so here, too."""

ALLOWED = (
    (None, None),
    (grpc.StatusCode.INVALID_ARGUMENT, "BAD_REQUEST"),
    (grpc.StatusCode.UNIMPLEMENTED, "NO_ARCHIVE"),
    (grpc.StatusCode.UNIMPLEMENTED, "NO_IMAGES"),
)
"""What an empty request may come to, once its caller is let in."""

FOR_FACADES = {
    "DeveloperGameService/BatchGetGamesByToken",
    "DeveloperGameService/BatchGetPublicGames",
    "DeveloperGameService/GetGameByToken",
    "DeveloperGameService/GetPublicGame",
    "DeveloperGameService/ListPublicGames",
    "ImageService/GetImage",
    "LimitService/TakeLimit",
    "PointsService/GetPlayerPoints",
    "PointsService/GetPlayerStreak",
    "PointsService/GetSessionState",
    "PointsService/FlushPoints",
    "PointsService/CommitPoints",
    "OpenIdService/GetConfiguration",
    "OpenIdService/GetJwks",
    "OpenIdService/GetRealm",
}
"""What a facade in the same process may call, which has no credentials of its own."""


CALLERS = Provisioning(
    agents=[Agent(id=1, name="Agent One", api_token="the-token-of-the-agent")],
    developers=[Developer(id="550e8400-e29b-41d4-a716-446655440000", secret="the-secret-of-the-developer")],
    match_clients=[
        MatchClient(
            client_id="match-1", client_secret="the-secret-of-the-match-client", game="3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
        )
    ],
    services=[
        InternalService(
            id="all", tokens=["token-of-all"], allow=sorted(name for name, roles in ACCESS.items() if SERVICE in roles)
        ),
        InternalService(id="nothing", tokens=["token-of-nothing"]),
    ],
)


@pytest.fixture
async def engine(make_engine: "EngineMaker", store: "Store") -> "Engine":
    """Return an engine that lets nobody wait: there are more RPCs than one address may call in vain within a minute."""
    return await make_engine(store, limits=LimitRules(wrong_credentials_per_address=None))


def methods() -> Iterator[MethodDescriptor]:
    """Yield every RPC of every service of the package."""
    for module in pkgutil.iter_modules(v1.__path__):
        if module.name.endswith("_pb2"):
            services = importlib.import_module(f"playclock.v1.{module.name}").DESCRIPTOR.services_by_name
            for service in services.values():
                yield from service.methods


METHODS = {f"{method.containing_service.name}/{method.name}": method for method in methods()}


def test_every_rpc_has_a_row() -> None:
    assert set(ACCESS) == set(METHODS)


def test_an_rpc_without_a_row_keeps_the_engine_from_being_served(engine: "Engine", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(access.ACCESS, "SessionService/GetSession")
    with pytest.raises(access.NoRow, match="differ in SessionService/GetSession"):
        InProcessChannel(engine)


def test_a_row_without_an_rpc_does_so_too(engine: "Engine", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(access.ACCESS, "SessionService/Pause", ())
    with pytest.raises(access.NoRow, match="differ in SessionService/Pause"):
        InProcessChannel(engine)


def test_every_role_is_asked_here() -> None:
    assert {role.value.replace("_", " ") for role in Role} == EVERYBODY - {SERVICE_OF_NOTHING}


@pytest.mark.parametrize("role", [*sorted(EVERYBODY), NOBODY])
@pytest.mark.parametrize("channel", ["socket", "in process"])
async def test_who_may_call_what(world: "World", rpc: "Rpc", near: "Rpc", channel: str, role: str) -> None:
    calls = {"socket": rpc, "in process": near}[channel]
    await world.provision(CALLERS)
    told = {name: await _outcome(calls, method, credentials_of(calls, role)) for name, method in METHODS.items()}
    if role == NOBODY:
        for_facades = FOR_FACADES if channel == "in process" else set()
        assert {name for name, outcome in told.items() if outcome in ALLOWED} == for_facades
        assert {told[name] for name in told.keys() - for_facades} == {(grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY")}
        return
    let_in = {name for name, outcome in told.items() if outcome in ALLOWED}
    assert let_in == {name for name, roles in ACCESS.items() if role in roles}
    refused = {outcome for outcome in told.values() if outcome not in ALLOWED}
    assert refused <= {(grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")}


def credentials_of(calls: "Rpc", role: str) -> "Metadata":
    made: dict[str, Callable[[], Metadata]] = {
        GAME: lambda: calls.GAME,
        LAUNCHER: calls.signed,
        OPERATOR: lambda: calls.OPERATOR,
        AGENT: calls.signed_by_agent,
        DEVELOPER: calls.signed_by_developer,
        MATCH_CLIENT: calls.signed_by_match_client,
        SERVICE: lambda: calls.bearer("token-of-all"),
        SERVICE_OF_NOTHING: lambda: calls.bearer("token-of-nothing"),
        NOBODY: lambda: (),
    }
    return made[role]()


async def _outcome(rpc: "Rpc", method: MethodDescriptor, metadata: "Metadata") -> tuple[grpc.StatusCode | None, str | None]:
    """Call with an empty request, and return how it failed, if it did."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    kind = rpc.channel.unary_stream if method.server_streaming else rpc.channel.unary_unary
    callable_: Any = (rpc.channel.stream_unary if method.client_streaming else kind)(
        path,
        request_serializer=message_factory.GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=message_factory.GetMessageClass(method.output_type).FromString,
    )
    request = message_factory.GetMessageClass(method.input_type)()
    call = callable_(iter([request]) if method.client_streaming else request, metadata=metadata)
    try:
        if method.server_streaming:
            await call.read()
            await call.aclose() if hasattr(call, "aclose") else call.cancel()
        else:
            await call
    except grpc.aio.AioRpcError as error:
        failed = rpc.unpacked(error)
        return failed.code, failed.reason
    return None, None


class TestKeysAndTokens:
    @pytest.mark.parametrize(
        ("metadata", "sentence"),
        [
            ((), "the call carries no credentials"),
            ((("x-api-key", ""),), "API Key is invalid or inactive"),
            ((("x-api-key", "wrong"),), "API Key is invalid or inactive"),
            ((("x-api-key", "operator-token"),), "API Key is invalid or inactive"),
            ((("authorization", "operator-token"),), "expected a bearer token"),
            ((("authorization", "bearer operator-token"),), "expected a bearer token"),
            ((("authorization", "Bearer "),), "the bearer token is invalid"),
            ((("authorization", "Bearer the-key-of-the-game"),), "the bearer token is invalid"),
            ((("authorization", "Bearer operator-token"), ("x-api-key", "wrong")), "API Key is invalid or inactive"),
        ],
    )
    async def test_without_good_ones_nothing_is_told(
        self, world: "World", rpc: "Rpc", metadata: "Metadata", sentence: str
    ) -> None:
        session = await world.open()
        failed = await rpc.failure(rpc.sessions.GetSession(GetSessionRequest(game_session_id=session), metadata=metadata))
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY")
        assert (failed.sentence, failed.metadata) == (sentence, {})

    @pytest.mark.parametrize(
        ("role", "id_"), [(VerifyCallerResponse.ROLE_GAME, "GAME_ID"), (VerifyCallerResponse.ROLE_OPERATOR, "")]
    )
    async def test_who_calls_is_told(self, world: "World", rpc: "Rpc", role: int, id_: str) -> None:
        metadata = rpc.GAME if id_ else rpc.OPERATOR
        told = await rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=metadata)
        assert told == VerifyCallerResponse(role=role, id=getattr(world, id_) if id_ else "")  # type: ignore[arg-type]


def _changed(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field of the credentials
    return fields


class TestLaunchers:
    async def test_a_signature_over_a_socket_needs_an_operators_token_beside_it(self, world: "World", rpc: "Rpc") -> None:
        request = StartLaunchRequest(pc_id="pc-1", internal_ip="192.168.0.1", external_ip=world.PAYING)
        for metadata, reason in (
            (rpc.signed(trusted=False), "INVALID_SIGNATURE"),
            ((*rpc.signed(trusted=False), ("authorization", "Bearer wrong")), "INVALID_API_KEY"),
        ):
            failed = await rpc.failure(rpc.launches.StartLaunch(request, metadata=metadata))
            assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, reason)
        started = await rpc.launches.StartLaunch(request, metadata=rpc.signed())
        assert started.cafe.id == "cafe-1"

    async def test_in_process_it_needs_none(self, world: "World", near: "Rpc") -> None:
        request = StartLaunchRequest(pc_id="pc-1", internal_ip="192.168.0.1", external_ip=world.PAYING)
        started = await near.launches.StartLaunch(request, metadata=near.signed(trusted=False))
        told = await near.auth.VerifyCaller(VerifyCallerRequest(), metadata=near.signed(trusted=False))
        assert told == VerifyCallerResponse(role=VerifyCallerResponse.ROLE_LAUNCHER, id="launcher-1")
        beat = HeartbeatLaunchRequest(session_token=started.session_token)
        await near.launches.HeartbeatLaunch(beat, metadata=near.signed(trusted=False))

    @pytest.mark.parametrize(
        "changed",
        [
            {"launcher_id": "launcher-2"},
            {"launcher_id": ""},
            {"timestamp": "1767225601"},
            {"nonce": "another"},
            {"signature": ""},
            {"signature": "0" * 64},
            {"signature": "é"},
            {"http_method": "DELETE"},
            {"http_path": "/v1/launcher/session/start/"},
            {"body_sha256": b""},
            {"secret": "a-secret-of-somebody-else"},
            {"signed_nonce": ""},
            {"signed_nonce": "two words"},
            {"signed_nonce": "x" * 129},
            {"signed_nonce": "n\u00f6nce"},
            {"signed_at": ""},
            {"signed_at": "now"},
            {"signed_at": "+1767225600"},
            {"signed_at": "1767225600.0"},
            {"signed_at": "\uff11767225600"},
        ],
        ids=str,
    )
    async def test_what_is_not_signed_as_it_stands_is_refused(self, rpc: "Rpc", changed: dict[str, Any]) -> None:
        failed = await rpc.failure(rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=rpc.signed(**changed)))
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_SIGNATURE")

    @pytest.mark.parametrize("value", [b"", b"\xff\xff\xff", b"x" * 8_193])
    async def test_so_are_credentials_that_are_no_message(self, rpc: "Rpc", value: bytes) -> None:
        metadata = (("x-launcher-credentials-bin", value), *rpc.OPERATOR)
        failed = await rpc.failure(rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=metadata))
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_SIGNATURE")

    async def test_an_unknown_launcher_looks_like_a_wrong_signature(self, rpc: "Rpc") -> None:
        told = [
            await rpc.failure(rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=rpc.signed(**changed)))
            for changed in (_changed(launcher_id="nobody"), _changed(secret="wrong"))
        ]
        assert told[0] == told[1]

    @pytest.mark.parametrize(("age_sec", "good"), [(300, True), (-300, True), (301, False), (-301, False)])
    async def test_a_signature_is_good_for_the_window_on_either_side(
        self, rpc: "Rpc", clock: ManualClock, age_sec: int, *, good: bool
    ) -> None:
        metadata = rpc.signed(signed_at=str(clock.now_ms() // 1000 - age_sec))
        call = rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=metadata)
        if good:
            assert (await call).id == "launcher-1"
        else:
            failed = await rpc.failure(call)
            assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "REQUEST_EXPIRED")
            assert failed.metadata == {"window_sec": "300"}

    async def test_a_nonce_is_used_once_by_calls_and_not_by_the_question_who_calls(
        self, world: "World", rpc: "Rpc", clock: ManualClock
    ) -> None:
        launch = await world.start()
        metadata, request = rpc.signed(), EndLaunchRequest(session_token=launch)
        for _ in range(3):
            await rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=metadata)
        first = await rpc.failure(rpc.launches.EndLaunch(request, metadata=metadata))
        assert first.reason == "LAUNCH_NOT_FOUND"  # an operator's launch: the caller itself was accepted
        clock.advance(300)
        await world.engine.sweep()
        for call in (
            rpc.launches.EndLaunch(request, metadata=metadata),
            rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=metadata),
        ):
            failed = await rpc.failure(call)
            assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "REQUEST_REPLAYED")

    async def test_a_signature_from_the_future_is_no_longer_good_when_its_nonce_is_forgotten(
        self, world: "World", rpc: "Rpc", clock: ManualClock
    ) -> None:
        request = HeartbeatLaunchRequest(session_token=await world.start())
        metadata = rpc.signed(signed_at=str(clock.now_ms() // 1000 + 300))
        await rpc.failure(rpc.launches.HeartbeatLaunch(request, metadata=metadata))
        reasons = []
        for _ in range(12):
            clock.advance(60)
            await world.engine.sweep()
            reasons.append((await rpc.failure(rpc.launches.HeartbeatLaunch(request, metadata=metadata))).reason)
        assert reasons == ["REQUEST_REPLAYED"] * 10 + ["REQUEST_EXPIRED"] * 2

    async def test_a_nonce_in_another_launchers_name_is_another_nonce(self, world: "World", rpc: "Rpc") -> None:
        await world.provision(Provisioning(launchers=[Launcher(id="launcher-2", secret="two")]))
        request = HeartbeatLaunchRequest(session_token=await world.start())
        first = rpc.signed(signed_nonce="same")
        second = rpc.signed(signed_nonce="same", secret="two", launcher_id="launcher-2")
        for metadata in (first, second):
            assert (await rpc.failure(rpc.launches.HeartbeatLaunch(request, metadata=metadata))).reason == "LAUNCH_NOT_FOUND"
            assert (await rpc.failure(rpc.launches.HeartbeatLaunch(request, metadata=metadata))).reason == "REQUEST_REPLAYED"

    async def test_a_wrong_signature_uses_no_nonce_up(self, world: "World", rpc: "Rpc") -> None:
        bad, good = rpc.signed(signed_nonce="mine", secret="wrong"), rpc.signed(signed_nonce="mine")
        request = StartLaunchRequest(pc_id="pc-1", internal_ip="192.168.0.1", external_ip=world.PAYING)
        assert (await rpc.failure(rpc.launches.StartLaunch(request, metadata=bad))).reason == "INVALID_SIGNATURE"
        assert (await rpc.launches.StartLaunch(request, metadata=good)).is_pc_cafe


class TestAddresses:
    async def test_an_operator_may_name_an_address_and_its_connections_counts_otherwise(
        self, world: "World", rpc: "Rpc"
    ) -> None:
        for address, cafe in ((world.FREE, "cafe-2"), ("", "cafe-1")):  # the socket's other end is 127.0.0.1
            request = StartLaunchRequest(pc_id="pc-1", external_ip=address)
            assert (await rpc.launches.StartLaunch(request, metadata=rpc.OPERATOR)).cafe.id == cafe

    async def test_a_launchers_address_is_not_its_facades(self, rpc: "Rpc") -> None:
        request = StartLaunchRequest(pc_id="pc-1", internal_ip="192.168.0.1")
        failed = await rpc.failure(rpc.launches.StartLaunch(request, metadata=rpc.signed()))
        assert (failed.code, failed.reason) == (grpc.StatusCode.PERMISSION_DENIED, "NOT_PC_CAFE")

    async def test_in_process_there_is_no_connection_whose_address_could_count(self, near: "Rpc") -> None:
        failed = await near.failure(near.launches.StartLaunch(StartLaunchRequest(pc_id="pc-1"), metadata=near.OPERATOR))
        assert failed.reason == "NOT_PC_CAFE"


def test_the_manual_says_the_same() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    rows = re.findall(r"^\| `(\w+/\w+)` \|(.*)\|$", manual, flags=re.MULTILINE)
    roles = (GAME, LAUNCHER, AGENT, DEVELOPER, MATCH_CLIENT, OPERATOR, SERVICE)
    told = {name: {role for role, cell in zip(roles, cells.split("|"), strict=True) if cell.strip()} for name, cells in rows}
    assert told == {name: roles - {SERVICE_OF_NOTHING} for name, roles in ACCESS.items()}
