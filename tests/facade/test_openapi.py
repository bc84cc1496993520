"""The OpenAPI document: every call that is served, with the schemas by which it is checked."""

import json
from typing import Any

import httpx
import msgspec
import pytest
from playclock_http.agents.codes import CODES as AGENT_CODES
from playclock_http.agents.operations import OPERATIONS as AGENT_OPERATIONS
from playclock_http.fields import convert
from playclock_http.oklp.codes import MATCH_CODES
from playclock_http.oklp.operations import OPERATIONS as MATCH_OPERATIONS
from playclock_http.playfun.codes import CODES as PLAYFUN_CODES
from playclock_http.playfun.operations import OPERATIONS as PLAYFUN_OPERATIONS
from playclock_http.playwave.codes import CODES
from playclock_http.playwave.operations import OPERATIONS

SERVED = {
    ("POST", "/v1/game/session/verify"),
    ("PATCH", "/v1/game/session/heartbeat"),
    ("DELETE", "/v1/game/session/end"),
    ("POST", "/v1/launcher/session/start"),
    ("POST", "/v1/launcher/ott"),
    ("PATCH", "/v1/launcher/session/heartbeat"),
    ("DELETE", "/v1/launcher/session/end"),
    ("POST", "/api/games/get_game_link"),
    ("POST", "/api/games/get_game_link_demo"),
    ("POST", "/api/games/list"),
    ("POST", "/api/game/v1/token-info"),
    ("POST", "/api/games/v1/token-info"),
    ("POST", "/api/game/v1/finish"),
    ("POST", "/api/games/v1/finish"),
}
PLAYFUN = {(operation.method, operation.path): operation for operation in PLAYFUN_OPERATIONS}
"""What play.fun serves is held to its documents by its own tests; here, to the rules that hold for all."""


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    response = await client.get("/openapi.json")
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    described: dict[str, Any] = json.loads(response.content)
    return described


async def test_describes_every_call_that_is_served_and_no_other(client: httpx.AsyncClient, document: dict[str, Any]) -> None:
    described = {(method.upper(), path) for path, item in document["paths"].items() for method in item}
    assert described == SERVED | PLAYFUN.keys()
    for method, path in SERVED:
        assert (await client.request(method, path)).status_code == 401
        assert (await client.put(path)).headers["allow"] == method
    for (method, path), operation in PLAYFUN.items():
        answer = await client.put(path.replace("{", "").replace("}", ""))
        assert method in answer.headers["allow"].split(", ")
        if operation.security:
            assert (await client.request(method, path)).status_code == 401


async def test_every_reference_leads_to_a_schema_and_every_schema_is_used(document: dict[str, Any]) -> None:
    references = {found.rpartition("/")[2] for found in _references(document)}
    assert references == set(document["components"]["schemas"])


async def test_every_call_has_a_body_schema_its_security_and_all_its_statuses(document: dict[str, Any]) -> None:
    for path in {path for _, path in SERVED}:
        for operation in document["paths"][path].values():
            assert operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            assert {"200", "400", "401", "403", "408", "429", "500", "503", "504"} <= set(operation["responses"])
            for scheme in operation["security"][0]:
                assert scheme in document["components"]["securitySchemes"]
    statuses = {path: set(operation["responses"]) for path, item in document["paths"].items() for operation in item.values()}
    assert {"404", "410"} <= statuses["/v1/game/session/heartbeat"]
    assert {"404", "409"} <= statuses["/v1/game/session/end"]
    assert "422" in statuses["/v1/game/session/verify"]
    assert "409" in statuses["/v1/launcher/session/end"]
    assert "410" not in statuses["/v1/launcher/session/end"]
    assert "404" in statuses["/api/games/get_game_link"]
    assert {path for path in statuses if "304" in statuses[path]} == {"/api/games/list"}


async def test_every_status_of_the_table_is_described_somewhere(document: dict[str, Any]) -> None:
    described = {
        int(status) for item in document["paths"].values() for operation in item.values() for status in operation["responses"]
    }
    assert {status for status, _ in CODES.values()} - described == {405}
    assert {status for status, _ in AGENT_CODES.values()} - described == {405}
    assert set(PLAYFUN_CODES.values()) - described == {405}
    assert {status for status, _ in MATCH_CODES.values()} - described == {405}


async def test_both_spellings_of_a_match_call_are_described_alike(document: dict[str, Any]) -> None:
    for call, codes in (
        ("token-info", {"match_token_not_found", "player_not_found", "match_token_expired"}),
        ("finish", {"match_not_found", "wrong_match_state"}),
    ):
        one, other = (document["paths"][f"/api/{word}/v1/{call}"]["post"] for word in ("game", "games"))
        assert one.pop("operationId") != other.pop("operationId")
        assert one == other
        told = {code for answer in one["responses"].values() for code in _codes(answer["description"])}
        assert codes | {"invalid_request", "invalid_token", "insufficient_scope"} <= told


async def test_every_documented_code_of_an_agent_s_call_is_described_there(document: dict[str, Any]) -> None:
    always = {"signature_required", "invalid_signature", "agent_not_found", "api_token_not_found", "request_expired"}
    always |= {"validation_error", "rate_limited"}
    described = {
        path: {code for answer in item["post"]["responses"].values() for code in _codes(answer["description"])}
        for path, item in document["paths"].items()
        if path.startswith("/api/games/") and "/v1/" not in path
    }
    link = always | {"game_not_found", "game_not_available"}
    assert link <= described["/api/games/get_game_link"]
    assert link | {"game_provider_not_found"} <= described["/api/games/get_game_link_demo"]
    assert always <= described["/api/games/list"]
    assert not {"game_not_found", "game_provider_not_found"} & described["/api/games/list"]


async def test_patterns_lengths_and_ranges_come_from_the_declarations(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["Verify"]["properties"]["ott"]["pattern"].startswith("^[0-9a-f]{8}-")
    assert schemas["Verify"]["properties"]["provider_user_id"]["maxLength"] == 128
    assert schemas["Verify"]["required"] == ["ott", "provider_user_id"]
    assert schemas["End"]["properties"]["play_duration_sec"]["anyOf"][0]["maximum"] == 2**31 - 1
    assert schemas["End"]["required"] == ["game_session_id"]


def test_the_examples_pass_the_checks_that_the_calls_make() -> None:
    for operation in (*OPERATIONS, *AGENT_OPERATIONS, *PLAYFUN_OPERATIONS, *MATCH_OPERATIONS):
        assert (operation.body is None) == (operation.body_example is None)
        if operation.body is not None and operation.body_example is not None:
            convert(dict(operation.body_example), operation.body)
        for answer in operation.answers.values():
            for example in answer.examples.values():
                assert any(_fits(example, body) for body in answer.bodies)


def _fits(example: object, body: type) -> bool:
    try:
        msgspec.convert(example, body)
    except msgspec.ValidationError:
        return False
    return True


def _codes(description: str) -> list[str]:
    return description.partition("Codes: ")[2].rstrip(".").split(", ")


def _references(node: object) -> list[str]:
    if isinstance(node, dict):
        found = [node["$ref"]] if "$ref" in node else []
        return found + [reference for value in node.values() for reference in _references(value)]
    if isinstance(node, list):
        return [reference for value in node for reference in _references(value)]
    return []
