"""Commands in processes of their own that need not load what they run.

To load gRPC and all else takes a command most of a second, and the tests run hundreds. So one process loads it, and each
command is forked from that one: with its own folder, environment, standard streams, signals and exit status.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Final

from tests.cli.becoming import be_playclock_in, be_playclock_on
from tests.leaks import NET

_FORKING: Final = get_context("forkserver")
_FORKING.set_forkserver_preload(["tests.cli.loaded"])


class ForkedCommand:
    """A `playclock` that runs, with as much of `subprocess.Popen` as those need who follow a server."""

    def __init__(self, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> None:
        self._arguments = tuple(arguments)
        with ExitStack() as theirs:
            self.stdout, out = _pipe(theirs)
            self.stderr, err = _pipe(theirs)
            self._process = _FORKING.Process(
                target=be_playclock_on, args=(self._arguments, folder, dict(environment), out, err)
            )
            self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self._process.terminate()

    def kill(self) -> None:
        """End it without warning."""
        self._process.kill()

    def poll(self) -> int | None:
        """Return its exit status, or minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its exit status. Raises TimeoutExpired."""
        self._process.join(timeout)
        code = self.poll()
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(["playclock", *self._arguments], timeout)
        return code


def _pipe(theirs: ExitStack) -> tuple[IO[str], Connection]:
    ours, handed_on = Pipe(duplex=False)
    theirs.enter_context(handed_on)
    with ours:
        return os.fdopen(os.dup(ours.fileno()), encoding="utf-8"), handed_on


def started_command(arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str]) -> "subprocess.Popen[str]":
    """Start `playclock` as a shell does: by an interpreter that has loaded nothing yet."""
    command, pipe = [sys.executable, "-m", "playclock", *arguments], subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
    )


def run_command(
    arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str], stdin: str, deadline_sec: float
) -> "subprocess.CompletedProcess[str]":
    """Run `playclock` with the arguments, and return how it ended. Raises TimeoutExpired."""
    with tempfile.TemporaryDirectory() as streams:
        Path(streams, "stdin").write_text(stdin, "utf-8")
        process = _FORKING.Process(target=be_playclock_in, args=(tuple(arguments), folder, dict(environment), Path(streams)))
        process.start()
        process.join(deadline_sec)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(["playclock", *arguments], deadline_sec)
        out, err = (Path(streams, name).read_text("utf-8") for name in ("stdout", "stderr"))
    NET.hear("stderr of a process", err)
    return subprocess.CompletedProcess(["playclock", *arguments], process.exitcode, out, err)
