"""`playclock serve` and its archive: where it lies, when it is refused, and what is told of it."""

import json
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from playclock.v1.account_service_pb2 import TopUpAccountRequest
from playclock.v1.account_service_pb2_grpc import AccountServiceStub
from playclock.v1.session_service_pb2 import ListSessionsRequest
from playclock.v1.session_service_pb2_grpc import SessionServiceStub
from playclock.v1.settlement_service_pb2 import ListSettlementsRequest
from playclock.v1.settlement_service_pb2_grpc import SettlementServiceStub

if TYPE_CHECKING:
    from tests.cli.conftest import Process, Run, Start

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
ESTATE = ["--provision", str(EXAMPLES / "provisioning.toml"), "--config", str(EXAMPLES / "settings.toml")]
PORTS = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
OPERATOR = (("authorization", "Bearer dev-operator-token"),)
AWAY = "postgresql://somebody:hunter2@127.0.0.1:1/archive"


def top_up(address: str, request_id: str) -> None:
    with grpc.insecure_channel(address) as channel:
        request = TopUpAccountRequest(account_id="cafe-1", amount_micros=1, request_id=request_id)
        AccountServiceStub(channel).TopUpAccount(request, metadata=OPERATOR, timeout=10)


def stop(process: "Process") -> list[dict[str, str]]:
    """Stop a server and return its log."""
    process.process.terminate()
    assert process.end() == 0
    return [json.loads(line) for line in process.log_until_end().splitlines()]


def top_ups(file: Path) -> int:
    with sqlite3.connect(file) as connection:
        ((number,),) = connection.execute("SELECT count(*) FROM entries WHERE kind = 'TOP_UP' AND amount_micros > 0")
    connection.close()
    return int(number)


def test_what_happened_right_before_the_end_is_archived_beside_the_store(start: "Start", tmp_path: Path) -> None:
    for number in (1, 2):
        process = start("serve", *PORTS, *ESTATE, "--store", "sqlite:///cafes.db")
        ready = process.ready()
        top_up(ready["grpc"], f"invoice-{number}")
        log = stop(process)
        assert [line["archive"] for line in log if line["message"] == "archiving"] == ["sqlite:///cafes-archive.db"]
        assert top_ups(tmp_path / "cafes-archive.db") == number


def test_the_archive_of_another_store_is_refused(start: "Start", run: "Run", tmp_path: Path) -> None:
    process = start("serve", *PORTS, *ESTATE, "--store", "sqlite:///cafes.db", "--archive", "sqlite:///years.db")
    process.ready()
    stop(process)
    assert not (tmp_path / "cafes-archive.db").exists()
    for store in ("memory://", "sqlite:///other.db"):
        result = run("serve", *PORTS, "--store", store, PLAYCLOCK_ARCHIVE="sqlite:///years.db")
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr.startswith("Error: the archive is ahead of the store")
        assert "memory:// store begins anew with every start and needs an archive that does so too: sqlite://" in result.stderr


@pytest.mark.parametrize(
    ("archive", "sentence"),
    [
        ("sqlite:///cafes.db", "Error: cafes.db is the SQLite file of another program, or of a store; name another file\n"),
        ("sqlite:///no/such/folder.db", "the folder no/such for the archive folder.db does not exist; make it first"),
        ("mysql://root:hunter2@db/x", "the archive's address names no database that this version knows"),
        ("postgresql://root:hunter2@db:port/x", "the archive's address is none; possible are"),
        (
            "postgresql://root:hunter2@127.0.0.1:1/x?nonsense=hunter2",
            'the archive cannot be used: invalid connection option "nonsense"',
        ),
        ("sqlite:///text.db", "the archive cannot be used: file is not a database"),
    ],
)
def test_what_cannot_be_an_archive_is_told_in_a_sentence(run: "Run", tmp_path: Path, archive: str, sentence: str) -> None:
    (tmp_path / "text.db").write_text("no database at all, but words\n" * 100)
    result = run("serve", *PORTS, "--store", "sqlite:///cafes.db", "--archive", archive)
    assert (result.returncode, result.stdout) == (1, "")
    assert sentence in result.stderr
    assert "hunter2" not in result.stderr
    assert "Traceback" not in result.stderr


def test_while_the_archive_is_away_play_goes_on_and_nobody_reads_its_password(start: "Start") -> None:
    process = start("serve", *PORTS, *ESTATE, "--store", "memory://", PLAYCLOCK_ARCHIVE=AWAY)
    ready = process.ready()
    top_up(ready["grpc"], "invoice-1")
    with grpc.insecure_channel(ready["grpc"]) as channel:
        assert SessionServiceStub(channel).ListSessions(ListSessionsRequest(), metadata=OPERATOR, timeout=10).sessions == []
        with pytest.raises(grpc.RpcError) as refused:
            SettlementServiceStub(channel).ListSettlements(ListSettlementsRequest(), metadata=OPERATOR, timeout=10)
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert refused.value.details() == "the archive cannot be reached"
    began = time.monotonic()
    log = stop(process)
    assert time.monotonic() - began < 8
    told = [line["message"] for line in log]
    assert {"the archive is away", "archiving has to wait", "stopped before everything was archived"} <= set(told)
    assert "hunter2" not in json.dumps(log)
    assert [line["archive"] for line in log if line["message"] == "archiving"] == ["postgresql://***@127.0.0.1:1/archive"]


def test_without_an_archive_there_are_no_settlements(start: "Start", tmp_path: Path) -> None:
    ready = start("serve", *PORTS, *ESTATE, "--archive", "none").ready()
    with grpc.insecure_channel(ready["grpc"]) as channel, pytest.raises(grpc.RpcError) as refused:
        SettlementServiceStub(channel).ListSettlements(ListSettlementsRequest(), metadata=OPERATOR, timeout=10)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert [file.name for file in tmp_path.glob("*.db")] == ["playclock.db"]


class TestWithoutItsPackages:
    PROGRAM = "import sys; sys.modules['sqlalchemy'] = None; from playclock.__main__ import main; main()"

    def test_a_server_serves_and_says_that_it_keeps_none(self, tmp_path: Path) -> None:
        command = [sys.executable, "-c", self.PROGRAM, "serve", *PORTS, "--no-tuning"]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline().startswith("ready ")
            process.terminate()
            _, log = process.communicate(timeout=30)
        (told,) = [line for line in map(json.loads, log.splitlines()) if line["message"] == "no archive is kept"]
        assert told["level"] == "warning"
        assert told["cause"] == "an archive needs packages that are not installed: pip install 'playclock[archive]'"

    def test_an_archive_that_was_asked_for_is_refused(self, tmp_path: Path) -> None:
        command = [sys.executable, "-c", self.PROGRAM, "serve", *PORTS, "--archive", "sqlite:///years.db"]
        result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False)
        assert (result.returncode, result.stdout) == (1, "")
        assert result.stderr == ("Error: an archive needs packages that are not installed: pip install 'playclock[archive]'\n")
