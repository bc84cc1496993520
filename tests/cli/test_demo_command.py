import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run

EXAMPLE = str(Path(__file__).parent.parent.parent / "examples" / "provisioning.toml")


def test_the_demo_shows_a_session_from_start_to_bill_and_a_time_out(run: "Run") -> None:
    result = run("demo", "--json")
    assert (result.returncode, result.stderr) == (0, "")
    steps = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(step["method"], step["path"], step["status"]) for step in steps if "method" in step] == [
        ("POST", "/v1/launcher/session/start", 200),
        ("POST", "/v1/launcher/ott", 200),
        ("POST", "/v1/game/session/verify", 200),
        ("POST", "/v1/game/session/verify", 200),
        ("PATCH", "/v1/game/session/heartbeat", 200),
        ("PATCH", "/v1/launcher/session/heartbeat", 200),
        ("DELETE", "/v1/game/session/end", 200),
        ("DELETE", "/v1/game/session/end", 409),
        ("POST", "/v1/launcher/ott", 200),
        ("POST", "/v1/game/session/verify", 200),
        ("PATCH", "/v1/launcher/session/heartbeat", 200),
        ("PATCH", "/v1/game/session/heartbeat", 404),
        ("DELETE", "/v1/launcher/session/end", 200),
    ]
    assert steps[3]["answer"]["data"]["reason"] == "OTT_ALREADY_USED"
    assert [step["step"] for step in steps[-2:]] == [
        "the first session's bill: 210 s are billed at 4.00, ended by CLIENT_END",
        "the second's, whose silence proves nothing: 0 s are billed at 0.00, ended by HEARTBEAT_TIMEOUT",
    ]


def test_people_get_sentences_without_secrets(run: "Run") -> None:
    result = run("demo")
    assert "\n1. A launcher starts. " in result.stdout
    assert "\n   > POST /v1/launcher/session/start {" in result.stdout
    assert '\n   < 200 {"success": true, ' in result.stdout
    assert "dev-game-key" not in result.stdout
    assert "dev-launcher-secret" not in result.stdout


@pytest.mark.parametrize("arguments", [[], ["--provision", EXAMPLE]])
def test_the_demo_plays_on_a_running_server(run: "Run", served: dict[str, str], arguments: list[str]) -> None:
    result = run("demo", "--url", f"http://{served['http']}", "--json", *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    statuses = [json.loads(line)["status"] for line in result.stdout.splitlines()]
    assert statuses == [200, 200, 200, 200, 200, 200, 409, 200]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--game-key", "wrong"], "expected status 200, not 401 INVALID_API_KEY"),
        (["--launcher-secret", "wrong"], "expected status 200, not 401 INVALID_SIGNATURE"),
        (["--game-id", "00000000-0000-4000-8000-000000000000"], "expected status 200, not 404 GAME_NOT_FOUND"),
        (["--url", "http://127.0.0.1:1"], "no server answers at http://127.0.0.1:1"),
        (["--url", "127.0.0.1"], "'127.0.0.1' is no URL such as http://127.0.0.1:8080"),
        (["--provision", "empty.toml"], "the demo needs a file with a [[game]] that has api_keys, and a [[launcher]]"),
    ],
)
def test_a_surprise_ends_the_demo_with_a_sentence(
    run: "Run", served: dict[str, str], tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    (tmp_path / "empty.toml").write_text("")
    result = run("demo", "--url", f"http://{served['http']}", *arguments)
    assert result.returncode != 0
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
