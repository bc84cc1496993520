"""Time that is steered: it never goes back, is never hurried or held up much, and arrives."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playclock.clock import HostClock, SteeredClock
from playclock.core.steering import ALIVE_MS, SLEW, STEP_MS, CatchUp, SetApart, Slew, beginning, course, slewed_ns

REPEATABLE = settings(deadline=None, derandomize=True)
SECOND_NS = 1_000_000_000
SPANS_NS = st.integers(0, 10_000 * SECOND_NS)
ERRORS_NS = st.integers(-2 * SECOND_NS, 2 * SECOND_NS)
T = 1_767_225_600_000
HOUR_MS = 3_600_000


class TestSlewed:
    @REPEATABLE
    @given(SPANS_NS, SPANS_NS, ERRORS_NS)
    def test_never_goes_back_nor_faster_than_it_may(self, first_ns: int, more_ns: int, error_ns: int) -> None:
        gone_ns = slewed_ns(first_ns + more_ns, error_ns) - slewed_ns(first_ns, error_ns)
        assert more_ns - more_ns // SLEW - 1 <= gone_ns <= more_ns + more_ns // SLEW + 1
        assert gone_ns >= 0

    @REPEATABLE
    @given(SPANS_NS, ERRORS_NS)
    def test_has_made_good_the_error_after_a_while_and_nothing_beyond_it(self, span_ns: int, error_ns: int) -> None:
        assert slewed_ns(abs(error_ns) * SLEW + span_ns, error_ns) == abs(error_ns) * SLEW + span_ns + error_ns
        assert abs(slewed_ns(span_ns, error_ns) - span_ns) <= abs(error_ns)

    def test_of_no_time_is_none(self) -> None:
        assert slewed_ns(0, SECOND_NS) == 0


class Host(HostClock):
    def __init__(self) -> None:
        self.ns = 5 * SECOND_NS

    def elapsed_ns(self) -> int:
        return self.ns


class TestSteeredClock:
    @REPEATABLE
    @given(st.lists(st.tuples(st.integers(0, 5 * SECOND_NS), st.integers(-1_000, 1_000)), max_size=30))
    def test_never_goes_back_however_it_is_steered(self, turns: list[tuple[int, int]]) -> None:
        host = Host()
        clock = SteeredClock(T, host=host)
        before_ms = clock.now_ms()
        for span_ns, error_ms in turns:
            host.ns += span_ns
            at_ms = clock.now_ms()
            assert at_ms >= before_ms
            clock.slew(error_ms)
            assert clock.now_ms() == at_ms
            before_ms = at_ms

    def test_loses_nothing_by_being_steered_often(self) -> None:
        host = Host()
        clock = SteeredClock(T, host=host)
        for _ in range(10_000):
            host.ns += 1_300_000
            clock.slew(0)
        assert clock.now_ms() == T + 13_000

    def test_starts_at_the_moment_to_which_its_time_belongs(self) -> None:
        host = Host()
        assert SteeredClock(T, host=host, since_ns=host.ns - SECOND_NS).now_ms() == T + 1_000

    def test_jumps_ahead_and_never_back(self) -> None:
        clock = SteeredClock(T, host=Host())
        clock.jump(5_000)
        assert clock.now_ms() == T + 5_000
        with pytest.raises(ValueError, match="never steps back"):
            clock.jump(-1)

    def test_runs_on_the_host_by_itself(self) -> None:
        clock = SteeredClock(T)
        assert T <= clock.now_ms() < T + 10_000
        assert abs(clock.host.wall_ms() - T) < 100 * 366 * 24 * HOUR_MS


class TestCourse:
    @pytest.mark.parametrize("error_ms", [0, 1, -1, STEP_MS, -STEP_MS])
    def test_a_little_is_slewed(self, error_ms: int) -> None:
        assert course(now_ms=T, server_ms=T + error_ms - 70, offset_ms=70, beat_ms=T) == Slew(error_ms)

    @pytest.mark.parametrize("error_ms", [STEP_MS + 1, 300_000, HOUR_MS])
    def test_who_is_behind_others_catches_up(self, error_ms: int) -> None:
        for age_ms in (0, ALIVE_MS):
            beat_ms = T + error_ms - age_ms
            assert course(now_ms=T, server_ms=T + error_ms, offset_ms=0, beat_ms=beat_ms) == CatchUp(error_ms)

    @pytest.mark.parametrize("set_by_ms", [ALIVE_MS + 1_001, 300_000, HOUR_MS, -STEP_MS - 1, -HOUR_MS])
    def test_a_server_whose_clock_was_set_is_not_followed(self, set_by_ms: int) -> None:
        told = course(now_ms=T, server_ms=T - 50 + set_by_ms, offset_ms=50, beat_ms=T - 1_000)
        assert told == SetApart(50 - set_by_ms)

    @REPEATABLE
    @given(st.integers(0, 2 * T), st.integers(-T, T), st.integers(0, 2 * T))
    def test_what_it_comes_to_is_always_the_time_that_there_is_or_a_later_one(
        self, server_ms: int, offset_ms: int, beat_ms: int
    ) -> None:
        match course(now_ms=T, server_ms=server_ms, offset_ms=offset_ms, beat_ms=beat_ms):
            case Slew(error_ms):
                assert abs(error_ms) <= STEP_MS
            case CatchUp(error_ms):
                assert error_ms > STEP_MS
            case SetApart(apart_ms):
                assert server_ms + apart_ms == T


class TestBeginning:
    def test_an_empty_store_has_the_servers_time(self) -> None:
        assert beginning(server_ms=T, offset_ms=0, beat_ms=None) == 0

    @pytest.mark.parametrize("offset_ms", [0, 300_000, -300_000])
    @pytest.mark.parametrize("age_ms", [-STEP_MS, 0, ALIVE_MS])
    def test_while_others_live_it_is_theirs(self, offset_ms: int, age_ms: int) -> None:
        assert beginning(server_ms=T - offset_ms, offset_ms=offset_ms, beat_ms=T - age_ms) == offset_ms

    @pytest.mark.parametrize("offset_ms", [0, -300_000])
    def test_after_all_have_stopped_it_is_the_servers_again(self, offset_ms: int) -> None:
        assert beginning(server_ms=T, offset_ms=offset_ms, beat_ms=T + offset_ms - ALIVE_MS - 1) == 0

    @pytest.mark.parametrize("offset_ms", [0, 5, -5])
    def test_it_never_begins_before_what_was_seen_last(self, offset_ms: int) -> None:
        assert beginning(server_ms=T - HOUR_MS, offset_ms=offset_ms, beat_ms=T) == HOUR_MS

    @REPEATABLE
    @given(st.integers(0, 2 * T), st.integers(-T, T), st.integers(0, 2 * T))
    def test_whatever_there_is_it_begins_where_the_last_one_was_or_later(
        self, server_ms: int, offset_ms: int, beat_ms: int
    ) -> None:
        assert server_ms + beginning(server_ms=server_ms, offset_ms=offset_ms, beat_ms=beat_ms) >= beat_ms - STEP_MS
