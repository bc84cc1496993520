"""The OpenID side over a fake engine: what it hands on, as whom, and what it tells of an engine that does not let it in."""

import base64
from typing import TYPE_CHECKING

import grpc
import httpx
import pytest

if TYPE_CHECKING:
    from tests.facade.conftest import ClientMaker, FakeEngine

REALM = "/auth/realms/letsbet"
TOKEN = f"{REALM}/protocol/openid-connect/token"
READ = [REALM, f"{REALM}/protocol/openid-connect/certs", f"{REALM}/.well-known/openid-configuration"]


async def test_a_client_is_handed_on_as_itself_and_its_address_as_the_facades_word(
    fake_engine: "FakeEngine", make_client: "ClientMaker"
) -> None:
    client = make_client(engine_token="the-token-of-the-facade")
    form = {"client_id": "c", "client_secret": "a+b %", "grant_type": "client_credentials", "scope": "olp-report-api"}
    await client.post(TOKEN, data=form)
    (call,) = fake_engine.calls
    assert (call.request.realm, call.request.grant_type, call.request.scope) == (
        "letsbet",
        "client_credentials",
        "olp-report-api",
    )
    basic = base64.b64encode(b"c:a%2Bb+%25").decode()
    assert call.metadata["authorization"] == f"Basic {basic}"
    assert call.metadata["x-caller-address"] == "198.51.100.7"
    assert call.metadata["x-caller-address-authorization"] == "Bearer the-token-of-the-facade"


async def test_without_a_secret_no_call_is_made(fake_engine: "FakeEngine", client: httpx.AsyncClient) -> None:
    assert (await client.post(TOKEN, data={"client_id": "c"})).status_code == 401
    assert fake_engine.calls == []


@pytest.mark.parametrize("path", READ)
async def test_what_all_may_read_is_asked_as_the_facade(
    fake_engine: "FakeEngine", make_client: "ClientMaker", path: str
) -> None:
    assert (await make_client(engine_token="the-token-of-the-facade").get(path)).status_code == 200
    (call,) = fake_engine.calls
    assert (call.request.realm, call.metadata["authorization"]) == ("letsbet", "Bearer the-token-of-the-facade")


@pytest.mark.parametrize(
    ("code", "reason", "status"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY", 500),
        (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED", 500),
        (grpc.StatusCode.UNKNOWN, "", 500),
        (grpc.StatusCode.UNAVAILABLE, "", 503),
        (grpc.StatusCode.NOT_FOUND, "REALM_NOT_FOUND", 404),
    ],
)
async def test_a_facade_that_is_not_let_in_is_a_fault_of_ours(
    fake_engine: "FakeEngine", client: httpx.AsyncClient, code: grpc.StatusCode, reason: str, status: int
) -> None:
    fake_engine.fail("GetRealm", code, reason, "a sentence about our insides")
    response = await client.get(REALM)
    assert response.status_code == status
    assert status == 404 or "insides" not in response.text
