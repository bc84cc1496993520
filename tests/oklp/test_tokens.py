"""The OpenID side as it is documented, over real HTTP: a token for a secret, and the keys by which anybody verifies it."""

import asyncio
import base64
import json
from functools import partial
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

import httpx
import jwt
import pytest
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.discovery import OpenIDProviderMetadata, get_well_known_url
from playclock.core.signing_keys import AHEAD_MS, KEPT_MS
from playclock.rpc.inprocess import InProcessChannel
from playclock.stores.base import Store
from playclock.v1 import (
    AuthServiceStub,
    KeyServiceStub,
    MatchClient,
    Provisioning,
    RotateSigningKeyRequest,
    VerifyCallerRequest,
    VerifyCallerResponse,
)

from tests.conftest import FaultInjectingStore
from tests.openid import read
from tests.playwave.conftest import ServerMaker
from tests.playwave.estate import GAME
from tests.playwave.server import Server

CLIENT: Final = "super-game"
SECRET: Final = "dev-match-secret"
REALM: Final = "/auth/realms/letsbet"
TOKEN: Final = f"{REALM}/protocol/openid-connect/token"
CERTS: Final = f"{REALM}/protocol/openid-connect/certs"
CONFIGURATION: Final = f"{REALM}/.well-known/openid-configuration"

DOCUMENTED: Final = {
    "client_id": CLIENT,
    "client_secret": SECRET,
    "grant_type": "client_credentials",
    "scope": "olp-report-api",
}
"""The form that the platform documents."""


async def ask(server: Server, form: "dict[str, str] | None" = None, **headers: str) -> httpx.Response:
    return await server.client().post(TOKEN, data=DOCUMENTED if form is None else form, headers=headers)


async def token_of(server: Server) -> str:
    response = await ask(server)
    assert response.status_code == 200, response.text
    token: str = response.json()["access_token"]
    return token


def basic(client_id: str = CLIENT, secret: str = SECRET) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def without(*fields: str, **more: str) -> dict[str, str]:
    return {name: value for name, value in DOCUMENTED.items() if name not in fields} | more


def error_of(response: httpx.Response) -> tuple[int, str]:
    body = response.json()
    assert set(body) == {"error", "error_description"}
    assert body["error_description"]
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-type"] == "application/json"
    assert ("www-authenticate" in response.headers) == (response.status_code == 401)
    return response.status_code, body["error"]


class TestTheDocument:
    async def test_a_token_by_the_documented_form(self, server: Server) -> None:
        response = await ask(server)
        assert response.status_code == 200
        assert response.headers["content-type"] == "application/json"
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["pragma"] == "no-cache"
        body = response.json()
        token = body.pop("access_token")
        assert body == {
            "expires_in": 300,
            "refresh_expires_in": 0,
            "token_type": "Bearer",
            "not-before-policy": 0,
            "scope": "olp-report-api",
        }
        header, claims = read(token)
        assert (header["alg"], header["typ"]) == ("RS256", "JWT")
        assert (claims["iss"], claims["azp"]) == (f"{server.url}{REALM}", CLIENT)

    async def test_the_documents_client_verifies_by_the_public_key_of_the_realm(self, server: Server) -> None:
        token = await token_of(server)
        response = await server.client().get(REALM)
        shown = response.json()
        # As the document's client does it, whose library is jsonwebtoken.
        pem = f"-----BEGIN PUBLIC KEY-----\n{shown['public_key']}\n-----END PUBLIC KEY-----"
        claims = jwt.decode(token, pem, algorithms=["RS256"], audience="olp-report-api", options={"verify_exp": False})
        assert claims["client_id"] == CLIENT
        assert shown == {
            "realm": "letsbet",
            "public_key": shown["public_key"],
            "token-service": f"{server.url}{REALM}/protocol/openid-connect",
            "account-service": f"{server.url}{REALM}/account",
            "tokens-not-before": 0,
        }
        assert response.headers["cache-control"] == "public, max-age=300"

    async def test_a_standard_client_discovers_gets_a_token_and_verifies_it(self, server: Server) -> None:
        issuer = f"{server.url}{REALM}"
        response = await server.client().get(get_well_known_url(issuer, external=True))
        found = response.json()
        assert found["issuer"] == issuer
        # All is as the specifications have it, but for TLS, which a test on this machine has no need of.
        OpenIDProviderMetadata(json.loads(response.text.replace("http://", "https://"))).validate()
        for method in found["token_endpoint_auth_methods_supported"]:
            with OAuth2Session(CLIENT, SECRET, scope="olp-report-api", token_endpoint_auth_method=method) as client:
                fetch = partial(client.fetch_token, found["token_endpoint"], grant_type="client_credentials")
                answer = await asyncio.to_thread(fetch)
            keys = jwt.PyJWKSet.from_dict((await server.client().get(found["jwks_uri"])).json())
            key = keys[jwt.get_unverified_header(answer["access_token"])["kid"]]
            claims = jwt.decode(
                answer["access_token"],
                key,
                algorithms=found["id_token_signing_alg_values_supported"],
                audience="olp-report-api",
                issuer=issuer,
                options={"verify_exp": False},
            )
            assert claims["sub"] == CLIENT

    async def test_the_configuration_has_what_every_provider_has_to_tell(self, server: Server) -> None:
        found = (await server.client().get(CONFIGURATION)).json()
        assert found == {
            "issuer": f"{server.url}{REALM}",
            "token_endpoint": f"{server.url}{TOKEN}",
            "jwks_uri": f"{server.url}{CERTS}",
            "grant_types_supported": ["client_credentials"],
            "scopes_supported": ["olp-report-api"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "response_types_supported": ["none"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    async def test_the_token_makes_calls_at_every_replica(self, server: Server) -> None:
        token = await token_of(server)
        for engine in server.engines:
            calls = AuthServiceStub(InProcessChannel(engine))
            told = await calls.VerifyCaller(VerifyCallerRequest(), metadata=(("authorization", f"Bearer {token}"),))
            assert told == VerifyCallerResponse(role=VerifyCallerResponse.ROLE_MATCH_CLIENT, id=CLIENT)

    async def test_the_successor_of_a_key_is_shown_before_it_signs_and_the_old_one_after(self, server: Server) -> None:
        old = read(await token_of(server))[0]["kid"]
        rotated = await KeyServiceStub(server.operator).RotateSigningKey(RotateSigningKeyRequest())
        for engine in server.engines:
            await engine.estate.refresh()  # as happens twice a second
        new = rotated.keys[1].id

        async def shown() -> tuple[list[str], str]:
            kids = [key["kid"] for key in (await server.client().get(CERTS)).json()["keys"]]
            return kids, read(await token_of(server))[0]["kid"]

        assert await shown() == ([old, new], old)
        server.clock.advance(AHEAD_MS / 1000)
        assert await shown() == ([old, new], new)
        server.clock.advance(KEPT_MS / 1000)
        assert await shown() == ([new], new)


class InMemory:
    @pytest.fixture(params=["memory"])
    def kind(self, request: pytest.FixtureRequest) -> str:
        return str(request.param)


class TestTheForm(InMemory):
    @pytest.mark.parametrize(
        ("form", "headers"),
        [
            (without("scope"), {}),
            (without("client_id", "client_secret"), {"authorization": basic()}),
            (without("client_secret"), {"authorization": basic()}),
            (without("client_id", "client_secret"), {"authorization": basic().replace("Basic", "basic")}),
            (without("client_secret", client_secret="", grant_type="client_credentials"), {"authorization": basic()}),
            (without(unknown="field"), {}),
        ],
        ids=["without scope", "basic", "basic and id", "basic in lower case", "an empty secret is none", "an unknown field"],
    )
    async def test_as_the_rfc_has_it(self, server: Server, form: dict[str, str], headers: dict[str, str]) -> None:
        assert (await ask(server, form, **headers)).status_code == 200

    @pytest.mark.parametrize(
        ("form", "headers", "expected"),
        [
            (without("client_secret", client_secret="wrong"), {}, (401, "invalid_client")),
            (without("client_id", client_id="unknown"), {}, (401, "invalid_client")),
            (without("client_id"), {}, (401, "invalid_client")),
            (without("client_secret"), {}, (401, "invalid_client")),
            ({}, {"content-type": "application/x-www-form-urlencoded"}, (401, "invalid_client")),
            (without("client_id", "client_secret"), {"authorization": basic(secret="wrong")}, (401, "invalid_client")),
            (without("client_id", "client_secret"), {"authorization": "Basic ////"}, (401, "invalid_client")),
            (without("client_id", "client_secret"), {"authorization": "Bearer x"}, (401, "invalid_client")),
            (without("grant_type", client_secret="wrong"), {}, (401, "invalid_client")),
            (DOCUMENTED, {"authorization": basic()}, (400, "invalid_request")),
            (without("client_secret", client_id="other"), {"authorization": basic()}, (400, "invalid_request")),
            (without("grant_type"), {}, (400, "unsupported_grant_type")),
            (without(grant_type="password"), {}, (400, "unsupported_grant_type")),
            (without(scope="openid"), {}, (400, "invalid_scope")),
            (DOCUMENTED, {"content-type": "application/json"}, (400, "invalid_request")),
            (DOCUMENTED, {"content-type": "application/x-www-form-urlencoded; charset=latin1"}, (400, "invalid_request")),
            (DOCUMENTED, {"content-encoding": "gzip"}, (400, "invalid_request")),
            (without(long="x" * 9_000), {}, (400, "invalid_request")),
            (without(**{f"field{number}": "x" for number in range(40)}), {}, (400, "invalid_request")),
        ],
    )
    async def test_whatever_else_is_an_error_of_the_rfc(
        self, server: Server, form: dict[str, str], headers: dict[str, str], expected: tuple[int, str]
    ) -> None:
        response = await ask(server, form, **headers)
        assert error_of(response) == expected
        assert SECRET not in response.text

    @pytest.mark.parametrize(
        "body",
        [
            b"client_id=%ff",
            b"\xff\xfe",
            b"a=%00&client_id=\x00",
        ],
    )
    async def test_a_body_that_is_no_form_is_never_a_fault(self, server: Server, body: bytes) -> None:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        response = await server.client().post(TOKEN, content=body, headers=headers)
        assert error_of(response)[0] in (400, 401)

    async def test_a_field_that_comes_twice_is_an_error_also_where_both_say_the_same(self, server: Server) -> None:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        for name, value in DOCUMENTED.items():
            body = urlencode([*DOCUMENTED.items(), (name, value)])
            assert error_of(await server.client().post(TOKEN, content=body, headers=headers)) == (400, "invalid_request")

    @pytest.mark.parametrize("secret", ["a+b/c==", "50% off + 1/2", "100%25", "Zürich:Genf", "a&b=c;d"])
    async def test_every_secret_arrives_by_the_form_and_by_basic_encoded_or_not(self, server: Server, secret: str) -> None:
        client = MatchClient(client_id="odd", client_secret=secret, game=GAME)
        await server.provision(Provisioning(match_clients=[client]))
        assert (await ask(server, without(client_id="odd", client_secret=secret))).status_code == 200
        for spelled in (secret, quote_plus(secret)):
            response = await ask(server, without("client_id", "client_secret"), authorization=basic("odd", spelled))
            assert response.status_code == 200, spelled


class TestPaths(InMemory):
    @pytest.mark.parametrize("realm", ["other", "LETSBET", "letsbet%20", "%ff", "%00", "..", "x" * 4_000])
    async def test_another_realm_is_not_there(self, server: Server, realm: str) -> None:
        for path in (REALM, CERTS, CONFIGURATION):
            response = await server.client().get(path.replace("letsbet", realm))
            assert response.status_code == 404, path
            assert "letsbet" not in response.text
        response = await server.client().post(TOKEN.replace("letsbet", realm), data=DOCUMENTED)
        assert response.status_code == 404

    async def test_only_the_methods_that_there_are(self, server: Server) -> None:
        for path, allow in ((TOKEN, "POST"), (REALM, "GET, HEAD"), (CERTS, "GET, HEAD"), (CONFIGURATION, "GET, HEAD")):
            response = await server.client().put(path)
            assert error_of(response) == (405, "invalid_request")
            assert response.headers["allow"] == allow
        assert error_of(await server.client().get(f"{REALM}/account")) == (404, "not_found")

    async def test_head_is_get_without_a_body(self, server: Server) -> None:
        response = await server.client().head(CERTS)
        assert (response.status_code, response.content) == (200, b"")


class TestTrouble(InMemory):
    async def test_guesses_are_slowed_down_and_the_client_goes_on(self, server: Server) -> None:
        await token_of(server)
        wrong = without(client_secret="a-guess")
        heard: list[tuple[int, str]] = [error_of(await ask(server, wrong)) for _ in range(60)]
        assert set(heard) == {(401, "invalid_client")}
        response = await ask(server, wrong)
        assert error_of(response) == (429, "temporarily_unavailable")
        assert 0 < int(response.headers["retry-after"]) <= 60
        assert response.headers["ratelimit-policy"].endswith(";q=60;w=60")
        await token_of(server)
        elsewhere: Any = await server.client("127.0.0.77").post(TOKEN, data=DOCUMENTED)
        assert elsewhere.status_code == 200

    async def test_while_the_store_is_away_tokens_go_on(self, make_server: ServerMaker) -> None:
        stores: list[FaultInjectingStore] = []

        def faulty(store: Store) -> FaultInjectingStore:
            stores.append(FaultInjectingStore(store))
            return stores[-1]

        server = await make_server(wrap_store=faulty)
        stores[0].is_away = True
        response = await ask(server)
        assert error_of(response) == (503, "temporarily_unavailable")
        assert int(response.headers["retry-after"]) > 0
        stores[0].is_away = False
        await token_of(server)
        stores[0].is_away = True
        await token_of(server)
        assert (await server.client().get(REALM)).status_code == 200
