"""Which players' sessions somebody should look at: a rule over what is truly known, which are points, sessions and times.

It proves nothing and refuses nothing. play.fun documents a score from 0 to 1 with reasons, and that sessions above 0.5 are
risky; what its score is made of, it does not say.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from playclock.core.points import Caps, Leader, PlayerPoints, PlayerSession, day_of, points_on

RISKY_PCT: Final = 50
"""A session is risky above this."""
PACE_FACTOR: Final = 4
"""So many times as fast as would reach the cap when the token ends is too fast."""
NEAR_PCT: Final = 95
"""From which part of a cap on it counts as reached."""
SESSIONS_MANY: Final = 20
"""So many sessions in a day are many, where no cap says otherwise."""
OUTLIER_FACTOR: Final = 10
LEADERS_MIN: Final = 10
"""Of how many players there have to be points before they are something to compare with."""


class RiskReason(StrEnum):
    """What speaks against a session."""

    SCORE_PACE = "SCORE_PACE"
    """At least half of the cap on a session's score, four times as fast as would reach it when the token ends."""
    SESSION_CAP = "SESSION_CAP"
    """The score is at the cap, or just below."""
    DAILY_CAP = "DAILY_CAP"
    """The day's points are at the cap, or just below."""
    SESSION_COUNT = "SESSION_COUNT"
    """The day's sessions are at the cap; where there is none, 20 or more."""
    OUTLIER = "OUTLIER"
    """The day's points are more than ten times the median of those who lead on the day."""


_WEIGHTS_PCT: Final = {
    RiskReason.SCORE_PACE: 60,
    RiskReason.SESSION_CAP: 30,
    RiskReason.DAILY_CAP: 30,
    RiskReason.SESSION_COUNT: 30,
    RiskReason.OUTLIER: 60,
}


class Risk(msgspec.Struct, frozen=True):
    """What there is to say of a session."""

    score_pct: int
    reasons: tuple[RiskReason, ...]

    @property
    def is_high(self) -> bool:
        """Whether somebody should look at the session."""
        return self.score_pct > RISKY_PCT


def risk_of(session: PlayerSession, points: PlayerPoints, *, caps: Caps, leaders: Sequence[Leader], now_ms: int) -> Risk:
    """Judge a session by its player's points. Reasons add up as chances do: 30 and 30 percent are 51."""
    today = points_on(points, day_of(now_ms))
    reasons = tuple(
        reason
        for reason, holds in (
            (RiskReason.SCORE_PACE, _is_fast(session, points, caps)),
            (RiskReason.SESSION_CAP, _is_near(_score_of(session, points), caps.max_score_per_session)),
            (RiskReason.DAILY_CAP, _is_near(today.points, caps.max_cumulative_points_per_day)),
            (RiskReason.SESSION_COUNT, today.sessions >= (caps.max_sessions_per_day or SESSIONS_MANY)),
            (RiskReason.OUTLIER, _is_outlier(today.points, leaders)),
        )
        if holds
    )
    left_pct = 100
    for reason in reasons:
        left_pct = left_pct * (100 - _WEIGHTS_PCT[reason]) // 100
    return Risk(100 - left_pct, reasons)


def _is_fast(session: PlayerSession, points: PlayerPoints, caps: Caps) -> bool:
    score, cap = _score_of(session, points), caps.max_score_per_session
    if not cap or 2 * score < cap:
        return False
    took_ms = max(1, points.changed_ms - session.issued_ms)
    return score * (session.expires_ms - session.issued_ms) >= PACE_FACTOR * cap * took_ms


def _score_of(session: PlayerSession, points: PlayerPoints) -> int:
    """Return a session's score; 0 where the player has begun another one since, for then it is not known any more."""
    return points.session_points if points.session_id == session.id else 0


def _is_near(value: int, cap: int) -> bool:
    return cap > 0 and 100 * value >= NEAR_PCT * cap


def _is_outlier(value: int, leaders: Sequence[Leader]) -> bool:
    # They are best first.
    return len(leaders) >= LEADERS_MIN and value > OUTLIER_FACTOR * leaders[len(leaders) // 2].points
