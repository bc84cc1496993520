"""A session from its opening to its end: what time does to it, and the figures that are told of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core import moves
from playclock.core import session as core
from playclock.core.charge import Charge
from playclock.core.outage import Outage
from playclock.core.session import NEVER_MS, EndReason, Event, Session, State
from playclock.core.tariff import FOREVER_MS, Rounding, Tariff, affordable_ms
from playclock.core.timers import Timers

if TYPE_CHECKING:
    from tests.core.conftest import Tab

REPEATABLE = settings(deadline=None, derandomize=True)

START_MS = 1_767_225_600_000
SECONDS = Tariff("seconds", "GCOIN", unit_ms=1_000, price_micros=1, rounding=Rounding.STARTED_UNIT)
MINUTES = Tariff("minutes", "GCOIN", unit_ms=60_000, price_micros=7, rounding=Rounding.STARTED_UNIT)
LEASE_MS, INTERVAL_MS, GRACE_MS = 240_000, 120_000, 120_000
NEVER_BEFORE_MS = 10**9


def opened(
    charge: Charge | None = None, *, free_micros: int = 0, launcher_until_ms: int | None = None, timers: Timers | None = None
) -> Session | None:
    return moves.open_session(
        id="gs_00c5d1e2-0000-4000-8000-000000000000",
        game_id="game",
        provider_user_id="player",
        launch_id="launch",
        cafe_id="cafe",
        pc_id="pc",
        server_id="server",
        launcher_until_ms=launcher_until_ms,
        charge=charge,
        free_micros=free_micros,
        now_ms=START_MS,
        timers=timers or Timers(),
    )


def nothing_held(tariff: Tariff) -> Charge:
    return Charge("cafe-1", tariff, billed_micros=0, held_micros=0)


class TestOpening:
    def test_without_a_charge_there_is_a_lease_and_nothing_to_pay(self) -> None:
        assert opened() == Session(
            id="gs_00c5d1e2-0000-4000-8000-000000000000",
            game_id="game",
            provider_user_id="player",
            launch_id="launch",
            cafe_id="cafe",
            pc_id="pc",
            server_id="server",
            state=State.ACTIVE,
            started_ms=START_MS,
            last_heartbeat_ms=START_MS,
            lease_until_ms=START_MS + LEASE_MS,
            launcher_until_ms=None,
            paid_until_ms=None,
            deadline_ms=START_MS + LEASE_MS,
            due_ms=START_MS + LEASE_MS,
            charge=None,
            outage_seen_ms=START_MS,
        )

    def test_credit_is_held_to_the_end_of_the_lease(self) -> None:
        session = opened(nothing_held(MINUTES), free_micros=1_000)
        assert session is not None
        assert session.charge == Charge("cafe-1", MINUTES, billed_micros=0, held_micros=28)
        assert session.paid_until_ms == START_MS + LEASE_MS

    def test_of_less_credit_all_is_held_and_its_end_is_known(self) -> None:
        session = opened(nothing_held(SECONDS), free_micros=150)
        assert session is not None
        assert session.charge == Charge("cafe-1", SECONDS, billed_micros=0, held_micros=150)
        assert session.paid_until_ms == session.deadline_ms == session.due_ms == START_MS + 150_000

    def test_a_free_tariff_holds_nothing_and_lasts(self) -> None:
        session = opened(nothing_held(replace(SECONDS, price_micros=0)))
        assert session is not None
        assert session.charge is not None
        assert session.charge.held_micros == 0
        assert session.paid_until_ms == START_MS + FOREVER_MS

    @pytest.mark.parametrize(
        ("tariff", "enough_micros"),
        [
            (SECONDS, 120),
            (MINUTES, 14),
            (replace(MINUTES, unit_ms=7_200_000), 7),
            (replace(MINUTES, rounding=Rounding.EXACT), 14),
            (replace(SECONDS, unit_ms=1_001, price_micros=1_000, rounding=Rounding.EXACT), 119_880),
        ],
    )
    def test_less_than_an_interval_of_credit_opens_nothing(self, tariff: Tariff, enough_micros: int) -> None:
        assert opened(nothing_held(tariff), free_micros=enough_micros) is not None
        assert opened(nothing_held(tariff), free_micros=enough_micros - 1) is None
        assert opened(nothing_held(tariff), free_micros=0) is None

    @REPEATABLE
    @given(
        st.builds(
            Tariff,
            id=st.just("any"),
            currency=st.just("GCOIN"),
            unit_ms=st.integers(1, 10**7),
            price_micros=st.integers(0, 10**6),
            rounding=st.sampled_from(list(Rounding)),
        ),
        st.integers(0, 10**7),
    )
    def test_it_takes_exactly_an_interval_of_credit(self, tariff: Tariff, free_micros: int) -> None:
        is_enough = affordable_ms(tariff, free_micros) >= INTERVAL_MS
        assert (opened(nothing_held(tariff), free_micros=free_micros) is not None) is is_enough


LASTING_200_SEC = Timers(session_max_ms=200_000)
SHORT_GRACE = Timers(grace_ms=60_000)


class TestDeadlines:
    @pytest.mark.parametrize(
        ("credit_sec", "launcher_until_ms", "timers", "deadline_ms", "state", "reason"),
        [
            (None, None, Timers(), 240_000, State.ENDED, EndReason.HEARTBEAT_TIMEOUT),
            (None, 200_000, Timers(), 200_000, State.ENDED, EndReason.LAUNCHER_TIMEOUT),
            (None, 300_000, LASTING_200_SEC, 200_000, State.ENDED, EndReason.MAX_DURATION),
            (200, 300_000, Timers(session_max_ms=300_000), 200_000, State.EXHAUSTED, None),
        ],
        ids=["lease", "launcher", "longest duration", "credit"],
    )
    def test_of_an_active_session_to_the_millisecond(
        self,
        tab: "type[Tab]",
        *,
        credit_sec: int | None,
        launcher_until_ms: int | None,
        timers: Timers,
        deadline_ms: int,
        state: State,
        reason: EndReason | None,
    ) -> None:
        played = tab(credit_sec, launcher_until_ms=launcher_until_ms, timers=timers)
        assert played.session.deadline_ms == played.at(deadline_ms)
        assert played.advance(deadline_ms - 1) == []
        (step,) = played.advance(deadline_ms)
        assert step.state is state
        assert step.end_reason is reason
        assert (step.ended_ms or step.exhausted_ms) == played.at(deadline_ms)

    @pytest.mark.parametrize(
        ("launcher_until_ms", "timers", "deadline_ms", "reason"),
        [
            (None, Timers(), 240_000, EndReason.HEARTBEAT_TIMEOUT),
            (None, SHORT_GRACE, 210_000, EndReason.CHARGE_EXHAUSTED),
            (180_000, Timers(), 180_000, EndReason.LAUNCHER_TIMEOUT),
            (None, LASTING_200_SEC, 200_000, EndReason.MAX_DURATION),
        ],
        ids=["lease", "grace", "launcher", "longest duration"],
    )
    def test_of_an_exhausted_session_to_the_millisecond(
        self, tab: "type[Tab]", launcher_until_ms: int | None, timers: Timers, deadline_ms: int, reason: EndReason
    ) -> None:
        played = tab(150, launcher_until_ms=launcher_until_ms, timers=timers)
        played.advance(150_000)
        assert played.session.state is State.EXHAUSTED
        assert played.session.deadline_ms == played.at(deadline_ms)
        assert played.advance(deadline_ms - 1) == []
        (step,) = played.advance(deadline_ms)
        assert step.end_reason is reason
        assert step.ended_ms == played.at(deadline_ms)

    @pytest.mark.parametrize(
        ("credit_sec", "launcher_until_ms", "session_max_ms", "reason"),
        [
            (240, 240_000, 240_000, EndReason.HEARTBEAT_TIMEOUT),
            (200, 200_000, 200_000, EndReason.LAUNCHER_TIMEOUT),
            (200, None, 200_000, EndReason.MAX_DURATION),
        ],
    )
    def test_of_what_falls_on_one_moment_the_first_event_happens(
        self,
        tab: "type[Tab]",
        credit_sec: int,
        launcher_until_ms: int | None,
        session_max_ms: int,
        reason: EndReason,
    ) -> None:
        played = tab(credit_sec, launcher_until_ms=launcher_until_ms, timers=Timers(session_max_ms=session_max_ms))
        (step,) = played.advance(NEVER_BEFORE_MS)
        assert step.end_reason is reason

    @pytest.mark.parametrize(
        ("credit_sec", "launcher_until_ms", "session_max_ms", "reason"),
        [
            (120, 240_000, 240_000, EndReason.HEARTBEAT_TIMEOUT),
            (119, 239_000, 239_000, EndReason.CHARGE_EXHAUSTED),
            (130, 239_000, 239_000, EndReason.LAUNCHER_TIMEOUT),
            (130, None, 239_000, EndReason.MAX_DURATION),
        ],
    )
    def test_in_grace_too(
        self,
        tab: "type[Tab]",
        credit_sec: int,
        launcher_until_ms: int | None,
        session_max_ms: int,
        reason: EndReason,
    ) -> None:
        timers = Timers(heartbeat_interval_ms=60_000, session_max_ms=session_max_ms)
        played = tab(credit_sec, launcher_until_ms=launcher_until_ms, timers=timers)
        exhausted, ended = played.advance(NEVER_BEFORE_MS)
        assert exhausted.state is State.EXHAUSTED
        assert ended.end_reason is reason

    def test_credit_and_grace_can_both_be_over_by_now(self, tab: "type[Tab]") -> None:
        played = tab(150, timers=SHORT_GRACE)
        exhausted, ended = played.advance(NEVER_BEFORE_MS)
        assert (exhausted.state, exhausted.exhausted_ms) == (State.EXHAUSTED, played.at(150_000))
        assert (ended.state, ended.ended_ms, ended.end_reason) == (
            State.ENDED,
            played.at(210_000),
            EndReason.CHARGE_EXHAUSTED,
        )

    def test_a_heartbeat_puts_off_the_lease_and_nothing_else(self, tab: "type[Tab]") -> None:
        played = tab(launcher_until_ms=500_000)
        assert played.beat(100_000).deadline_ms == played.at(340_000)
        assert played.beat(300_000).deadline_ms == played.at(500_000)

    def test_a_sign_of_life_puts_off_the_launcher_s_deadline(self, tab: "type[Tab]") -> None:
        played = tab(launcher_until_ms=100_000)
        heard = moves.hear_launcher(
            played.session, launch_id="another", launcher_until_ms=played.at(200_000), timers=played.timers
        )
        assert heard == replace(
            played.session, launch_id="another", launcher_until_ms=played.at(200_000), deadline_ms=played.at(200_000)
        )

    def test_time_does_nothing_to_what_has_ended(self, tab: "type[Tab]") -> None:
        played = tab(150)
        played.apply(Event.END, 10_000)
        assert played.advance(NEVER_BEFORE_MS) == []
        heard = moves.hear_launcher(played.session, launch_id="launch", launcher_until_ms=played.at(1), timers=played.timers)
        assert heard.deadline_ms == NEVER_MS

    def test_a_clock_that_is_behind_does_nothing(self, tab: "type[Tab]") -> None:
        assert tab(150).advance(-NEVER_BEFORE_MS) == []


class TestChangedTimers:
    """The timers come from settings, so a restart can change them under a running session."""

    def test_a_longer_grace_is_given_to_who_is_in_it(self, tab: "type[Tab]") -> None:
        played = tab(150, timers=SHORT_GRACE)
        played.advance(150_000)
        played.beat(200_000)
        played.timers = Timers()
        (step,) = played.advance(210_000)
        assert step == replace(played.session, deadline_ms=played.at(270_000))
        assert played.advance(269_999) == []
        (ended,) = played.advance(270_000)
        assert ended.end_reason is EndReason.CHARGE_EXHAUSTED

    def test_a_longest_duration_that_is_no_more_ends_nothing(self, tab: "type[Tab]") -> None:
        played = tab(timers=LASTING_200_SEC)
        played.beat(100_000)
        played.timers = Timers()
        (step,) = played.advance(200_000)
        assert core.is_live(step)
        assert step.deadline_ms == played.at(340_000)
        assert moves.filed(step).due_ms == played.at(340_000)

    def test_a_shorter_longest_duration_counts_from_the_next_heartbeat(self, tab: "type[Tab]") -> None:
        played = tab(1_000)
        played.timers = LASTING_200_SEC
        played.beat(230_000)
        (ended,) = played.advance(230_001)
        assert ended.end_reason is EndReason.MAX_DURATION
        assert ended.ended_ms == played.at(230_000)
        assert ended.billed_ms == 230_000


INSTANTS = st.lists(st.integers(0, 1_500_000), min_size=1, max_size=8).map(sorted)
TIMERS = st.builds(
    Timers,
    heartbeat_interval_ms=st.just(10_000),
    grace_ms=st.sampled_from([1, 30_000, 120_000, 400_000]),
    session_max_ms=st.none() | st.integers(1, 1_000_000),
)
CREDITS = st.none() | st.integers(10, 300) | st.just(10**9)
LAUNCHERS = st.none() | st.integers(1, 600_000)
OUTAGES = st.lists(st.integers(0, 1_000_000), max_size=6, unique=True).map(
    lambda moments: [
        Outage(START_MS + start_ms, START_MS + end_ms)
        for start_ms, end_ms in zip(sorted(moments)[::2], sorted(moments)[1::2], strict=False)
    ]
)


def advanced(session: Session, now_ms: int, timers: Timers, outages: Sequence[Outage]) -> Session:
    """Advance as a process does that was back at the end of each outage and has heard of all that are over."""
    known = [outage for outage in outages if outage.end_ms <= now_ms]
    steps = moves.advance(session, now_ms=now_ms, timers=timers, outages=known)
    return steps[-1] if steps else session


class TestTheWayToAMoment:
    @settings(REPEATABLE, max_examples=300)
    @given(
        instants=INSTANTS,
        timers=TIMERS,
        credit_sec=CREDITS,
        launcher_until_ms=LAUNCHERS,
        outages=OUTAGES,
        beat_ms=st.integers(0, 200_000),
    )
    def test_does_not_matter(
        self,
        tab: "type[Tab]",
        *,
        instants: list[int],
        timers: Timers,
        credit_sec: int | None,
        launcher_until_ms: int | None,
        outages: list[Outage],
        beat_ms: int,
    ) -> None:
        played = tab(credit_sec, timers=timers, launcher_until_ms=launcher_until_ms)
        if all(outage.start_ms > played.at(beat_ms) for outage in outages):
            played.beat(beat_ms)
        begun = played.session
        # While we are away nobody looks.
        looks = [
            played.at(instant)
            for instant in instants
            if played.at(instant) >= begun.last_heartbeat_ms
            and not any(outage.start_ms < played.at(instant) < outage.end_ms for outage in outages)
        ]
        session = begun
        for now_ms in looks:
            session = advanced(session, now_ms, timers, outages)
            assert advanced(session, now_ms, timers, outages) == session
        if looks:
            assert session == advanced(begun, looks[-1], timers, outages)

    @REPEATABLE
    @given(INSTANTS, TIMERS, CREDITS, LAUNCHERS)
    def test_takes_every_step_at_its_own_moment(
        self,
        tab: "type[Tab]",
        instants: list[int],
        timers: Timers,
        credit_sec: int | None,
        launcher_until_ms: int | None,
    ) -> None:
        played = tab(credit_sec, timers=timers, launcher_until_ms=launcher_until_ms)
        for instant in instants:
            deadline_ms = played.session.deadline_ms
            for step in played.advance(instant):
                moment_ms = step.ended_ms or step.exhausted_ms
                assert moment_ms == deadline_ms <= played.at(instant)
                deadline_ms = step.deadline_ms
            assert deadline_ms > played.at(instant)


class TestFiling:
    @REPEATABLE
    @given(st.lists(st.integers(1, 200_000), max_size=6), CREDITS, LAUNCHERS)
    def test_a_living_session_is_never_filed_after_its_deadline(
        self, tab: "type[Tab]", gaps_ms: list[int], credit_sec: int | None, launcher_until_ms: int | None
    ) -> None:
        played = tab(credit_sec, timers=Timers(heartbeat_interval_ms=10_000), launcher_until_ms=launcher_until_ms)
        now_ms = 0
        for gap_ms in gaps_ms:
            now_ms += gap_ms
            played.beat(now_ms)
            if core.is_live(played.session):
                assert played.session.due_ms <= played.session.deadline_ms
                assert played.session.deadline_ms > played.at(now_ms)

    def test_a_heartbeat_leaves_it_where_it_is_filed(self, tab: "type[Tab]") -> None:
        played = tab()
        assert played.beat(100_000).due_ms == played.at(240_000)

    def test_the_sweeper_files_it_at_its_deadline(self, tab: "type[Tab]") -> None:
        played = tab()
        played.beat(100_000)
        assert moves.filed(played.session) == replace(played.session, due_ms=played.at(340_000))


class TestFigures:
    def test_play_goes_on_until_now(self, tab: "type[Tab]") -> None:
        played = tab()
        assert core.play_duration_sec(played.session, played.at(0)) == 0
        assert core.play_duration_sec(played.session, played.at(999)) == 0
        assert core.play_duration_sec(played.session, played.at(1_000)) == 1
        assert core.play_duration_sec(played.session, played.at(100_999)) == 100

    def test_a_clock_that_is_behind_tells_of_no_play(self, tab: "type[Tab]") -> None:
        played = tab()
        assert core.played_until_ms(played.session, played.at(-5_000)) == played.at(0)
        assert core.play_duration_sec(played.session, played.at(-5_000)) == 0

    @pytest.mark.parametrize("event", [Event.END, Event.TERMINATE, Event.REPLACE])
    def test_a_known_end_ends_play_whenever_one_asks(self, tab: "type[Tab]", event: Event) -> None:
        played = tab(1_000)
        played.beat(60_000)
        played.apply(event, 90_500)
        assert core.play_duration_sec(played.session, played.at(NEVER_BEFORE_MS)) == 90
        assert core.billed_sec(played.session) == 90

    def test_of_a_silent_end_only_the_last_heartbeat_is_known(self, tab: "type[Tab]") -> None:
        played = tab(1_000)
        played.beat(60_999)
        played.advance(NEVER_BEFORE_MS)
        assert core.play_duration_sec(played.session, played.at(NEVER_BEFORE_MS)) == 60
        assert core.billed_sec(played.session) == 60

    def test_grace_counts_apart_from_what_is_billed(self, tab: "type[Tab]") -> None:
        played = tab(150)
        played.beat(160_999)
        assert core.grace_sec(played.session, played.at(150_000)) == 0
        assert core.grace_sec(played.session, played.at(160_999)) == 10
        assert core.billed_sec(played.session) == 150
        played.apply(Event.END, 170_000)
        assert core.grace_sec(played.session, played.at(NEVER_BEFORE_MS)) == 20
        assert core.play_duration_sec(played.session, played.at(NEVER_BEFORE_MS)) == 170
        assert core.billed_sec(played.session) == 150

    def test_grace_of_earlier_times_is_told_too(self, tab: "type[Tab]") -> None:
        played = tab(150)
        played.beat(160_000)
        played.top_up(125)
        played.beat(170_000)
        assert played.session.state is State.ACTIVE
        assert core.grace_sec(played.session, played.at(170_000)) == 20
        played.beat(250_000)
        played.beat(305_000)
        assert core.grace_sec(played.session, played.at(305_000)) == 30

    def test_grace_is_told_in_whole_seconds_that_are_over(self, tab: "type[Tab]") -> None:
        played = tab(150)
        played.top_up(120)
        played.beat(159_999)
        assert played.session.grace_used_ms == 9_999
        assert core.grace_sec(played.session, played.at(159_999)) == 9
        played.advance(279_999)
        assert played.session.state is State.EXHAUSTED
        assert core.grace_sec(played.session, played.at(270_000)) == 9

    def test_silent_grace_is_none(self, tab: "type[Tab]") -> None:
        played = tab(150)
        played.advance(240_000)
        assert played.session.end_reason is EndReason.HEARTBEAT_TIMEOUT
        assert core.grace_sec(played.session, played.at(240_000)) == 0
        assert core.play_duration_sec(played.session, played.at(240_000)) == 150

    def test_grace_that_nobody_used_is_none(self, tab: "type[Tab]") -> None:
        played = tab(150)
        assert core.grace_sec(played.session, played.at(100_000)) == 0
        played.advance(150_000)
        assert core.grace_sec(played.session, played.at(149_000)) == 0
