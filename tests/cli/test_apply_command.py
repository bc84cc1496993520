import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from playclock.v1.provisioning_service_pb2 import GetProvisioningRequest
from playclock.v1.provisioning_service_pb2_grpc import ProvisioningServiceStub

if TYPE_CHECKING:
    from tests.cli.conftest import Run, Start

EXAMPLE = str(Path(__file__).parent.parent.parent / "examples" / "provisioning.toml")
PORTS = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
TARIFF = '[[tariff]]\nid = "night"\ncurrency = "GCOIN"\nunit_sec = 60\nprice_micros = 1\n'
CREATED = """\
{verb} game/3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d
{verb} tariff/standard
{verb} account/cafe-1
{verb} cafe/cafe-1
{verb} launcher/launcher-1
{verb} agent/1
{verb} developer/550e8400-e29b-41d4-a716-446655440000
{verb} match_client/super-game
"""


def test_a_file_is_applied_to_the_default_store_once(run: "Run") -> None:
    assert run("apply", EXAMPLE, "--check").stdout == CREATED.format(verb="would create")
    assert run("apply", EXAMPLE).stdout == CREATED.format(verb="created")
    result = run("apply", EXAMPLE)
    assert (result.returncode, result.stdout, result.stderr) == (0, "nothing to change\n", "")


def test_a_change_is_told_in_json(run: "Run", tmp_path: Path) -> None:
    changed = tmp_path / "changed.toml"
    changed.write_text(TARIFF)
    run("apply", "changed.toml", "--store", "sqlite:///other.db")
    changed.write_text(TARIFF.replace("= 1\n", "= 2\n"))
    result = run("apply", "changed.toml", "--store", "sqlite:///other.db", "--json")
    assert json.loads(result.stdout) == {"revision": 2, "check": False, "created": [], "updated": ["tariff/night"]}


def test_a_running_server_follows_its_store(start: "Start", run: "Run") -> None:
    ready = start("serve", *PORTS, PLAYCLOCK_SECURITY_OPERATOR_TOKENS="t").ready()
    assert run("apply", EXAMPLE).returncode == 0
    deadline = time.monotonic() + 10
    with grpc.insecure_channel(ready["grpc"]) as channel:
        service = ProvisioningServiceStub(channel)
        while time.monotonic() < deadline:
            metadata = (("authorization", "Bearer t"),)
            if service.GetProvisioning(GetProvisioningRequest(), metadata=metadata, timeout=10).revision == 1:
                return
    raise AssertionError("ten seconds later the server still goes by the old estate")


def test_a_file_is_sent_to_a_running_server(run: "Run", served: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "night.toml").write_text(TARIFF)
    result = run("apply", "night.toml", "--engine", served["grpc"], "--token", "dev-operator-token")
    assert (result.returncode, result.stdout) == (0, "created tariff/night\n")


def test_what_the_engine_refuses_is_told_with_its_line(run: "Run", served: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "loose.toml").write_text(
        f'{TARIFF}\n[[cafe]]\nid = "loose"\nname = "Loose"\nnetworks = []\naccount = "nobody"\ntariff = "night"\n'
    )
    result = run("apply", "loose.toml", "--engine", served["grpc"], "--token", "dev-operator-token")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == "Error: loose.toml:7: [[cafe]] #1: there is no account nobody\n"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--store", "memory://"], 2, "a memory:// store lives inside its server: name the server by --engine"),
        (["--store", "redis://x:secret@h:0"], 1, "a port that is none"),
        (["--engine", "127.0.0.1:1"], 1, "no engine answers at 127.0.0.1:1: is `playclock serve` running there?"),
        (
            ["--engine", "@served"],
            1,
            "give one of the engine's operator_tokens by --token",
        ),
        (["--engine", "@served", "--token", "guess"], 1, "the engine does not know this token"),
        (["--engine", "@served", "--token", "two words"], 2, "a token has 1 to 255 visible ASCII characters"),
        (["--engine", "@served", "--token", "t", "--config", "nowhere"], 2, "nowhere: cannot be read"),
    ],
)
def test_what_keeps_it_from_applying_is_told_in_a_sentence(
    run: "Run", served: dict[str, str], arguments: list[str], code: int, sentence: str
) -> None:
    result = run("apply", EXAMPLE, *(served["grpc"] if word == "@served" else word for word in arguments))
    assert (result.returncode, result.stdout) == (code, "")
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert "secret" not in result.stderr
