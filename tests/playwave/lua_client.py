"""The guide's full Lua example in Python: the same functions, branches and warnings, with Roblox played by a few lines."""

import asyncio
import heapq
import itertools
import json
import math
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from playclock.clock import ManualClock

HEARTBEAT_INTERVAL: Final = 120

Decoded = dict[str, Any]


@dataclass(eq=False)
class Player:
    """A player in the game; LaunchData is what the launcher passed."""

    user_id: int
    name: str
    launch_data: str | None
    kicked: str | None = None

    def kick(self, message: str) -> None:
        self.kicked = message


class Tasks:
    """Roblox's `task` library on the test's clock: what waits goes on when the test has moved the clock that far."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self._sleeping: list[tuple[int, int, asyncio.Future[None], asyncio.Task[None]]] = []
        self._numbers = itertools.count()
        self._came_to_rest = asyncio.Event()

    def spawn(self, thread: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        return asyncio.create_task(thread)

    async def wait(self, seconds: float) -> None:
        woken, thread = asyncio.get_running_loop().create_future(), asyncio.current_task()
        assert thread is not None
        heapq.heappush(self._sleeping, (self.clock.now_ms() + int(seconds * 1000), next(self._numbers), woken, thread))
        self._came_to_rest.set()
        await woken

    async def advance(self, seconds: float) -> None:
        """Move the clock, and let each thread run at its moment until it waits again or is done."""
        await asyncio.sleep(0)
        target_ms = self.clock.now_ms() + int(seconds * 1000)
        while self._sleeping and self._sleeping[0][0] <= target_ms:
            due_ms, _, woken, thread = heapq.heappop(self._sleeping)
            if woken.cancelled():
                continue
            self.clock.advance(ms=due_ms - self.clock.now_ms())
            self._came_to_rest.clear()
            woken.set_result(None)
            resting = asyncio.create_task(self._came_to_rest.wait())
            await asyncio.wait({thread, resting}, return_when=asyncio.FIRST_COMPLETED)
            resting.cancel()
        self.clock.advance(ms=target_ms - self.clock.now_ms())


@dataclass(eq=False)
class ActiveSession:
    """What the script keeps of a player."""

    game_session_id: str
    start_time: float
    heartbeat_thread: "asyncio.Task[None] | None" = None


@dataclass(eq=False)
class Script:
    """ServerScriptService/PlaywaveIntegration."""

    http: httpx.AsyncClient
    tasks: Tasks
    api_url: str
    api_key: str
    players: dict[int, Player] = field(default_factory=dict)
    active_sessions: dict[int, ActiveSession] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    bonuses: list[str] = field(default_factory=list)
    requests: list[tuple[str, str, int]] = field(default_factory=list)

    def warn(self, *words: object) -> None:
        self.warnings.append(" ".join(str(word) for word in words))

    def os_clock(self) -> float:
        return self.tasks.clock.now_ms() / 1000

    def extract_ott(self, player: Player) -> str | None:
        return player.launch_data if isinstance(player.launch_data, str) else None

    async def api_request(self, method: str, path: str, body: Decoded) -> tuple[Decoded | None, str | None]:
        headers = {"X-Api-Key": self.api_key, "Content-Type": "application/json", "User-Agent": "Roblox/Linux"}
        try:
            response = await self.http.request(method, self.api_url + path, content=json.dumps(body), headers=headers)
        except httpx.HTTPError as error:
            self.warn("[Playwave] HTTP request failed:", type(error).__name__)
            return None, "NETWORK_ERROR"
        self.requests.append((method, path, response.status_code))
        try:
            decoded: Decoded | None = json.loads(response.content)
        except ValueError as error:
            if response.status_code >= 400:
                return None, f"HTTP_{response.status_code}"
            self.warn("[Playwave] JSON decode failed:", error)
            return None, "DECODE_ERROR"
        return decoded, f"HTTP_{response.status_code}" if response.status_code >= 400 else None

    async def verify_session(self, player: Player) -> Decoded | None:
        ott = self.extract_ott(player)
        if not ott:
            return None
        body = {"ott": ott, "provider_user_id": str(player.user_id)}
        result, err = await self.api_request("POST", "/game/session/verify", body)
        if err:
            self.warn("[Playwave] Verify failed for", player.name, ":", err)
            return None
        if result and result["success"] and result["data"]:
            data: Decoded = result["data"]
            return data
        return None

    async def heartbeat_loop(self, user_id: int, game_session_id: str, provider_user_id: str) -> None:
        while user_id in self.active_sessions:
            await self.tasks.wait(HEARTBEAT_INTERVAL)
            if user_id not in self.active_sessions:
                break
            body = {"game_session_id": game_session_id, "provider_user_id": provider_user_id}
            result, err = await self.api_request("PATCH", "/game/session/heartbeat", body)
            if err:
                if err in {"HTTP_404", "HTTP_410"}:
                    self.warn("[Playwave] Session lost for UserId", user_id, ":", err)
                    del self.active_sessions[user_id]
                    if user_id in self.players:
                        self.players[user_id].kick("PlayWave session expired")
                    break
                self.warn("[Playwave] Heartbeat error for UserId", user_id, ":", err)
                continue
            if result and result["data"] and result["data"]["result"] == "CHARGE_EXHAUSTED" and user_id in self.players:
                self.warn("[Playwave] Charge exhausted for", self.players[user_id].name)

    async def end_player_session(self, user_id: int) -> None:
        session = self.active_sessions.pop(user_id, None)
        if session is None:
            return
        if session.heartbeat_thread:
            session.heartbeat_thread.cancel()
        played_sec = math.floor(self.os_clock() - session.start_time)
        body = {"game_session_id": session.game_session_id, "play_duration_sec": played_sec}
        _, err = await self.api_request("DELETE", "/game/session/end", body)
        if err and err not in {"HTTP_404", "HTTP_409"}:
            self.warn("[Playwave] End session failed for UserId", user_id, ":", err)

    async def player_added(self, player: Player) -> None:
        self.players[player.user_id] = player
        data = await self.verify_session(player)
        if not data or not data["is_valid"]:
            if data and data["reason"]:
                self.warn("[Playwave] Verify failed:", player.name, data["reason"])
            return
        session = ActiveSession(data["game_session_id"], self.os_clock())
        self.active_sessions[player.user_id] = session
        session.heartbeat_thread = self.tasks.spawn(
            self.heartbeat_loop(player.user_id, data["game_session_id"], str(player.user_id))
        )
        if data["is_pc_cafe"]:
            self.bonuses.append(player.name)

    async def player_removing(self, player: Player) -> None:
        await self.end_player_session(player.user_id)
        del self.players[player.user_id]

    async def bind_to_close(self) -> None:
        for user_id in list(self.active_sessions):
            await self.end_player_session(user_id)
