"""What a game's server is told of its match, and when."""

import msgspec

from playclock.core.match import Match, MatchState, is_closed, taken, team_ids


def waits_for_push(match: Match) -> bool:
    """Whether a match has all its money in escrow, and waits until its game's server has been told."""
    return match.state is MatchState.STARTING and match.is_escrowed and match.needs_push


def is_off(match: Match) -> bool:
    """Whether a match was aborted or cancelled."""
    return is_closed(match) and match.state is not MatchState.FINISHED


def match_info(match: Match) -> bytes:
    """Return the body that tells of a match: the same bytes for the same players. Who is on the way out is none of them.

    Source: OkLetsPlay, "Match discovery".
    """
    participants = [{"id": seat.user_id, "team_id": seat.team_id} for seat in taken(match)]
    teams = [{"id": team_id} for team_id in team_ids(match)]
    return msgspec.json.encode({"match_id": match.id, "participants": participants, "teams": teams})
