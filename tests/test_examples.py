"""The examples that are programs, run as programs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"

PRINTED = {
    "embed_async.py": "played 120 s\nended after 150 s, billed 3 GCOIN\n",
    "embed_blocking.py": "first: True, second: False\n",
}

SERVERS = {"partner_server.py"}
"""Run until they are stopped. `tests/partner` has one for a partner."""


@pytest.mark.parametrize("name", sorted(PRINTED))
def test_an_example_prints_what_it_promises(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(EXAMPLES / name)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, PRINTED[name], "")


def test_every_example_program_is_run_somewhere() -> None:
    programs = {path.name for path in EXAMPLES.glob("*.py") if not path.name.startswith("test_")}
    assert programs == set(PRINTED) | SERVERS


@pytest.mark.parametrize("path", ["partner_server.py", "agent_server/wallet_server.py"])
def test_a_server_starts_as_it_says_and_ends_when_it_is_told_to(path: str) -> None:
    (line,) = re.findall(rf"python examples/({re.escape(path)} .*)", (EXAMPLES / path).read_text())
    name, *options = line.split()
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *options, "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert re.fullmatch(r"ready 127\.0\.0\.1:[0-9]+\n", server.stdout.readline())
        server.terminate()
        _, errors = server.communicate(timeout=30)
    assert (server.returncode, errors) == (0, "")
