"""The match calls over a fake engine: what they hand on, as whom, and how its errors are said."""

import json
from typing import TYPE_CHECKING, Any, Final

import grpc
import httpx
import pytest
from playclock.v1 import match_service_pb2 as pb

if TYPE_CHECKING:
    from tests.facade.conftest import ClientMaker, FakeEngine

INFO: Final = "/api/game/v1/token-info"
FINISH: Final = "/api/game/v1/finish"
PATHS: Final = [INFO, FINISH, "/api/games/v1/token-info", "/api/games/v1/finish"]
MATCH: Final = "600f369851f450dd3ecb0035"
USER: Final = "0376d27d-4b0e-4286-9dd9-f9f7528689bb"
JWT: Final = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJ4In0.c2lnbmF0dXJl"
GOOD: Final = {"Authorization": f"Bearer {JWT}"}
BODIES: Final[dict[str, dict[str, Any]]] = {
    "token-info": {"token": "match_abc"},
    "finish": {"match_id": MATCH, "participants": [{"id": USER, "score": 300}]},
}
BASIC: Final = "Basic c3VwZXItZ2FtZTpzZWNyZXQ="


def body_of(path: str) -> dict[str, Any]:
    return BODIES[path.rpartition("/")[2]]


async def test_a_report_arrives_as_it_was_sent(fake_engine: "FakeEngine", client: httpx.AsyncClient) -> None:
    fake_engine.answer("ReportResult", pb.ReportResultResponse(match=pb.Match(match_id=MATCH, state=pb.Match.STATE_FINISHED)))
    body = {
        "match_id": MATCH,
        "participants": [{"id": USER, "score": -(2**63)}],
        "teams": [{"id": "a", "score": 2**63 - 1, "ranking": 2}, {"id": "b", "score": 0, "ranking": 0, "forfeit": True}],
        "more": {"that": "nobody asked for"},
    }
    assert (await client.post(FINISH, json=body, headers=GOOD)).status_code == 200
    (call,) = fake_engine.calls
    assert call.request == pb.ReportResultRequest(
        match_id=MATCH,
        participants=[pb.ParticipantReport(user_id=USER, score=-(2**63))],
        teams=[
            pb.TeamReport(team_id="a", score=2**63 - 1, ranking=2),
            pb.TeamReport(team_id="b", forfeit=True),
        ],
    )


async def test_the_largest_match_has_a_result_however_its_teams_are_called(
    fake_engine: "FakeEngine", client: httpx.AsyncClient
) -> None:
    match = pb.Match(match_id=MATCH, state=pb.Match.STATE_FINISHED)
    fake_engine.answer("ReportResult", pb.ReportResultResponse(match=match))
    names = [f"{number:03}" + "\N{VIDEO GAME}" * 125 for number in range(128)]
    teams = [{"id": name, "score": -(2**63), "ranking": 1_000_000, "forfeit": False} for name in names]
    participants = [{"id": USER, "score": -(2**63)}] * 128
    body = json.dumps({"match_id": MATCH, "participants": participants, "teams": teams}, indent=1).encode()
    assert (await client.post(FINISH, content=body, headers=GOOD)).status_code == 200
    (call,) = fake_engine.calls
    assert [team.team_id for team in call.request.teams] == names
    response = await client.post(FINISH, content=body + b" " * 60_000, headers=GOOD)
    assert (response.status_code, response.json()["error_description"]) == (400, "body: longer than 262144 bytes")


@pytest.mark.parametrize("path", PATHS)
async def test_a_client_is_handed_on_as_itself_and_its_address_as_the_facades_word(
    fake_engine: "FakeEngine", make_client: "ClientMaker", path: str
) -> None:
    client = make_client(engine_token="the-token-of-the-facade")
    await client.post(path, json=body_of(path), headers=GOOD | {"X-Request-Id": "req_abc123"})
    (call,) = fake_engine.calls
    assert call.metadata["authorization"] == f"Bearer {JWT}"
    assert call.metadata["x-request-id"] == "req_abc123"
    assert call.metadata["x-caller-address"] == "198.51.100.7"
    assert call.metadata["x-caller-address-authorization"] == "Bearer the-token-of-the-facade"


@pytest.mark.parametrize("status", [status for status in pb.InspectMatchTokenResponse.Status.values() if status])
async def test_every_status_has_a_name(
    fake_engine: "FakeEngine", client: httpx.AsyncClient, status: "pb.InspectMatchTokenResponse.Status.ValueType"
) -> None:
    answer = pb.InspectMatchTokenResponse(match_id=MATCH, user_id=USER, match_status=status, submissions_total=1)
    fake_engine.answer("InspectMatchToken", answer)
    response = await client.post(INFO, json=body_of(INFO), headers=GOOD)
    name = pb.InspectMatchTokenResponse.Status.Name(status).removeprefix("STATUS_").lower()
    assert response.json() == {
        "match_id": MATCH,
        "user_id": USER,
        "match_status": name,
        "submissions_total": 1,
        "submissions_left": 0,
    }


@pytest.mark.parametrize(
    ("state", "name"),
    [
        (pb.Match.STATE_CREATED, "pending"),
        (pb.Match.STATE_STARTING, "pending"),
        (pb.Match.STATE_LIVE, "live"),
        (pb.Match.STATE_FINISHED, "finished"),
        (pb.Match.STATE_ABORTED, "aborted"),
        (pb.Match.STATE_CANCELLED, "cancelled"),
    ],
)
async def test_a_report_is_answered_with_the_status_that_a_token_would_have(
    fake_engine: "FakeEngine", client: httpx.AsyncClient, state: "pb.Match.State.ValueType", name: str
) -> None:
    players = [pb.MatchPlayer(user_id=USER, scores=[3, 9, 4]), pb.MatchPlayer(user_id="other")]
    match = pb.Match(match_id=MATCH, state=state, players=players)
    fake_engine.answer("ReportResult", pb.ReportResultResponse(match=match))
    response = await client.post(FINISH, json=body_of(FINISH), headers=GOOD)
    assert response.json() == {
        "match_id": MATCH,
        "match_status": name,
        "participants": [{"id": USER, "score": 9}],
        "teams": [],
    }


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", BASIC, JWT, f"Bearer {JWT} {JWT}", f"Token {JWT}", f"Bearer{JWT}"],
)
@pytest.mark.parametrize("path", [INFO, FINISH])
async def test_without_a_token_no_call_is_made_and_no_error_is_in_the_challenge(
    fake_engine: "FakeEngine", client: httpx.AsyncClient, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    response = await client.post(path, content=b"no body", headers=headers)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_token")
    assert response.headers["www-authenticate"] == 'Bearer realm="playclock"'
    assert fake_engine.calls == []


@pytest.mark.parametrize(
    "token", ["an-operators-token", "eyJ.e30.", f"{JWT}.x", f"{JWT}=", "eyJ" + "a" * 4_096 + ".e30.e30", "eyJ\xe9.e30.e30"]
)
async def test_what_is_no_access_token_is_not_handed_on(
    fake_engine: "FakeEngine", client: httpx.AsyncClient, token: str
) -> None:
    headers = [(b"authorization", f"Bearer {token}".encode("latin-1"))]
    response = await client.post(INFO, json=body_of(INFO), headers=headers)
    assert (response.status_code, response.json()["error"]) == (401, "invalid_token")
    assert fake_engine.calls == []
    assert token not in response.text


async def test_two_tokens_are_none(fake_engine: "FakeEngine", client: httpx.AsyncClient) -> None:
    headers = [(b"authorization", f"Bearer {JWT}".encode())] * 2
    assert (await client.post(INFO, json=body_of(INFO), headers=headers)).status_code == 401
    assert fake_engine.calls == []


@pytest.mark.parametrize("path", PATHS)
async def test_who_has_no_good_token_does_not_hear_what_is_wrong_with_the_body(
    fake_engine: "FakeEngine", client: httpx.AsyncClient, path: str
) -> None:
    fake_engine.fail("VerifyCaller", grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY", "a sentence about our insides")
    response = await client.post(path, content=b"{", headers=GOOD)
    told = "the access token is unknown, malformed, expired or revoked"
    assert (response.status_code, response.json()) == (401, {"error": "invalid_token", "error_description": told})
    assert response.headers["www-authenticate"] == (
        f'Bearer realm="playclock", error="invalid_token", error_description="{told}"'
    )
    assert fake_engine.methods == ["VerifyCaller"]


@pytest.mark.parametrize(
    ("code", "reason", "status", "error"),
    [
        (grpc.StatusCode.UNAUTHENTICATED, "INVALID_API_KEY", 401, "invalid_token"),
        (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED", 403, "insufficient_scope"),
        (grpc.StatusCode.NOT_FOUND, "MATCH_NOT_FOUND", 404, "match_not_found"),
        (grpc.StatusCode.NOT_FOUND, "MATCH_TOKEN_NOT_FOUND", 404, "match_token_not_found"),
        (grpc.StatusCode.NOT_FOUND, "PLAYER_NOT_FOUND", 404, "player_not_found"),
        (grpc.StatusCode.FAILED_PRECONDITION, "WRONG_MATCH_STATE", 409, "wrong_match_state"),
        (grpc.StatusCode.FAILED_PRECONDITION, "MATCH_TOKEN_EXPIRED", 410, "match_token_expired"),
        (grpc.StatusCode.UNKNOWN, "", 500, "server_error"),
        (grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE", 503, "temporarily_unavailable"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "", 504, "temporarily_unavailable"),
    ],
)
@pytest.mark.parametrize("path", [INFO, FINISH])
async def test_errors_of_the_engine_are_said_in_this_dialect(
    fake_engine: "FakeEngine",
    client: httpx.AsyncClient,
    *,
    path: str,
    code: grpc.StatusCode,
    reason: str,
    status: int,
    error: str,
) -> None:
    fake_engine.fail("InspectMatchToken", code, reason, "a sentence", retry_ms=1_500 if status == 503 else None)
    fake_engine.fail("ReportResult", code, reason, "a sentence", retry_ms=1_500 if status == 503 else None)
    response = await client.post(path, json=body_of(path), headers=GOOD)
    body = response.json()
    assert (response.status_code, body["error"]) == (status, error)
    assert ("a sentence" in body["error_description"]) == (403 <= status < 500)
    assert response.headers.get("retry-after") == ("2" if status == 503 else None)
    assert ("www-authenticate" in response.headers) == (status in (401, 403))


async def test_a_limit_is_told_with_its_headers(fake_engine: "FakeEngine", client: httpx.AsyncClient) -> None:
    limit = {"limit": "calls_per_key", "quota": "600", "window_sec": "60"}
    fake_engine.fail("ReportResult", grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", retry_ms=7_000, metadata=limit)
    response = await client.post(FINISH, json=body_of(FINISH), headers=GOOD)
    assert (response.status_code, response.json()["error"]) == (429, "temporarily_unavailable")
    assert response.headers["retry-after"] == "7"
    assert response.headers["ratelimit-policy"] == '"calls_per_key";q=600;w=60'
    assert response.headers["ratelimit"] == '"calls_per_key";r=0;t=7'


async def test_fields_that_only_the_engine_can_judge_are_named(fake_engine: "FakeEngine", client: httpx.AsyncClient) -> None:
    fake_engine.refuse("ReportResult", {"teams": "expected all teams of the match, each once"})
    response = await client.post(FINISH, json=body_of(FINISH), headers=GOOD)
    told = "teams: expected all teams of the match, each once"
    assert (response.status_code, response.json()) == (400, {"error": "invalid_request", "error_description": told})


class TestPaths:
    async def test_each_takes_post_alone(self, client: httpx.AsyncClient) -> None:
        for path in PATHS:
            for method in ("GET", "PUT", "DELETE", "PATCH"):
                response = await client.request(method, path)
                assert (response.status_code, response.json()["error"]) == (405, "invalid_request")
                assert response.headers["allow"] == "POST"

    @pytest.mark.parametrize(
        "path", ["/api/game", "/api/game/", "/api/game/v1", f"{FINISH}/", f"{FINISH}/x", "/api/game/v2/finish"]
    )
    async def test_whatever_else_is_below_its_root_is_not_there(self, client: httpx.AsyncClient, path: str) -> None:
        for method in ("GET", "POST"):
            response = await client.request(method, path)
            assert (response.status_code, response.json()["error"]) == (404, "not_found")

    @pytest.mark.parametrize(
        "path",
        ["/api/games", "/api/games/v1", "/api/games/v1/", "/api/games/v1/list", "/api/games/v1/finish/", "/api/games/finish"],
    )
    async def test_the_rest_of_the_agents_root_is_the_agents(self, client: httpx.AsyncClient, path: str) -> None:
        response = await client.post(path, json={})
        assert (response.status_code, response.json()["error"]) == (404, "not_found")
        assert response.json()["status"] == "error"

    @pytest.mark.parametrize("call", ["get_game_link", "get_game_link_demo", "list"])
    async def test_the_agents_calls_are_the_agents(self, client: httpx.AsyncClient, call: str) -> None:
        response = await client.post(f"/api/games/{call}", json={}, headers=GOOD)
        assert (response.status_code, response.json()["error"]) == (401, "signature_required")
