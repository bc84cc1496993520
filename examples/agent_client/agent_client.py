"""A client of the agent API in Python's standard library: signs each request as the API's documents say.

    export AGENT_API=http://127.0.0.1:8080 AGENT_ID=1 AGENT_TOKEN=dev-agent-token
    python examples/agent_client/agent_client.py games
    python examples/agent_client/agent_client.py link 123 player_123
    python examples/agent_client/agent_client.py demo 123 player_123

What is signed is the body with its top-level names sorted, and that very text is what is sent.
"""

import hashlib
import hmac
import json
import os
import sys
import time
import urllib.error
import urllib.request
import uuid
from typing import Any


def text_of(body: dict[str, Any]) -> bytes:
    """Return the body as it is signed and sent."""
    ordered = {name: body[name] for name in sorted(body)}
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode()


def signature_of(token: str, text: bytes) -> str:
    """Return the header X-Signature."""
    return hmac.new(token.encode(), text, hashlib.sha256).hexdigest()


class AgentError(Exception):
    """The API refused. `status` is HTTP's, `code` what programs branch on, `message` a sentence for people."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message


class AgentClient:
    """The API for one agent."""

    def __init__(self, api: str, agent_id: int, token: str) -> None:
        self.api = api
        self.agent_id = agent_id
        self._token = token
        self._games: dict[str, Any] | None = None
        self._etag = ""

    def game_link(self, game_id: int, player: dict[str, str], agent_session_id: str) -> str:
        """Return a link that launches a game for a player. The same agent_session_id gets a link to the same launch."""
        order = {"game_id": game_id, **player, "agent_session_id": agent_session_id}
        url: str = self._call("get_game_link", order)["url"]
        return url

    def demo_link(self, game_id: int, player: dict[str, str]) -> str:
        """Return a link that launches a game's demo."""
        url: str = self._call("get_game_link_demo", {"game_id": game_id, **player})["url"]
        return url

    def games(self) -> dict[str, Any]:
        """Return the list of games. It is sent again only when it has changed."""
        self._games = self._call("list", {}) or self._games
        assert self._games is not None
        return self._games

    def _call(self, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        text = text_of({"agent_id": self.agent_id, "timestamp": int(time.time()), **fields})
        headers = {"Content-Type": "application/json", "X-Signature": signature_of(self._token, text)}
        if name == "list" and self._etag:
            headers["If-None-Match"] = self._etag
        request = urllib.request.Request(f"{self.api}/api/games/{name}", text, headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                self._etag = answer.headers.get("ETag") or self._etag
                content: dict[str, Any] = json.load(answer)["content"]
                return content
        except urllib.error.HTTPError as refusal:
            with refusal:
                if refusal.code == 304:
                    return {}
                told = json.load(refusal)
                raise AgentError(refusal.code, told["error"], told["message"]) from None


def main(command: str, *arguments: str) -> None:
    """Do what the command line says, and print what came of it."""
    if command == "sign":  # the body as it stands, by a token: to compare with other clients
        print(signature_of(os.environ["AGENT_TOKEN"], text_of(json.loads(arguments[0]))))
        return
    client = AgentClient(os.environ["AGENT_API"], int(os.environ["AGENT_ID"]), os.environ["AGENT_TOKEN"])
    if command == "games":
        print(json.dumps(client.games(), ensure_ascii=False))
        return
    game_id, player_id = arguments
    player = {
        "player_id": player_id,
        "player_username": "Ёлка/雪",
        "language": "ru",
        "currency": "RUB",
        "home_url": "https://example.com/lobby?from=game",
        "ip": "192.168.1.1",
    }
    if command == "demo":
        print(client.demo_link(int(game_id), player))
    else:
        print(client.game_link(int(game_id), player, agent_session_id=str(uuid.uuid4())))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except AgentError as refused:
        sys.exit(str(refused))
