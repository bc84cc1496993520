"""Random matches between two engines and a server that answers as it likes: what must hold of messages, and of the money."""

import asyncio
import random
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.match import Match, MatchState
from playclock.core.match_info import is_off
from playclock.engine import OPERATOR
from playclock.errors import EngineError
from playclock.v1 import MatchClient

from tests.conftest import FaultInjectingStore
from tests.deliveries.conftest import GameServer, Told, ToldMaker
from tests.matches.conftest import PUSHED, check, scores

if TYPE_CHECKING:
    from collections.abc import Sequence

RETRIES = [MatchClient.PUSH_RETRIES_NONE, MatchClient.PUSH_RETRIES_STANDARD]
ANSWERS = ["200", "200", "200", "500", "gone", "404", "429 Retry-After=30"]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
async def test_every_match_is_told_as_it_went(
    seed: int,
    make_told: ToldMaker,
    busy_store: FaultInjectingStore,
    game_server: GameServer,
    clock: ManualClock,
) -> None:
    dice = random.Random(seed)
    first = await make_told(push_retries=RETRIES[seed % 2])
    second = await make_told(store=busy_store, provisions=False)
    await second.engine.estate.refresh()
    game_server.answer(*dice.choices(ANSWERS, k=40), delete=(*dice.choices(["200", "500", "404"], k=8), "200"))
    made = [await first.join(await first.create(client_id=PUSHED.id, entry_fee_micros=1), 0, 1) for _ in range(8)]

    async def call(what: str, match: Match, told: Told) -> None:
        with suppress(EngineError):
            if what == "start":
                await told.matches.start(OPERATOR, match.id)
            elif what == "cancel":
                await told.matches.cancel(OPERATOR, match.id)
            elif what == "report":
                await told.matches.report(PUSHED, match.id, scores(1, 2))
            else:
                await told.engine.sweep()

    for _ in range(8):
        whats = dice.choices(["start", "cancel", "report", "sweep"], [6, 1, 3, 4], k=8)
        await asyncio.gather(*(call(what, dice.choice(made), dice.choice([first, second])) for what in whats))
        clock.advance(dice.choice([0, 1, 6, 40]))
    await first.matches.pushing.finish()
    await second.matches.pushing.finish()
    for match in made:
        with suppress(EngineError):
            await first.matches.cancel(OPERATOR, match.id)
    for _ in range(6):
        await first.engine.sweep()
        clock.advance(400)
    ended = [await first.settled(match) for match in made]
    assert {match.state for match in ended} <= {MatchState.FINISHED, MatchState.ABORTED, MatchState.CANCELLED}
    for match in ended:
        _check(match, game_server.seen(match))
    await check(first, ended, kept=sum(match.fee_micros for match in ended))


def _check(match: Match, seen: "Sequence[dict[str, str]]") -> None:
    """See that a match went live by a 200 alone, was not pushed when it was off, and that its server heard the end of it."""
    told = [each["method"] for each in seen]
    heard = [each["method"] for each in seen if each["answer"] == "200"]
    assert (match.live_ms is None) or "PUT" in heard
    if not is_off(match):
        assert told == ["PUT"] * len(told)
        return
    assert match.closed_ms is not None
    assert all(int(each["at"]) * 1000 <= match.closed_ms for each in seen if each["method"] == "PUT")
    assert told == [] or told[-1] == "DELETE"
    assert told == sorted(told, reverse=True)  # each DELETE after each PUT
