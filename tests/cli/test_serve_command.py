import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from playclock.v1.session_service_pb2 import ListSessionsRequest, WatchSessionsRequest
from playclock.v1.session_service_pb2_grpc import SessionServiceStub

if TYPE_CHECKING:
    from tests.cli.conftest import Run, Start

PORTS = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
MEMORY = ["serve", "--store", "memory://", *PORTS]
OPERATOR = (("authorization", "Bearer dev-operator-token"),)


def health(address: str) -> int:
    with grpc.insecure_channel(address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    return int(answer.status)


def connect(address: str) -> socket.socket:
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=10)


HELD_REQUEST = (
    b"POST /v1/game/session/verify HTTP/1.1\r\nHost: x\r\nX-Api-Key: dev-game-key\r\nContent-Length: 2\r\n"
    b"Content-Type: application/json\r\nExpect: 100-continue\r\n\r\n"
)


def hold_request(address: str) -> socket.socket:
    """Send a request without its body, and return when the server waits for it."""
    connection = connect(address)
    connection.sendall(HELD_REQUEST)
    assert connection.recv(1024).startswith(b"HTTP/1.1 100 ")
    return connection


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_says_that_it_is_ready_and_stops_at_a_signal(start: "Start", number: signal.Signals) -> None:
    process = start("serve", *PORTS, really=True)
    ready = process.ready()
    assert list(ready) == ["grpc", "http", "store"]
    assert ready["store"] == "sqlite:///playclock.db"
    assert health(ready["grpc"]) == health_pb2.HealthCheckResponse.SERVING
    process.process.send_signal(number)
    assert process.end() == 0
    assert process.stdout.get(timeout=5) is None
    log = [json.loads(line) for line in process.log_until_end().splitlines()]
    assert [entry["message"] for entry in log][-2:] == ["draining", "stopped"]


def test_options_come_from_variables_too(start: "Start", tmp_path: Path) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('[security]\noperator_tokens = ["of-the-file"]\n')
    process = start(
        "serve",
        PLAYCLOCK_STORE="memory://",
        PLAYCLOCK_HTTP="127.0.0.1:0",
        PLAYCLOCK_GRPC="localhost:0",
        PLAYCLOCK_CONFIG=str(settings),
        PLAYCLOCK_SECURITY_OPERATOR_TOKENS="dev-operator-token",
    )
    ready = process.ready()
    assert ready["store"] == "memory://"
    assert ready["grpc"].startswith("localhost:")
    with grpc.insecure_channel(ready["grpc"]) as channel:
        SessionServiceStub(channel).ListSessions(ListSessionsRequest(), metadata=OPERATOR, timeout=10)


def test_untuned_it_serves_as_well(start: "Start") -> None:
    assert start(*MEMORY, "--no-tuning").ready()


def test_sessions_and_money_outlast_a_restart_on_the_default_store(start: "Start", run: "Run", tmp_path: Path) -> None:
    example = str(Path(__file__).parent.parent.parent / "examples" / "provisioning.toml")
    first = start("serve", *PORTS, "--provision", example)
    first.ready()
    first.process.terminate()
    assert first.end() == 0
    assert (tmp_path / "playclock.db").exists()
    assert run("apply", example).stdout == "nothing to change\n"


def test_a_request_that_is_under_way_is_answered_before_the_end(start: "Start") -> None:
    process = start(*MEMORY)
    ready = process.ready()
    with hold_request(ready["http"]) as held:
        process.process.terminate()
        process.wait_for_log("draining")
        held.sendall(b"{}")
        assert held.recv(4096).startswith(b"HTTP/1.1 401 ")
    assert process.end() == 0


def test_nobody_new_is_let_in_while_it_drains(start: "Start") -> None:
    process = start(*MEMORY)
    ready = process.ready()
    with hold_request(ready["http"]) as held:
        process.process.terminate()
        process.wait_for_log("draining")
        held.sendall(b"{}")
        assert process.end() == 0
    for address in (ready["http"], ready["grpc"]):
        with pytest.raises(ConnectionRefusedError):
            connect(address)


def test_a_limit_of_the_settings_holds_over_rest(start: "Start") -> None:
    ready = start(*MEMORY, PLAYCLOCK_LIMITS_WRONG_CREDENTIALS_PER_ADDRESS="2/hour").ready()

    def guess() -> tuple[int, int | None]:
        connection = http.client.HTTPConnection(ready["http"], timeout=10)
        connection.request("PATCH", "/v1/game/session/heartbeat", b"{", {"X-Api-Key": "a-guess"})
        response = connection.getresponse()
        response.read()
        connection.close()
        wait = response.getheader("Retry-After")
        return response.status, None if wait is None else int(wait)

    assert [guess(), guess()] == [(401, None)] * 2
    status, wait_sec = guess()
    assert (status, wait_sec is not None and 3_500 < wait_sec <= 3_600) == (429, True)


def test_a_second_signal_hurries(start: "Start") -> None:
    process = start(*MEMORY, PLAYCLOCK_SECURITY_OPERATOR_TOKENS="dev-operator-token")
    ready = process.ready()
    with hold_request(ready["http"]), grpc.insecure_channel(ready["grpc"]) as channel:
        watch = SessionServiceStub(channel).WatchSessions(WatchSessionsRequest(), metadata=OPERATOR)
        next(watch)
        process.process.terminate()
        process.wait_for_log("draining")
        process.process.terminate()
        assert process.end() == 0


def test_a_signal_before_it_is_ready_ends_it_without_a_word_on_stdout(start: "Start", tmp_path: Path) -> None:
    # A named pipe as provisioning file: reading it waits for a writer, so the server cannot become ready.
    os.mkfifo(tmp_path / "pipe")
    process = start(*MEMORY, "--provision", "pipe")
    with (tmp_path / "pipe").open("w"):  # returns when the server has opened it
        process.process.terminate()
    assert process.end() == 0
    assert process.stdout.get(timeout=5) is None


async def test_the_facade_of_a_server_reaches_its_engine(served: dict[str, str]) -> None:
    def verify() -> tuple[int, dict[str, object]]:
        host, port = served["http"].split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=10)
        body = json.dumps({"ott": "a1b2c3d4-e5f6-7890-abcd-ef1234567890", "provider_user_id": "1"})
        connection.request("POST", "/v1/game/session/verify", body, {"X-Api-Key": "dev-game-key"})
        response = connection.getresponse()
        headers = dict(response.getheaders())
        assert "server" not in {name.lower() for name in headers}
        assert "date" in {name.lower() for name in headers}
        answer = json.loads(response.read())
        connection.close()
        return response.status, answer["data"]

    assert await asyncio.to_thread(verify) == (200, {"is_valid": False, "reason": "OTT_EXPIRED"})


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--http", "0.0.0.0:0"], 2, "--http 0.0.0.0:0 can be reached from other machines in clear text: name a certificate"),
        (["--grpc", "[::]:0"], 2, "--grpc [::]:0 can be reached from other machines in clear text: name a certificate"),
        (["--http", "nowhere"], 2, "'nowhere' is not HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080"),
        (["--http", "127.0.0.1:65536"], 2, "'127.0.0.1:65536' is not HOST:PORT"),
        (["--http", "no-such-host.invalid:1"], 1, "the host no-such-host.invalid cannot be found"),
        (["--http", "192.0.2.1:1", "--insecure"], 1, "cannot listen on 192.0.2.1:1: Cannot assign requested address"),
        (["--grpc", "192.0.2.1:1", "--insecure"], 1, "cannot listen on 192.0.2.1:1: Cannot assign requested address"),
        (["--workers", "2"], 2, "--workers needs a store that processes can share, and memory:// lies within one"),
        (["--workers", "0"], 2, "0 is not in the range x>=1"),
        (["--store", "mysql://root:secret@db"], 1, "the store's address names no store that this version knows"),
        (["--store", "sqlite:////no/such/folder/x.db"], 1, "/no/such/folder"),
        (["--config", "nowhere.toml"], 2, "nowhere.toml: cannot be read: No such file or directory"),
        (["--provision", "nowhere.toml"], 2, "nowhere.toml: cannot be read: No such file or directory"),
        (["--provision", "wrong.toml"], 2, "wrong.toml:2: [[cafe]] #1: unknown key 'netwroks' (did you mean 'networks'?)"),
        (["--provision", "loose.toml"], 2, "loose.toml:1: [[cafe]] #1: there is no account nobody"),
    ],
)
def test_what_keeps_it_from_starting_is_told_in_a_sentence(
    run: "Run", tmp_path: Path, arguments: list[str], code: int, sentence: str
) -> None:
    (tmp_path / "wrong.toml").write_text('[[cafe]]\nnetwroks = []\nid = "a"\nname = "A"\nnetworks = []\n')
    (tmp_path / "loose.toml").write_text('[[cafe]]\nid = "a"\nname = "A"\nnetworks = []\naccount = "nobody"\ntariff = "none"\n')
    result = run("serve", *PORTS, "--store", "memory://", *arguments, PLAYCLOCK_LOG_LEVEL="error")
    assert (result.returncode, result.stdout) == (code, "")
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert "secret" not in result.stderr


def test_every_mistake_in_a_file_is_told_at_once(run: "Run", tmp_path: Path) -> None:
    (tmp_path / "wrong.toml").write_text("[timers]\ngrace = 0\nott_tlt = 1\n")
    result = run(*MEMORY, "--config", "wrong.toml")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "Error: 2 things have to be mended first\n"
        "wrong.toml:2: [timers]: 'grace': expected a number of seconds from 0.001 to 31622400, not 0\n"
        "wrong.toml:3: [timers]: unknown key 'ott_tlt' (did you mean 'ott_ttl'?)\n"
    )


@pytest.mark.parametrize(("option", "field"), [("--http", "http"), ("--grpc", "grpc")])
def test_a_port_that_is_taken_is_named(run: "Run", served: dict[str, str], option: str, field: str) -> None:
    result = run(*MEMORY, option, served[field])
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == (
        f"Error: cannot listen on {served[field]}: Address already in use; name another address, or port 0 for a free one\n"
    )


def test_other_machines_are_let_in_on_demand(start: "Start") -> None:
    ready = start(*MEMORY, "--http", "0.0.0.0:0", "--insecure").ready()
    assert ready["http"].startswith("0.0.0.0:")


@pytest.mark.parametrize("command", [["serve"], ["facade", "--engine", "127.0.0.1:1"], ["demo"]])
def test_without_its_packages_the_facade_says_how_to_get_them(command: list[str], tmp_path: Path) -> None:
    program = "import sys; sys.modules['uvicorn'] = None; from playclock.__main__ import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", program, *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "Error: the HTTP facade needs packages that are not installed: pip install 'playclock[http]'\n"
