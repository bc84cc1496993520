"""Internal services ask who signed a request, and have theirs signed; secrets stay where they are."""

import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from playclock.clock import ManualClock
from playclock.v1 import (
    SIGNATURE_SCHEME_AGENT,
    SIGNATURE_SCHEME_LAUNCHER,
    SIGNATURE_SCHEME_PLAYFUN,
    SIGNATURE_SCHEME_STANDARD_WEBHOOKS,
    Agent,
    Developer,
    GetAccountRequest,
    HttpHeader,
    MatchClient,
    Provisioning,
    SignedHttpRequest,
    SignRequestRequest,
    TopUpAccountRequest,
    VerifyCallerRequest,
    VerifyCallerResponse,
    VerifyRequestRequest,
    VerifyRequestResponse,
)

if TYPE_CHECKING:
    from tests.conftest import World
    from tests.rpc.conftest import Rpc

DEVELOPER = "550e8400-e29b-41d4-a716-446655440000"
SIGNERS = {
    "launcher": (SIGNATURE_SCHEME_LAUNCHER, "launcher-1", VerifyCallerResponse.ROLE_LAUNCHER),
    "agent": (SIGNATURE_SCHEME_AGENT, "1", VerifyCallerResponse.ROLE_AGENT),
    "developer": (SIGNATURE_SCHEME_PLAYFUN, DEVELOPER, VerifyCallerResponse.ROLE_DEVELOPER),
    "match client": (SIGNATURE_SCHEME_STANDARD_WEBHOOKS, "super-game", VerifyCallerResponse.ROLE_MATCH_CLIENT),
}


@pytest.fixture(autouse=True)
async def signers(world: "World") -> None:
    await world.provision(
        Provisioning(
            agents=[Agent(id=1, name="One", api_token="the-token-of-the-agent"), Agent(id=2, name="Two")],
            developers=[Developer(id=DEVELOPER, secret="the-secret-of-the-developer")],
            match_clients=[MatchClient(client_id="super-game", client_secret="match-secret", game=world.GAME_ID)],
        )
    )


async def signed(rpc: "Rpc", who: str, clock: ManualClock) -> SignedHttpRequest:
    """Have a request signed."""
    scheme, key_id, _ = SIGNERS[who]
    body = json.dumps({"timestamp": clock.now_ms() // 1000, "agent_id": 1, "url": "https://x"}).encode()
    request = SignRequestRequest(scheme=scheme, key_id=key_id, http_method="POST", http_path="/games", body=body)
    answer = await rpc.auth.SignRequest(request, metadata=rpc.OPERATOR)
    return SignedHttpRequest(
        scheme=scheme,
        key_id="super-game" if who == "match client" else "",
        http_method="POST",
        http_path="/games",
        headers=answer.headers,
        body=answer.body,
    )


async def verified(rpc: "Rpc", request: SignedHttpRequest, mode: Any = 0) -> VerifyRequestResponse:  # noqa: ANN401 - an enum
    return await rpc.auth.VerifyRequest(VerifyRequestRequest(request=request, mode=mode), metadata=rpc.OPERATOR)


@pytest.mark.parametrize("who", list(SIGNERS))
async def test_what_was_signed_verifies_over_a_socket_and_in_process(
    rpc: "Rpc", near: "Rpc", clock: ManualClock, who: str
) -> None:
    for there in (rpc, near):
        request = await signed(there, who, clock)
        looked = await verified(there, request, VerifyRequestRequest.MODE_LOOK)
        used = await verified(there, request)
        assert looked == used
        assert (used.role, used.id, used.is_repeat) == (SIGNERS[who][2], SIGNERS[who][1], False)
        assert used.signed_time == Timestamp(seconds=clock.now_ms() // 1000)
        if who == "launcher":
            assert (await rpc.failure(verified(rpc, request))).reason == "REQUEST_REPLAYED"
        else:
            used.is_repeat = True
            assert await verified(rpc, request) == used
        clock.advance(1)


async def test_an_agents_body_is_sent_as_php_writes_it(rpc: "Rpc", clock: ManualClock) -> None:
    request = await signed(rpc, "agent", clock)
    assert request.body == b'{"agent_id":1,"timestamp":1767225600,"url":"https:\\/\\/x"}'
    digest = hmac.new(b"the-token-of-the-agent", request.body, hashlib.sha256).hexdigest()
    assert list(request.headers) == [HttpHeader(name="X-Signature", value=digest)]


async def test_with_the_signature_as_request_id_a_repeat_acts_once_and_hears_the_first_answer(
    world: "World", rpc: "Rpc", clock: ManualClock
) -> None:
    request = await signed(rpc, "developer", clock)
    answers = []
    for _ in range(3):
        proved = await verified(rpc, request)
        order = TopUpAccountRequest(account_id=world.ACCOUNT, amount_micros=5, request_id=proved.request_id)
        answers.append(await rpc.accounts.TopUpAccount(order, metadata=rpc.OPERATOR))
        clock.advance(60)
    assert answers[0] == answers[1] == answers[2]
    account = (await rpc.accounts.GetAccount(GetAccountRequest(account_id=world.ACCOUNT), metadata=rpc.OPERATOR)).account
    assert account.balance_micros == world.OPENING_MICROS + 5
    # A play.fun signature does not cover the body: with another one it is refused.
    order = TopUpAccountRequest(account_id=world.ACCOUNT, amount_micros=6, request_id=proved.request_id)
    failed = await rpc.failure(rpc.accounts.TopUpAccount(order, metadata=rpc.OPERATOR))
    assert failed.reason == "REQUEST_ID_REUSED"


@pytest.mark.parametrize("who", list(SIGNERS))
async def test_refusals_say_what_to_do_and_nothing_of_secrets(rpc: "Rpc", clock: ManualClock, who: str) -> None:
    request = await signed(rpc, who, clock)
    wrong = SignedHttpRequest()
    wrong.CopyFrom(request)
    for header in wrong.headers:
        if "ignature" in header.value or "ignature" in header.name:
            header.value = "".join({"a": "b", "1": "2"}.get(char, char) for char in header.value)
    failed = await rpc.failure(verified(rpc, wrong))
    assert (failed.code, failed.reason, failed.metadata) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_SIGNATURE", {})
    twice = SignedHttpRequest()
    twice.CopyFrom(request)
    twice.headers.extend(request.headers)
    assert (await rpc.failure(verified(rpc, twice))).reason == "INVALID_SIGNATURE"
    clock.advance(302)
    failed = await rpc.failure(verified(rpc, request))
    assert (failed.reason, failed.metadata) == ("REQUEST_EXPIRED", {"window_sec": "300"})


@pytest.mark.parametrize(("agent", "metadata"), [(1, {}), (2, {"signer": "WITHOUT_SECRET"}), (3, {"signer": "UNKNOWN"})])
async def test_internal_services_can_tell_why_an_agent_cannot_sign(rpc: "Rpc", agent: int, metadata: dict[str, str]) -> None:
    body = f'{{"agent_id":{agent},"timestamp":1767225600}}'.encode()
    header = HttpHeader(name="X-Signature", value="0" * 64)
    failed = await rpc.failure(verified(rpc, SignedHttpRequest(scheme=SIGNATURE_SCHEME_AGENT, headers=[header], body=body)))
    assert (failed.reason, failed.metadata) == ("INVALID_SIGNATURE", metadata)


class TestCredentials:
    async def test_who_signs_is_told(self, rpc: "Rpc", near: "Rpc") -> None:
        for there in (rpc, near):
            for credentials, role, id_ in (
                (there.signed_by_agent(), VerifyCallerResponse.ROLE_AGENT, "1"),
                (there.signed_by_developer(), VerifyCallerResponse.ROLE_DEVELOPER, DEVELOPER),
            ):
                told = await there.auth.VerifyCaller(VerifyCallerRequest(), metadata=credentials)
                assert told == VerifyCallerResponse(role=role, id=id_)

    async def test_a_wrong_one_is_not_believed(self, rpc: "Rpc") -> None:
        for credentials in (rpc.signed_by_agent(secret=b"x"), rpc.signed_by_developer(secret=b"x")):
            failed = await rpc.failure(rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=credentials))
            assert failed.reason == "INVALID_SIGNATURE"

    async def test_a_good_one_is_not_believed_from_outside(self, rpc: "Rpc") -> None:
        for credentials in (rpc.signed_by_agent()[:1], rpc.signed_by_developer()[:1]):
            failed = await rpc.failure(rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=credentials))
            assert (failed.code, failed.reason) == (grpc.StatusCode.UNAUTHENTICATED, "INVALID_SIGNATURE")

    @pytest.mark.parametrize("value", [b"\xff\xff\xff", b"x" * 8_193])
    async def test_what_is_no_message_is_refused(self, rpc: "Rpc", value: bytes) -> None:
        metadata = (("x-signed-request-bin", value), *rpc.OPERATOR)
        failed = await rpc.failure(rpc.auth.VerifyCaller(VerifyCallerRequest(), metadata=metadata))
        assert failed.reason == "INVALID_SIGNATURE"
