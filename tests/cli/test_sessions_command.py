import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from playclock.v1.launch_service_pb2 import IssueOttRequest, StartLaunchRequest
from playclock.v1.launch_service_pb2_grpc import LaunchServiceStub
from playclock.v1.session_service_pb2 import OpenSessionRequest
from playclock.v1.session_service_pb2_grpc import SessionServiceStub

if TYPE_CHECKING:
    from tests.cli.conftest import Run

GAME = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
TOKEN = {"PLAYCLOCK_OPERATOR_TOKEN": "dev-operator-token"}
OPERATOR = (("authorization", "Bearer dev-operator-token"),)


def open_session(served: dict[str, str], pc: str, player: str = "player-1") -> str:
    """Open a session on a PC of the example cafe, and return its id."""
    with grpc.insecure_channel(served["grpc"]) as channel:
        launches, sessions = LaunchServiceStub(channel), SessionServiceStub(channel)
        launch = launches.StartLaunch(
            StartLaunchRequest(pc_id=pc, internal_ip="192.168.0.1", external_ip="127.0.0.1"), metadata=OPERATOR, timeout=10
        )
        issued = launches.IssueOtt(
            IssueOttRequest(session_token=launch.session_token, game_id=GAME), metadata=OPERATOR, timeout=10
        )
        opened = sessions.OpenSession(
            OpenSessionRequest(ott=issued.ott, provider_user_id=player),
            metadata=(("x-api-key", "dev-game-key"),),
            timeout=10,
        )
    assert opened.is_valid
    return opened.game_session_id


def test_live_sessions_are_listed_with_tabs_for_programs(run: "Run", served: dict[str, str]) -> None:
    session = open_session(served, "list-1")
    result = run("sessions", "list", "--engine", served["grpc"], **TOKEN)
    header, *lines = result.stdout.splitlines()
    assert header.split("\t") == ["session", "state", "game", "player", "cafe", "pc", "since", "played", "amount"]
    (row,) = [line.split("\t") for line in lines if line.startswith(session)]
    assert row[1:6] == ["ACTIVE", GAME, "player-1", "cafe-1", "list-1"]
    assert row[6].endswith("Z")
    assert int(row[7]) < 60


def test_a_list_ends_at_its_limit_and_at_its_filters(run: "Run", served: dict[str, str]) -> None:
    sessions = {open_session(served, f"limit-{number}") for number in range(3)}

    def listed(*arguments: str) -> list[str]:
        result = run("sessions", "list", "--engine", served["grpc"], "--json", *arguments, **TOKEN)
        return [session["game_session_id"] for session in json.loads(result.stdout)]

    assert len(listed("--limit", "2")) == 2
    assert sessions <= set(listed("--game", GAME, "--cafe", "cafe-1"))
    assert listed("--cafe", "nowhere") == []


def test_a_session_is_shown_and_terminated(run: "Run", served: dict[str, str]) -> None:
    session = open_session(served, "show-1")
    shown = run("sessions", "show", session, "--engine", served["grpc"], **TOKEN).stdout
    assert "state\tACTIVE\n" in shown
    assert "account\tcafe-1\n" in shown
    ended = run("sessions", "terminate", session, "--engine", served["grpc"], "--json", **TOKEN)
    assert json.loads(ended.stdout)["end_reason"] == "END_REASON_TERMINATED"
    again = run("sessions", "terminate", session, "--engine", served["grpc"], **TOKEN)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == "Error: the session has ended already; `playclock sessions show` has its figures\n"
    assert "state\tENDED (TERMINATED)\n" in run("sessions", "show", session, "--engine", served["grpc"], **TOKEN).stdout


def test_people_at_a_terminal_get_a_table_that_strangers_cannot_command(served: dict[str, str], tmp_path: Path) -> None:
    session = open_session(served, "table-1", player="[red]kim[/red]")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "playclock", "sessions", "list", "--engine", served["grpc"]]
    environment = os.environ | TOKEN | {"COLUMNS": "300", "TERM": "xterm", "TZ": "Asia/Seoul"}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=theirs) as process:
        os.close(theirs)
        output = bytearray()
        while chunk := read_terminal(ours):
            output += chunk
        os.close(ours)
    assert process.returncode == 0
    (line,) = [line for line in output.decode().splitlines() if session in line]
    assert "[red]kim[/red]" in line
    assert " 0:00:0" in line


def read_terminal(descriptor: int) -> bytes:
    """Return what a terminal shows next; nothing when its other end is closed, which Linux reports as an error."""
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        return b""


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["show", "gs_550e8400-e29b-41d4-a716-446655440000"], "there is no such session, or it fell silent"),
        (["show", "nonsense"], "game_session_id"),
        (["terminate", "gs_550e8400-e29b-41d4-a716-446655440000"], "there is no such session, or it fell silent"),
        (["list", "--token", "wrong"], "the engine does not know this token; give one of the engine's operator_tokens"),
        (["list", "--engine", "127.0.0.1:1"], "no engine answers at 127.0.0.1:1: is `playclock serve` running there?"),
    ],
)
def test_what_an_engine_refuses_is_told_in_a_sentence(
    run: "Run", served: dict[str, str], arguments: list[str], sentence: str
) -> None:
    result = run("sessions", arguments[0], "--engine", served["grpc"], *arguments[1:], **TOKEN)
    assert (result.returncode, result.stdout) == (1, "")
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
