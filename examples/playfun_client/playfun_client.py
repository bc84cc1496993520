"""Signs requests to the play.fun API in Python's standard library, so that the secret key never leaves its machine.

    export PLAYFUN_API=http://127.0.0.1:8080
    export PLAYFUN_API_KEY=550e8400-e29b-41d4-a716-446655440000 PLAYFUN_SECRET_KEY=dev-developer-secret
    python examples/playfun_client/playfun_client.py GET /user/me
    python examples/playfun_client/playfun_client.py sign GET /games/me
    python examples/playfun_client/playfun_client.py register '{"name": "My Game", "description": "What it is",
      "gameUrl": "https://mygame.com", "platform": "WEB"}' image.png
    python examples/playfun_client/playfun_client.py update GAME_ID '{"description": "What it is now"}'

What is signed is the method, the path without its query, and the time in milliseconds. The body is not.
"""

import base64
import hashlib
import hmac
import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any


def authorization_of(secret_key: str, api_key: str, method: str, path: str, timestamp_ms: int) -> str:
    """Return the header Authorization."""
    text = f"{method.lower()}\n{path.partition('?')[0].lower()}\n{timestamp_ms}"
    signature = hmac.new(secret_key.encode(), text.encode(), hashlib.sha256).hexdigest()
    return f"HMAC-SHA256 apiKey={api_key}, signature={signature}, timestamp={timestamp_ms}"


class PlayfunError(Exception):
    """The API refused. `status` is HTTP's, `message` a sentence for people."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message


class PlayfunClient:
    """The API for one developer. Threads may share it."""

    def __init__(self, api: str, api_key: str, secret_key: str) -> None:
        self.api = api
        self.api_key = api_key
        self._secret_key = secret_key
        self._last_ms = 0
        self._lock = threading.Lock()

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Make a call with a JSON body, or without one, and return what the API answers. Raises PlayfunError."""
        signed = authorization_of(self._secret_key, self.api_key, method, path, self._timestamp_ms())
        headers = {"Authorization": signed, "x-auth-provider": "hmac"}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self.api + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refusal:
            with refusal:
                raise PlayfunError(refusal.code, json.load(refusal)["message"]) from None

    def register(self, game: dict[str, Any], image: bytes) -> Any:  # noqa: ANN401 - JSON
        """Register a game with a picture of at most 5 MB, and return it as it is now, with its id. Raises PlayfunError."""
        # The server looks at the picture itself, whichever format the text names.
        return self.call("POST", "/games", {**game, "base64Image": f"data:image/png;base64,{base64.b64encode(image).decode()}"})

    def update(self, game_id: str, changes: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """Change those fields of a game that are named, and return it as it is now. Raises PlayfunError."""
        return self.call("POST", f"/games/update/{game_id}", changes)

    def _timestamp_ms(self) -> int:
        # Never the same twice: a signature that comes again stands for the same call, and does nothing more.
        with self._lock:
            self._last_ms = max(self._last_ms + 1, int(time.time() * 1000))
            return self._last_ms


def main(*arguments: str) -> None:
    """Do what the command line says, and print what came of it."""
    api_key, secret_key = os.environ["PLAYFUN_API_KEY"], os.environ["PLAYFUN_SECRET_KEY"]
    if arguments[0] == "sign":
        _, method, path, *at = arguments
        print(authorization_of(secret_key, api_key, method, path, int(at[0]) if at else int(time.time() * 1000)))
        return
    client = PlayfunClient(os.environ["PLAYFUN_API"], api_key, secret_key)
    match arguments:
        case "register", game, image:
            told = client.register(json.loads(game), Path(image).read_bytes())
        case "update", game_id, changes:
            told = client.update(game_id, json.loads(changes))
        case method, path, *body:
            told = client.call(method, path, json.loads(body[0]) if body else None)
    print(json.dumps(told, ensure_ascii=False))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except PlayfunError as refused:
        sys.exit(str(refused))
