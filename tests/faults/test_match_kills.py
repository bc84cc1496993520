"""kill -9 at each commit of a match, from its making to the last payout: another engine brings it to its end, paid once."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest
from playclock.clock import ManualClock
from playclock.core.match import Match, MatchState

from tests.faults.dying_in_matches import SHORT
from tests.faults.story import Story
from tests.matches.conftest import Arena, check
from tests.matches.test_match_faults import brought_to_its_end

if TYPE_CHECKING:
    from playclock.engine import Engine


@pytest.fixture
def story(store_url: str) -> Iterator[Story]:
    story = Story("dying_in_matches", store_url)
    yield story
    story.close()


MOMENTS: Final = {"sqlite": ("before", "after"), "redis": ("after",)}
"""When the process is killed. Before a commit is after the one before, but for those that are under way at once."""


@pytest.mark.parametrize("store_kind", MOMENTS, indirect=True)
async def test_a_match_whose_engine_is_killed_at_any_commit_is_paid_once_or_costs_nothing(
    store_kind: str, story: Story, engine: "Engine", clock: ManualClock
) -> None:
    arena = Arena(engine)
    await arena.provision()
    ended, number, lived = list[Match](), 0, False
    while not lived:
        number += 1
        for moment in MOMENTS[store_kind]:
            request_id = f"{number}-{moment}"
            lived = story.tell(number, moment, clock.now_ms(), request_id)
            # The same request: the match that was made, or one that nobody had made.
            match = await arena.create(request_id, **SHORT)
            ended.append(await brought_to_its_end(arena, match, clock))
    await check(arena, ended, kept=sum(match.fee_micros for match in ended))
    assert number > 15
    assert ended[-1].state is MatchState.FINISHED
    assert {match.state for match in ended} == {MatchState.FINISHED, MatchState.ABORTED}
    assert {len(match.seats) for match in ended} >= {1, 2, 3}
