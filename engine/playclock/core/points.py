"""Points of a game's players: what a day adds up to, where the game's caps are, who leads, and for how many days running.

Days are UTC's, counted from 1970. https://docs.play.fun, `api-endpoints/game`; caps: `play-fun-sdk/server-side-sdk/quickstart`.
"""

import datetime as dt
import re
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core.chain import Chain

DAY_MS: Final = 86_400_000
POINTS_MAX: Final = 2**53 - 1
"""How many points one entry may have: what JSON can carry everywhere."""
TOTAL_MAX: Final = 2**62
"""How many points a player may have in one game."""
STREAK_MAX: Final = 30
"""Of how many days a streak tells at most."""
DAYS_KEPT: Final = STREAK_MAX + 1
"""Of how many of a player's days the points are known one by one."""
RETENTION_MIN_MS: Final = DAYS_KEPT * DAY_MS
"""The shortest time that points can be kept for: what a day, or a streak, adds up to has to be known."""
LEADERS_MAX: Final = 100
"""How long a leaderboard is."""

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_EPOCH: Final = dt.date(1970, 1, 1).toordinal()


class Caps(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What a game's owner allows each player; 0 for as much as they like."""

    max_score_per_session: int = 0
    max_sessions_per_day: int = 0
    max_cumulative_points_per_day: int = 0


class Day(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a player did in a game on one day."""

    number: int
    points: int
    sessions: int
    """How many sessions began."""


class PlayerPoints(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a player did in a game."""

    total: int
    days: tuple[Day, ...] = ()
    """The last days on which there was something, oldest first."""
    changed_ms: int = 0
    session_id: str = ""
    """The session that began last; empty where there was none, or it was ended."""
    session_until_ms: int = 0
    session_points: int = 0


class Leader(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A player on a leaderboard."""

    player_id: str
    points: int
    reached_ms: int
    """When the player came to have so many. Of two who have the same, whoever had it first leads."""


class Leaders(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A game's leaderboard of one day, best first."""

    leaders: tuple[Leader, ...]


class PlayerSession(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A player's session in a game, which a token stands for. The token itself is nowhere."""

    id: str
    game_id: str
    player: str
    """Who plays, in the canonical spelling."""
    player_id: str
    issued_ms: int
    expires_ms: int
    invalidated_ms: int | None = None
    chain: Chain = Chain()
    """What the player's client has reported."""


class Over(msgspec.Struct, frozen=True, gc=False):
    """A cap that something would exceed."""

    cap: str
    """Its name in the catalogue; "total" for what no player can have anywhere."""
    maximum: int
    value: int
    """What it would have come to."""


class Streak(msgspec.Struct, frozen=True, gc=False):
    """For how many days running a player has had points."""

    today: bool
    days: int
    """Up to today, or up to yesterday where there is nothing today yet; at most `STREAK_MAX`."""


def day_of(now_ms: int) -> int:
    """Return the number of a moment's day."""
    return now_ms // DAY_MS


def day_named(date: str) -> int | None:
    """Return the number of a day written as YYYY-MM-DD; None where the text is no such day."""
    if not _DATE.fullmatch(date):
        return None
    try:
        return dt.date.fromisoformat(date).toordinal() - _EPOCH
    except ValueError:
        return None


def name_of_day(number: int) -> str:
    """Return a day as YYYY-MM-DD."""
    return dt.date.fromordinal(number + _EPOCH).isoformat()


def remembered(points: PlayerPoints | None, *, now_ms: int, retention_ms: int) -> PlayerPoints:
    """Return what is known of a player now: nothing where nothing happened for as long as points are kept."""
    return PlayerPoints(0) if points is None or now_ms - points.changed_ms >= retention_ms else points


def points_on(points: PlayerPoints, number: int) -> Day:
    """Return what a player did on a day."""
    return next((day for day in reversed(points.days) if day.number == number), Day(number, 0, 0))


def add(points: PlayerPoints, amount: int, *, caps: Caps, now_ms: int) -> PlayerPoints | Over:
    """Return the points with so many more, or the cap that keeps them from being added.

    They are the session's that began last, if that goes on; otherwise they are a session of their own.
    """
    is_in_session = bool(points.session_id) and now_ms < points.session_until_ms
    day = points_on(points, day_of(now_ms))
    score = amount + points.session_points if is_in_session else amount
    after = Day(day.number, day.points + amount, day.sessions if is_in_session else day.sessions + 1)
    over = (
        over_in_session(score, caps)
        or _over_sessions(caps, day, after)
        or _over("max_cumulative_points_per_day", caps.max_cumulative_points_per_day, after.points)
        or _over("total", TOTAL_MAX, points.total + amount)
    )
    if over is not None:
        return over
    return replace(
        points,
        total=points.total + amount,
        days=_with(points.days, after),
        changed_ms=now_ms,
        session_points=score if is_in_session else points.session_points,
    )


def over_in_session(score: int, caps: Caps) -> Over | None:
    """Return the cap that a session's score exceeds."""
    return _over("max_score_per_session", caps.max_score_per_session, score)


def begin_session(points: PlayerPoints, session: PlayerSession, *, caps: Caps) -> PlayerPoints | Over:
    """Return the points with another session begun, or the cap that keeps it from beginning."""
    day = points_on(points, day_of(session.issued_ms))
    after = replace(day, sessions=day.sessions + 1)
    return _over_sessions(caps, day, after) or replace(
        points,
        days=_with(points.days, after),
        changed_ms=session.issued_ms,
        session_id=session.id,
        session_until_ms=session.expires_ms,
        session_points=0,
    )


def end_session(points: PlayerPoints, session_id: str) -> PlayerPoints:
    """Return the points without that session: what comes now belongs to another one."""
    return points if points.session_id != session_id else replace(points, session_id="", session_until_ms=0, session_points=0)


def is_alive(session: PlayerSession, now_ms: int) -> bool:
    """Whether a session's token is good."""
    return session.invalidated_ms is None and now_ms < session.expires_ms


def streak(points: PlayerPoints, now_ms: int) -> Streak:
    """Return a player's streak."""
    played = {day.number for day in points.days if day.points}
    today = day_of(now_ms)
    last = today if today in played else today - 1
    days = 0
    while days < STREAK_MAX and last - days in played:
        days += 1
    return Streak(today in played, days)


def led(leaders: Leaders, changed: Iterable[Leader]) -> Leaders:
    """Return the leaderboard after players came to have more points.

    Points never become fewer, so nobody who was not on it has to be looked up.
    """
    known = {leader.player_id: leader for leader in leaders.leaders}
    known.update((leader.player_id, leader) for leader in changed if leader.points)
    ranked = sorted(known.values(), key=lambda leader: (-leader.points, leader.reached_ms, leader.player_id))
    return Leaders(tuple(ranked[:LEADERS_MAX]))


def _over(cap: str, maximum: int, value: int) -> Over | None:
    return Over(cap, maximum, value) if 0 < maximum < value else None


def _over_sessions(caps: Caps, before: Day, after: Day) -> Over | None:
    """Return the cap on sessions where one more begins and is too many: a cap that was lowered ends none that go on."""
    if after.sessions == before.sessions:
        return None
    return _over("max_sessions_per_day", caps.max_sessions_per_day, after.sessions)


def _with(days: tuple[Day, ...], changed: Day) -> tuple[Day, ...]:
    if not days or days[-1].number < changed.number:
        return (*days, changed)[-DAYS_KEPT:]
    if days[-1].number == changed.number:
        return (*days[:-1], changed)
    # Another process's clock is ahead, and it is midnight.
    others = (day for day in days if day.number != changed.number)
    return tuple(sorted((*others, changed), key=lambda day: day.number))[-DAYS_KEPT:]
