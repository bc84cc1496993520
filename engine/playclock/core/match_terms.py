"""What a match may be made as."""

from typing import Final

from playclock.core.fields import MICROS_MAX, currency_problem, text_problem
from playclock.core.ids import is_uuid
from playclock.core.match import DAY_MS, Terms
from playclock.core.payout import BASIS_POINTS, rule_problem

PLAYERS_MAX: Final = 128
"""How many players a match can have: they lie on its record."""
SUBMISSIONS_MAX: Final = 100
JOIN_MAX_MS: Final = 30 * DAY_MS
PLAY_MAX_MS: Final = 30 * DAY_MS
TEAM_ID_MAX: Final = 128


def terms_problems(terms: Terms) -> dict[str, str]:
    """Return what is wrong with the terms of a match, by field."""
    found = {
        "currency": currency_problem(terms.currency) if terms.currency or terms.entry_fee_micros else None,
        "entry_fee_micros": _between(terms.entry_fee_micros, 0, MICROS_MAX // max(1, min(terms.players_max, PLAYERS_MAX))),
        "fee_basis_points": _between(terms.fee_basis_points, 0, BASIS_POINTS),
        "payout": rule_problem(terms.payout),
        "players_max": _between(terms.players_max, 2, PLAYERS_MAX),
        "players_min": _between(terms.players_min, 2, max(2, min(terms.players_max, PLAYERS_MAX))),
        "submissions_total": _between(terms.submissions_total, 1, SUBMISSIONS_MAX if terms.is_tournament else 1),
        "join_sec": _seconds(terms.join_ms, JOIN_MAX_MS),
        "play_sec": _seconds(terms.play_ms, PLAY_MAX_MS),
    }
    if terms.is_synchronous and terms.submissions_total != 1:
        found["submissions_total"] = "expected 1: a synchronous game has one result"
    return {field: problem for field, problem in found.items() if problem}


def player_problems(*, user_id: str, team_id: str) -> dict[str, str]:
    """Return what is wrong with a player who wants to join, by field."""
    found = {
        "user_id": None if is_uuid(user_id) else "expected a lower-case UUID",
        "team_id": text_problem(team_id, TEAM_ID_MAX),
    }
    return {field: problem for field, problem in found.items() if problem}


def _between(number: int, first: int, last: int) -> str | None:
    return None if first <= number <= last else f"expected {first} to {last}"


def _seconds(ms: int, ms_max: int) -> str | None:
    return None if 0 < ms <= ms_max else f"expected 1 to {ms_max // 1000}"
