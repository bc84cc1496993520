"""The README's commands and examples, run as they stand there."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def block(heading: str, language: str, nth: int = 0) -> str:
    """Return the nth fenced block of a language under a heading."""
    section = README.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    found: list[str] = re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
    return found[nth]


@pytest.fixture(scope="module")
def played(served: dict[str, str]) -> list[dict[str, Any]]:
    """Play the README's session by curl; return its answers to the heartbeat and the end."""
    script = block("A session by curl", "sh").replace("127.0.0.1:8080", served["http"])
    return [json.loads(answer) for answer in re.findall(r"\{.*?\}\}", run(["bash", "-eu"], script))]


@pytest.fixture(scope="module")
def served() -> Iterator[dict[str, str]]:
    """Run scripts/serve on free ports and a store of its own; yield what its ready line says."""
    subprocess.run(["scripts/install"], cwd=ROOT, check=True)  # says what it does, where there is anything to do
    command = ["scripts/serve", "--store", "memory://", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        words = process.stdout.readline().split()
        yield dict(word.split("=", 1) for word in words[1:]) | {"word": words[0], "hint": process.stderr.readline()}
        process.terminate()
        process.communicate(timeout=30)
        assert process.returncode == 0


def run(command: list[str], script: str = "") -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        command, input=script, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_scripts_serve_says_that_it_is_ready_and_what_to_try(served: dict[str, str]) -> None:
    assert served["word"] == "ready"
    assert served["store"] == "memory://"
    assert "another terminal" in served["hint"]


def test_the_session_by_curl_ends_with_its_figures(played: list[dict[str, Any]]) -> None:
    heartbeat, end = played
    assert heartbeat["data"] == {"result": "OK", "next_heartbeat_in": 120, "play_duration_sec": 0}
    assert end["data"]["result"] == "SUCCESS"
    assert end["data"]["client_play_duration_sec"] == 1


def test_an_agent_gets_its_list_and_a_link_whose_token_is_redeemed(served: dict[str, str]) -> None:
    script = block("A link for an agent", "sh").replace("127.0.0.1:8080", served["http"])
    listed, link = (json.loads(answer)["content"] for answer in run(["bash", "-eu"], script).replace("}{", "}\n{").splitlines())
    assert [game["id"] for game in listed["games"]] == [123]
    assert link["url"].startswith("https://game.example.com/play?token=")
    (token,) = re.findall(r"token=([^&]+)", link["url"])
    body = {"ott": token, "provider_user_id": "player_123"}
    url = f"http://{served['http']}/v1/game/session/verify"
    answer = httpx.post(url, json=body, headers={"X-Api-Key": "dev-game-key"}).json()
    assert answer["data"]["is_valid"] is True


def test_a_developer_s_call_is_signed_locally(served: dict[str, str]) -> None:
    script = block("A call by a developer", "sh").replace("127.0.0.1:8080", served["http"])
    assert json.loads(run(["bash", "-eu"], script)) == {"id": "550e8400-e29b-41d4-a716-446655440000"}


def test_a_match_client_gets_a_token_that_is_taken(served: dict[str, str], tmp_path: Path) -> None:
    script = block("A match", "sh").replace("developer-config.json", str(tmp_path / "developer-config.json"))
    printed = run(["bash", "-eu"], f"export PLAYCLOCK_ENGINE={served['grpc']}\n{script}")
    assert json.loads(printed) == {"error": "match_token_not_found", "error_description": "no such match token"}


def test_the_session_by_grpc_ends_with_its_figures(served: dict[str, str]) -> None:
    script = block("A session by gRPC", "python").replace("127.0.0.1:50051", served["grpc"])
    printed = run([sys.executable, "-"], script)
    assert printed.startswith("120\n")
    assert "state: STATE_ENDED" in printed


def test_the_embedded_session_runs_without_waiting() -> None:
    assert run([sys.executable, "-"], block("Embedded", "python")) == "120\n"


@pytest.mark.usefixtures("played")
def test_the_months_settlement_is_shown_and_its_chain_holds(served: dict[str, str], tmp_path: Path) -> None:
    script = block("A month's settlement", "sh").replace("settlements.jsonl", str(tmp_path / "settlements.jsonl"))
    printed = run(["bash", "-eu"], f"export PLAYCLOCK_ENGINE={served['grpc']}\n{script}").splitlines()
    assert printed[0] == "cafe\tperiod\tcurrency\tsessions\tplayed\tbilled\tamount"
    assert printed[-1] == "the chain holds"


def test_settlements_can_be_had_in_process() -> None:
    assert run([sys.executable, "-"], block("Embedded", "python", 2)) == "90 2000000\n"


def test_the_fixture_example_passes_as_a_test(tmp_path: Path) -> None:
    example = "from playclock.v1 import HeartbeatRequest\n\n\n" + block("Embedded", "python", 1)
    (tmp_path / "test_example.py").write_text(example)
    assert "1 passed" in run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)])


def test_every_file_that_the_readme_names_is_there() -> None:
    named = re.findall(r"\]\(([^)#]+)\)", README)
    assert [name for name in named if "://" not in name and not (ROOT / name).exists()] == []
