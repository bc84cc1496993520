"""The benchmark still runs: a slice of it, in process. How fast it is, no test says."""

import json

import pytest

from bench import games, paths, table
from bench.load import Burst


async def test_every_path_in_process_has_a_row_with_figures() -> None:
    rows = await paths.measure(paths.IN_PROCESS, paths.Plan(sessions=1_000, rounds=1, seconds=0.2))

    assert [row.name for row in rows] == ["in process, beat, memory", "in process, beat_many, memory"]
    for figures in json.loads(table.as_json(rows)):
        assert figures["heartbeats_per_second"]["min"] > 0
        assert figures["cpu_us"]["median"] > 0
    assert len(table.render(rows).splitlines()) == 1 + len(rows)


def test_a_ratio_compares_bursts_of_the_same_round() -> None:
    ours = [Burst(100, 1.0, 0.5), Burst(30, 1.0, 0.5)]
    bare = [Burst(200, 1.0, 0.5), Burst(40, 1.0, 0.5)]

    row = table.Row("path", ">= 0.5", ours, bare)

    assert row.ratio == pytest.approx((0.5, 0.625, 0.75))
    assert row.rate_ratio == pytest.approx((0.5, 0.625, 0.75))


async def test_every_page_of_games_has_a_row_with_figures() -> None:
    lines = (await games.measure(rounds=2, sizes=[40, 60])).splitlines()

    names = ("search", "first", "an agent's", "a developer's", "at a", "all of these")
    rows = [line for line in lines if line.split("  ")[0].startswith(names)]
    assert len(rows) == len(lines) - 1 == 2 * 25
    assert all(float(line.split()[-1]) > 0 for line in rows)
