"""Internal services: what their lists allow, how they prove who they are, and what they may hand on."""

from typing import TYPE_CHECKING

import grpc
import pytest
from playclock.v1 import (
    ApplyProvisioningRequest,
    GetAccountRequest,
    GetProvisioningRequest,
    GetSessionRequest,
    InternalService,
    ListSessionsRequest,
    Provisioning,
    StartLaunchRequest,
    TopUpAccountRequest,
    VerifyCallerRequest,
    VerifyCallerResponse,
)

if TYPE_CHECKING:
    from tests.conftest import World
    from tests.rpc.conftest import Failed, Rpc

pytestmark = pytest.mark.usefixtures("world")

DENIED = (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
UNKNOWN = (grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY")


async def provision(world: "World", *allow: str, tokens: tuple[str, ...] = ("of-billing",)) -> None:
    await world.provision(Provisioning(services=[InternalService(id="billing", tokens=tokens, allow=allow)]))


async def refused(rpc: "Rpc", *services: InternalService) -> "Failed":
    request = ApplyProvisioningRequest(provisioning=Provisioning(services=services))
    return await rpc.failure(rpc.provisioning.ApplyProvisioning(request, metadata=rpc.OPERATOR))


class TestLists:
    async def test_name_single_rpcs_and_whole_services(self, world: "World", rpc: "Rpc") -> None:
        await provision(world, "AccountService/GetAccount", "SessionService/*")
        session, billing = await world.open(), rpc.bearer("of-billing")
        shown = await rpc.sessions.GetSession(GetSessionRequest(game_session_id=session), metadata=billing)
        assert shown.session.game_id == world.GAME_ID
        await rpc.sessions.ListSessions(ListSessionsRequest(), metadata=billing)
        await rpc.accounts.GetAccount(GetAccountRequest(account_id=world.ACCOUNT), metadata=billing)
        for call in (
            rpc.accounts.TopUpAccount(TopUpAccountRequest(account_id=world.ACCOUNT), metadata=billing),
            rpc.provisioning.GetProvisioning(GetProvisioningRequest(), metadata=billing),
            rpc.launches.StartLaunch(StartLaunchRequest(pc_id="pc-2"), metadata=billing),
        ):
            failed = await rpc.failure(call)
            assert (failed.code, failed.reason, failed.metadata) == (*DENIED, {"role": "service"})

    async def test_can_be_changed_from_one_call_to_the_next(self, world: "World", rpc: "Rpc") -> None:
        request = GetAccountRequest(account_id=world.ACCOUNT)
        for allow, good in ((["AccountService/*"], True), ([], False), (["AccountService/GetAccount"], True)):
            await provision(world, *allow)
            call = rpc.accounts.GetAccount(request, metadata=rpc.bearer("of-billing"))
            if good:
                await call
            else:
                failed = await rpc.failure(call)
                assert (failed.code, failed.reason) == DENIED

    @pytest.mark.parametrize(
        ("name", "sentence"),
        [
            (
                "SessionService/GetSesion",
                "there is no RPC 'SessionService/GetSesion' (did you mean 'SessionService/GetSession'?)",
            ),
            ("Sessions/*", "there is no RPC 'Sessions/*'"),
            ("*", "there is no RPC '*'"),
            ("*/*", "there is no RPC '*/*'"),
            ("", "there is no RPC ''"),
            ("SessionService", "there is no RPC 'SessionService'"),
            ("SessionService/", "there is no RPC 'SessionService/'"),
            ("SessionService/Get*", "there is no RPC 'SessionService/Get*'"),
            ("/playclock.v1.SessionService/GetSession", "there is no RPC '/playclock.v1.SessionService/GetSession'"),
            ("sessionservice/getsession", "there is no RPC 'sessionservice/getsession'"),
            ("ProvisioningService/ApplyProvisioning", "ProvisioningService/ApplyProvisioning is for operators alone"),
            ("ProvisioningService/*", "ProvisioningService/ApplyProvisioning is for operators alone"),
        ],
    )
    async def test_name_nothing_else(self, rpc: "Rpc", name: str, sentence: str) -> None:
        failed = await refused(rpc, InternalService(id="billing", allow=["AccountService/GetAccount", name]))
        assert (failed.code, failed.violations) == (grpc.StatusCode.INVALID_ARGUMENT, ("services[0].allow[1]",))
        assert sentence in failed.descriptions[0]

    async def test_an_unknown_name_is_not_repeated_without_end(self, rpc: "Rpc") -> None:
        failed = await refused(rpc, InternalService(id="billing", allow=["x" * 100_000]))
        assert len(failed.descriptions[0]) < 250


class TestTokens:
    async def test_tell_who_calls(self, world: "World", rpc: "Rpc") -> None:
        await provision(world)
        told = await rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=rpc.bearer("of-billing"))
        assert told == VerifyCallerResponse(role=VerifyCallerResponse.ROLE_SERVICE, id="billing")

    async def test_several_are_good_at_once_and_what_is_withdrawn_is_good_no_more(self, world: "World", rpc: "Rpc") -> None:
        await provision(world, tokens=("old", "new"))
        for token in ("old", "new"):
            await rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=rpc.bearer(token))
        await provision(world, tokens=("new",))
        failed = await rpc.failure(rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=rpc.bearer("old")))
        assert (failed.code, failed.reason, failed.sentence) == (*UNKNOWN, "the bearer token is invalid")
        await rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=rpc.bearer("new"))

    async def test_are_no_games_keys(self, world: "World", rpc: "Rpc") -> None:
        await provision(world)
        call = rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=(("x-api-key", "of-billing"),))
        assert (await rpc.failure(call)).reason == "INVALID_API_KEY"

    async def test_are_never_shown_nor_kept(self, world: "World", rpc: "Rpc") -> None:
        await provision(world, "SessionService/*")
        shown = await rpc.provisioning.GetProvisioning(GetProvisioningRequest(), metadata=rpc.OPERATOR)
        assert shown.provisioning.services == [InternalService(id="billing", allow=["SessionService/*"])]
        (record,) = await world.engine.store.get(["00:service:billing"])
        assert record is not None
        assert b"of-billing" not in record.data

    async def test_and_certificates_are_one_services_alone(self, world: "World", rpc: "Rpc") -> None:
        first = InternalService(id="billing", tokens=["same"], certificates=["billing.internal"])
        await world.provision(Provisioning(services=[first]))
        for second, sentence in (
            (InternalService(id="other", tokens=["same"]), "one of its tokens is another service's too"),
            (InternalService(id="other", certificates=["billing.internal"]), "billing.internal is another service's too"),
        ):
            failed = await refused(rpc, second)
            assert failed.violations == ("service/other",)
            assert sentence in failed.descriptions[0]

    @pytest.mark.parametrize(
        ("service", "field"),
        [
            (InternalService(id="", tokens=["a"]), "services[0].id"),
            (InternalService(id="a b", tokens=["a"]), "services[0].id"),
            (InternalService(id="a", tokens=["a", ""]), "services[0].tokens[1]"),
            (InternalService(id="a", tokens=["two words"]), "services[0].tokens[0]"),
            (InternalService(id="a", tokens=["x" * 256]), "services[0].tokens[0]"),
            (InternalService(id="a", certificates=[""]), "services[0].certificates[0]"),
            (InternalService(id="a", certificates=["b", " a"]), "services[0].certificates[1]"),
            (InternalService(id="a", certificates=["x" * 256]), "services[0].certificates[0]"),
            (InternalService(id="a", certificates=["caf\u00e9"]), "services[0].certificates[0]"),
        ],
    )
    async def test_that_cannot_be_used_are_refused(self, rpc: "Rpc", service: InternalService, field: str) -> None:
        failed = await refused(rpc, service)
        assert (failed.code, failed.violations) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))


class TestSignaturesOfOthers:
    async def test_are_believed_of_a_service_for_the_calls_of_its_list(self, world: "World", rpc: "Rpc") -> None:
        await provision(world, "LaunchService/StartLaunch")
        request = StartLaunchRequest(pc_id="pc-1", internal_ip="192.168.0.1", external_ip=world.PAYING)
        handed_on = (*rpc.signed(trusted=False), *rpc.bearer("of-billing"))
        assert (await rpc.launches.StartLaunch(request, metadata=handed_on)).cafe.id == "cafe-1"

    async def test_and_of_no_other_even_where_the_launcher_may_call(self, world: "World", rpc: "Rpc") -> None:
        await provision(world, "LaunchService/HeartbeatLaunch")
        request = StartLaunchRequest(pc_id="pc-1", internal_ip="192.168.0.1", external_ip=world.PAYING)
        signed = rpc.signed(trusted=False)
        for call in (
            rpc.launches.StartLaunch(request, metadata=(*signed, *rpc.bearer("of-billing"))),
            rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=(*signed, *rpc.bearer("of-billing"))),
        ):
            failed = await rpc.failure(call)
            assert (failed.code, failed.reason) == DENIED
        # The nonce was not used up by it.
        assert (await rpc.launches.StartLaunch(request, metadata=(*signed, *rpc.OPERATOR))).is_pc_cafe
