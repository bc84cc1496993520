"""`playclock matches` against a server: listed, shown and cancelled, and refusals in sentences."""

import json
from typing import TYPE_CHECKING

import grpc
import pytest
from playclock.v1.match_service_pb2 import (
    CreateMatchRequest,
    GetMatchRequest,
    IssueMatchTokenRequest,
    JoinMatchRequest,
    MatchTerms,
)
from playclock.v1.match_service_pb2_grpc import MatchServiceStub

from tests.cli.conftest import EXAMPLES

if TYPE_CHECKING:
    from tests.cli.conftest import Run, Start

GAME = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
USER = "0376d27d-4b0e-4286-9dd9-f9f7528689bb"
TOKEN = {"PLAYCLOCK_OPERATOR_TOKEN": "dev-operator-token"}
OPERATOR = (("authorization", "Bearer dev-operator-token"),)


def make_match(served: dict[str, str], *, is_joined: bool = False) -> str:
    """Make a match of the example game, let somebody join who pays from the cafe's account, and return its id."""
    terms = MatchTerms(
        client_id="super-game", synchronous=True, currency="GCOIN", entry_fee_micros=1_500_000, join_sec=600, play_sec=60
    )
    with grpc.insecure_channel(served["grpc"]) as channel:
        stub = MatchServiceStub(channel)
        match = stub.CreateMatch(CreateMatchRequest(terms=terms), metadata=OPERATOR, timeout=10).match
        if is_joined:
            request = JoinMatchRequest(match_id=match.match_id, user_id=USER, account_id="cafe-1")
            stub.JoinMatch(request, metadata=OPERATOR, timeout=10)
    return match.match_id


def test_matches_are_listed_with_tabs_for_programs(run: "Run", served: dict[str, str]) -> None:
    match_id = make_match(served)
    header, *lines = run("matches", "list", "--engine", served["grpc"], **TOKEN).stdout.splitlines()
    assert header.split("\t") == ["match", "state", "game", "client", "players", "fee", "since", "settled"]
    (row,) = [line.split("\t") for line in lines if line.startswith(match_id)]
    assert row[1:6] == ["CREATED", GAME, "super-game", "0/2", "1.50 GCOIN"]
    assert row[6].endswith("Z")
    assert row[7] == ""


def test_a_list_ends_at_its_limit_and_at_its_filters(run: "Run", served: dict[str, str]) -> None:
    made = {make_match(served, is_joined=number == 0) for number in range(3)}

    def listed(*arguments: str) -> list[str]:
        result = run("matches", "list", "--engine", served["grpc"], "--json", *arguments, **TOKEN)
        return [match["match_id"] for match in json.loads(result.stdout)]

    assert len(listed("--limit", "2")) == 2
    assert made <= set(listed("--game", GAME, "--client", "super-game", "--state", "created"))
    assert len(made & set(listed("--user", USER))) == 1
    assert listed("--client", "nobody") == []
    assert not made & set(listed("--state", "live"))


def test_a_match_is_shown_and_cancelled(run: "Run", served: dict[str, str]) -> None:
    match_id = make_match(served, is_joined=True)
    shown = run("matches", "show", match_id, "--engine", served["grpc"], **TOKEN).stdout
    assert "state\tCREATED\n" in shown
    assert f"\n{USER}\t{USER}\tcafe-1\tJOINED\t0.00\n" in shown
    cancelled = run("matches", "cancel", match_id, "--engine", served["grpc"], "--json", **TOKEN)
    assert json.loads(cancelled.stdout)["state"] == "STATE_CANCELLED"
    again = run("matches", "cancel", match_id, "--engine", served["grpc"], **TOKEN)
    assert "state\tCANCELLED\n" in again.stdout
    assert "\tSETTLED\t" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["show", "600f369851f450dd3ecb0035"], 1, "there is no such match, or it ended too long ago"),
        (["cancel", "nonsense"], 1, "match_id"),
        (["list", "--token", "wrong"], 1, "the engine does not know this token; give one of the engine's operator_tokens"),
        (["list", "--user", "x"], 1, "user_id"),
        (["list", "--state", "x"], 2, "Invalid value for '--state'"),
    ],
)
def test_what_an_engine_refuses_is_told_in_a_sentence(
    run: "Run", served: dict[str, str], arguments: list[str], code: int, sentence: str
) -> None:
    result = run("matches", arguments[0], "--engine", served["grpc"], *arguments[1:], **TOKEN)
    assert (result.returncode, result.stdout) == (code, "")
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr


def test_a_server_has_the_times_that_its_settings_say(start: "Start") -> None:
    ports = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", "memory://")
    estate = ("--provision", str(EXAMPLES / "provisioning.toml"), "--config", str(EXAMPLES / "settings.toml"))
    served = start("serve", *ports, *estate, PLAYCLOCK_MATCHES_TOKEN_TTL="90").ready()
    match_id = make_match(served, is_joined=True)
    with grpc.insecure_channel(served["grpc"]) as channel:
        stub = MatchServiceStub(channel)
        made = stub.GetMatch(GetMatchRequest(match_id=match_id), metadata=OPERATOR, timeout=10).match.create_time
        request = IssueMatchTokenRequest(match_id=match_id, user_id=USER)
        issued = stub.IssueMatchToken(request, metadata=OPERATOR, timeout=10)
    assert 90 <= issued.expire_time.seconds - made.seconds < 90 + 60
    assert issued.launch_url == f"http://127.0.0.1:9000/play?token={issued.token}"
