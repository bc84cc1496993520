import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from playclock.cli.main import COMMANDS

if TYPE_CHECKING:
    from tests.cli.conftest import Run

COMMAND_LINES = [*([command] for command in COMMANDS), ["sessions", "list"], ["sessions", "show"], ["sessions", "terminate"]]
COMMAND_LINES += [["matches", command] for command in ("list", "show", "cancel")]


def test_help_lists_every_command_and_shows_how_to_begin(run: "Run") -> None:
    result = run("--help")
    assert result.returncode == 0
    for command in COMMANDS:
        assert f"\n  {command} " in result.stdout
    assert "Example:\n    playclock serve --provision examples/provisioning.toml" in result.stdout


@pytest.mark.parametrize("command", COMMAND_LINES, ids=" ".join)
def test_every_command_teaches_by_an_example(run: "Run", command: list[str]) -> None:
    result = run(*command, "--help")
    assert result.returncode == 0
    assert f"\n  Example:\n    playclock {command[0]}" in result.stdout


def test_an_unknown_command_is_refused(run: "Run") -> None:
    result = run("sevre")
    assert result.returncode == 2
    assert "No such command 'sevre'" in result.stderr


def test_the_version_is_told_in_three_ways(run: "Run") -> None:
    short = run("--version").stdout
    assert short.startswith("playclock ")
    assert run("version").stdout.splitlines()[1] == short.strip()
    assert json.loads(run("version", "--json").stdout)["playclock"] == short.split()[1]


@pytest.mark.parametrize(
    ("module", "kept_out"),
    [
        ("playclock", ["click", "rich", "grpc", "starlette", "uvicorn", "redis"]),
        ("playclock.cli.main", ["rich", "grpc", "starlette", "uvicorn", "redis", "prometheus_client"]),
        ("playclock.cli.serve", ["grpc", "uvloop", "starlette", "uvicorn", "redis", "prometheus_client"]),
        ("playclock.cli.facade", ["grpc", "uvloop", "starlette", "uvicorn", "redis"]),
    ],
)
def test_a_module_loads_without_what_it_may_not_need(module: str, kept_out: list[str]) -> None:
    program = f"import sys, {module}; sys.exit(' '.join(set({kept_out!r}) & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert result.stderr == "\n"
