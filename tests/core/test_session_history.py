"""Sessions on one account through everything that can happen to them, in any order, by clocks that disagree.

The calls come from several processes: their clocks are up to two seconds apart, some have not heard yet that we were away,
and some went on while the others believed that all were away. Nothing of that may lose money or make a session impossible.
"""

from typing import Final, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core import moves
from playclock.core import session as core
from playclock.core.charge import Account, Charge, settle
from playclock.core.outage import Outage
from playclock.core.session import EndReason, Event, Session, State
from playclock.core.tariff import BillOnSilence, PriceWindow, Rounding, Tariff, cost_micros
from playclock.core.timers import Timers

START_MS: Final = 1_767_225_600_000
LEASE_MS: Final = 240_000

A_UNIT_A_SECOND: Final = Tariff("seconds", "GCOIN", unit_ms=1_000, price_micros=1, rounding=Rounding.STARTED_UNIT)
WINDOWS = st.builds(
    PriceWindow,
    # START_MS is midnight, and nine in the morning in Seoul.
    from_minute=st.sampled_from([0, 1, 3, 10, 540, 545, 560]),
    until_minute=st.sampled_from([2, 5, 6, 15, 30, 543, 550, 1_440]),
    price_micros=st.sampled_from([0, 1, 2, 5, 200]),
)
TARIFFS = st.builds(
    Tariff,
    id=st.just("any"),
    currency=st.just("GCOIN"),
    unit_ms=st.sampled_from([700, 1_000, 1_000, 60_000, 300_000, 3_600_000]),
    price_micros=st.sampled_from([0, 1, 1, 3, 100]),
    rounding=st.sampled_from(list(Rounding)),
    minimum_micros=st.sampled_from([0, 0, 0, 100]),
    free_ms=st.sampled_from([0, 0, 0, 30_000, 300_000]),
    cap_micros=st.sampled_from([0, 0, 0, 1_000]),
    reserve_ms=st.sampled_from([0, 0, 0, 600_000]),
    time_zone=st.sampled_from(["", "Asia/Seoul"]),
    windows=st.just(()) | st.lists(WINDOWS, min_size=1, max_size=3).map(tuple),
    bill_on_silence=st.sampled_from(list(BillOnSilence)),
)
TIMERS = st.builds(
    Timers,
    heartbeat_interval_ms=st.just(10_000),
    grace_ms=st.sampled_from([1, 60_000, 120_000, 500_000]),
    session_max_ms=st.sampled_from([None, None, 200_000, 600_000, 2_000_000]),
)
ENDS = {"end": Event.END, "terminate": Event.TERMINATE, "replace": Event.REPLACE, "restart": Event.RESTART}
CALLS_OFTEN_MADE: Final = (
    ["beat"] * 24
    + ["top_up"] * 6
    + ["go_away", "come_back"] * 3
    + ["open", "look", "hear_launcher", "limit"] * 2
    + ["resume"] * 6
)


class Call(NamedTuple):
    """Something that happens, so long after what happened before."""

    wait_ms: int
    what: str
    skew_ms: int
    """How far the clock of who deals with it is ahead; behind, too, where it was decided anew after others had been faster."""
    unheard: int
    """Of how many outages it has not heard yet."""
    number: int


CALLS = st.lists(
    st.builds(
        Call,
        wait_ms=st.sampled_from([0, 1, 1_000, 10_000, 20_000, 30_000, 60_000, 120_000, LEASE_MS - 1]),
        what=st.sampled_from([*CALLS_OFTEN_MADE, *ENDS]),
        skew_ms=st.sampled_from([0, 0, 1, -1, 2_000, -2_000, -20_000]),
        unheard=st.sampled_from([0, 0, 0, 1, 2]),
        number=st.sampled_from(range(300)),
    ),
    min_size=20,
    max_size=60,
)


class History:
    """Makes the calls as processes would, and looks after each at what money and players depend on."""

    def __init__(self, timers: Timers, tariffs: list[Tariff | None], micros: int) -> None:
        self.timers = timers
        self.tariffs = tariffs
        self.now_ms = self.latest_ms = START_MS
        self.account = Account("cafe-1", "GCOIN", micros, 0)
        self.credited_micros = micros
        self.lowest_micros = 0
        self.sessions: list[Session] = []
        self.outages: list[Outage] = []
        self.away_since_ms: int | None = None

    def make(self, call: Call) -> None:
        self.now_ms += call.wait_ms
        now_ms = self.now_ms + call.skew_ms
        self.latest_ms = max(self.latest_ms, self.now_ms, now_ms)
        match call.what:
            case "open":
                self.open(call.number, now_ms)
            case "top_up":
                self.credit(call.number)
            case "limit":
                limit_micros = call.number % 3 * call.number
                self.lowest_micros = min(self.lowest_micros, -limit_micros)
                self.account = replace(self.account, debt_limit_micros=limit_micros)
            case "go_away":
                self.away_since_ms = self.away_since_ms or self.now_ms
            case "come_back":
                self.come_back(call.number * 1_000)
            case _ if self.sessions:
                self.call(call, call.number % len(self.sessions), now_ms)

    def credit(self, micros: int) -> None:
        self.credited_micros += micros
        self.account = replace(self.account, balance_micros=self.account.balance_micros + micros)

    def open(self, number: int, now_ms: int) -> None:
        tariff = self.tariffs[number % len(self.tariffs)]
        session = moves.open_session(
            id=f"gs_00{len(self.sessions) * 7919:06x}-0000-4000-8000-000000000000",
            game_id="game",
            provider_user_id="player",
            launch_id="launch",
            cafe_id="cafe",
            pc_id="pc",
            server_id="",
            launcher_until_ms=None if number % 3 else now_ms + LEASE_MS + number * 5_000,
            charge=None if tariff is None else Charge("cafe-1", tariff, billed_micros=0, held_micros=0),
            free_micros=self.account.free_micros,
            now_ms=now_ms,
            timers=self.timers,
        )
        if session is not None:
            if session.charge is not None:
                self.account = settle(self.account, None, session.charge)
            self.sessions.append(session)

    def come_back(self, gone_ms: int) -> None:
        self.now_ms += gone_ms
        self.latest_ms = max(self.latest_ms, self.now_ms)
        if self.away_since_ms is not None and self.away_since_ms < self.now_ms:
            self.outages.append(Outage(self.away_since_ms, self.now_ms))
        self.away_since_ms = None

    def call(self, call: Call, index: int, now_ms: int) -> None:
        session = self.advanced(index, now_ms, call.unheard)
        if not core.is_live(session):
            return
        match call.what:
            case "beat":
                free_micros = self.account.free_micros
                self.take(index, moves.heartbeat(session, free_micros=free_micros, now_ms=now_ms, timers=self.timers))
            case "resume" if session.state is State.EXHAUSTED:
                self.credit(call.number)
                free_micros = self.account.free_micros
                resumed = moves.resume(session, free_micros=free_micros, now_ms=now_ms, timers=self.timers)
                if resumed.state is State.ACTIVE:
                    self.take(index, resumed)
            case "hear_launcher":
                until_ms = now_ms + LEASE_MS + call.number * 1_000
                heard = moves.hear_launcher(session, launch_id="next", launcher_until_ms=until_ms, timers=self.timers)
                self.take(index, heard)
            case event if event in ENDS:
                self.take(index, moves.apply(session, ENDS[event], at_ms=now_ms, timers=self.timers))

    def advanced(self, index: int, now_ms: int, unheard: int) -> Session:
        known = self.outages[: len(self.outages) - unheard]
        for step in moves.advance(self.sessions[index], now_ms=now_ms, timers=self.timers, outages=known):
            self.take(index, step)
        session = self.sessions[index]
        assert session.deadline_ms > now_ms
        assert moves.advance(session, now_ms=now_ms, timers=self.timers, outages=known) == []
        return session

    def take(self, index: int, after: Session) -> None:
        before = self.sessions[index]
        self.sessions[index] = after
        assert core.is_live(before), "an end is final"
        assert 0 <= after.billed_ms - before.billed_ms <= LEASE_MS, "no step bills more than a lease"
        assert before.unbilled_ms <= after.unbilled_ms
        assert before.grace_used_ms <= after.grace_used_ms
        assert before.last_heartbeat_ms <= after.last_heartbeat_ms
        assert before.outage_seen_ms <= after.outage_seen_ms
        if after.state is State.EXHAUSTED and before.state is State.ACTIVE:
            assert before.charge is not None
            assert after.billed_ms == before.charge.paid_ms, "exhausted means that all the credit is billed"
            assert after.billed_ms - before.billed_ms < LEASE_MS, "a lease that is paid is not cut short"
        if after.charge is not None:
            assert after.charge.billed_micros == cost_micros(after.charge.tariff, after.billed_ms, after.charge.anchors)
            self.account = settle(self.account, before.charge, after.charge)

    def check(self) -> None:
        charges = [session.charge for session in self.sessions if session.charge is not None]
        assert self.account.balance_micros == self.credited_micros - sum(charge.billed_micros for charge in charges)
        assert self.account.held_micros == sum(charge.held_micros for charge in charges)
        assert self.account.held_micros >= 0
        assert self.account.unheld_micros >= self.lowest_micros
        for session in self.sessions:
            self.check_session(session)

    def check_session(self, session: Session) -> None:
        played_ms = core.played_until_ms(session, self.latest_ms) - session.started_ms
        if session.end_reason is EndReason.HEARTBEAT_TIMEOUT and session.charge is not None and session.ended_ms is not None:
            # What the tariff bills of silence is not proved, but lies before the end.
            is_billed = session.charge.tariff.bill_on_silence is not BillOnSilence.LAST_HEARTBEAT
            played_ms = session.ended_ms - session.started_ms if is_billed else played_ms
        assert 0 <= session.billed_ms <= session.billed_ms + session.grace_used_ms <= played_ms
        if core.is_live(session):
            assert session.due_ms <= session.deadline_ms
            assert session.ended_ms is None
        else:
            assert session.deadline_ms == core.NEVER_MS
            assert session.ended_ms is not None
            assert session.last_heartbeat_ms <= session.ended_ms <= self.latest_ms
            assert session.charge is None or session.charge.held_micros == 0
            assert core.grace_sec(session, self.latest_ms) * 1_000 <= self.timers.grace_ms


@settings(deadline=None, derandomize=True, max_examples=120)
@given(TIMERS, st.lists(TARIFFS, max_size=2), st.sampled_from(range(1_000)), CALLS)
def test_nothing_that_happens_loses_money_or_a_session(
    timers: Timers, tariffs: list[Tariff], micros: int, calls: list[Call]
) -> None:
    history = History(timers, [A_UNIT_A_SECOND, *tariffs, None], micros)
    for number in range(2):
        history.open(number, START_MS)
    for call in calls:
        history.make(call)
        history.check()
