"""Each attack in full size, beside clients that behave: scripts/abuse.

Prints how long good calls take alone, during the attack and after it, and ends with an audit of the store.
"""

import argparse
import concurrent.futures
import multiprocessing
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from simulation.abuse import telling
from simulation.abuse.attacks import MIB, issue
from simulation.abuse.guests import Guest
from simulation.abuse.victim import Victim, victim

CALLS: Final = 1_000
OTTS: Final = 200


def main() -> int:
    """Run all that the command line asks for."""
    options = _parser().parse_args()
    with tempfile.TemporaryDirectory(prefix="playclock-abuse-") as folder, victim(Path(folder)) as server:
        otts = issue(server.grpc, OTTS)
        for what, open_guest, attack in (
            (f"{options.trickling} connections trickle", _over_http, partial(telling.trickle, server.http, options.trickling)),
            (
                f"{options.resets} calls are given up at once",
                _over_grpc,
                partial(telling.reset, server.grpc, options.resets, otts),
            ),
            (f"{options.pings} pings", _over_grpc, partial(telling.ping, server.grpc, options.pings)),
            (
                f"a message of {options.bomb_mib} MiB of zeros",
                _over_grpc,
                partial(telling.bomb, server.grpc, options.bomb_mib * MIB),
            ),
        ):
            _measure(server, what, open_guest(server), attack)
        found = server.violations()
    for line in found:
        print(f"violation: {line}", file=sys.stderr)
    print(f"the store: {len(found)} violations")
    return 1 if found else 0


def _over_http(server: Victim) -> Guest:
    return Guest.over_http(server.http)


def _over_grpc(server: Victim) -> Guest:
    return Guest.over_grpc(server.grpc)


def _measure(server: Victim, what: str, guest: Guest, attack: Callable[[], str]) -> None:
    # The attacker is a process of its own: in ours, guests would wait for it at the interpreter's lock.
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as attacker, guest:
        attacker.submit(int).result()
        guest.more(CALLS // 5)
        print(f"{what}:\n  without it       {guest.more(CALLS)}", flush=True)
        cpu_sec, peak = server.cpu_sec(), server.peak_bytes()
        told = attacker.submit(attack).result()
        print(f"  while it lasts   {guest.so_far()}")
        used = f"{server.cpu_sec() - cpu_sec:.1f} s of processor time, {(server.peak_bytes() - peak) / MIB:.0f} MiB more"
        print(f"  {told}; {used}")
        print(f"  afterwards       {guest.more(CALLS)}", flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/abuse", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trickling", type=int, default=500, help="connections that send a byte now and then (500)")
    parser.add_argument("--resets", type=int, default=100_000, help="calls that are begun and given up at once (100,000)")
    parser.add_argument("--pings", type=int, default=10_000, help="pings on one connection (10,000)")
    parser.add_argument("--bomb-mib", type=int, default=512, help="how large a compressed message gets (512)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
