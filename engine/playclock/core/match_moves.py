"""What players, operators and time do to a match. Money follows: see `playclock.core.escrow`."""

from typing import Final

from msgspec.structs import replace

from playclock.core.escrow import Outcome, Step, after, closed, progressed
from playclock.core.match import (
    AbortReason,
    Match,
    MatchEvent,
    MatchRules,
    MatchState,
    Seat,
    SeatState,
    is_closed,
    move,
    seat_of,
    taken,
    team_ids,
    with_seat,
)
from playclock.core.results import finished_if_all_played, result_of_submissions, with_result
from playclock.errors import AlreadyJoined, EngineError, MatchFull, PlayerNotFound, TooFewPlayers, WrongMatchState

SEATS_PER_PLACE: Final = 2
"""How many seats a match may have for each place: besides who plays, those whose fee cannot be let go at the moment."""


def advance(match: Match, rules: MatchRules, *, now_ms: int) -> Match:
    """Return the match as time has it now. Each step happens at its own time, whoever looked before."""
    while (next_ := _advanced(match, rules, now_ms=now_ms)) is not match:
        match = next_
    return match


def _advanced(match: Match, rules: MatchRules, *, now_ms: int) -> Match:
    if match.state is MatchState.CREATED and now_ms >= match.join_until_ms:
        at_ms = match.join_until_ms
        if why_no_start(match) is None:
            return started(match, rules, needs_push=match.needs_push, now_ms=at_ms)
        return closed(match, MatchEvent.ABORT, now_ms=at_ms, abort_reason=AbortReason.TOO_FEW_PLAYERS)
    if match.state is MatchState.STARTING and match.starting_until_ms is not None and now_ms >= match.starting_until_ms:
        return not_told(match, now_ms=match.starting_until_ms)
    if match.play_until_ms is not None and not is_closed(match) and now_ms >= match.play_until_ms:
        if not match.terms.is_synchronous and any(seat.scores for seat in match.seats):
            return with_result(match, result_of_submissions(match), now_ms=match.play_until_ms)
        return closed(match, MatchEvent.ABORT, now_ms=match.play_until_ms, abort_reason=AbortReason.NO_RESULT)
    return match


def deadline_ms(match: Match) -> int | None:
    """Return when time will change the match next; None where it will not."""
    if match.state is MatchState.CREATED:
        return match.join_until_ms
    return match.starting_until_ms if match.state is MatchState.STARTING else match.play_until_ms


def joined(match: Match, user_id: str, team_id: str, account_id: str, *, now_ms: int) -> Match | EngineError:
    """Return the match with one more player, whose fee is still to be held; as it is for one who is in it already."""
    there = seat_of(match, user_id)
    if there is not None:
        is_same = (there.team_id, there.account_id) == (team_id, account_id) and there.state is not SeatState.LEAVING
        return match if is_same else AlreadyJoined("the user has joined with another team or account, or is leaving")
    if match.state is not MatchState.CREATED:
        return wrong_state(match, "the match has begun, or is over")
    if _is_full(match):
        return MatchFull("the match has as many players as it can have", players_max=match.terms.players_max)
    seat = Seat(number=match.joins, user_id=user_id, team_id=team_id, account_id=account_id, state=SeatState.JOINING)
    return progressed(replace(match, seats=(*match.seats, seat), joins=match.joins + 1), now_ms=now_ms)


def _is_full(match: Match) -> bool:
    """Whether nobody else can join. Who is on the way out takes no place, but the record is bounded."""
    staying = sum(seat.state is not SeatState.LEAVING for seat in match.seats)
    return staying >= match.terms.players_max or len(match.seats) >= SEATS_PER_PLACE * match.terms.players_max


def left(match: Match, user_id: str, *, now_ms: int) -> Match | EngineError:
    """Return the match with a player on the way out; as it is for one who is that already."""
    if match.state is not MatchState.CREATED:
        return wrong_state(match, "the match has begun, or is over")
    seat = seat_of(match, user_id)
    if seat is None:
        return PlayerNotFound("no such player in the match")
    if seat.scores:
        return wrong_state(match, "the player has played")
    return progressed(with_seat(match, replace(seat, state=SeatState.LEAVING)), now_ms=now_ms)


def why_no_start(match: Match) -> EngineError | None:
    """Say why a match cannot be started, or None. Who is still joining comes too late."""
    if match.state is not MatchState.CREATED:
        return wrong_state(match, "the match has begun, or is over")
    players, teams = len(taken(match)), len(team_ids(match))
    if players < match.terms.players_min or teams < 2:
        return TooFewPlayers("the match has too few players, or teams", players=players, teams=teams)
    return None


def started(match: Match, rules: MatchRules, *, needs_push: bool, now_ms: int) -> Match:
    """Return the match after its start, with all fees still to be paid into escrow. There is no reason against it."""
    late = (SeatState.JOINING, SeatState.LEAVING)
    seats = tuple(replace(seat, state=SeatState.LEAVING) if seat.state in late else seat for seat in match.seats)
    moved = move(
        match,
        MatchEvent.START,
        seats=seats,
        needs_push=needs_push,
        starting_ms=now_ms,
        starting_until_ms=now_ms + rules.starting_ms,
    )
    assert moved is not None, "guarded by why_no_start"
    return finished_if_all_played(progressed(moved, now_ms=now_ms), now_ms=now_ms)


def stepped(match: Match, step: Step, outcome: Outcome, *, now_ms: int) -> Match:
    """Return the match after a step on an account; as it is where no seat waits for that any more."""
    return finished_if_all_played(after(match, step, outcome, now_ms=now_ms), now_ms=now_ms)


def told(match: Match, *, now_ms: int) -> Match:
    """Return the match after its game's server was told of it. As it is where nobody waits for that."""
    if match.state is not MatchState.STARTING or not match.is_escrowed:
        return match
    return finished_if_all_played(progressed(replace(match, needs_push=False), now_ms=now_ms), now_ms=now_ms)


def not_told(match: Match, *, now_ms: int) -> Match:
    """Return the match after it turned out that its game's server cannot be told of it, or does not want it."""
    if match.state is not MatchState.STARTING:
        return match
    return closed(match, MatchEvent.ABORT, now_ms=now_ms, abort_reason=AbortReason.NOT_TOLD)


def cancelled(match: Match, *, now_ms: int) -> Match | EngineError:
    """Return the match after it was cancelled; as it is where it was before."""
    if match.state is MatchState.CANCELLED:
        return match
    if is_closed(match):
        return wrong_state(match, "the match is over")
    return closed(match, MatchEvent.CANCEL, now_ms=now_ms)


def wrong_state(match: Match, sentence: str) -> WrongMatchState:
    """Return what is told of a match that is not where it would have to be."""
    return WrongMatchState(sentence, state=match.state.name)
