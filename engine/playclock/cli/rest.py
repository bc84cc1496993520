"""A small REST client: one connection, JSON both ways."""

import asyncio
import http.client
import json
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from playclock.cli.failures import Failure, UsageFailure

ANSWER_SEC: Final = 15.0


class Answer(msgspec.Struct, frozen=True):
    """A status and the JSON that came with it."""

    status: int
    body: dict[str, Any]


class RestClient:
    """Calls the server at a URL, one call after the other."""

    def __init__(self, url: str) -> None:
        """Note where the server is. Raises UsageFailure for what is no URL of one."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageFailure(f"{url!r} is no URL such as http://127.0.0.1:8080")
        connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._url = url
        self._connection = connect(parts.hostname, parts.port, timeout=ANSWER_SEC)
        self._prefix = parts.path.rstrip("/")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    async def call(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        """Make a call and return the answer. Raises Failure where the server does not answer in JSON."""
        try:
            return await asyncio.to_thread(self._call, method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            raise Failure(f"no server answers at {self._url} ({error}): is `playclock serve` running there?") from None
        except ValueError:
            raise Failure(f"what answers at {self._url} does not speak JSON: is it a playclock server?") from None

    def _call(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Answer:
        headers = headers | {"Content-Type": "application/json"}
        try:
            self._connection.request(method, self._prefix + path, body=body, headers=headers)
            response = self._connection.getresponse()
            answer = json.loads(response.read())
        except http.client.HTTPException:
            self._connection.close()
            raise
        if not isinstance(answer, dict):
            raise ValueError("no object")  # noqa: TRY004 as for any other text that is no answer
        return Answer(response.status, answer)
