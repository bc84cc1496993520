"""A process that plays and is killed, again and again, and what it has answered over all its lives."""

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from simulation.soak.answers import Answers


class Loader(Answers):
    """The process. What it says that it has answered stays answered, whatever becomes of it."""

    def __init__(self, path: Path | str, *arguments: str) -> None:
        """Start it on an SQLite file or a store's address; an archive's address may follow."""
        super().__init__()
        self.errors: list[str] = []
        self._child = 0
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("loader.py")), str(path), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def live(self) -> None:
        """Begin a life."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        self._child = self._read()["started"]

    def answer(self, answers: int) -> None:
        """Take in so many answers."""
        for _ in range(answers):
            self._note(self._read())

    def die(self, pause_sec: float) -> None:
        """Let it play for a moment more, kill it without warning, and take in all that it has answered."""
        # Not a wait for anything: the answers come in bursts, one for each transaction, and the end shall come between too.
        select.select([], [], [], pause_sec)
        os.kill(self._child, signal.SIGKILL)
        while "gone" not in (answer := self._read()):
            self._note(answer)
        assert answer["gone"], "it ended before it was killed"

    def live_and_die(self, answers: int, pause_sec: float) -> None:
        """Let it play for so many answers and a moment more, and kill it."""
        self.live()
        self.answer(answers)
        self.die(pause_sec)

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=30)
        assert self._process.returncode == 0

    def abandon(self) -> None:
        """End the process, and what lives of it, if a test has failed in between."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def _note(self, answer: dict[str, Any]) -> None:
        if "opened" in answer:
            assert answer["opened"] not in self.opened
            self.opened[answer["opened"]] = answer["ott"]
        elif "ended" in answer:
            assert answer["ended"] not in self.ended
            self.ended[answer["ended"]] = answer
        elif "error" in answer:
            self.errors.append(answer["error"])
        else:
            self.otts.add(answer["ott"])
