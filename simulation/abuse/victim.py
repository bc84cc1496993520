"""A server in a process of its own, whose files and figures can be looked at."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil
from playclock.settings import LIMIT_KEYS

from simulation.soak.answers import Answers
from simulation.soak.audit import OPENING_MICROS, violations
from simulation.soak.books import books_in_file

TOKEN: Final = "operator-token"
OPERATOR: Final = (("authorization", f"Bearer {TOKEN}"),)
GAME_ID: Final = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
GAME_KEY: Final = "game-key"
GAME: Final = (("x-api-key", GAME_KEY),)
_ESTATE: Final = f"""
game = [{{ id = "{GAME_ID}", name = "Game", api_keys = ["{GAME_KEY}"] }}]
tariff = [{{ id = "standard", currency = "GCOIN", unit_sec = 60, price_micros = 1_000_000 }}]
account = [{{ id = "cafe-1", currency = "GCOIN", opening_balance_micros = {OPENING_MICROS} }}]
cafe = [{{ id = "cafe-1", name = "Cafe", networks = ["127.0.0.0/8"], account = "cafe-1", tariff = "standard" }}]
"""


class Victim:
    """A server that runs."""

    def __init__(self, folder: Path, process: "subprocess.Popen[str]", ready: dict[str, str]) -> None:
        self.grpc: Final = ready["grpc"]
        self.http: Final = ready["http"]
        self._folder = folder
        self._process = process
        self._figures = psutil.Process(process.pid)

    def cpu_sec(self) -> float:
        """Return how long it has computed."""
        times = self._figures.cpu_times()
        return float(times.user + times.system)

    def peak_bytes(self) -> int:
        """Return how much memory it had at most since it began."""
        (line,) = (line for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines() if "VmHWM" in line)
        return int(line.split()[1]) << 10

    def violations(self) -> list[str]:
        """Stop it, and return what does not hold of what lies in its store. `Answers` are not asked: nobody kept any."""
        self._process.terminate()
        assert self._process.wait(30) == 0, "it did not stop as it should"
        return violations(Answers(), books_in_file(self._folder / "play.db"))


@contextmanager
def victim(folder: Path) -> Iterator[Victim]:
    """Serve an estate on SQLite in an empty folder."""
    (folder / "estate.toml").write_text(_ESTATE)
    ports = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--store", "sqlite:///play.db", "--archive", "none"]
    command = [sys.executable, "-m", "playclock", "serve", *ports, "--provision", "estate.toml", "--log-level", "error"]
    # What counts calls would hide what the transport withstands.
    limits = {f"PLAYCLOCK_LIMITS_{name.upper()}": "none" for name in LIMIT_KEYS}
    variables = {"PLAYCLOCK_SECURITY_OPERATOR_TOKENS": TOKEN, **limits}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=log, text=True)
    with process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (folder / "log").read_text()
        try:
            yield Victim(folder, process, dict(field.split("=", 1) for field in line.split()[1:]))
        finally:
            process.kill()
