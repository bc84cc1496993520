"""Calls in any order on two replicas, and what must hold after each: a slice of what `scripts/simulate` does for longer."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from simulation.machine import InMemory, OnSqlite, Simulation


@pytest.mark.parametrize(("machine", "histories"), [(InMemory, 25), (OnSqlite, 8)], ids=["memory", "sqlite"])
def test_what_must_hold_holds_after_every_call(machine: type[Simulation], histories: int) -> None:
    bounded = settings(
        max_examples=histories,
        stateful_step_count=40,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=bounded)
