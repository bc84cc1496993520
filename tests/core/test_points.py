"""Points: days, caps, sessions, streaks and leaderboards, each beside a model that is too simple to be wrong."""

from collections import defaultdict
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playclock.core import points as core
from playclock.core.ids import (
    game_in,
    is_player_session_id,
    is_player_token,
    kind_of,
    leaders_key,
    make_player_token,
    player_session_id_of,
    player_session_key,
    points_key,
)
from playclock.core.points import (
    DAY_MS,
    DAYS_KEPT,
    LEADERS_MAX,
    STREAK_MAX,
    TOTAL_MAX,
    Caps,
    Day,
    Leader,
    Leaders,
    Over,
    PlayerPoints,
    PlayerSession,
    Streak,
)

NOON: Final = 20_000 * DAY_MS + DAY_MS // 2
FREE: Final = Caps()
GAME: Final = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"


def session(id_: str = "s", *, issued_ms: int = NOON, life_ms: int = 1_000) -> PlayerSession:
    return PlayerSession(id_, GAME, "x:p", "p", issued_ms, issued_ms + life_ms)


def added(points: PlayerPoints, amount: int, *, caps: Caps = FREE, now_ms: int = NOON) -> PlayerPoints:
    after = core.add(points, amount, caps=caps, now_ms=now_ms)
    assert isinstance(after, PlayerPoints), after
    return after


def begun(points: PlayerPoints, begins: PlayerSession, *, caps: Caps = FREE) -> PlayerPoints:
    after = core.begin_session(points, begins, caps=caps)
    assert isinstance(after, PlayerPoints), after
    return after


class TestDays:
    @pytest.mark.parametrize(
        ("date", "number"), [("1970-01-01", 0), ("1970-01-02", 1), ("2024-02-29", 19_782), ("2026-11-21", 20_778)]
    )
    def test_have_a_name_and_a_number(self, date: str, number: int) -> None:
        assert core.day_named(date) == number
        assert core.name_of_day(number) == date
        assert core.day_of(number * DAY_MS) == core.day_of(number * DAY_MS + DAY_MS - 1) == number

    @pytest.mark.parametrize(
        "date",
        ["", "today", "2023-02-29", "2026-1-1", "2026-W01-1", "20260101", "2026-01-01 ", "\uff12026-01-01", "0000-01-01"],
    )
    def test_no_other_text_is_one(self, date: str) -> None:
        assert core.day_named(date) is None

    def test_each_has_its_own_sum_and_the_last_ones_are_kept(self) -> None:
        points = PlayerPoints(0)
        for number in range(DAYS_KEPT + 2):
            for _ in range(2):
                points = added(points, number, now_ms=NOON + number * DAY_MS)
        assert len(points.days) == DAYS_KEPT
        assert points.days[-1] == core.points_on(points, 20_000 + DAYS_KEPT + 1) == Day(20_000 + DAYS_KEPT + 1, 64, 2)
        assert core.points_on(points, 20_000) == Day(20_000, 0, 0)
        assert points.total == 2 * sum(range(DAYS_KEPT + 2))

    def test_a_clock_that_is_behind_at_midnight_adds_to_its_own_day(self) -> None:
        points = added(added(added(PlayerPoints(0), 1), 2, now_ms=NOON + DAY_MS), 4)
        assert points.days == (Day(20_000, 5, 2), Day(20_001, 2, 1))

    def test_are_forgotten_with_all_else_after_the_retention(self) -> None:
        points = added(PlayerPoints(0), 5)
        assert core.remembered(points, now_ms=NOON + 9, retention_ms=10) is points
        assert core.remembered(points, now_ms=NOON + 10, retention_ms=10) == PlayerPoints(0)
        assert core.remembered(None, now_ms=NOON, retention_ms=10) == PlayerPoints(0)


class TestCaps:
    @pytest.mark.parametrize(
        ("caps", "amounts", "over"),
        [
            (Caps(max_score_per_session=10), [10, 10, 11], Over("max_score_per_session", 10, 11)),
            (Caps(max_sessions_per_day=2), [1, 0, 0], Over("max_sessions_per_day", 2, 3)),
            (Caps(max_cumulative_points_per_day=10), [4, 6, 1], Over("max_cumulative_points_per_day", 10, 11)),
            (
                Caps(max_score_per_session=1, max_sessions_per_day=1, max_cumulative_points_per_day=1),
                [1, 2],
                Over("max_score_per_session", 1, 2),
            ),
            (FREE, [TOTAL_MAX, 1], Over("total", TOTAL_MAX, TOTAL_MAX + 1)),
        ],
    )
    def test_the_first_that_would_be_exceeded_is_named(self, caps: Caps, amounts: list[int], over: Over) -> None:
        points = PlayerPoints(0)
        for amount in amounts[:-1]:
            points = added(points, amount, caps=caps)
        assert core.add(points, amounts[-1], caps=caps, now_ms=NOON) == over

    def test_those_of_a_day_begin_anew_at_midnight(self) -> None:
        caps = Caps(max_sessions_per_day=1, max_cumulative_points_per_day=5)
        points = added(PlayerPoints(0), 5, caps=caps)
        assert isinstance(core.add(points, 0, caps=caps, now_ms=20_001 * DAY_MS - 1), Over)
        assert added(points, 5, caps=caps, now_ms=20_001 * DAY_MS).total == 10

    def test_points_belong_to_the_session_that_began_last_as_long_as_it_goes_on(self) -> None:
        caps = Caps(max_score_per_session=10, max_sessions_per_day=2)
        points = begun(PlayerPoints(0), session(), caps=caps)
        for _ in range(2):
            points = added(points, 5, caps=caps, now_ms=NOON + 999)
        assert core.add(points, 1, caps=caps, now_ms=NOON + 999) == Over("max_score_per_session", 10, 11)
        points = added(points, 10, caps=caps, now_ms=NOON + 1_000)
        assert core.add(points, 1, caps=caps, now_ms=NOON + 1_000) == Over("max_sessions_per_day", 2, 3)
        assert core.begin_session(points, session("t"), caps=caps) == Over("max_sessions_per_day", 2, 3)
        assert points.days == (Day(20_000, 20, 2),)

    def test_a_session_that_is_ended_takes_no_more_points_and_leaves_those_it_has(self) -> None:
        caps = Caps(max_score_per_session=10)
        points = added(begun(PlayerPoints(0), session()), 8)
        assert core.end_session(points, "another") is points
        ended = core.end_session(points, "s")
        assert added(ended, 8, caps=caps).days == (Day(20_000, 16, 2),)

    def test_a_cap_that_is_lowered_ends_no_session(self) -> None:
        points = begun(begun(PlayerPoints(0), session("a")), session("b"))
        assert added(points, 1, caps=Caps(max_sessions_per_day=1)).total == 1

    @given(
        caps=st.builds(
            Caps,
            max_score_per_session=st.integers(0, 20),
            max_sessions_per_day=st.integers(0, 5),
            max_cumulative_points_per_day=st.integers(0, 60),
        ),
        steps=st.lists(st.tuples(st.sampled_from(["add", "begin", "end"]), st.integers(0, 25), st.integers(0, 40_000_000))),
    )
    def test_none_is_ever_exceeded(self, caps: Caps, steps: list[tuple[str, int, int]]) -> None:
        points, now_ms, began = PlayerPoints(0), NOON, 0
        for what, amount, later_ms in steps:
            now_ms += later_ms
            if what == "end":
                points = core.end_session(points, f"s{began}")
                continue
            began += what == "begin"
            after = (
                core.add(points, amount, caps=caps, now_ms=now_ms)
                if what == "add"
                else core.begin_session(points, session(f"s{began}", issued_ms=now_ms, life_ms=30_000_000), caps=caps)
            )
            if isinstance(after, Over):
                assert after.value > after.maximum == getattr(caps, after.cap)
                continue
            points = after
            assert points.session_points <= (caps.max_score_per_session or 10**9)
            for day in points.days:
                assert day.sessions <= (caps.max_sessions_per_day or 10**9)
                assert day.points <= (caps.max_cumulative_points_per_day or 10**9)
        assert sum(day.points for day in points.days) <= points.total


class TestStreaks:
    @pytest.mark.parametrize(
        ("days_ago", "streak"),
        [
            ([], Streak(today=False, days=0)),
            ([0], Streak(today=True, days=1)),
            ([1], Streak(today=False, days=1)),
            ([2], Streak(today=False, days=0)),
            ([3, 1, 0], Streak(today=True, days=2)),
            ([3, 2, 1], Streak(today=False, days=3)),
            (range(40, -1, -1), Streak(today=True, days=STREAK_MAX)),
            (range(40, 0, -1), Streak(today=False, days=STREAK_MAX)),
        ],
    )
    def test_are_days_running_up_to_today_or_yesterday(self, days_ago: list[int], streak: Streak) -> None:
        points = PlayerPoints(0)
        for ago in days_ago:
            points = added(points, 1, now_ms=NOON - ago * DAY_MS)
        assert core.streak(points, NOON) == streak

    def test_a_day_without_a_point_is_none(self) -> None:
        points = added(begun(PlayerPoints(0), session()), 0)
        assert core.streak(points, NOON) == Streak(today=False, days=0)


class TestLeaders:
    @given(
        st.lists(st.lists(st.tuples(st.integers(0, 2 * LEADERS_MAX), st.integers(0, 3)), min_size=1, max_size=40), max_size=12)
    )
    def test_are_those_of_a_list_of_everybody(self, saves: list[list[tuple[int, int]]]) -> None:
        everybody: dict[str, Leader] = {}
        sums: dict[int, int] = defaultdict(int)
        leaders = Leaders(())
        for now_ms, save in enumerate(saves):
            gained: set[int] = set()
            for player, amount in save:
                sums[player] += amount
                gained |= {player} if amount else set()
            changed = [Leader(f"p{player:03}", sums[player], now_ms) for player in gained]
            everybody.update((leader.player_id, leader) for leader in changed)
            leaders = core.led(leaders, changed)
        model = sorted(everybody.values(), key=lambda leader: (-leader.points, leader.reached_ms, leader.player_id))
        assert list(leaders.leaders) == model[:LEADERS_MAX]

    def test_nobody_leads_with_nothing(self) -> None:
        assert core.led(Leaders(()), [Leader("p", 0, 1)]) == Leaders(())

    def test_whoever_had_as_many_first_leads_and_a_longer_list_than_fits_is_cut(self) -> None:
        crowd = [Leader(f"p{number}", 5, 1_000 - number) for number in range(150)]
        leaders = core.led(Leaders(()), crowd).leaders
        assert [leader.player_id for leader in leaders] == [f"p{number}" for number in range(149, 49, -1)]


class TestTokens:
    def test_name_their_game_and_are_known_by_their_hash(self) -> None:
        token = make_player_token(GAME, bytes(range(16)))
        assert token == "player_3f0e8a526c1b4a539f0e0d1f2a3b4c5d000102030405060708090a0b0c0d0e0f"
        assert is_player_token(token)
        assert game_in(token) == GAME
        id_ = player_session_id_of(token)
        assert is_player_session_id(id_)
        assert id_ not in token
        assert player_session_id_of(token[:-1] + "e") != id_

    @pytest.mark.parametrize("text", ["", "player_", "player_" + "g" * 64, "player_" + "a" * 63, "PLAYER_" + "a" * 64])
    def test_no_other_text_is_one(self, text: str) -> None:
        assert not is_player_token(text)

    def test_a_session_is_alive_until_its_time_or_its_end(self) -> None:
        alive = session()
        assert core.is_alive(alive, NOON + 999)
        assert not core.is_alive(alive, NOON + 1_000)
        assert not core.is_alive(PlayerSession("s", GAME, "x:p", "p", NOON, NOON + 1_000, NOON), NOON)

    def test_all_of_a_game_lies_in_its_partition(self) -> None:
        keys = [points_key(GAME, "p"), leaders_key(GAME, 5), player_session_key(GAME, "s")]
        assert [key[:3] for key in keys] == ["3f:"] * 3
        assert [kind_of(key) for key in keys] == ["points", "leaders", "playersession"]
