"""Operators and services who are known by their client certificate, over real mutual TLS."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import grpc
import grpc.aio
import pytest
from playclock.engine import Engine
from playclock.rpc.server import Server
from playclock.v1 import (
    AuthServiceStub,
    GetAccountRequest,
    GetProvisioningRequest,
    InternalService,
    Provisioning,
    SessionServiceStub,
    StartLaunchRequest,
    TerminateSessionRequest,
    VerifyCallerRequest,
    VerifyCallerResponse,
)

from tests.audit_trail import trail
from tests.authority import Authority
from tests.rpc.conftest import Rpc

if TYPE_CHECKING:
    from tests.conftest import World

Shown = Callable[..., Rpc]

OPERATOR, SERVICE, GAME = VerifyCallerResponse.ROLE_OPERATOR, VerifyCallerResponse.ROLE_SERVICE, VerifyCallerResponse.ROLE_GAME
SERVICES = Provisioning(
    services=[
        InternalService(
            id="billing",
            tokens=["of-billing"],
            certificates=["billing.internal", "billing.example"],
            allow=["AccountService/*", "LaunchService/StartLaunch"],
        ),
        InternalService(id="lobby", certificates=["lobby", "lobby.internal"], allow=["SessionService/*"]),
    ]
)


@pytest.fixture
async def shown(world: "World", engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shown]:
    """Open channels of clients who show certificates, to a server that asks for them."""
    await world.provision(SERVICES)
    authority, clients = (Authority(tmp_path_factory.mktemp(name)) for name in ("servers", "clients"))
    leaf = authority.issue()
    chain = [(leaf.private_key_pem.bytes(), leaf.cert_chain_pems[0].bytes())]
    credentials = grpc.ssl_server_credentials(chain, clients.pem, require_client_auth=True)
    server = await Server.start(engine, credentials=credentials, verifies_clients=True)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.drain, 0)
        opened: list[grpc.aio.Channel] = []

        def show(*names: str, common_name: str | None = None) -> Rpc:
            mine = clients.issue(*names, common_name=common_name)
            client = grpc.ssl_channel_credentials(authority.pem, mine.private_key_pem.bytes(), mine.cert_chain_pems[0].bytes())
            opened.append(grpc.aio.secure_channel(server.address, client))
            return Rpc(opened[-1], engine)

        yield show
        for channel in opened:
            await channel.close()


@pytest.mark.parametrize(
    ("names", "common_name", "role", "id_"),
    [
        (["alice.operators.internal"], None, OPERATOR, "alice.operators.internal"),
        (["nobody.internal"], "alice.operators.internal", OPERATOR, "alice.operators.internal"),
        (["billing.internal"], None, SERVICE, "billing"),
        (["nobody.internal", "billing.example", "billing.internal"], None, SERVICE, "billing"),
        (["nobody.internal"], "lobby", SERVICE, "lobby"),
    ],
)
async def test_who_calls_is_told_by_any_name_of_the_certificate(
    shown: Shown, names: list[str], common_name: str | None, role: VerifyCallerResponse.Role.ValueType, id_: str
) -> None:
    told = await shown(*names, common_name=common_name).auth.VerifyCaller(VerifyCallerRequest())
    assert told == VerifyCallerResponse(role=role, id=id_)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["nobody.internal"], "the call carries no credentials"),
        (["x.billing.internal", "billing.internal.example"], "the call carries no credentials"),
        (["billing.internal", "lobby.internal"], "the certificate has names of several callers"),
        (["billing.internal", "alice.operators.internal"], "the certificate has names of several callers"),
    ],
)
async def test_a_certificate_of_nobodys_or_of_several_is_not_enough(shown: Shown, names: list[str], sentence: str) -> None:
    rpc = shown(*names)
    failed = await rpc.failure(rpc.auth.VerifyCaller(VerifyCallerRequest()))
    assert (failed.code, failed.reason, failed.sentence) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY", sentence)


async def test_other_credentials_count_before_it_and_have_to_be_good(world: "World", shown: Shown) -> None:
    rpc = shown("alice.operators.internal")
    for metadata, role, id_ in (
        (rpc.GAME, GAME, world.GAME_ID),
        (rpc.OPERATOR, OPERATOR, ""),
        (rpc.bearer("of-billing"), SERVICE, "billing"),
    ):
        told = await rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=metadata)
        assert told == VerifyCallerResponse(role=role, id=id_)
    for wrong in (rpc.bearer("wrong"), (("x-api-key", "wrong"),)):
        failed = await rpc.failure(rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=wrong))
        assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY")


async def test_a_service_may_what_its_list_says_and_an_operator_everything(world: "World", shown: Shown) -> None:
    billing, alice = shown("billing.internal"), shown("alice.operators.internal")
    await billing.accounts.GetAccount(GetAccountRequest(account_id=world.ACCOUNT))
    failed = await billing.failure(billing.provisioning.GetProvisioning(GetProvisioningRequest()))
    assert (failed.code, failed.metadata) == (grpc.StatusCode.PERMISSION_DENIED, {"role": "service"})
    await alice.provisioning.GetProvisioning(GetProvisioningRequest())


async def test_what_they_change_is_audited_in_their_name(world: "World", shown: Shown) -> None:
    first, second = await world.open("pc-1"), await world.open("pc-2")
    for rpc, session in ((shown("lobby.internal"), first), (shown("alice.operators.internal"), second)):
        await SessionServiceStub(rpc.channel).TerminateSession(TerminateSessionRequest(game_session_id=session))
    assert await trail(world, "service/lobby") == [("TerminateSession", first, "")]
    assert await trail(world, "operator/alice.operators.internal") == [("TerminateSession", second, "")]


async def test_signatures_are_believed_of_them_as_with_a_token(world: "World", shown: Shown) -> None:
    request = StartLaunchRequest(pc_id="pc-1", internal_ip="192.168.0.1", external_ip=world.PAYING)
    for names, refused in (
        (["nobody.internal"], (grpc.StatusCode.UNAUTHENTICATED, "INVALID_SIGNATURE")),
        (["lobby.internal"], (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")),
        (["billing.internal"], None),
        (["alice.operators.internal"], None),
    ):
        rpc = shown(*names)
        call = rpc.launches.StartLaunch(request, metadata=rpc.signed(trusted=False, signed_nonce=names[0]))
        if refused is None:
            assert (await call).is_pc_cafe
        else:
            failed = await rpc.failure(call)
            assert (failed.code, failed.reason) == refused


async def test_a_name_that_is_withdrawn_counts_no_more_on_the_same_connection(world: "World", shown: Shown) -> None:
    rpc = shown("billing.internal")
    await AuthServiceStub(rpc.channel).VerifyCaller(VerifyCallerRequest())
    await world.provision(Provisioning(services=[InternalService(id="billing", tokens=["of-billing"])]))
    failed = await rpc.failure(rpc.auth.VerifyCaller(VerifyCallerRequest()))
    assert failed.code == grpc.StatusCode.UNAUTHENTICATED
