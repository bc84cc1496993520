import json
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from playclock.core.settlement import FIRST_HASH, Settlement, hash_of

if TYPE_CHECKING:
    from tests.cli.conftest import Run

TOKEN = {"PLAYCLOCK_OPERATOR_TOKEN": "dev-operator-token"}


def settlement(number: int, previous_hash: str) -> Settlement:
    made = Settlement(
        game_session_id=f"gs_{number}",
        game_id="game",
        account_id="cafe-1",
        cafe_id="cafe-1",
        provider_user_id="player-1",
        started_ms=0,
        ended_ms=60_000,
        end_reason="CLIENT_END",
        play_duration_sec=60,
        client_play_duration_sec=None,
        billed_sec=60,
        grace_sec=0,
        unproven_sec=0,
        amount_micros=1_000_000,
        currency="GCOIN",
        tariff="standard",
        previous_hash=previous_hash,
        hash="",
    )
    return msgspec.structs.replace(made, hash=hash_of(made))


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """Write a chain of three settlements as they are exported."""
    chain: list[Settlement] = []
    for number in range(3):
        chain.append(settlement(number, chain[-1].hash if chain else FIRST_HASH))
    file = tmp_path / "settlements.jsonl"
    file.write_bytes(b"".join(msgspec.json.encode(each) + b"\n" for each in chain))
    return file


def test_a_chain_that_holds_is_said_to(run: "Run", exported: Path) -> None:
    result = run("settlements", "verify", str(exported))
    assert (result.returncode, result.stdout) == (0, "the chain holds\n")


def test_a_settlement_that_was_changed_is_named(run: "Run", exported: Path) -> None:
    exported.write_text(exported.read_text().replace('"amount_micros":1000000', '"amount_micros":1', 1))
    result = run("settlements", "verify", str(exported))
    assert result.returncode == 1
    assert "gs_0" in result.stderr
    assert "has been changed" in result.stderr


def test_a_settlement_that_was_left_out_is_missed(run: "Run", exported: Path) -> None:
    lines = exported.read_text().splitlines(keepends=True)
    exported.write_text(lines[0] + lines[2])
    result = run("settlements", "verify", str(exported))
    assert result.returncode == 1
    assert "gs_2" in result.stderr


def test_a_chain_that_has_to_be_whole_may_not_lack_its_first(run: "Run", exported: Path) -> None:
    exported.write_text("".join(exported.read_text().splitlines(keepends=True)[1:]))
    assert run("settlements", "verify", str(exported)).returncode == 0
    result = run("settlements", "verify", "--whole", str(exported))
    assert result.returncode == 1
    assert "gs_1 is not the first of its game" in result.stderr


def test_a_file_of_something_else_is_named_with_its_line(run: "Run", exported: Path) -> None:
    exported.write_text(exported.read_text() + json.dumps({"no": "settlement"}) + "\n")
    result = run("settlements", "verify", str(exported))
    assert result.returncode == 1
    assert f"{exported}:4: no settlement" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("arguments", [("--from", "yesterday"), ("--time-zone", "Nowhere/City")])
def test_days_and_zones_that_are_none_are_told(run: "Run", served: dict[str, str], arguments: tuple[str, str]) -> None:
    result = run("settlements", "export", "--engine", served["grpc"], *arguments, **TOKEN)
    assert result.returncode == 2
    assert arguments[1] in result.stderr
