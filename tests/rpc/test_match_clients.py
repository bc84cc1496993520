"""Match clients over gRPC: a secret gets a token, a token makes calls, and neither does what the other is for."""

import base64
from typing import TYPE_CHECKING

import grpc
import pytest
from playclock.core.limits import LimitRules, Quota
from playclock.v1 import (
    GetConfigurationRequest,
    GetJwksRequest,
    GetRealmRequest,
    GetSessionRequest,
    IssueAccessTokenRequest,
    KeyServiceStub,
    MatchClient,
    OpenIdServiceStub,
    Provisioning,
    RotateSigningKeyRequest,
    StartLaunchRequest,
    VerifyCallerRequest,
    VerifyCallerResponse,
)

from tests.openid import forgeries, read

if TYPE_CHECKING:
    from playclock.engine import Engine
    from playclock.stores.base import Store
    from playclock.v1.openid_service_pb2_grpc import OpenIdServiceAsyncStub

    from tests.conftest import EngineMaker, World
    from tests.rpc.conftest import Metadata, Rpc

CLIENT, SECRET = "match-1", "the-secret-of-the-match-client"
ORDER = IssueAccessTokenRequest(grant_type="client_credentials", scope="olp-report-api")
UNKNOWN = (grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY")


def basic(secret: str = SECRET) -> "Metadata":
    return (("authorization", "Basic " + base64.b64encode(f"{CLIENT}:{secret}".encode()).decode()),)


@pytest.fixture(autouse=True)
async def client(world: "World") -> None:
    await world.provision(Provisioning(match_clients=[MatchClient(client_id=CLIENT, client_secret=SECRET, game=world.GAME_ID)]))


@pytest.fixture(params=["socket", "in process"])
def calls(request: pytest.FixtureRequest, rpc: "Rpc", near: "Rpc") -> "Rpc":
    return rpc if request.param == "socket" else near


def openid(calls: "Rpc") -> "OpenIdServiceAsyncStub":
    return OpenIdServiceStub(calls.channel)


async def token_of(calls: "Rpc") -> str:
    return (await openid(calls).IssueAccessToken(ORDER, metadata=basic())).access_token


async def test_a_secret_gets_a_token_and_the_token_tells_who_calls(calls: "Rpc") -> None:
    issued = await openid(calls).IssueAccessToken(ORDER, metadata=basic())
    assert (issued.expires_in_sec, issued.scope) == (300, "olp-report-api")
    told = await calls.auth.VerifyCaller(VerifyCallerRequest(), metadata=calls.bearer(issued.access_token))
    assert told == VerifyCallerResponse(role=VerifyCallerResponse.ROLE_MATCH_CLIENT, id=CLIENT)


async def test_a_token_gets_no_token_and_a_secret_makes_no_other_call(calls: "Rpc") -> None:
    token = await token_of(calls)
    failed = await calls.failure(openid(calls).IssueAccessToken(ORDER, metadata=calls.bearer(token)))
    assert (failed.code, failed.reason) == UNKNOWN
    failed = await calls.failure(calls.auth.VerifyCaller(VerifyCallerRequest(), metadata=basic()))
    assert (failed.code, failed.reason) == UNKNOWN


async def test_a_match_client_may_do_what_its_row_says_and_is_believed_nothing_of_others(rpc: "Rpc", world: "World") -> None:
    bearer = rpc.bearer(await token_of(rpc))
    session = await world.open()
    failed = await rpc.failure(rpc.sessions.GetSession(GetSessionRequest(game_session_id=session), metadata=bearer))
    assert (failed.reason, failed.metadata) == ("PERMISSION_DENIED", {"role": "match_client"})
    handing_on = (*rpc.signed(trusted=False), *bearer)
    failed = await rpc.failure(rpc.launches.StartLaunch(StartLaunchRequest(pc_id="pc-1"), metadata=handing_on))
    assert (failed.code, failed.reason) == UNKNOWN


async def test_forged_tokens_are_refused_as_unknown_ones_are(rpc: "Rpc") -> None:
    token = await token_of(rpc)
    realm = await openid(rpc).GetRealm(GetRealmRequest(), metadata=rpc.OPERATOR)
    odd = set()
    for name, forged in forgeries(token, base64.b64decode(realm.public_key)).items():
        failed = await rpc.failure(rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=rpc.bearer(forged)))
        if (failed.code, failed.reason) != UNKNOWN or forged[-40:] in failed.sentence:
            odd.add(name)
    assert odd == set()


async def test_what_is_shown_to_all_fits_together(calls: "Rpc") -> None:
    token, service = await token_of(calls), openid(calls)
    issuer = "http://127.0.0.1:8080/auth/realms/letsbet"
    realm = await service.GetRealm(GetRealmRequest(realm="letsbet"), metadata=calls.GAME)
    assert (realm.realm, realm.issuer, realm.base_url) == ("letsbet", issuer, "http://127.0.0.1:8080")
    shown = await service.GetConfiguration(GetConfigurationRequest(), metadata=calls.GAME)
    assert (shown.issuer, shown.token_endpoint) == (issuer, realm.token_endpoint)
    assert shown.token_endpoint == f"{issuer}/protocol/openid-connect/token"
    assert shown.jwks_uri == f"{issuer}/protocol/openid-connect/certs"
    keys = (await service.GetJwks(GetJwksRequest(), metadata=calls.GAME)).keys
    assert [key.kid for key in keys] == [read(token)[0]["kid"]]
    rotated = await KeyServiceStub(calls.channel).RotateSigningKey(RotateSigningKeyRequest(), metadata=calls.OPERATOR)
    keys = (await service.GetJwks(GetJwksRequest(), metadata=calls.GAME)).keys
    assert [key.kid for key in keys] == [key.id for key in rotated.keys]
    assert [key.HasField("expire_time") for key in rotated.keys] == [True, False]
    other = (
        service.GetRealm(GetRealmRequest(realm="other"), metadata=calls.GAME),
        service.GetConfiguration(GetConfigurationRequest(realm="other"), metadata=calls.GAME),
        service.GetJwks(GetJwksRequest(realm="other"), metadata=calls.GAME),
    )
    for call in other:
        failed = await calls.failure(call)
        assert (failed.code, failed.reason) == (grpc.StatusCode.NOT_FOUND, "REALM_NOT_FOUND")


class TestLimits:
    @pytest.fixture
    async def engine(self, make_engine: "EngineMaker", store: "Store") -> "Engine":
        return await make_engine(store, limits=LimitRules(wrong_credentials_per_address=Quota(3, 60)))

    async def test_guesses_of_secrets_and_of_tokens_are_counted_and_then_nothing_is_told(self, rpc: "Rpc") -> None:
        service = openid(rpc)
        for metadata in (basic("wrong"), basic("wrong too")):
            assert (await rpc.failure(service.IssueAccessToken(ORDER, metadata=metadata))).reason == "INVALID_API_KEY"
        forged = rpc.bearer("eyJhIjoxfQ.e30.AAAA")
        assert (await rpc.failure(rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=forged))).reason == "INVALID_API_KEY"
        for metadata in (basic("wrong"), basic()):
            failed = await rpc.failure(service.IssueAccessToken(ORDER, metadata=metadata))
            assert (failed.code, failed.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")

    async def test_a_client_that_was_known_at_its_address_goes_on(self, rpc: "Rpc") -> None:
        token, service = await token_of(rpc), openid(rpc)
        for _ in range(3):
            await rpc.failure(service.IssueAccessToken(ORDER, metadata=basic("wrong")))
        assert await token_of(rpc)
        told = await rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=rpc.bearer(token))
        assert told.id == CLIENT
