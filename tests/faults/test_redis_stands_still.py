"""Redis stands still under `playclock serve`: a slice of what `scripts/soak pause` does for longer."""

from pathlib import Path

from simulation.soak.pause import pause
from simulation.soak.served import served


async def test_whoever_calls_is_answered_in_time_and_goes_on_within_a_tick(tmp_path: Path) -> None:
    async with served(tmp_path, is_patient=False) as service:
        came = await pause(service, 2)
    assert came.violations == []
    assert came.calls > 7 * 15
