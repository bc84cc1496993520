"""`playclock matches`: an operator's look at matches, and the power to call one off."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from playclock.cli.engines import RemoteEngine
from playclock.cli.options import operator_options
from playclock.cli.printing import amount, moment, print_json, print_table
from playclock.cli.remote import CALL_SEC, ask, authorization
from playclock.cli.teaching import example
from playclock.v1.match_service_pb2 import CancelMatchRequest, GetMatchRequest, ListMatchesRequest, Match, MatchPlayer
from playclock.v1.match_service_pb2_grpc import MatchServiceStub

if TYPE_CHECKING:
    from playclock.v1.match_service_pb2_grpc import MatchServiceAsyncStub


PAGE_SIZE: Final = 1_000
STATES: Final = tuple(name.removeprefix("STATE_").lower() for name, number in Match.State.items() if number)


@click.group(epilog=example("playclock matches list --state live --token dev-operator-token"))
def matches() -> None:
    """List, show and cancel matches of a running engine."""


@matches.command(name="list", epilog=example("playclock matches list --client super-game --state live --json"))
@click.option("--game", default="", metavar="ID", help="Only this game's matches.")
@click.option("--client", default="", metavar="ID", help="Only this match client's.")
@click.option("--user", default="", metavar="UUID", help="Only those in which this user is.")
@click.option("--state", type=click.Choice(STATES), help="Only those in this state.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many.")
@operator_options
def list_matches(
    *,
    game: str,
    client: str,
    user: str,
    state: str | None,
    limit: int,
    engine: RemoteEngine,
    token: str | None,
    as_json: bool,
) -> None:
    """List matches that go on or have ended lately, in no particular order."""
    request = ListMatchesRequest(game_id=game, client_id=client, user_id=user)
    if state is not None:
        request.state = Match.State.Value(f"STATE_{state.upper()}")

    async def collect(service: "MatchServiceAsyncStub") -> list[Match]:
        found: list[Match] = []
        while True:
            request.page_size = min(PAGE_SIZE, limit - len(found))
            page = await service.ListMatches(request, metadata=authorization(token), timeout=CALL_SEC)
            found += page.matches
            request.page_token = page.next_page_token
            if not page.next_page_token or len(found) >= limit:
                return found[:limit]

    found = ask(engine, MatchServiceStub, collect)
    if as_json:
        print_json([_fields(match) for match in found])
    else:
        print_table(tuple(_COLUMNS), [[cell(match) for cell in _COLUMNS.values()] for match in found])


@matches.command(epilog=example("playclock matches show 600f369851f450dd3ecb0035"))
@click.argument("match_id", metavar="ID")
@operator_options
def show(*, match_id: str, engine: RemoteEngine, token: str | None, as_json: bool) -> None:
    """Show a match and its players."""

    async def get(service: "MatchServiceAsyncStub") -> Match:
        answer = await service.GetMatch(GetMatchRequest(match_id=match_id), metadata=authorization(token), timeout=CALL_SEC)
        return answer.match

    _print_match(ask(engine, MatchServiceStub, get), as_json=as_json)


@matches.command(epilog=example("playclock matches cancel 600f369851f450dd3ecb0035"))
@click.argument("match_id", metavar="ID")
@operator_options
def cancel(*, match_id: str, engine: RemoteEngine, token: str | None, as_json: bool) -> None:
    """Cancel a match that is not over: all fees go back."""

    async def call_off(service: "MatchServiceAsyncStub") -> Match:
        request = CancelMatchRequest(match_id=match_id)
        return (await service.CancelMatch(request, metadata=authorization(token), timeout=CALL_SEC)).match

    _print_match(ask(engine, MatchServiceStub, call_off), as_json=as_json)


def _state(match: Match) -> str:
    state = Match.State.Name(match.state).removeprefix("STATE_")
    reason = Match.AbortReason.Name(match.abort_reason).removeprefix("ABORT_REASON_")
    return f"{state} ({reason})" if match.abort_reason else state


_COLUMNS: Final[dict[str, Callable[[Match], str]]] = {
    "match": lambda match: match.match_id,
    "state": _state,
    "game": lambda match: match.terms.game_id,
    "client": lambda match: match.terms.client_id,
    "players": lambda match: f"{len(match.players)}/{match.terms.players_max}",
    "fee": lambda match: f"{amount(match.terms.entry_fee_micros)} {match.terms.currency}".rstrip(),
    "since": lambda match: moment(match.create_time),
    "settled": lambda match: moment(match.settle_time),
}
_DETAILS: Final = _COLUMNS | {
    "join until": lambda match: moment(match.join_expire_time),
    "started": lambda match: moment(match.start_time),
    "live": lambda match: moment(match.live_time),
    "play until": lambda match: moment(match.play_expire_time),
    "ended": lambda match: moment(match.close_time),
    "kept of the pot": lambda match: amount(match.fee_micros),
    "other results": lambda match: str(match.contradictions),
}
_PLAYER_COLUMNS: Final[dict[str, Callable[[MatchPlayer], str]]] = {
    "player": lambda player: player.user_id,
    "team": lambda player: player.team_id,
    "account": lambda player: player.account_id,
    "money": lambda player: MatchPlayer.State.Name(player.state).removeprefix("STATE_"),
    "payout": lambda player: amount(player.payout_micros),
}


def _print_match(match: Match, *, as_json: bool) -> None:
    if as_json:
        print_json(_fields(match))
        return
    print_table(("field", "value"), [[name, cell(match)] for name, cell in _DETAILS.items()])
    if match.players:
        print_table(tuple(_PLAYER_COLUMNS), [[cell(player) for cell in _PLAYER_COLUMNS.values()] for player in match.players])


def _fields(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)
