"""`playclock serve --workers N`: real processes on one port, of which some die."""

import json
import os
import signal
import sqlite3
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import grpc
import pytest
from playclock.v1.account_service_pb2 import TopUpAccountRequest
from playclock.v1.account_service_pb2_grpc import AccountServiceStub

from tests.cli.test_serve_command import HELD_REQUEST, connect

if TYPE_CHECKING:
    from tests.cli.conftest import Process, Run, Start

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
ESTATE = ["--provision", str(EXAMPLES / "provisioning.toml"), "--config", str(EXAMPLES / "settings.toml")]
PORTS = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
TWO = ["serve", *PORTS, *ESTATE, "--workers", "2"]
OPERATOR = (("authorization", "Bearer dev-operator-token"),)
RETRIES = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


def logged(process: "Process", message: str) -> list[dict[str, Any]]:
    """Return the lines with a message, of those that have been read."""
    lines = [json.loads(line) for line in process.logged if line.startswith("{")]
    return [line for line in lines if line["message"] == message]


def pids(process: "Process") -> dict[int, int]:
    """Return the process of each worker."""
    return {line["worker"]: line["pid"] for line in logged(process, "worker starts")}


def top_up(address: str, request_id: str) -> None:
    """Top an account up over a connection of its own, as a client that retries."""
    options = (("grpc.service_config", json.dumps(RETRIES)), ("grpc.use_local_subchannel_pool", 1))
    with grpc.insecure_channel(address, options=options) as channel:
        request = TopUpAccountRequest(account_id="cafe-1", amount_micros=1, request_id=request_id)
        AccountServiceStub(channel).TopUpAccount(request, metadata=OPERATOR, timeout=20)


class Load:
    """Two clients that top up again and again."""

    def __init__(self, address: str) -> None:
        self.done: list[str] = []
        self._address = address
        self._failed: list[BaseException] = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._go_on, args=(name,)) for name in ("one", "two")]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()
        assert self._failed == []

    def more(self, count: int) -> None:
        """Return when so many more calls were answered, or one has failed."""
        goal = len(self.done) + count
        while len(self.done) < goal and not self._failed:
            self._over.wait(0.02)

    def _go_on(self, name: str) -> None:
        try:
            while not self._over.is_set():
                request_id = f"{name}-{len(self.done)}"
                top_up(self._address, request_id)
                self.done.append(request_id)
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            self._failed.append(error)


def stop(process: "Process") -> list[dict[str, Any]]:
    """Stop a server and return its log."""
    process.process.terminate()
    assert process.end() == 0
    assert process.stdout.get(timeout=5) is None
    return [json.loads(line) for line in process.log_until_end().splitlines()]


def archived(file: Path) -> int:
    with sqlite3.connect(file) as connection:
        ((number,),) = connection.execute("SELECT count(*) FROM entries WHERE kind = 'TOP_UP' AND amount_micros > 0")
    connection.close()
    return int(number)


def test_all_workers_answer_on_one_port_and_stop_together(start: "Start") -> None:
    process = start(*TWO, PLAYCLOCK_STORE="sqlite:///unseen.db")
    ready = process.ready()
    assert list(ready) == ["grpc", "http", "store"]
    for call in range(60):
        top_up(ready["grpc"], f"call-{call}")
    process.wait_for_log('"worker": 1, "pid"')
    # What is in a variable, such as a password, must not be in a list of processes.
    listed = ["ps", "-o", "args=", "-p", ",".join(map(str, pids(process).values()))]
    shown = subprocess.run(listed, capture_output=True, text=True, check=True).stdout
    assert len(shown.splitlines()) == 2
    assert "unseen" not in shown
    log = stop(process)
    served = {line["worker"] for line in log if line.get("method", "").endswith("TopUpAccount")}
    assert served == {0, 1}
    assert [line["message"] for line in log].count("provisioning applied") == 1
    assert {line["worker"] for line in log if line["message"] == "stopped" and "worker" in line} == {0, 1}
    assert log[-1]["message"] == "stopped"


def test_a_worker_that_is_killed_under_load_is_started_again_while_the_other_answers(start: "Start", tmp_path: Path) -> None:
    process = start(*TWO)
    ready = process.ready()
    process.wait_for_log('"worker serves", "worker": 1')
    with Load(ready["grpc"]) as load:
        load.more(10)
        for worker in (0, 1):
            os.kill(pids(process)[worker], signal.SIGKILL)
            process.wait_for_log('"worker ended"')
            load.more(20)
            process.wait_for_log('"worker serves"')
            load.more(20)
    log = stop(process)
    causes = [(line["worker"], line["cause"]) for line in log if line["message"] == "worker ended"]
    assert causes == [(0, "SIGKILL"), (1, "SIGKILL")]
    # What was changed since must not be taken back by the file.
    assert [line["message"] for line in log].count("provisioning applied") == 1
    assert archived(tmp_path / "playclock-archive.db") == len(load.done)


def test_a_request_that_is_under_way_is_answered_before_the_end(start: "Start") -> None:
    process = start(*TWO)
    ready = process.ready()
    held = [connect(ready["http"]) for _ in range(8)]
    for each in held:
        each.sendall(HELD_REQUEST)
        assert each.recv(1024).startswith(b"HTTP/1.1 100 ")
    process.process.send_signal(signal.SIGINT)
    for _ in range(3):
        process.wait_for_log("draining")
    for each in held:
        with each:
            each.sendall(b"{}")
            assert each.recv(4096).startswith(b"HTTP/1.1 400 ")
    assert process.end() == 0


def test_workers_without_a_supervisor_stop(start: "Start") -> None:
    process = start(*TWO)
    ready = process.ready()
    process.process.kill()
    process.log_until_end()  # which all of them have open
    assert {line["worker"] for line in logged(process, "stopped")} == {0, 1}
    with pytest.raises(ConnectionRefusedError):
        connect(ready["http"])


def test_where_workers_die_at_once_again_and_again_it_gives_up(start: "Start", tmp_path: Path) -> None:
    process = start(*TWO, "--archive", "none")
    process.ready()
    process.wait_for_log('"worker": 1, "pid"')
    for file in tmp_path.glob("playclock.db*"):
        file.unlink()
    (tmp_path / "playclock.db").write_text("no database at all, but words\n" * 100)
    for pid in pids(process).values():
        os.kill(pid, signal.SIGKILL)
    assert process.end() == 1
    assert "ended 5 times right after its start, and no other serves: see the log" in process.log_until_end()


def test_what_keeps_a_worker_from_starting_ends_all(run: "Run") -> None:
    result = run("serve", *PORTS, "--workers", "3", "--store", "sqlite:////no/such/folder/x.db")
    assert (result.returncode, result.stdout) == (1, "")
    assert "/no/such/folder" in result.stderr
    assert "Error: worker 0 ended before it served\n" in result.stderr
    wrong = run("serve", *PORTS, "--workers", "2", "--config", "nowhere.toml")
    assert (wrong.returncode, wrong.stdout) == (2, "")


def test_a_signal_before_all_are_ready_ends_it_without_a_word_on_stdout(start: "Start") -> None:
    process = start(*TWO)
    process.wait_for_log("worker starts")
    assert stop(process)


def test_ports_are_not_shared_with_strangers(start: "Start", run: "Run") -> None:
    ready = start(*TWO).ready()
    for field in ("http", "grpc"):
        result = run("serve", *PORTS, f"--{field}", ready[field], "--store", "sqlite:///other.db", "--workers", "2")
        assert (result.returncode, result.stdout) == (1, "")
        assert f"cannot listen on {ready[field]}: Address already in use" in result.stderr
