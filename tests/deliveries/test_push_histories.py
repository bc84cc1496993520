"""Random matches of which a server is told, over two engines whose stores fail: money is conserved, its last word is true."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from playclock.clock import ManualClock
from playclock.core.delivery import DeliveryState, Method
from playclock.core.match import Match, MatchState, SeatState
from playclock.engine import OPERATOR
from playclock.errors import EngineError
from playclock.stores.base import Commit, Conflict, Store, StoreUnavailable
from playclock.v1 import MatchClient

from tests.conftest import FaultInjectingStore
from tests.deliveries.conftest import GameServer, Told, ToldMaker
from tests.matches.conftest import PLAYERS, PUSHED, check, scores, user

HISTORIES = 6
HISTORIES_MAX = 30
"""How many there are until matches have come to every kind of end: calls that run at once are not the dice's alone."""
MATCHES = 4
FAULTS = 0.08
ENDS = {"finished", "off, and told", "off"}
ANSWERS = ("200", "200", "200", "200", "200", "500", "gone", "204", "429 Retry-After=7")


class FlakyStore(FaultInjectingStore):
    """A store that loses some commits before they take effect, and some answers after."""

    def __init__(self, store: Store, dice: random.Random) -> None:
        super().__init__(store)
        self._dice = dice
        self.turns = lambda: dice.randrange(3)
        self.faults = 0.0
        self.lost = 0

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        if self._dice.random() < self.faults:
            self.lost += 1
            raise StoreUnavailable("it did not arrive")
        conflicts = await super().commit(commits)
        if self._dice.random() < self.faults:
            self.lost += 1
            raise StoreUnavailable("the answer did not arrive")
        return conflicts


class History:
    """Calls as the dice have them, at either engine."""

    def __init__(self, dice: random.Random, arenas: Sequence[Told], made: Sequence[Match]) -> None:
        self._dice = dice
        self._arenas = arenas
        self._made = made

    async def step(self) -> None:
        whats = {"join": 10, "leave": 2, "start": 5, "report": 9, "cancel": 1, "sweep": 3, "replay": 1}
        chosen = self._dice.choices(list(whats), list(whats.values()), k=10)
        await asyncio.gather(*(self._call(what) for what in chosen))

    async def _call(self, what: str) -> None:
        dice, match = self._dice, self._dice.choice(self._made)
        told, who = dice.choice(self._arenas), dice.randrange(PLAYERS)
        with suppress(EngineError):
            if what == "join":
                await told.matches.join(OPERATOR, match.id, user_id=user(who), account_id=f"p{who}")
            elif what == "leave":
                await told.matches.leave(OPERATOR, match.id, user_id=user(who))
            elif what == "start":
                await told.matches.start(OPERATOR, match.id)
            elif what == "cancel":
                await told.matches.cancel(OPERATOR, match.id)
            elif what == "report":
                players = [seat for seat in (await told.matches.get(OPERATOR, match.id)).seats if seat.state is SeatState.PAID]
                await told.matches.report(PUSHED, match.id, scores(*(dice.randrange(3) for _ in players)))
            elif what == "replay":
                put = await told.delivery(match)
                if put is not None:
                    await told.matches.deliveries.replay(OPERATOR, put.id)
            else:
                await told.engine.sweep()


async def brought_to_its_end(told: Told, match: Match, clock: ManualClock) -> Match:
    """Let time go by, and sweep, until nothing is in escrow, and the server has been told all."""
    for _ in range(80):
        found = await told.settled(match)
        sent = [await told.delivery(match, method) for method in Method]
        if found.settled_ms is not None and all(each is None or each.state is not DeliveryState.PENDING for each in sent):
            return found
        clock.advance(1_800)
        await told.engine.sweep()
    raise AssertionError(f"the match has not come to its end: {found}, {sent}")


def check_what_the_server_knows(game_server: GameServer, match: Match) -> str:
    """See that its last word is how the match stands, and return what kind of an end that was."""
    seen = game_server.seen(match)
    methods = [each["method"] for each in seen]
    assert len({each["id"] for each in seen}) == len(set(methods))
    assert len({each["body"] for each in seen}) <= 1
    if match.live_ms is not None:
        assert "200" in [each["answer"] for each in seen if each["method"] == "PUT"]
    if match.state is MatchState.FINISHED:
        assert set(methods) == {"PUT"}
        return "finished"
    assert not methods or methods[-1] == "DELETE"
    return "off, and told" if methods else "off"


@pytest.mark.parametrize("retries", [MatchClient.PUSH_RETRIES_STANDARD, MatchClient.PUSH_RETRIES_NONE])
@pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
async def test_money_is_conserved_and_the_server_knows_how_it_ended(
    retries: "MatchClient.PushRetries", make_told: ToldMaker, store: Store, game_server: GameServer, clock: ManualClock
) -> None:
    dice, ended, ends = random.Random(f"matches/{retries}"), list[Match](), Counter[str]()
    plain = await make_told(push_retries=retries)
    flaky = [FlakyStore(store, random.Random(f"store {number}/{retries}")) for number in range(2)]
    arenas = [await make_told(store=each, provisions=False) for each in flaky]
    histories = 0
    while histories < HISTORIES or (len(ends) < len(ENDS) and histories < HISTORIES_MAX):
        histories += 1
        terms: dict[str, Any] = {"entry_fee_micros": dice.choice([1, 7, 90]), "fee_basis_points": dice.choice([0, 333])}
        made = [await plain.create(client_id=PUSHED.id, **terms) for _ in range(MATCHES)]
        for each in flaky:
            each.faults = FAULTS
        history = History(dice, arenas, made)
        for _ in range(10):
            game_server.answer(*dice.choices(ANSWERS, k=6), "200")
            await history.step()
            clock.advance(dice.choice([0, 6, 70, 400]))
        for each in flaky:
            each.faults = 0.0
        for told in arenas:
            await told.matches.pushing.finish()
            await told.matches.settling.finish()
        game_server.answer("200")
        over = [await brought_to_its_end(plain, match, clock) for match in made]
        ends.update(check_what_the_server_knows(game_server, match) for match in over)
        ended += over
    await check(plain, ended, kept=sum(match.fee_micros for match in ended))
    # The dice were fair.
    assert set(ends) == ENDS
    assert min(each.lost for each in flaky) > HISTORIES
