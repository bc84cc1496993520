"""The command line: `scripts/bench --help`."""

import argparse
import os
import tempfile
from pathlib import Path

from playclock.cli.tuning import allow_connections, run

from bench import games, paths, scale, table
from bench.processes import LOAD_CORES, redis_server


def main() -> None:
    options = _parser().parse_args()
    allow_connections()
    os.sched_setaffinity(0, LOAD_CORES)
    run(lambda: _measure(options), tuned=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench",
        description="Measure heartbeats beside servers that do nothing. Figures depend on the machine; ratios hardly do.",
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="how long each turn of a round takes (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="how often each contestant has its turn (%(default)s)")
    parser.add_argument("--sessions", type=int, default=1_000, help="live, unbilled sessions; batches take 4,000 (%(default)s)")
    parser.add_argument("--only", action="append", choices=paths.NAMES, metavar="NAME", help=f"one of {', '.join(paths.NAMES)}")
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument(
        "--scale",
        choices=["memory", "redis"],
        help="measure 1,000 to 1,000,000 live sessions instead, on this store",
    )
    parser.add_argument(
        "--games",
        type=int,
        metavar="ROUNDS",
        help="measure pages of games among 1,000 and 100,000 instead, each in so many rounds (200 for a p99)",
    )
    return parser


async def _measure(options: argparse.Namespace) -> None:
    if options.games:
        print(await games.measure(options.games))
        return
    if options.scale == "memory":
        print(await scale.measure(options.rounds, options.seconds))
        return
    if options.scale == "redis":
        with tempfile.TemporaryDirectory(prefix="playclock-bench-") as folder, redis_server(Path(folder) / "redis") as server:
            print(await scale.measure(options.rounds, options.seconds, server))
        return
    plan = paths.Plan(options.sessions, options.rounds, options.seconds)
    rows = await paths.measure(options.only or paths.NAMES, plan)
    print(table.as_json(rows) if options.json else table.render(rows))


if __name__ == "__main__":
    main()
