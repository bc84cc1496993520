"""The calls of a launcher and of a game server over REST, each told and checked."""

import json
from typing import Any, Final

import msgspec

from playclock.cli.failures import Failure
from playclock.cli.rest import RestClient
from playclock.cli.signatures import signed_headers
from playclock.cli.telling import Step, Telling
from playclock.clock import Clock

PLAYER: Final = "player-1"


class Cast(msgspec.Struct, frozen=True, kw_only=True):
    """Who plays: a game server with its key, and a launcher with its secret."""

    game_id: str
    game_key: str
    launcher_id: str
    launcher_secret: str
    pc_id: str

    def __repr__(self) -> str:
        return f"Cast(game_id={self.game_id!r}, launcher_id={self.launcher_id!r}, pc_id={self.pc_id!r})"


class Walk:
    """Plays the cast's parts. Raises Failure at the first answer that is not the expected one."""

    def __init__(self, client: RestClient, cast: Cast, clock: Clock, telling: Telling) -> None:
        self._client = client
        self._cast = cast
        self._clock = clock
        self._telling = telling

    async def start_launch(self, sentence: str) -> str:
        """Start the launcher and return its token."""
        body = {"pc_id": self._cast.pc_id, "internal_ip": "192.168.0.11", "hardware": {"cpu": "8 cores"}}
        return str((await self._launcher(sentence, "POST", "/v1/launcher/session/start", body))["session_token"])

    async def issue_ott(self, sentence: str, launch: str) -> str:
        """Ask for a one-time token and return it."""
        body = {"session_token": launch, "game_id": self._cast.game_id}
        return str((await self._launcher(sentence, "POST", "/v1/launcher/ott", body))["ott"])

    async def keep_launch(self, sentence: str, launch: str) -> None:
        """Say that the launcher is alive."""
        await self._launcher(sentence, "PATCH", "/v1/launcher/session/heartbeat", {"session_token": launch})

    async def end_launch(self, sentence: str, launch: str) -> None:
        """End the launch."""
        await self._launcher(sentence, "DELETE", "/v1/launcher/session/end", {"session_token": launch})

    async def verify(self, sentence: str, ott: str) -> str:
        """Redeem the token and return the id of the session."""
        data = await self._game(sentence, "POST", "/v1/game/session/verify", {"ott": ott, "provider_user_id": PLAYER})
        if not data["is_valid"]:
            raise Failure(f"the token was refused: {data['reason']}")
        return str(data["game_session_id"])

    async def verify_again(self, sentence: str, ott: str) -> None:
        """Show that a token is good once."""
        data = await self._game(sentence, "POST", "/v1/game/session/verify", {"ott": ott, "provider_user_id": "thief"})
        if data["is_valid"]:
            raise Failure("the token was accepted twice")

    async def heartbeat(self, sentence: str, session: str, *, status: int = 200) -> None:
        """Keep the session alive, or learn by the status that it is over."""
        body = {"game_session_id": session, "provider_user_id": PLAYER}
        await self._game(sentence, "PATCH", "/v1/game/session/heartbeat", body, status=status)

    async def end(self, sentence: str, session: str, *, played_sec: int = 0, status: int = 200) -> None:
        """End the session, or learn by the status that it had ended."""
        body = {"game_session_id": session, "play_duration_sec": played_sec}
        await self._game(sentence, "DELETE", "/v1/game/session/end", body, status=status)

    async def _game(self, sentence: str, method: str, path: str, body: dict[str, Any], *, status: int = 200) -> dict[str, Any]:
        return await self._step(sentence, method, path, body, {"X-Api-Key": self._cast.game_key}, status=status)

    async def _launcher(self, sentence: str, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        headers = signed_headers(
            launcher_id=self._cast.launcher_id,
            secret=self._cast.launcher_secret,
            method=method,
            path=path,
            body=_encode(body),
            timestamp=str(self._clock.now_ms() // 1000),
        )
        return await self._step(sentence, method, path, body, headers, status=200)

    async def _step(
        self, sentence: str, method: str, path: str, body: dict[str, Any], headers: dict[str, str], *, status: int
    ) -> dict[str, Any]:
        answer = await self._client.call(method, path, _encode(body), headers)
        self._telling.step(Step(sentence, method, path, body, answer))
        if answer.status != status:
            error = answer.body.get("error")
            said = f" {error.get('code')}: {error.get('message')}" if isinstance(error, dict) else ""
            raise Failure(f"expected status {status}, not {answer.status}{said}; see `playclock demo --help` for keys")
        data: dict[str, Any] = answer.body.get("data", {})
        return data


def _encode(body: dict[str, Any]) -> bytes:
    return json.dumps(body).encode()
