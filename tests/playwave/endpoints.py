"""The seven calls of the API as data, so that one table of bad bodies serves them all."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final

import httpx

from .callers import END, HEARTBEAT, LAUNCHER_END, LAUNCHER_HEARTBEAT, OTT, START, VERIFY
from .estate import GAME, GAME_KEY
from .server import Server

UUID: Final = "a1b2c3d4-e5f6-4890-abcd-ef1234567890"


@dataclass(frozen=True)
class Endpoint:
    """A call: its method and path, who makes it, and a body in which every field is well-formed."""

    name: str
    method: str
    path: str
    body: dict[str, Any]

    @property
    def by_launcher(self) -> bool:
        """Whether a launcher makes the call, and signs it."""
        return self.path.startswith("/v1/launcher/")

    @property
    def unauthenticated(self) -> tuple[int, str]:
        """What a caller without credentials hears."""
        return (401, "INVALID_SIGNATURE" if self.by_launcher else "INVALID_API_KEY")

    def credentials(self, server: Server, raw: bytes) -> dict[str, str]:
        """Return headers that are right for the body."""
        return server.pc().signed(self.method, self.path, raw) if self.by_launcher else {"X-Api-Key": GAME_KEY}

    def wrong_credentials(self, raw: bytes) -> dict[str, str]:
        """Return headers that are well-formed and wrong."""
        if not self.by_launcher:
            return {"X-Api-Key": "wrong"}
        wrong = hashlib.sha256(raw).hexdigest()
        return {"X-Launcher-Id": "launcher-1", "X-Timestamp": "1767225600", "X-Nonce": "n", "X-Signature": wrong}

    async def send(self, server: Server, raw: bytes, headers: dict[str, str]) -> httpx.Response:
        """Send the bytes as the call's body."""
        return await server.client().request(self.method, self.path, content=raw, headers=headers)


ENDPOINTS: Final = [
    Endpoint("verify", "POST", VERIFY, {"ott": UUID, "provider_user_id": "261"}),
    Endpoint("heartbeat", "PATCH", HEARTBEAT, {"game_session_id": f"gs_{UUID}", "provider_user_id": "261"}),
    Endpoint("end", "DELETE", END, {"game_session_id": f"gs_{UUID}", "play_duration_sec": 1795}),
    Endpoint("start", "POST", START, {"pc_id": "PC-7", "internal_ip": "192.168.0.17", "hardware": {"cpu": "8 cores"}}),
    Endpoint("ott", "POST", OTT, {"session_token": f"ls_{UUID}", "game_id": GAME, "provider_user_id": "261"}),
    Endpoint("launcher heartbeat", "PATCH", LAUNCHER_HEARTBEAT, {"session_token": f"ls_{UUID}"}),
    Endpoint("launcher end", "DELETE", LAUNCHER_END, {"session_token": f"ls_{UUID}"}),
]
