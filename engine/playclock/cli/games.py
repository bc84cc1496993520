"""`playclock games`: list, show, create, hide and delete the games of the catalogue."""

import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import click
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.json_format import MessageToDict

from playclock.cli.engines import RemoteEngine
from playclock.cli.options import operator_options
from playclock.cli.printing import moment, print_json, print_table
from playclock.cli.remote import CALL_SEC, ask, authorization
from playclock.cli.teaching import example
from playclock.v1.catalog_service_pb2 import (
    CreateGameRequest,
    DeleteGameRequest,
    Game,
    GetGameRequest,
    ListGamesRequest,
    UpdateGameRequest,
)
from playclock.v1.catalog_service_pb2_grpc import CatalogServiceStub

if TYPE_CHECKING:
    from playclock.v1.catalog_service_pb2_grpc import CatalogServiceAsyncStub


GAME: Final = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
SORTS: Final = {
    "name": ListGamesRequest.SORT_BY_NAME,
    "created": ListGamesRequest.SORT_BY_CREATE_TIME,
    "number": ListGamesRequest.SORT_BY_NUMBER,
}


@click.group(
    epilog=example(
        "playclock games list --search party --token dev-operator-token",
        "playclock games create 'Champagne Party' --play-url https://game.example.com/play --token dev-operator-token",
        f"playclock games hide {GAME} --token dev-operator-token",
    )
)
def games() -> None:
    """Keep the games of the catalogue. A change is in force on every engine within a second."""


@games.command(name="list", epilog=example("playclock games list", "playclock games list --search party --all --json"))
@click.option("--search", default="", metavar="TEXT", help="Only games whose name or description contains it.")
@click.option("--sort", type=click.Choice(list(SORTS)), default="name", show_default=True, help="What to sort by.")
@click.option("--descending", is_flag=True, help="The last of the order first.")
@click.option("--owner", default="", metavar="ID", help="Only this developer's games.")
@click.option("--agent", default=0, metavar="ID", help="Only games that this agent offers.")
@click.option("--all", "with_hidden", is_flag=True, help="Also hidden ones.")
@click.option("--limit", type=click.IntRange(1, 100), default=50, show_default=True, help="At most so many.")
@click.option("--offset", type=click.IntRange(0, 2**31 - 1), default=0, help="Skip so many.")
@operator_options
def list_games(
    *,
    search: str,
    sort: str,
    descending: bool,
    owner: str,
    agent: int,
    with_hidden: bool,
    limit: int,
    offset: int,
    engine: RemoteEngine,
    token: str | None,
    as_json: bool,
) -> None:
    """List games, and say on stderr how many there are in all where not all were listed."""
    request = ListGamesRequest(
        query=search,
        sort_by=SORTS[sort],
        descending=descending,
        owner_id=owner,
        agent_id=agent,
        include_hidden=with_hidden,
        page_size=limit,
        offset=offset,
    )

    async def call(service: "CatalogServiceAsyncStub") -> tuple[list[Game], int]:
        answer = await service.ListGames(request, metadata=authorization(token), timeout=CALL_SEC)
        return list(answer.games), answer.total_size

    found, total = ask(engine, CatalogServiceStub, call)
    if as_json:
        print_json([_fields(game) for game in found])
    else:
        print_table(tuple(_COLUMNS), [[cell(game) for cell in _COLUMNS.values()] for game in found])
    if len(found) < total:
        click.echo(f"{len(found)} of {total} games; --offset {offset + len(found)} goes on", err=True)


@games.command(epilog=example(f"playclock games show {GAME}", "playclock games show 123 --json"))
@click.argument("game", metavar="ID|NUMBER")
@operator_options
def show(*, game: str, engine: RemoteEngine, token: str | None, as_json: bool) -> None:
    """Show the game of that id or number."""
    request = GetGameRequest(game_number=int(game)) if _is_number(game) else GetGameRequest(game_id=game)

    async def call(service: "CatalogServiceAsyncStub") -> Game:
        return (await service.GetGame(request, metadata=authorization(token), timeout=CALL_SEC)).game

    _print(ask(engine, CatalogServiceStub, call), as_json=as_json)


@games.command(epilog=example("playclock games create 'Champagne Party' --play-url https://game.example.com/play"))
@click.argument("name")
@click.option("--number", default=0, metavar="N", help="Its integer id. Default: the next free one.")
@click.option("--description", default="", metavar="TEXT", help="What it is, for people.")
@click.option("--brand", default="", metavar="TEXT", help="Whose game it is, for people.")
@click.option("--image-url", default="", metavar="URL", help="A picture of it.")
@click.option("--play-url", default="", metavar="URL", help="Where it is played.")
@click.option("--demo-url", default="", metavar="URL", help="Where its demo is played.")
@click.option("--owner", "owner_id", default="", metavar="ID", help="The developer whose game it is.")
@click.option(
    "--request-id", metavar="TEXT", help="Makes a repeat safe: one with the same id creates no other game. Default: random."
)
@operator_options
def create(*, request_id: str | None, engine: RemoteEngine, token: str | None, as_json: bool, **fields: Any) -> None:  # noqa: ANN401
    """Create a game called NAME. Its servers' key comes from `playclock keys create game/ID`."""
    request = CreateGameRequest(game=Game(**fields), request_id=request_id or secrets.token_hex(16))

    async def call(service: "CatalogServiceAsyncStub") -> Game:
        return (await service.CreateGame(request, metadata=authorization(token), timeout=CALL_SEC)).game

    _print(ask(engine, CatalogServiceStub, call), as_json=as_json)


@games.command(epilog=example(f"playclock games hide {GAME}"))
@click.argument("game_id", metavar="ID")
@operator_options
def hide(*, game_id: str, engine: RemoteEngine, token: str | None, as_json: bool) -> None:
    """Keep a game from everybody: nothing new opens, sessions that run go on."""
    _print(ask(engine, CatalogServiceStub, _hiding(game_id, token, hidden=True)), as_json=as_json)


@games.command(epilog=example(f"playclock games unhide {GAME}"))
@click.argument("game_id", metavar="ID")
@operator_options
def unhide(*, game_id: str, engine: RemoteEngine, token: str | None, as_json: bool) -> None:
    """Take back what `hide` did. A game that its owner keeps out of lists stays out of them."""
    _print(ask(engine, CatalogServiceStub, _hiding(game_id, token, hidden=False)), as_json=as_json)


@games.command(epilog=example(f"playclock games delete {GAME} --yes"))
@click.argument("game_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@operator_options
def delete(*, game_id: str, yes: bool, engine: RemoteEngine, token: str | None, as_json: bool) -> None:
    """Delete a game for good: its id and number are never given again, nothing new opens, sessions that run go on."""
    if not yes:
        click.confirm(f"delete game {game_id} for good?", abort=True, err=True)

    async def call(service: "CatalogServiceAsyncStub") -> Game:
        request = DeleteGameRequest(game_id=game_id)
        return (await service.DeleteGame(request, metadata=authorization(token), timeout=CALL_SEC)).game

    _print(ask(engine, CatalogServiceStub, call), as_json=as_json)


def _hiding(game_id: str, token: str | None, *, hidden: bool) -> "Callable[[CatalogServiceAsyncStub], Awaitable[Game]]":
    mask = FieldMask(paths=["admin_hidden"])
    request = UpdateGameRequest(game_id=game_id, game=Game(admin_hidden=hidden), update_mask=mask)

    async def call(service: "CatalogServiceAsyncStub") -> Game:
        return (await service.UpdateGame(request, metadata=authorization(token), timeout=CALL_SEC)).game

    return call


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 18


def _shown(game: Game) -> str:
    if game.HasField("delete_time"):
        return "DELETED"
    return "HIDDEN BY OPERATOR" if game.admin_hidden else "HIDDEN" if game.hidden else "SHOWN"


_COLUMNS: Final[dict[str, Callable[[Game], str]]] = {
    "game": lambda game: game.id,
    "number": lambda game: str(game.number),
    "name": lambda game: game.name,
    "brand": lambda game: game.brand,
    "state": _shown,
    "created": lambda game: moment(game.create_time),
    "changed": lambda game: moment(game.update_time),
}


def _print(game: Game, *, as_json: bool) -> None:
    if as_json:
        print_json(_fields(game))
        return
    more = {field: str(getattr(game, field)) for field in ("description", "play_url", "demo_url", "image_url", "owner_id")}
    rows = [[name, cell(game)] for name, cell in _COLUMNS.items()]
    print_table(("field", "value"), [*rows, *([name, value] for name, value in more.items() if value)])


def _fields(game: Game) -> dict[str, Any]:
    return MessageToDict(game, preserving_proto_field_name=True)
