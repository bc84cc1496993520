"""A developer's server, written from the documents alone."""

import hashlib
import hmac
import itertools
from typing import Any, Final

import httpx

from tests.playwave.server import Server

DEVELOPER: Final = "550e8400-e29b-41d4-a716-446655440000"
SECRET: Final = "dev-developer-secret"
RIVAL: Final = "660e8400-e29b-41d4-a716-446655440001"
RIVAL_SECRET: Final = "rival-developer-secret"

UNAUTHORIZED: Final = {"statusCode": 401, "message": "Invalid or missing authentication", "error": "Unauthorized"}
FORBIDDEN: Final = {
    "statusCode": 403,
    "message": "You do not have permission to perform this action",
    "error": "Forbidden",
}
NOT_FOUND: Final = {"statusCode": 404, "message": "Game not found", "error": "Not Found"}
TOO_MANY: Final = {"statusCode": 429, "message": "Too many requests, please try again later", "error": "Too Many Requests"}

_turns = itertools.count()


def signature(secret: str, method: str, path: str, timestamp: int | str) -> str:
    """Sign method and path at a time."""
    text = f"{method.lower()}\n{path.lower()}\n{timestamp}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def bad_request(message: str) -> dict[str, Any]:
    """Return the body of a 400."""
    return {"statusCode": 400, "message": message, "error": "Bad Request"}


class Developer:
    """A developer's server, which has its secret. Its clock is the engine's."""

    def __init__(self, server: Server, api_key: str, secret: str) -> None:
        self.server = server
        self.id = api_key
        self.secret = secret

    def authorization(self, method: str, path: str, *, timestamp: int | None = None, between: str = ", ") -> str:
        """Return the header for a request; no two have the same time unless it is given."""
        at = self.server.clock.now_ms() + next(_turns) % 60_000 if timestamp is None else timestamp
        fields = (f"apiKey={self.id}", f"signature={signature(self.secret, method, path, at)}", f"timestamp={at}")
        return f"HMAC-SHA256 {between.join(fields)}"

    async def send(
        self,
        method: str,
        path: str,
        *,
        authorization: str | None = None,
        signed_path: str | None = None,
        **options: Any,  # noqa: ANN401 - what httpx takes
    ) -> httpx.Response:
        """Sign and send a request. Further options are httpx's."""
        signed = authorization or self.authorization(method, signed_path or path.partition("?")[0])
        headers = {"Authorization": signed, "x-auth-provider": "hmac", **options.pop("headers", {})}
        return await self.server.client().request(method, path, headers=headers, **options)

    async def ask(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401 - JSON
        """Send a request that is carried out, and return its answer."""
        response = await self.send(method, path, **options)
        assert response.status_code == 200, response.text
        return response.json()


def refused(response: httpx.Response) -> dict[str, Any]:
    """Return the body of a refusal, and hold it to the documented form."""
    body: dict[str, Any] = response.json()
    assert list(body) == ["statusCode", "message", "error"]
    assert body["statusCode"] == response.status_code
    assert response.headers["content-type"] == "application/json"
    return body
