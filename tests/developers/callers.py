"""Developers who sign each of their calls, and the public that only reads."""

import hashlib
import hmac
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.field_mask_pb2 import FieldMask
from playclock.rpc.inprocess import InProcessChannel
from playclock.v1 import (
    SIGNATURE_SCHEME_PLAYFUN,
    CatalogServiceStub,
    Developer,
    DeveloperGameServiceStub,
    Game,
    GameFields,
    HttpHeader,
    ListMyGamesRequest,
    ListPublicGamesRequest,
    Provisioning,
    RegisterGameRequest,
    SignedHttpRequest,
    ToggleVisibilityRequest,
    UpdateGameRequest,
    UpdateRegisteredGameRequest,
)

if TYPE_CHECKING:
    from playclock.engine import Engine

    from tests.conftest import World

ANN: Final = "550e8400-e29b-41d4-a716-446655440000"
BEN: Final = "660e8400-e29b-41d4-a716-446655440001"
EVE: Final = "770e8400-e29b-41d4-a716-446655440002"
SECRETS: Final = {
    ANN: "the-secret-of-ann-the-developer",
    BEN: "the-secret-of-ben-the-developer",
    EVE: "the-secret-of-eve-the-developer",
}
FIELDS: Final[dict[str, Any]] = {
    "name": "My Awesome Game",
    "description": "A fantastic play-to-earn experience",
    "play_url": "https://mygame.example.com/",
    "platform": "WEB",
    "image_url": f"/images/{64 * '0'}.png",
}

Metadata = tuple[tuple[str, str | bytes], ...]


class Games:
    """The service in one process, as a facade in it calls it: for developers, or for everybody."""

    _numbers: Final = itertools.count()

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self.public = DeveloperGameServiceStub(InProcessChannel(engine))
        self.operator = DeveloperGameServiceStub(InProcessChannel(engine, operator=True))
        self._catalog = CatalogServiceStub(InProcessChannel(engine, operator=True))

    def signed(self, developer_id: str, once: str = "") -> Metadata:
        """Return a developer's credentials; the same `once` is the same signature."""
        path, timestamp = f"/games/{once or next(self._numbers)}", str(self._engine.clock.now_ms())
        signature = hmac.new(SECRETS[developer_id].encode(), f"post\n{path}\n{timestamp}".encode(), hashlib.sha256).hexdigest()
        value = f"HMAC-SHA256 apiKey={developer_id}, signature={signature}, timestamp={timestamp}"
        request = SignedHttpRequest(
            scheme=SIGNATURE_SCHEME_PLAYFUN,
            http_method="POST",
            http_path=path,
            headers=[HttpHeader(name="Authorization", value=value)],
        )
        return (("x-signed-request-bin", request.SerializeToString()),)

    async def refresh(self) -> None:
        """Take in what other processes have changed."""
        await self._engine.estate.refresh()

    async def register(self, developer_id: str = ANN, *, once: str = "", **fields: Any) -> Game:  # noqa: ANN401
        request = RegisterGameRequest(fields=GameFields(**(FIELDS | fields)))
        return (await self.public.RegisterGame(request, metadata=self.signed(developer_id, once))).game

    async def update(
        self,
        developer_id: str,
        game_id: str,
        *,
        revision: int = 0,
        once: str = "",
        **fields: Any,  # noqa: ANN401 - any field of a game
    ) -> Game:
        request = UpdateRegisteredGameRequest(game_id=game_id, fields=GameFields(**fields), revision=revision)
        return (await self.public.UpdateRegisteredGame(request, metadata=self.signed(developer_id, once))).game

    async def toggle(self, developer_id: str, game_id: str, *, once: str = "") -> Game:
        request = ToggleVisibilityRequest(game_id=game_id)
        return (await self.public.ToggleVisibility(request, metadata=self.signed(developer_id, once))).game

    async def mine(self, developer_id: str, **chosen: Any) -> list[str]:  # noqa: ANN401 - any field of the request
        answer = await self.public.ListMyGames(ListMyGamesRequest(**chosen), metadata=self.signed(developer_id))
        return [game.name for game in answer.games]

    async def page(self, **chosen: Any) -> tuple[list[str], str, int]:  # noqa: ANN401 - any field of the request
        answer = await self.public.ListPublicGames(ListPublicGamesRequest(**chosen))
        return [game.name for game in answer.games], answer.next_page_token, answer.total_size

    async def as_operator(self, game_id: str, **fields: Any) -> Game:  # noqa: ANN401 - any field of a game
        mask = FieldMask(paths=list(fields))
        request = UpdateGameRequest(game_id=game_id, game=Game(**fields), update_mask=mask)
        return (await self._catalog.UpdateGame(request)).game


async def provision(world: "World", ids: Sequence[str] = (ANN, BEN)) -> None:
    """Let developers be known."""
    developers = [Developer(id=developer_id, secret=SECRETS[developer_id]) for developer_id in ids]
    await world.provision(Provisioning(developers=developers))
