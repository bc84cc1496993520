"""Developers with a server that keeps pictures, and what they send of their games."""

import base64
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from playclock.blobs.memory import MemoryBlobs
from playclock.images.keeper import ImageKeeper
from playclock.v1 import CatalogServiceStub, Game, UpdateGameRequest

from tests.images import files
from tests.playwave.server import Front, Server, listening
from tests.redis_fixtures import RedisOfTests

from .callers import DEVELOPER, RIVAL, RIVAL_SECRET, SECRET, Developer
from .estate import ESTATE

BOUNDARY: Final = "----formdata-undici-048673562114"
"""As Node's fetch writes it, which the published SDK sends forms with."""
PNG: Final = files.good()["PNG"]
WEBP: Final = files.good()["WEBP"]
GAME: Final = {"name": "My Game", "description": "Game description", "gameUrl": "https://mygame.com", "platform": "WEB"}
"""The fields of the document's examples."""

Field = tuple[str, str | bytes, str | None]
"""Name, contents and, of a file, its name."""


def data_uri(data: bytes, kind: str = "png") -> str:
    """Return a picture as a text."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def form(fields: Iterable[Field], boundary: str = BOUNDARY) -> bytes:
    """Return a form, byte for byte as Node's fetch sends it."""
    parts = []
    for name, contents, file_name in fields:
        said = contents.encode() if isinstance(contents, str) else contents
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"'
        if file_name is not None:
            head += f'; filename="{file_name}"\r\nContent-Type: application/octet-stream'
        parts.append(f"{head}\r\n\r\n".encode() + said + b"\r\n")
    return b"".join((*parts, f"--{boundary}--\r\n".encode()))


def content_type(boundary: str = BOUNDARY) -> dict[str, str]:
    """Return the header of a form."""
    return {"content-type": f"multipart/form-data; boundary={boundary}"}


@dataclass(frozen=True)
class Studio:
    """A server, and two developers of its."""

    server: Server
    developer: Developer
    rival: Developer

    async def register(
        self, *fields: Field, image: bytes | None = PNG, changed: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send a game as a form, as the document's examples do, with further fields and others."""
        said: list[Field] = [(name, text, None) for name, text in (GAME | dict(changed or {})).items()]
        if image is not None:
            said.append(("image", image, "image.png"))
        return await self.send(form([*said, *fields]))

    async def registered(self, *fields: Field, changed: Mapping[str, str] | None = None) -> dict[str, Any]:
        """Register a game, and return the answer."""
        answer = await self.register(*fields, changed=changed)
        assert answer.status_code == 200, answer.text
        game: dict[str, Any] = answer.json()
        return game

    async def send(self, body: bytes, path: str = "/games") -> httpx.Response:
        """Sign and send a form."""
        return await self.developer.send("POST", path, content=body, headers=content_type())

    async def change(self, game_id: str, said: Mapping[str, object], **headers: str) -> httpx.Response:
        """Change a game as the SDK does, in JSON."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.developer.send("POST", f"/games/{game_id}", json=said, headers=named)

    async def mine(self) -> list[dict[str, Any]]:
        """Return the developer's games, those that were registered last first."""
        await self.settled()
        games: list[dict[str, Any]] = await self.developer.ask("GET", "/games/me?limit=100")
        return games

    async def settled(self) -> None:
        """Let all replicas know what was changed, as happens within a second."""
        for engine in self.server.engines:
            await engine.estate.refresh()

    async def prove(self, game_id: str) -> None:
        """Let the developer be proven to own a game, as a claim would."""
        mask = FieldMask(paths=["owner_id", "ownership_validated"])
        owned = Game(owner_id=self.developer.id, ownership_validated=True)
        request = UpdateGameRequest(game_id=game_id, game=owned, update_mask=mask)
        await CatalogServiceStub(self.server.operator).UpdateGame(request)
        await self.settled()

    async def picture(self, url: str) -> bytes:
        """Return what is served under a picture's address."""
        answer = await self.server.client().get(url)
        assert answer.status_code == 200, answer.text
        return answer.content


@asynccontextmanager
async def serving(kind: str, request: pytest.FixtureRequest, folders: pytest.TempPathFactory) -> AsyncIterator[Studio]:
    """Serve a store of the kind; of replicas, two."""
    front, keeper = Front(), ImageKeeper(MemoryBlobs())
    async with listening(front) as url:
        server = Server(
            front, url, _store_url(kind, request, folders.mktemp(kind)), replicas=2 if kind == "replicas" else 1, images=keeper
        )
        await server.start()
        try:
            await server.provision()
            await server.provision(ESTATE)
            yield Studio(server, Developer(server, DEVELOPER, SECRET), Developer(server, RIVAL, RIVAL_SECRET))
        finally:
            await server.close()
            await keeper.close()


def _store_url(kind: str, request: pytest.FixtureRequest, folder: Path) -> str:
    if kind == "replicas":
        redis: RedisOfTests = request.getfixturevalue("redis_of_tests")
        return redis.url_of(folder)
    return "memory://" if kind == "memory" else f"sqlite:///{folder / 'playclock.db'}"
