import csv
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest
from playclock.blocking import BlockingEngine
from playclock.clock import ManualClock
from playclock.core.settlement import FIRST_HASH, Settlement, hash_of
from playclock.testing import CAFE_IP, ESTATE, GAME_ID
from playclock.v1 import (
    ApplyProvisioningRequest,
    EndSessionRequest,
    HeartbeatLaunchRequest,
    HeartbeatRequest,
    IssueOttRequest,
    LaunchServiceStub,
    OpenSessionRequest,
    ProvisioningServiceStub,
    SessionServiceStub,
    StartLaunchRequest,
)

if TYPE_CHECKING:
    from tests.cli.conftest import Run, ServeFile

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


def test_a_file_without_a_settlement_proves_nothing(run: "Run", exported: Path) -> None:
    exported.write_text("")
    result = run("settlements", "verify", str(exported))
    assert (result.returncode, result.stdout) == (1, "")
    assert "holds no settlement: there is nothing to check" in result.stderr


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


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, serve_file: "ServeFile") -> Iterator[str]:
    """Serve a file with three sessions of two days, which are of two months in Seoul."""
    folder = tmp_path_factory.mktemp("settled")
    clock = ManualClock(1_793_451_600_000)  # 2026-10-31 13:00 UTC, 22:00 in Seoul
    with BlockingEngine(f"sqlite:///{folder}/play.db", clock=clock, archive=f"sqlite:///{folder}/play-archive.db") as engine:
        channel = engine.channel(operator=True)
        ProvisioningServiceStub(channel).ApplyProvisioning(ApplyProvisioningRequest(provisioning=ESTATE))
        for number, played_sec in enumerate((90, 7_200, 30)):
            launches, sessions = LaunchServiceStub(channel), SessionServiceStub(channel)
            launch = launches.StartLaunch(StartLaunchRequest(pc_id="pc-1", external_ip=CAFE_IP))
            ott = launches.IssueOtt(IssueOttRequest(session_token=launch.session_token, game_id=GAME_ID)).ott
            opened = sessions.OpenSession(OpenSessionRequest(ott=ott, provider_user_id=f"=player-{number}"))
            for _ in range(played_sec // 120):
                clock.advance(120)
                beat = HeartbeatRequest(game_session_id=opened.game_session_id, provider_user_id=f"=player-{number}")
                sessions.Heartbeat(beat)
                launches.HeartbeatLaunch(HeartbeatLaunchRequest(session_token=launch.session_token))
            clock.advance(played_sec % 120)
            sessions.EndSession(EndSessionRequest(game_session_id=opened.game_session_id, play_duration_sec=played_sec))
    with serve_file(f"sqlite:///{folder}/play.db") as ready:
        yield ready["grpc"]


@pytest.fixture
def ask(run: "Run", address: str) -> Callable[..., str]:
    def ask(*arguments: str, code: int = 0) -> str:
        result = run("settlements", *arguments, "--engine", address, **TOKEN)
        assert result.returncode == code, result.stderr
        return result.stderr if code else result.stdout

    return ask


class TestAgainstAServer:
    def test_the_months_settlement_is_one_row_each(self, ask: Callable[..., str]) -> None:
        assert ask("summarize", "--by", "cafe", "--by", "month", "--time-zone", "Asia/Seoul").splitlines() == [
            "cafe\tperiod\tcurrency\tsessions\tplayed\tbilled\tamount",
            "cafe-1\t2026-10\tGCOIN\t1\t90\t90\t2.00",
            "cafe-1\t2026-11\tGCOIN\t2\t7230\t7230\t121.00",
        ]

    def test_sums_can_be_had_for_spreadsheets_and_programs(self, ask: Callable[..., str]) -> None:
        chosen = ("--by", "account", "--from", "2026-11-01", "--time-zone", "Asia/Seoul", "--cafe", "cafe-1")
        assert ask("summarize", "--csv", *chosen).splitlines() == [
            "game_id,cafe_id,account_id,period,currency,session_count,play_duration_sec,billed_sec,amount_micros",
            ",,cafe-1,,GCOIN,2,7230,7230,121000000",
        ]
        (row,) = json.loads(ask("summarize", "--json", *chosen))
        assert (row["account_id"], row["session_count"], row["amount_micros"]) == ("cafe-1", 2, 121_000_000)

    def test_the_list_is_a_table_with_times(self, ask: Callable[..., str]) -> None:
        header, *rows = (line.split("\t") for line in ask("list", "--until", "2026-11-01").splitlines())
        assert header == ["session", "cafe", "player", "ended", "reason", "played", "billed", "amount", "currency"]
        assert [row[1:] for row in rows] == [
            ["cafe-1", "=player-0", "2026-10-31T13:01:30Z", "CLIENT_END", "90", "90", "2.00", "GCOIN"],
            ["cafe-1", "=player-1", "2026-10-31T15:01:30Z", "CLIENT_END", "7200", "7200", "120.00", "GCOIN"],
            ["cafe-1", "=player-2", "2026-10-31T15:02:00Z", "CLIENT_END", "30", "30", "1.00", "GCOIN"],
        ]

    def test_the_list_is_csv_without_formulas_and_json_and_as_long_as_it_may_be(self, ask: Callable[..., str]) -> None:
        rows = list(csv.DictReader(io.StringIO(ask("list", "--csv", "--limit", "2"))))
        assert [(row["provider_user_id"], row["amount_micros"]) for row in rows] == [
            ("'=player-0", "2000000"),
            ("'=player-1", "120000000"),
        ]
        listed = json.loads(ask("list", "--json", "--game", GAME_ID))
        assert [each["provider_user_id"] for each in listed] == ["=player-0", "=player-1", "=player-2"]
        assert list(listed[0]) == list(rows[0]) == [field.name for field in msgspec.structs.fields(Settlement)]
        assert ask("list", "--csv", "--account", "nobody").count("\n") == 1

    def test_what_was_exported_is_verified_offline_and_its_csv_has_the_same_rows(
        self, run: "Run", ask: Callable[..., str], tmp_path: Path
    ) -> None:
        lines = ask("export", "--format", "jsonl")
        (tmp_path / "all.jsonl").write_text(lines)
        assert run("settlements", "verify", "--whole", "all.jsonl").stdout == "the chain holds\n"
        exported = list(csv.DictReader(io.StringIO(ask("export"))))
        assert [row["hash"] for row in exported] == [json.loads(line)["hash"] for line in lines.splitlines()]
        (tmp_path / "some.jsonl").write_text(lines.replace("7200", "720"))
        assert "has been changed" in run("settlements", "verify", "some.jsonl").stderr

    @pytest.mark.parametrize(
        ("arguments", "code", "sentence"),
        [
            (("summarize", "--by", "day", "--by", "month"), 1, "group_by: a day and a month exclude each other"),
            (("list", "--csv", "--json"), 2, "--csv and --json exclude each other"),
            (("list", "--from", "0001-01-01", "--time-zone", "Asia/Seoul"), 2, "'0001-01-01' is no day"),
            (("summarize", "--time-zone", "Europe"), 2, "there is no time zone 'Europe'"),
            (("list", "--limit", "0"), 2, "--limit"),
        ],
    )
    def test_what_cannot_be_is_told(
        self, ask: Callable[..., str], arguments: tuple[str, ...], code: int, sentence: str
    ) -> None:
        told = ask(*arguments, code=code)
        assert sentence in told
        assert "Traceback" not in told


class TestAudit:
    @pytest.fixture
    def audit(self, run: "Run", address: str) -> Callable[..., str]:
        def audit(*arguments: str, code: int = 0) -> str:
            result = run("audit", *arguments, "--engine", address, **TOKEN)
            assert result.returncode == code, result.stderr
            return result.stderr if code else result.stdout

        return audit

    def test_lists_what_operators_did(self, audit: Callable[..., str]) -> None:
        rows = [line.split("\t") for line in audit().splitlines()]
        assert rows[0] == ["time", "actor", "action", "target", "detail"]
        ended = [row for row in rows if row[2] == "EndSession"]
        assert len(ended) == 3
        assert ended[0][:2] == ["2026-10-31T13:01:30Z", "operator/"]
        assert ended[0][3].startswith("gs_")

    def test_of_a_day_in_a_time_zone_and_of_an_actor(self, audit: Callable[..., str]) -> None:
        told = json.loads(audit("--from", "2026-11-01", "--time-zone", "Asia/Seoul", "--json"))
        assert [each["action"] for each in told] == ["EndSession", "StartLaunch", "IssueOtt", "OpenSession", "EndSession"]
        assert audit("--actor", "service/billing", "--csv") == "act_time,actor,action,target,detail\n"
        assert len(audit("--limit", "2").splitlines()) == 3

    def test_tells_what_is_wrong(self, audit: Callable[..., str]) -> None:
        assert "--csv and --json exclude each other" in audit("--csv", "--json", code=2)
        assert "'yesterday' is no day" in audit("--from", "yesterday", code=2)
