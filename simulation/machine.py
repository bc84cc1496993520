"""Calls in any order, drawn by hypothesis: what goes wrong is made as short as it can be."""

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, ClassVar, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from playclock.clock import ManualClock
from playclock.core.timers import Timers
from playclock.v1 import PriceWindow, Tariff

from simulation.books import Books
from simulation.estate import ACCOUNTS_OF, TARIFFS
from simulation.place import Place, Replica
from simulation.players import Players

BEGINNINGS: Final = (
    1_767_225_600_000,  # midnight, UTC
    1_774_744_200_000,  # 2026-03-29 00:30 UTC: half an hour before the clocks of Berlin go forward
    1_792_888_200_000,  # 2026-10-25 00:30 UTC: half an hour before they go back
)
TIMES_OF_DAY: Final = ("00:00", "00:07", "01:30", "02:00", "02:30", "03:00", "04:11", "09:00", "23:59")

NUMBERS = st.integers(0, 63)
REPLICAS = st.integers(0, 1)
CAFES_DRAWN = st.sampled_from([1, 2, 0, 3, 4])
WAITS_MS = st.sampled_from(
    [1, 999, 1_000, 7_777, 59_999, 60_001, 119_000, 119_999, 120_000, 120_001, 239_999, 240_000, 240_001, 300_017, 1_000_003]
)
PLAYS_MS = st.sampled_from([119_000, 120_000, 61_001, 200_000, 239_999, 7_777])
WINDOWS = st.builds(
    PriceWindow,
    from_time=st.sampled_from(TIMES_OF_DAY),
    until_time=st.sampled_from([*TIMES_OF_DAY[1:], "24:00"]),
    price_micros=st.sampled_from([0, 1, 333_333, 1_000_000]),
    weekdays=st.sampled_from([[], [], [7], [4, 6]]),
).filter(lambda window: window.from_time != window.until_time)
PRICES = st.builds(
    Tariff,
    unit_sec=st.sampled_from([60, 60, 60, 7, 1, 3_600]),
    price_micros=st.sampled_from([1_000_000, 1_000_000, 333_333, 16_667, 1, 0]),
    rounding=st.sampled_from([Tariff.ROUNDING_STARTED_UNIT, Tariff.ROUNDING_EXACT]),
    minimum_micros=st.sampled_from([0, 0, 0, 700_001]),
    free_sec=st.sampled_from([0, 0, 0, 45, 300]),
    cap_micros=st.sampled_from([0, 0, 0, 4_000_003]),
    reserve_sec=st.sampled_from([0, 0, 0, 600]),
    time_zone=st.sampled_from(["", "Europe/Berlin", "Asia/Seoul"]),
    windows=st.just([]) | st.lists(WINDOWS, min_size=1, max_size=3),
)
ESTATES = st.lists(PRICES, min_size=TARIFFS, max_size=TARIFFS)
TIMERS = st.builds(
    Timers,
    grace_ms=st.sampled_from([120_000, 120_000, 1, 300_000]),
    session_max_ms=st.sampled_from([None, None, None, 1_000_001]),
)


class Simulation(RuleBasedStateMachine):
    """One run. Its rules depend on what was drawn alone, never on what came of it, so that a seed repeats it."""

    STORE: ClassVar[str] = "memory"

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._folder = tempfile.TemporaryDirectory(prefix="playclock-simulation-")
        self._place: Place | None = None
        self._players: Players | None = None
        self._failed = False

    @initialize(began_ms=st.sampled_from(BEGINNINGS), timers=TIMERS, tariffs=ESTATES)
    def begin(self, began_ms: int, timers: Timers, tariffs: list[Tariff]) -> None:
        path = Path(self._folder.name) / "playclock.db"
        url = "memory://" if self.STORE == "memory" else f"sqlite:///{path}"
        place = Place(url, ManualClock(began_ms), timers)
        self._run(place.__aenter__())
        self._place = place
        players = Players(place, Books(timers))
        self._run(players.provision(place.replicas[0], tariffs))
        self._run(place.live(1_000))
        self._players = players
        for cafe in (0, 1, 2):
            self._run(self._join(place.replicas[0], cafe, pc=0, number=2 * cafe + 1))

    @rule(replica=REPLICAS, cafe=CAFES_DRAWN, pc=st.integers(0, 2), number=NUMBERS)
    def join(self, replica: int, cafe: int, pc: int, number: int) -> None:
        """Start a launch and redeem an OTT of it at once."""
        self._run(self._join(self._replica(replica), cafe, pc, number))

    @rule(replica=REPLICAS, launch=NUMBERS, number=NUMBERS)
    def replace(self, replica: int, launch: int, number: int) -> None:
        """Let another session begin on a PC whose launch goes on."""
        if self.players.launches:
            self._run(self._rejoin(self._replica(replica), _pick(self.players.launches, launch), number))

    @rule(replica=REPLICAS, what=st.sampled_from(["start", "issue", "open", "open"]), number=NUMBERS)
    def join_by_steps(self, replica: int, what: str, number: int) -> None:
        """Do one of the steps of joining, also again, late, or for nothing."""
        called, players = self._replica(replica), self.players
        if what == "start":
            self._run(players.start(called, number % 5, number % 3))
        elif what == "issue" and players.launches:
            self._run(players.issue(called, _pick(players.launches, number), number))
        elif what == "open" and players.otts:
            self._run(players.open(called, _pick(players.otts, number)))

    @rule(replica=REPLICAS, launch=NUMBERS, is_end=st.sampled_from([False, False, True]))
    def launcher(self, replica: int, launch: int, *, is_end: bool) -> None:
        if self.players.launches:
            call = self.players.end_launch if is_end else self.players.hear_launcher
            self._run(call(self._replica(replica), _pick(self.players.launches, launch)))

    @rule(replica=REPLICAS, session=NUMBERS)
    def beat(self, replica: int, session: int) -> None:
        if self.players.sessions:
            self._run(self.players.beat(self._replica(replica), _pick(self.players.sessions, session)))

    @rule(replica=REPLICAS, sessions=st.lists(NUMBERS, max_size=6))
    def beat_many(self, replica: int, sessions: list[int]) -> None:
        if self.players.sessions:
            requests = [_pick(self.players.sessions, session) for session in sessions]
            self._run(self.players.beat_many(self._replica(replica), requests))

    @rule(replica=REPLICAS, session=NUMBERS, counted_sec=st.sampled_from([None, 0, 100]), how=st.integers(0, 3))
    def end(self, replica: int, session: int, counted_sec: int | None, how: int) -> None:
        if not self.players.sessions:
            return
        session_id = _pick(self.players.sessions, session).game_session_id
        if how:
            self._run(self.players.end(self._replica(replica), session_id, counted_sec))
        else:
            self._run(self.players.terminate(self._replica(replica), session_id))

    @rule(
        replica=REPLICAS,
        account=st.integers(0, len(ACCOUNTS_OF) - 1),
        amount_micros=st.sampled_from([1, 333_333, 1_000_000, 2_000_000, 30_000_000]),
    )
    def top_up(self, replica: int, account: int, amount_micros: int) -> None:
        self._run(self.players.top_up(self._replica(replica), account, amount_micros))

    @rule(replica=REPLICAS, top_up=NUMBERS, how=st.sampled_from(["again", "again", "more", "reverse", "reverse"]))
    def top_up_again(self, replica: int, top_up: int, how: str) -> None:
        if not self.players.top_ups:
            return
        booked = _pick(self.players.top_ups, top_up)
        if how == "reverse":
            self._run(self.players.reverse(self._replica(replica), booked))
        else:
            self._run(self.players.top_up_again(self._replica(replica), booked, int(how == "more")))

    @rule(ms=WAITS_MS)
    def wait(self, ms: int) -> None:
        self._run(self.players.place.live(ms))

    @rule(ms=PLAYS_MS, rounds=st.integers(1, 8), replica=REPLICAS)
    def play(self, ms: int, rounds: int, replica: int) -> None:
        """Let everybody play on for a while who still can."""
        self._run(self._play(ms, rounds, self._replica(replica)))

    @rule(ms=PLAYS_MS, rounds=st.integers(1, 8), replica=REPLICAS, account=st.integers(1, 2), coins=st.integers(1, 3))
    def play_for_coins(self, ms: int, rounds: int, replica: int, account: int, coins: int) -> None:
        """Play on, and pay little by little."""
        for _ in range(rounds):
            self._run(self._play(ms, 1, self._replica(replica)))
            self._run(self.players.top_up(self._replica(replica), account, coins * 1_000_000))

    @rule(ms=st.sampled_from([3_001, 60_000, 600_000]), replica=REPLICAS, launch=NUMBERS, first=st.integers(0, 2))
    def be_away(self, ms: int, replica: int, launch: int, first: int) -> None:
        """Be away, and let one call or another be the first that finds out."""
        self.players.place.be_away(ms)
        if first == 1:
            self._run(self._replica(replica).engine.sweep())
        elif first == 2:
            self.launcher(replica, launch, is_end=False)

    @rule(replica=REPLICAS, what=st.sampled_from(["sweep", "sweep", "restart", "server", "wait"]), number=NUMBERS)
    def operate(self, replica: int, what: str, number: int) -> None:
        """Do what is needed now and then: or never, and nothing may depend on it."""
        match what:
            case "sweep":
                self._run(self._replica(replica).engine.sweep())
            case "restart":
                self._run(self.players.place.restart(replica))
            case "server":
                self._run(self.players.restart_server(self._replica(replica), number))
            case "wait":
                self._run(self.players.place.live(3_600_000 if number % 2 else 90_000_000))

    @rule(replica=REPLICAS, tariffs=ESTATES, limit_micros=st.sampled_from([0, 0, 2_000_000, 5_000_001]))
    def provision(self, replica: int, tariffs: list[Tariff], limit_micros: int) -> None:
        self._run(self.players.provision(self._replica(replica), tariffs, limit_micros))

    @rule(
        replica=REPLICAS,
        account=st.integers(0, len(ACCOUNTS_OF) - 1),
        number=st.integers(0, 15),
        amount_micros=st.sampled_from([1, 999_999, 4_000_000]),
        timeout_sec=st.sampled_from([1, 60, 600]),
    )
    def set_aside(self, replica: int, account: int, number: int, amount_micros: int, timeout_sec: int) -> None:
        self._run(self.players.set_aside(self._replica(replica), account, number, amount_micros, timeout_sec))

    @rule(replica=REPLICAS, number=NUMBERS, amount_micros=st.sampled_from([None, 1, 2_000_000]), is_void=st.booleans())
    def decide(self, replica: int, number: int, amount_micros: int | None, *, is_void: bool) -> None:
        if self.players.transfers:
            account_id, transfer_id = _pick(list(self.players.transfers), number)
            self._run(self.players.decide(self._replica(replica), account_id, transfer_id, amount_micros, is_void=is_void))

    @invariant()
    def check(self) -> None:
        if self._players is not None:
            self._run(self._players.check())

    def teardown(self) -> None:
        try:
            if self._players is not None and not self._failed:
                self._run(self._players.close())
        finally:
            if self._place is not None:
                self._run(self._place.__aexit__())
            self._runner.close()
            self._folder.cleanup()

    @property
    def players(self) -> Players:
        assert self._players is not None
        return self._players

    async def _join(self, replica: Replica, cafe: int, pc: int, number: int) -> None:
        await self._rejoin(replica, await self.players.start(replica, cafe, pc), number)

    async def _rejoin(self, replica: Replica, launch: str, number: int) -> None:
        request = await self.players.issue(replica, launch, number)
        if request is not None:
            await self.players.open(replica, request)

    async def _play(self, ms: int, rounds: int, replica: Replica) -> None:
        for _ in range(rounds):
            await self.players.place.live(ms)
            for launch in self.players.launches[-8:]:
                await self.players.hear_launcher(replica, launch)
            await self.players.beat_many(replica, self.players.sessions[-8:])

    def _replica(self, number: int) -> Replica:
        return self.players.place.replicas[number]

    def _run(self, call: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever it returns
        try:
            return self._runner.run(call)
        except BaseException:
            self._failed = True  # what is left is of no use for a last check, which would hide what went wrong
            raise


class InMemory(Simulation):
    """Two replicas over one store in memory."""


class OnSqlite(Simulation):
    """Two replicas over one SQLite file, each with its own handle."""

    STORE = "sqlite"


def _pick(known: list[Any], number: int) -> Any:  # noqa: ANN401 - one of them
    """Return one of them, more often one of the last."""
    return known[-1 - number % min(len(known), 8)] if number % 4 else known[number % len(known)]
