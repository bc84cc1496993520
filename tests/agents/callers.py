"""An agent's server, written from the documents alone: it signs what it sends, as PHP would unless a test says otherwise."""

import hashlib
import hmac
import itertools
import json
import re
from typing import Any, Final

import httpx

from tests.playwave.server import Server

from .estate import TOKEN

LINK: Final = "/api/games/get_game_link"
DEMO: Final = "/api/games/get_game_link_demo"
LIST: Final = "/api/games/list"
PATHS: Final = [LINK, DEMO, LIST]

# The document's example, less what is this server's: the timestamp and the game.
PLAYER: Final[dict[str, Any]] = {
    "player_id": "player_123",
    "player_username": "john_doe",
    "language": "ru",
    "currency": "RUB",
    "home_url": "https://example.com",
    "ip": "192.168.1.1",
}
TIMESTAMP: Final = re.compile(r"20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z")
UUID4: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")

_sessions = itertools.count(1)

Json = dict[str, Any]


def as_php(body: Json) -> bytes:
    r"""Write a body as ksort and json_encode do: `\/`, `\u00e9`, no spaces."""
    return json.dumps(dict(sorted(body.items())), separators=(",", ":")).replace("/", "\\/").encode()


def as_javascript(body: Json) -> bytes:
    """Write a body as JSON.stringify does, its names sorted."""
    return json.dumps(dict(sorted(body.items())), separators=(",", ":"), ensure_ascii=False).encode()


def signature(text: bytes, token: str = TOKEN) -> str:
    """Sign a text."""
    return hmac.new(token.encode(), text, hashlib.sha256).hexdigest()


class AgentServer:
    """Agent 1's server, which has its token. Its clock is the engine's."""

    def __init__(self, server: Server, agent_id: int = 1, token: str = TOKEN) -> None:
        self.server = server
        self.agent_id = agent_id
        self.token = token

    @property
    def who_and_when(self) -> Json:
        """The two fields that every body has."""
        return {"agent_id": self.agent_id, "timestamp": self.server.clock.now_ms() // 1000}

    def order(self, path: str = LINK, **fields: object) -> Json:
        """Return a body in which everything is right, with fields changed; None leaves one out."""
        body = self.who_and_when
        if path != LIST:
            body |= {"game_id": 1001, **PLAYER}
        if path == LINK:
            body["agent_session_id"] = f"session-{next(_sessions)}"
        return {name: value for name, value in (body | fields).items() if value is not None}

    async def send(
        self, path: str, body: Json | bytes | None = None, *, signed: str | None = None, **headers: str
    ) -> httpx.Response:
        """Sign and send a body; bytes go as they are. Keyword arguments are further headers, with _ for -."""
        raw = body if isinstance(body, bytes) else as_php(self.order(path) if body is None else body)
        named = {"Content-Type": "application/json", "X-Signature": signature(raw, self.token) if signed is None else signed}
        further = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.server.client().post(path, content=raw, headers=named | further)


def content_of(response: httpx.Response) -> Json:
    """Return the content of a success, and hold the rest of it to the document."""
    body: Json = response.json()
    assert response.status_code == 200, body
    assert list(body) == ["status", "timestamp", "request_id", "content"]
    assert body["status"] == "success"
    _check(response, body)
    content: Json = body["content"]
    return content


def error_of(response: httpx.Response) -> tuple[int, str]:
    """Return status and code of a refusal, and hold the rest of it to the document."""
    body: Json = response.json()
    assert response.status_code != 200
    assert list(body) == ["status", "error", "message", "timestamp", "request_id"]
    assert body["status"] == "error"
    assert isinstance(body["message"], str)
    assert body["message"]
    _check(response, body)
    return response.status_code, body["error"]


def _check(response: httpx.Response, body: Json) -> None:
    assert response.headers["content-type"] == "application/json"
    assert TIMESTAMP.fullmatch(body["timestamp"])
    assert UUID4.fullmatch(body["request_id"])
    assert body["request_id"] == response.headers["x-request-id"]
