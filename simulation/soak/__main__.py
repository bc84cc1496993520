"""The command line: `scripts/soak --help`."""

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from simulation.soak.kills import Deaths, kill
from simulation.soak.pause import Standstill, pause
from simulation.soak.served import served
from simulation.soak.stages import KINDS
from simulation.soak.stall import RealTime, Recovery, stall
from simulation.soak.verifies import Race, race

TELL_SEC: Final = 2.0
"""How often something is said of what goes on."""
LATE_MS: Final = 1_500
"""What p99 of heartbeats may be after an outage."""

_DESCRIPTION: Final = """\
Do in full size what the suite does in small: kill, stop and race real processes on real servers, and audit what is left.

Each command starts its own servers in a folder of its own and leaves nothing behind. Exit code 0: what must hold held.
1: it did not, and what was found is printed, with the command that repeats it.
"""
_EPILOG: Final = """\
examples:
  scripts/soak kills --store redis              500 deaths, some minutes
  scripts/soak kills --store sqlite --seed 7    the same moments as whoever printed "seed 7"
  scripts/soak verifies                         200 rounds of 1,000 verifies of one OTT, half a minute
  scripts/soak pause                            a Redis that stands still for 30 s
  scripts/soak stall                            a service that stands still for ten minutes, and seven minutes after

See also scripts/churn (a million sessions, and nothing left of them) and scripts/simulate (calls in any order).
docs/operations.md, "Track record", has the figures of the last runs.
"""
_KILLS: Final = """\
Let 24 players play, kill their engine within 50 ms of an answer, audit all that lies in the store, and go on there; after
50 deaths on a new store. What must hold: each answer stands, once; used tokens and sessions pair off; each live session has
its reservation, and nobody else has one; the ledger sums to zero and to the account.
"""
_VERIFIES: Final = """\
Let two processes redeem one OTT as often as one likes, all at once, round after round. What must hold: one call of each round
opens a session, all others hear ALREADY_USED; one session and one reservation for each OTT; the ledger sums to zero.
"""
_PAUSE: Final = """\
Let a hundred play on `playclock serve` and Redis, stop Redis, make calls of seven kinds all the time, and let it go on. What
must hold: each call is answered within 1.5 s, in the meantime by UNAVAILABLE that says when to try again; heartbeats are
accepted again within a second; nobody was ended; the ledger sums to zero, and the repeated top-up is in it once.
"""
_STALL: Final = """\
Let thousands play on `playclock serve` and Redis, stop the service, and let it go on. What must hold: nobody is ended or billed
for the standstill; players who come back within 5 s are answered, p99 within 1.5 s; those who never do run out a lease later,
spread over a minute. It takes seven minutes more than the standstill.
"""


class Teller:
    """Says how far it is, to whoever waits: every two seconds, or at once."""

    def __init__(self) -> None:
        """Say nothing yet."""
        self._began = time.monotonic()
        self._next = self._began + TELL_SEC

    def progress(self, what: object) -> None:
        """Say it, if it is time to."""
        if time.monotonic() >= self._next:
            self.tell(what)
            self._next = time.monotonic() + TELL_SEC

    def tell(self, what: object) -> None:
        """Say it now."""
        print(f"{time.monotonic() - self._began:,.0f} s: {what}", file=sys.stderr, flush=True)

    def report(self, name: str, what: object) -> None:
        """Say how it ended."""
        print(f"{name}: {what}, in {time.monotonic() - self._began:,.0f} s", flush=True)


SHOWN_MAX: Final = 20
"""How many violations are printed."""


def main() -> int:
    """Run what the command line says."""
    options = _parser().parse_args()
    asked = {name: value for name, value in vars(options).items() if name not in ("command", "run")}
    if "seed" in asked:
        print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="playclock-soak-") as folder:
        found: list[str] = options.run(options, Path(folder), Teller())
    for line in found[:SHOWN_MAX]:
        print(f"violation: {line}", file=sys.stderr)
    if len(found) > SHOWN_MAX:
        print(f"and {len(found) - SHOWN_MAX} more violations", file=sys.stderr)
    if found:
        repeat = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in asked.items())
        print(f"failed; to repeat it: scripts/soak {options.command} {repeat}", file=sys.stderr)
    return 1 if found else 0


def _kills(options: argparse.Namespace, folder: Path, teller: Teller) -> list[str]:
    deaths = Deaths()
    for deaths in kill(options.store, folder, cycles=options.cycles, seed=options.seed):
        teller.progress(deaths)
    teller.report(f"kills on {options.store}", deaths)
    return deaths.violations


def _verifies(options: argparse.Namespace, folder: Path, teller: Teller) -> list[str]:
    came = Race()
    for came in race(options.store, folder, rounds=options.rounds, verifies=options.verifies):
        teller.progress(came)
    teller.report(f"verifies on {options.store}", came)
    return came.violations


def _pause(options: argparse.Namespace, folder: Path, teller: Teller) -> list[str]:
    async def run() -> Standstill:
        async with served(folder, is_patient=False) as service:
            return await pause(service, options.pause_sec, teller.tell)

    came = asyncio.run(run())
    teller.report(f"Redis stood still for {options.pause_sec} s", came)
    return came.violations


def _stall(options: argparse.Namespace, folder: Path, teller: Teller) -> list[str]:
    async def run() -> Recovery:
        async with served(folder, is_patient=True) as service:
            passage, crowd = RealTime(service), options.sessions
            away_sec, seed = options.away_sec, options.seed
            return await stall(passage, sessions=crowd, away_sec=away_sec, seed=seed, late_ms=LATE_MS, tell=teller.tell)

    recovery = asyncio.run(run())
    teller.report(f"the service stood still for {options.away_sec} s", recovery)
    return recovery.violations


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="scripts/soak", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=raw)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[..., list[str]], short: str, description: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=short, description=description, formatter_class=raw)
        command.set_defaults(run=run)
        return command

    kills = add("kills", _kills, "kill -9 under load, an audit after each death", _KILLS)
    kills.add_argument("--cycles", type=_count, default=500, help="how many deaths (%(default)s)")
    verifies = add("verifies", _verifies, "two processes that race for one OTT", _VERIFIES)
    verifies.add_argument("--rounds", type=_count, default=200, help="how many OTTs (%(default)s)")
    verifies.add_argument("--verifies", type=_count, default=1_000, help="how many calls for each (%(default)s)")
    for command in (kills, verifies):
        command.add_argument("--store", choices=KINDS, default="redis", help="where they play (%(default)s)")
    pause_ = add("pause", _pause, "SIGSTOP of Redis for 30 seconds", _PAUSE)
    pause_.add_argument("--pause-sec", type=_count, default=30, help="how long it stands still (%(default)s)")
    stall_ = add("stall", _stall, "SIGSTOP of the service for ten minutes", _STALL)
    stall_.add_argument("--sessions", type=_count, default=5_000, help="how many play (%(default)s)")
    stall_.add_argument("--away-sec", type=_count, default=600, help="how long it stands still (%(default)s)")
    for command in (kills, stall_):
        command.add_argument("--seed", type=int, default=secrets.randbelow(10**6), help="what decides the moments (any)")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


if __name__ == "__main__":
    sys.exit(main())
