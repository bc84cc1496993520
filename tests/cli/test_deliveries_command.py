import json
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from playclock.v1.match_service_pb2 import CreateMatchRequest, JoinMatchRequest, MatchTerms, StartMatchRequest
from playclock.v1.match_service_pb2_grpc import MatchServiceStub

from tests.deliveries.conftest import eventually

if TYPE_CHECKING:
    from tests.cli.conftest import Run

TOKEN = {"PLAYCLOCK_OPERATOR_TOKEN": "dev-operator-token"}
OPERATOR = (("authorization", "Bearer dev-operator-token"),)


@pytest.fixture(scope="module")
def match_id(served: dict[str, str]) -> str:
    """Start a match of the example's client, whose server lies where nothing may go out to, and return its id."""
    with grpc.insecure_channel(served["grpc"]) as channel:
        matches = MatchServiceStub(channel)
        terms = MatchTerms(client_id="super-game", synchronous=True, join_sec=60, play_sec=60)
        match = matches.CreateMatch(CreateMatchRequest(terms=terms), metadata=OPERATOR, timeout=10).match
        for number in range(2):
            user_id = f"0000000{number}-0000-4000-8000-000000000000"
            matches.JoinMatch(JoinMatchRequest(match_id=match.match_id, user_id=user_id), metadata=OPERATOR, timeout=10)
        matches.StartMatch(StartMatchRequest(match_id=match.match_id), metadata=OPERATOR, timeout=10)
    return str(match.match_id)


def test_what_was_given_up_is_listed_shown_and_replayed(run: "Run", served: dict[str, str], match_id: str) -> None:
    def of(*arguments: str) -> list[dict[str, Any]]:
        result = run("deliveries", *arguments, "--engine", served["grpc"], "--json", **TOKEN)
        found: list[dict[str, Any]] = json.loads(result.stdout)
        return [each for each in found if each["match_id"] == match_id]

    (dead,) = eventually(lambda: of("list", "--client", "super-game", "--state", "dead"))
    assert (dead["state"], dead["method"], dead["last_error"]) == ("STATE_DEAD", "METHOD_PUT", "REFUSED_ADDRESS")
    assert of("list", "--state", "pending") == []
    (again,) = of("replay", dead["delivery_id"])
    assert (again["state"], again["replays"]) == ("STATE_PENDING", 1)

    def ended() -> list[dict[str, Any]]:
        return [each for each in of("show", dead["delivery_id"]) if each["state"] != "STATE_PENDING"]

    (shown,) = eventually(ended)
    assert (shown["state"], shown["tries"]) == ("STATE_DEAD", 2)

    result = run("deliveries", "list", "--engine", served["grpc"], **TOKEN)
    header, *lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert header == ["delivery", "state", "method", "match", "client", "since", "tries", "answer", "next try", "ended"]
    (row,) = [line for line in lines if line[3] == match_id]
    assert row[:5] == [dead["delivery_id"], "DEAD", "PUT", match_id, "super-game"]
    assert (row[6:9], row[9][-1]) == (["2", "REFUSED_ADDRESS", ""], "Z")


def test_a_client_that_was_never_silenced_stays_as_it_is(run: "Run", served: dict[str, str]) -> None:
    result = run("deliveries", "resume", "super-game", "--engine", served["grpc"], **TOKEN)
    assert result.stdout == "super-game has not answered 410\n"
