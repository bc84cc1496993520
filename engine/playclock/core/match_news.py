"""What there is to tell of a match, for the outbox: where it has come, and who has come and gone."""

from enum import IntEnum

import msgspec
from msgspec.structs import replace

from playclock.core.match import Match, MatchState, Seat, is_closed, taken


class MatchHappening(IntEnum):
    """What a match's event tells of."""

    CREATED = 1
    STARTING = 2
    LIVE = 3
    FINISHED = 4
    ABORTED = 5
    CANCELLED = 6
    SETTLED = 7
    """Everybody has what is due."""
    JOINED = 8
    """A player is in the match for certain: the fee is held."""
    LEFT = 9


class MatchNews(msgspec.Struct, frozen=True, array_like=True, gc=False, tag=4):
    """Something that happened to a match, as the outbox has it."""

    happening: MatchHappening
    at_ms: int
    match: Match
    """As it stood right after the commit; of who has joined or left, with that seat alone."""


def news_of(before: Match | None, after: Match, *, now_ms: int) -> list[MatchNews]:
    """Return what there is to tell of what became of a match until now, oldest first."""
    if before is None:
        return [MatchNews(MatchHappening.CREATED, after.created_ms, after)]
    told = []
    if before.state is MatchState.CREATED:
        was, is_in = _by_number(before), _by_number(after)
        gone = [seat for number, seat in was.items() if number not in is_in]
        come = [seat for number, seat in is_in.items() if number not in was]
        told += [MatchNews(MatchHappening.LEFT, now_ms, replace(after, seats=(seat,))) for seat in gone]
        told += [MatchNews(MatchHappening.JOINED, now_ms, replace(after, seats=(seat,))) for seat in come]
    if after.starting_ms is not None and before.starting_ms is None:
        told.append(MatchNews(MatchHappening.STARTING, after.starting_ms, after))
    if after.live_ms is not None and before.live_ms is None:
        told.append(MatchNews(MatchHappening.LIVE, after.live_ms, after))
    if is_closed(after) and not is_closed(before):
        told.append(MatchNews(MatchHappening[after.state.name], after.closed_ms or now_ms, after))
    if after.settled_ms is not None and before.settled_ms is None:
        told.append(MatchNews(MatchHappening.SETTLED, after.settled_ms, after))
    return told


def _by_number(match: Match) -> dict[int, Seat]:
    return {seat.number: seat for seat in taken(match)}
