"""Which sessions somebody should look at: each reason on both sides of its edge, and how reasons add up."""

from typing import Any, Final

import pytest
from playclock.core.points import DAY_MS, Caps, Day, Leader, PlayerPoints, PlayerSession
from playclock.core.risk import Risk, RiskReason, risk_of

BEGAN_MS: Final = 20_000 * DAY_MS + 1_000_000
TTL_MS: Final = 1_800_000
SESSION: Final = PlayerSession("session", "game", "x:ann", "ann", BEGAN_MS, BEGAN_MS + TTL_MS)
CAPS: Final = Caps(max_score_per_session=1_000, max_sessions_per_day=5, max_cumulative_points_per_day=4_000)
FAST_MS: Final = TTL_MS // 4


def risk(
    score: int = 0,
    *,
    took_ms: int = TTL_MS,
    today: int = 0,
    sessions: int = 1,
    caps: Caps = CAPS,
    leaders: int = 0,
    newest: str = "session",
) -> Risk:
    """Judge a session with a score that it took so long to reach."""
    day = Day(BEGAN_MS // DAY_MS, today, sessions)
    points = PlayerPoints(today, (day,), BEGAN_MS + took_ms, session_id=newest, session_points=score)
    led = [Leader(str(number), 500 if number < leaders // 2 else 100, 0) for number in range(leaders)]
    return risk_of(SESSION, points, caps=caps, leaders=led, now_ms=BEGAN_MS + took_ms)


@pytest.mark.parametrize(
    ("told", "reasons", "score_pct"),
    [
        ({}, [], 0),
        ({"score": 500, "took_ms": FAST_MS // 2}, [RiskReason.SCORE_PACE], 60),
        ({"score": 500, "took_ms": FAST_MS // 2 + 1}, [], 0),
        ({"score": 499, "took_ms": 1}, [], 0),
        ({"score": 500, "took_ms": 0}, [RiskReason.SCORE_PACE], 60),
        ({"score": 949}, [], 0),
        ({"score": 950}, [RiskReason.SESSION_CAP], 30),
        ({"score": 1_000, "took_ms": FAST_MS}, [RiskReason.SCORE_PACE, RiskReason.SESSION_CAP], 72),
        ({"today": 3_799}, [], 0),
        ({"today": 3_800}, [RiskReason.DAILY_CAP], 30),
        ({"sessions": 5}, [RiskReason.SESSION_COUNT], 30),
        ({"sessions": 4}, [], 0),
        ({"today": 3_800, "sessions": 5}, [RiskReason.DAILY_CAP, RiskReason.SESSION_COUNT], 51),
        ({"today": 1_001, "leaders": 10}, [RiskReason.OUTLIER], 60),
        ({"today": 1_000, "leaders": 10}, [], 0),
        ({"today": 1_001, "leaders": 9}, [], 0),
        # A score of a session that another one has followed is not known.
        ({"score": 1_000, "took_ms": 1, "newest": "another"}, [], 0),
    ],
)
def test_what_speaks_against_a_session(told: dict[str, Any], reasons: list[RiskReason], score_pct: int) -> None:
    assert risk(**told) == Risk(score_pct, tuple(reasons))


def test_without_caps_only_many_sessions_and_outliers_are_told() -> None:
    assert risk(2**40, took_ms=1, today=2**40, sessions=19, caps=Caps()) == Risk(0, ())
    assert risk(sessions=20, caps=Caps()).reasons == (RiskReason.SESSION_COUNT,)
    assert risk(today=2**40, leaders=10, caps=Caps()).reasons == (RiskReason.OUTLIER,)


def test_another_day_s_points_count_for_nothing() -> None:
    points = PlayerPoints(9_999, (Day(BEGAN_MS // DAY_MS - 1, 9_999, 9),), BEGAN_MS)
    assert risk_of(SESSION, points, caps=CAPS, leaders=(), now_ms=BEGAN_MS) == Risk(0, ())


@pytest.mark.parametrize(("score_pct", "is_high"), [(0, False), (30, False), (50, False), (51, True), (60, True)])
def test_above_half_a_session_is_risky(score_pct: int, *, is_high: bool) -> None:
    assert Risk(score_pct, ()).is_high is is_high


def test_all_together_are_less_than_certain() -> None:
    worst = risk(1_000, took_ms=1, today=4_000, sessions=5, leaders=10)
    assert set(worst.reasons) == set(RiskReason)
    assert 90 < worst.score_pct < 100
