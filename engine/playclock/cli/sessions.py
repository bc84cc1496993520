"""`playclock sessions`: an operator's look at live sessions, and the power to end one."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from playclock.cli.engines import RemoteEngine
from playclock.cli.options import operator_options
from playclock.cli.printing import amount, duration, moment, print_json, print_table
from playclock.cli.remote import CALL_SEC, ask, authorization
from playclock.cli.teaching import example
from playclock.v1.session_pb2 import EndReason, Session
from playclock.v1.session_service_pb2 import GetSessionRequest, ListSessionsRequest, TerminateSessionRequest
from playclock.v1.session_service_pb2_grpc import SessionServiceStub

if TYPE_CHECKING:
    from playclock.v1.session_service_pb2_grpc import SessionServiceAsyncStub


PAGE_SIZE: Final = 1_000


@click.group(epilog=example("playclock sessions list --cafe cafe-1 --token dev-operator-token"))
def sessions() -> None:
    """List, show and terminate sessions of a running engine."""


@sessions.command(name="list", epilog=example("playclock sessions list --game 3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d --json"))
@click.option("--game", default="", metavar="ID", help="Only this game's sessions.")
@click.option("--cafe", default="", metavar="ID", help="Only this cafe's sessions.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="At most so many.")
@operator_options
def list_sessions(*, game: str, cafe: str, limit: int, engine: RemoteEngine, token: str | None, as_json: bool) -> None:
    """List live sessions, in no particular order."""

    async def collect(service: "SessionServiceAsyncStub") -> list[Session]:
        found: list[Session] = []
        request = ListSessionsRequest(game_id=game, cafe_id=cafe)
        while True:
            request.page_size = min(PAGE_SIZE, limit - len(found))
            page = await service.ListSessions(request, metadata=authorization(token), timeout=CALL_SEC)
            found += page.sessions
            request.page_token = page.next_page_token
            if not page.next_page_token or len(found) >= limit:
                return found[:limit]

    found = ask(engine, SessionServiceStub, collect)
    if as_json:
        print_json([_fields(session) for session in found])
    else:
        print_table(tuple(_COLUMNS), [[cell(session) for cell in _COLUMNS.values()] for session in found])


@sessions.command(epilog=example("playclock sessions show gs_550e8400-e29b-41d4-a716-446655440000"))
@click.argument("game_session_id", metavar="ID")
@operator_options
def show(*, game_session_id: str, engine: RemoteEngine, token: str | None, as_json: bool) -> None:
    """Show a session, live or recently ended."""

    async def get(service: "SessionServiceAsyncStub") -> Session:
        request = GetSessionRequest(game_session_id=game_session_id)
        return (await service.GetSession(request, metadata=authorization(token), timeout=CALL_SEC)).session

    _print_session(ask(engine, SessionServiceStub, get), as_json=as_json)


@sessions.command(epilog=example("playclock sessions terminate gs_550e8400-e29b-41d4-a716-446655440000"))
@click.argument("game_session_id", metavar="ID")
@operator_options
def terminate(*, game_session_id: str, engine: RemoteEngine, token: str | None, as_json: bool) -> None:
    """End a live session at once, and show its figures."""

    async def end(service: "SessionServiceAsyncStub") -> Session:
        request = TerminateSessionRequest(game_session_id=game_session_id)
        return (await service.TerminateSession(request, metadata=authorization(token), timeout=CALL_SEC)).session

    _print_session(ask(engine, SessionServiceStub, end), as_json=as_json)


def _state(session: Session) -> str:
    state = Session.State.Name(session.state).removeprefix("STATE_")
    reason = EndReason.Name(session.end_reason).removeprefix("END_REASON_")
    return f"{state} ({reason})" if session.end_reason else state


_COLUMNS: Final[dict[str, Callable[[Session], str]]] = {
    "session": lambda session: session.game_session_id,
    "state": _state,
    "game": lambda session: session.game_id,
    "player": lambda session: session.provider_user_id,
    "cafe": lambda session: session.cafe_id,
    "pc": lambda session: session.pc_id,
    "since": lambda session: moment(session.create_time),
    "played": lambda session: duration(session.play_duration_sec),
    "amount": lambda session: amount(session.amount_micros),
}
_DETAILS: Final = _COLUMNS | {
    "server": lambda session: session.server_id,
    "last heartbeat": lambda session: moment(session.last_heartbeat_time),
    "expires": lambda session: moment(session.expire_time),
    "ended": lambda session: moment(session.end_time),
    "account": lambda session: session.account_id,
    "billed": lambda session: duration(session.billed_sec),
    "grace": lambda session: duration(session.grace_sec),
    "paid until": lambda session: moment(session.paid_until_time),
}


def _print_session(session: Session, *, as_json: bool) -> None:
    if as_json:
        print_json(_fields(session))
    else:
        print_table(("field", "value"), [[name, cell(session)] for name, cell in _DETAILS.items()])


def _fields(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)
