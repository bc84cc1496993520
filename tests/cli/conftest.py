"""The command line as people use it: real processes, real ports, real signals."""

import os
import queue
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, Protocol

import pytest

from tests.cli.commands import ForkedCommand, run_command, started_command
from tests.leaks import NET

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
DEADLINE_SEC = 30


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return our environment without what would steer playclock, and with the variables."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PLAYCLOCK_", "GRPC_", "COLUMNS"))}
    return ours | {"PYTHONWARNINGS": "error", "COLUMNS": "100", **variables}


class Run(Protocol):
    """Runs a command to its end."""

    def __call__(self, *arguments: str, stdin: str = "", **variables: str) -> "subprocess.CompletedProcess[str]": ...


class Process:
    """A server in a process of its own, whose output is read line by line, each line within a deadline.

    It is forked from one that has loaded everything, unless it has to be `really` the command as a shell starts it.
    """

    def __init__(self, folder: Path, *arguments: str, really: bool = False, **variables: str) -> None:
        make = started_command if really else ForkedCommand
        self.process = make(arguments, folder=folder, environment=environment(variables))
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdout = self._follow(self.process.stdout)
        self.stderr = self._follow(self.process.stderr)
        self.logged: list[str] = []

    def ready(self) -> dict[str, str]:
        """Wait for the ready line and return its fields."""
        line = self.stdout.get(timeout=DEADLINE_SEC)
        assert line is not None, f"ended without a ready line: {self.log_until_end()}"
        assert re.fullmatch(r"ready( [a-z]+=\S+)+\n", line), line
        return dict(field.split("=", 1) for field in line.split()[1:])

    def wait_for_log(self, text: str) -> None:
        """Wait until a line with the text is logged."""
        while (line := self.stderr.get(timeout=DEADLINE_SEC)) is not None:
            self.logged.append(line)
            if text in line:
                return
        raise AssertionError(f"{text!r} was never logged: {self.logged}")

    def log_until_end(self) -> str:
        """Wait for the end of the log and return all of it."""
        while (line := self.stderr.get(timeout=DEADLINE_SEC)) is not None:
            self.logged.append(line)
        return "".join(self.logged)

    def end(self) -> int:
        """Wait for the process and return its exit code."""
        return self.process.wait(timeout=DEADLINE_SEC)

    def close(self) -> None:
        """Leave nothing behind."""
        self.process.kill()
        self.process.wait()
        self.log_until_end()
        while self.stdout.get(timeout=DEADLINE_SEC) is not None:
            pass

    @staticmethod
    def _follow(stream: IO[str]) -> "queue.Queue[str | None]":
        lines: queue.Queue[str | None] = queue.Queue()

        def read() -> None:
            with stream:
                for line in stream:
                    NET.hear("output of a server", line)
                    lines.put(line)
            lines.put(None)
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        return lines


Start = Callable[..., Process]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `playclock` in an empty folder, to its end."""

    def run(*arguments: str, stdin: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
        return run_command(
            arguments, folder=tmp_path, environment=environment(variables), stdin=stdin, deadline_sec=DEADLINE_SEC
        )

    return run


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start servers in an empty folder; what still runs after the test is killed."""
    processes: list[Process] = []

    def start(*arguments: str, really: bool = False, **variables: str) -> Process:
        processes.append(Process(tmp_path, *arguments, really=really, **variables))
        return processes[-1]

    yield start
    for process in processes:
        process.close()


ServeFile = Callable[..., AbstractContextManager[dict[str, str]]]


@pytest.fixture(scope="session")
def serve_file(tmp_path_factory: pytest.TempPathFactory) -> ServeFile:
    """Serve a store that is there, with the example settings; yields the ready line's fields."""

    @contextmanager
    def serve_file(store: str, *arguments: str) -> Iterator[dict[str, str]]:
        ports = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
        config = ("--config", str(EXAMPLES / "settings.toml"))
        process = Process(tmp_path_factory.mktemp("served"), "serve", "--store", store, *ports, *config, *arguments)
        try:
            yield process.ready()
        finally:
            process.close()

    return serve_file


@pytest.fixture(scope="session")
def served(serve_file: ServeFile) -> Iterator[dict[str, str]]:
    """Return the ready line's fields of a server that all tests share: memory, the example estate and settings."""
    with serve_file("memory://", "--provision", str(EXAMPLES / "provisioning.toml")) as ready:
        yield ready
