"""Who calls the server: a game server with its key, and a launcher that signs. Written from the documents alone."""

import hashlib
import hmac
import itertools
import json
from typing import Any, Final

import httpx
from playclock.clock import ManualClock

from .envelope import data_of
from .estate import GAME, GAME_KEY, LAUNCHER, SECRET

VERIFY: Final = "/v1/game/session/verify"
HEARTBEAT: Final = "/v1/game/session/heartbeat"
END: Final = "/v1/game/session/end"
START: Final = "/v1/launcher/session/start"
OTT: Final = "/v1/launcher/ott"
LAUNCHER_HEARTBEAT: Final = "/v1/launcher/session/heartbeat"
LAUNCHER_END: Final = "/v1/launcher/session/end"

_nonces = itertools.count()


def signature(secret: str, body: bytes, *lines: str) -> str:
    """Sign as the design says: lower-case hex HMAC-SHA256 over method, path, timestamp, nonce and the body's SHA-256 in hex."""
    text = "\n".join([*lines, hashlib.sha256(body).hexdigest()])
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


class GameServer:
    """A game server, which has one API key and an HTTP client."""

    def __init__(self, client: httpx.AsyncClient, key: str = GAME_KEY) -> None:
        self.client = client
        self.headers = {"X-Api-Key": key}

    async def verify(self, ott: str, user: str = "261", **headers: str) -> httpx.Response:
        """Redeem an OTT; keyword arguments are further headers, with _ for -."""
        body = {"ott": ott, "provider_user_id": user}
        return await self.client.post(VERIFY, json=body, headers=self._with(headers))

    async def heartbeat(self, session_id: str, user: str = "261", **headers: str) -> httpx.Response:
        """Report that a session is still active."""
        body = {"game_session_id": session_id, "provider_user_id": user}
        return await self.client.patch(HEARTBEAT, json=body, headers=self._with(headers))

    async def end(self, session_id: str, played_sec: int | None = None, **headers: str) -> httpx.Response:
        """End a session, with a body as the document has it."""
        body: dict[str, Any] = {"game_session_id": session_id}
        if played_sec is not None:
            body["play_duration_sec"] = played_sec
        return await self.client.request("DELETE", END, json=body, headers=self._with(headers))

    async def join(self, ott: str, user: str = "261") -> str:
        """Redeem a good OTT and return the session's id."""
        data = data_of(await self.verify(ott, user))
        assert data["is_valid"], data
        session_id: str = data["game_session_id"]
        return session_id

    def _with(self, headers: dict[str, str]) -> dict[str, str]:
        return self.headers | {name.replace("_", "-"): value for name, value in headers.items()}


class LauncherPc:
    """A launcher on one PC. The server's clock is its own, so its signed time is right unless a test says otherwise."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        clock: ManualClock,
        pc_id: str,
        *,
        launcher_id: str = LAUNCHER,
        secret: str = SECRET,
    ) -> None:
        self.client = client
        self.clock = clock
        self.pc_id = pc_id
        self.launcher_id = launcher_id
        self.secret = secret
        self.token = ""

    def signed(self, method: str, path: str, body: bytes, *, timestamp: str = "", nonce: str = "") -> dict[str, str]:
        """Return the four headers; time and nonce are fresh unless they are given."""
        timestamp = timestamp or str(self.clock.now_ms() // 1000)
        nonce = nonce or f"nonce-{next(_nonces)}"
        return {
            "X-Launcher-Id": self.launcher_id,
            "X-Timestamp": timestamp,
            "X-Nonce": nonce,
            "X-Signature": signature(self.secret, body, method, path, timestamp, nonce),
        }

    async def send(self, method: str, path: str, body: object, **headers: str) -> httpx.Response:
        """Sign and send a body; bytes go as they are. Keyword arguments are further headers, with _ for -."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        further = {name.replace("_", "-"): value for name, value in headers.items()}
        signed = self.signed(method, path, raw)
        return await self.client.request(method, path, content=raw, headers=signed | further)

    async def start(self, **headers: str) -> httpx.Response:
        """Start a launch, and remember its session token if there is one."""
        body = {"pc_id": self.pc_id, "internal_ip": "192.168.0.17", "hardware": {"cpu": "8 cores", "ram_gib": 32}}
        response = await self.send("POST", START, body, **headers)
        if response.status_code == 200:
            self.token = response.json()["data"]["session_token"]
        return response

    async def order(self, game_id: str = GAME, user: str | None = None) -> httpx.Response:
        """Ask for an OTT, bound to a player if one is named."""
        body = {"session_token": self.token, "game_id": game_id}
        return await self.send("POST", OTT, body if user is None else body | {"provider_user_id": user})

    async def ott(self, game_id: str = GAME, user: str | None = None) -> str:
        """Return an OTT; starts the launch first where none runs."""
        if not self.token:
            data_of(await self.start())
        ott: str = data_of(await self.order(game_id, user))["ott"]
        return ott

    async def heartbeat(self) -> httpx.Response:
        """Say that the launcher is alive."""
        return await self.send("PATCH", LAUNCHER_HEARTBEAT, {"session_token": self.token})

    async def end(self) -> httpx.Response:
        """End the launch."""
        return await self.send("DELETE", LAUNCHER_END, {"session_token": self.token})
