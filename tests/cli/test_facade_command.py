import json
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run, Start

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_facade_serves_a_whole_session_in_front_of_a_remote_engine(
    start: "Start", run: "Run", served: dict[str, str]
) -> None:
    process = start(
        *("facade", "--engine", served["grpc"], "--http", "127.0.0.1:0"), PLAYCLOCK_ENGINE_TOKEN="dev-operator-token"
    )
    ready = process.ready()
    assert list(ready) == ["http", "engine"]
    assert ready["engine"] == served["grpc"]
    result = run("demo", "--url", f"http://{ready['http']}", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    process.process.terminate()
    assert process.end() == 0


def test_a_facade_may_be_a_service_with_the_calls_that_it_hands_on(start: "Start", run: "Run", tmp_path: Path) -> None:
    estate, example = tmp_path / "estate.toml", EXAMPLES / "provisioning.toml"
    service = (
        '[[service]]\nid = "facade"\ntokens = ["of-the-facade"]\nallow = ["LaunchService/*", "AuthService/VerifyCaller"]\n'
    )
    estate.write_text(example.read_text() + service)
    ports = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
    engine = start("serve", "--store", "memory://", "--provision", str(estate), *ports).ready()
    facade = start("facade", "--engine", engine["grpc"], "--http", "127.0.0.1:0", PLAYCLOCK_ENGINE_TOKEN="of-the-facade")
    result = run("demo", "--url", f"http://{facade.ready()['http']}", "--json")
    assert (result.returncode, result.stderr) == (0, "")


def test_a_match_client_is_itself_behind_a_facade_that_is_an_operator(start: "Start", served: dict[str, str]) -> None:
    facade = start(
        *("facade", "--engine", served["grpc"], "--http", "127.0.0.1:0"), PLAYCLOCK_ENGINE_TOKEN="dev-operator-token"
    )
    with httpx.Client(base_url=f"http://{facade.ready()['http']}") as http:
        form = {"client_id": "super-game", "client_secret": "dev-match-secret", "grant_type": "client_credentials"}
        token = http.post("/auth/realms/letsbet/protocol/openid-connect/token", data=form).json()["access_token"]
        for shown, expected in ((token, (404, "match_token_not_found")), ("dev-operator-token", (401, "invalid_token"))):
            headers = {"Authorization": f"Bearer {shown}"}
            answer = http.post("/api/game/v1/token-info", json={"token": "match_x"}, headers=headers)
            assert (answer.status_code, answer.json()["error"]) == expected


def test_a_facade_starts_before_its_engine_does(start: "Start", run: "Run") -> None:
    ready = start("facade", "--engine", "127.0.0.1:1", "--http", "127.0.0.1:0").ready()
    result = run("demo", "--url", f"http://{ready['http']}", "--json")
    assert result.returncode == 1
    assert json.loads(result.stdout)["status"] == 503


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ([], 2, "Missing option '--engine'"),
        (["--engine", "127.0.0.1:1", "--engine-tls-ca", "nowhere.pem"], 2, "nowhere.pem cannot be read"),
        (["--engine", "127.0.0.1:1", "--engine-tls-cert", "x.pem"], 2, "--engine-tls-cert and --engine-tls-key belong"),
        (["--engine", "127.0.0.1:1", "--http", "0.0.0.0:0"], 2, "--http 0.0.0.0:0 can be reached from other machines"),
        (["--engine", "127.0.0.1:1", "--engine-token", "two words"], 2, "--engine-token must be 1 to 255 visible ASCII"),
        (["--engine", "127.0.0.1:1", "--config", "nowhere"], 2, "nowhere: cannot be read"),
        (["--engine", "127.0.0.1:1", "--http", "@served"], 1, "Address already in use"),
    ],
)
def test_what_keeps_it_from_starting_is_told_in_a_sentence(
    run: "Run", served: dict[str, str], arguments: list[str], code: int, sentence: str
) -> None:
    result = run("facade", *(served["http"] if word == "@served" else word for word in arguments))
    assert (result.returncode, result.stdout) == (code, "")
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
