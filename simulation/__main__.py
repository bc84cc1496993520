"""The command line: `scripts/simulate --help`."""

import argparse
import sys
from typing import Final

from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from simulation.machine import InMemory, OnSqlite

KINDS: Final = {"memory": InMemory, "sqlite": OnSqlite}


def main() -> None:
    options = _parser().parse_args()
    for number in range(options.seed, options.seed + options.runs):
        repeat = f"scripts/simulate --store {options.store} --seed {number} --runs 1"
        repeat += f" --steps {options.steps} --examples {options.examples}"
        try:
            simulate(options.store, number, steps=options.steps, examples=options.examples)
        except BaseException:
            print(f"failed; to repeat it: {repeat}", file=sys.stderr, flush=True)
            raise
        print(f"seed {number}: {options.examples} histories of {options.steps} calls, nothing found", flush=True)


def simulate(store: str, number: int, *, steps: int, examples: int) -> None:
    """Run histories of calls that depend on the seed alone. Raises what goes wrong first, made as short as it can be."""
    machine = seed(number)(KINDS[store])
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/simulate",
        description="Let operators, launchers and game servers call two replicas in any order, and check after each call what "
        "must hold.",
    )
    parser.add_argument("--store", choices=KINDS, default="memory", help="where the records lie (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="what chance depends on, for the first run (%(default)s)")
    parser.add_argument("--runs", type=int, default=10, help="how many runs, each with the next seed (%(default)s)")
    parser.add_argument("--steps", type=int, default=50, help="calls in a history (%(default)s)")
    parser.add_argument("--examples", type=int, default=100, help="histories in a run (%(default)s)")
    return parser


if __name__ == "__main__":
    main()
