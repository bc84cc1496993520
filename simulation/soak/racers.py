"""Two processes that do the same at the same moment."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

RACERS: Final = 2
END_SEC: Final = 100.0


class Racers:
    """Processes that wait for lines, and answer each with one."""

    def __init__(self, processes: list["subprocess.Popen[str]"]) -> None:
        self._processes = processes

    def race(self, line: str) -> list[str]:
        """Give all of them a line at once, and return what each answers."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(line + "\n")
            process.stdin.flush()
        return [self.hear(process) for process in self._processes]

    @staticmethod
    def hear(process: "subprocess.Popen[str]") -> str:
        """Return what a process says next."""
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said, f"a racer has ended with {process.wait()}"
        return said


@contextmanager
def racers(program: str, *arguments: str) -> Iterator[Racers]:
    """Start a program beside this module as often, wait until each is ready, and end them by the end of their input."""
    command = [sys.executable, str(Path(__file__).with_name(f"{program}.py")), *arguments]
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(RACERS)]
    try:
        for process in processes:
            assert Racers.hear(process) == "ready\n"
        yield Racers(processes)
        for process in processes:
            process.communicate(timeout=END_SEC)
        assert [process.returncode for process in processes] == [0] * RACERS
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
                process.communicate()
