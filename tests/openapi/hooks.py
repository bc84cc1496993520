"""What Schemathesis cannot read from the document: who calls, what a schema cannot say, and things that are there to be found.

It is loaded by Schemathesis itself (SCHEMATHESIS_HOOKS), in the process that sends the requests.
"""

import hashlib
import hmac
import itertools
import os
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests
import requests.auth
import schemathesis
from playclock.clock import SystemClock
from playclock_http.playfun.registering_operations import GAME_TO_REGISTER
from schemathesis.core import NotSet
from schemathesis.core.parameters import ParameterLocation

URL = os.environ.get("PLAYCLOCK_OPENAPI_URL", "")
GAME = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
GAME_KEY = "openapi-game-key"
LAUNCHER = "openapi-launcher"
SECRET = "openapi-launcher-secret"
PLAYER = "261"
GAME_NUMBER = 123
AGENT = 1
AGENT_TOKEN = "openapi-agent-token"
DEVELOPER = "550e8400-e29b-41d4-a716-446655440000"
DEVELOPER_SECRET = "openapi-developer-secret"
MATCH_CLIENT = "openapi-client"
MATCH_SECRET = "openapi-match-secret"
CONTEXT = {"language": "ru", "currency": "RUB", "home_url": "https://example.com", "ip": "192.168.1.1"}
"""What an agent says of a player and the schema does not know: what a language or a currency is."""

GAME_CHANGES = ("/games", "/games/{id}", "/games/update/{id}")
GAME_FIELDS: dict[str, object] = {
    **{name: GAME_TO_REGISTER[name] for name in ("name", "description", "gameUrl", "platform", "base64Image")},
    "base64CoverImage": GAME_TO_REGISTER["base64Image"],
    "jwksUrl": "https://mygame.com/jwks.json",
    **dict.fromkeys(("twitter", "discord", "telegram"), "@mygame"),
    "orgRewardsSplit": {DEVELOPER: 10_000},
}
"""What a developer says of a game and the schema does not know: what a URL, a platform, a picture or a split is."""

_clock = SystemClock()
_numbers = itertools.count()


class GameServer(requests.auth.AuthBase):
    """Shows a game's key."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        request.headers["X-Api-Key"] = GAME_KEY
        return request


class Launcher(requests.auth.AuthBase):
    """Signs what is about to be sent, to the byte."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the four headers."""
        body = request.body or b""
        raw = body.encode() if isinstance(body, str) else body
        assert isinstance(raw, bytes)
        timestamp, nonce = str(_clock.now_ms() // 1000), f"openapi-{next(_numbers)}"
        lines = [str(request.method), urlsplit(str(request.url)).path, timestamp, nonce, hashlib.sha256(raw).hexdigest()]
        signature = hmac.new(SECRET.encode(), "\n".join(lines).encode(), hashlib.sha256).hexdigest()
        request.headers.update(
            {"X-Launcher-Id": LAUNCHER, "X-Timestamp": timestamp, "X-Nonce": nonce, "X-Signature": signature}
        )
        return request


class Agent(requests.auth.AuthBase):
    """Signs what is about to be sent, to the byte."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        body = request.body or b""
        raw = body.encode() if isinstance(body, str) else body
        assert isinstance(raw, bytes)
        request.headers["X-Signature"] = hmac.new(AGENT_TOKEN.encode(), raw, hashlib.sha256).hexdigest()
        return request


class Developer(requests.auth.AuthBase):
    """Signs method and path."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        timestamp = str(_clock.now_ms() + next(_numbers) % 1000)  # a signature that came before is another one's repeat
        text = "\n".join([str(request.method).lower(), urlsplit(str(request.url)).path.lower(), timestamp])
        signature = hmac.new(DEVELOPER_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
        request.headers["Authorization"] = f"HMAC-SHA256 apiKey={DEVELOPER}, signature={signature}, timestamp={timestamp}"
        return request


class Player(requests.auth.AuthBase):
    """Shows a player's session token, and gets another one in time."""

    def __init__(self) -> None:
        self._game_id = self._token = ""
        self._until_ms = 0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        if not self._game_id:
            self._game_id = requests.post(f"{URL}/games", json=GAME_TO_REGISTER, auth=Developer(), timeout=10).json()["id"]
        if _clock.now_ms() >= self._until_ms:
            query = {"gameId": self._game_id, "playerId": f"x:player{next(_numbers)}"}
            answer = requests.get(f"{URL}/play/session-token", params=query, auth=Developer(), timeout=10).json()
            self._token, self._until_ms = answer["token"], _clock.now_ms() + 600_000
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class MatchClient(requests.auth.AuthBase):
    """Shows an access token, and gets another one in time."""

    def __init__(self) -> None:
        self._token = ""
        self._until_ms = 0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        if _clock.now_ms() >= self._until_ms:
            form = {"client_id": MATCH_CLIENT, "client_secret": MATCH_SECRET, "grant_type": "client_credentials"}
            answer = requests.post(f"{URL}/auth/realms/letsbet/protocol/openid-connect/token", data=form, timeout=10).json()
            self._token, self._until_ms = answer["access_token"], _clock.now_ms() + answer["expires_in"] * 500
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


@schemathesis.auth(refresh_interval=None).apply_to(path_regex="^/v1/launcher/")
class LauncherUnlessLeftOut:
    """Signs, unless it is the very point of a case that headers are wrong: these calls have no others than the signature's."""

    def get(self, case: schemathesis.Case[Any], _context: schemathesis.AuthContext) -> requests.auth.AuthBase | None:
        """Return who signs, if anybody does."""
        if case.meta is not None and case.meta.is_negative_at(ParameterLocation.HEADER):
            return None
        return Launcher()

    def set(self, case: schemathesis.Case[Any], data: requests.auth.AuthBase, _context: schemathesis.AuthContext) -> None:
        """Let the request be signed when it is complete."""
        case._auth = data


schemathesis.auth.set_from_requests(Agent()).apply_to(path_regex="^/api/games/(get|list)")  # type: ignore[attr-defined]
schemathesis.auth.set_from_requests(MatchClient()).apply_to(path_regex="^/api/games?/v1/")  # type: ignore[attr-defined]
schemathesis.auth.set_from_requests(Developer()).apply_to(path_regex="^/(user/(?!hmac)|games|play/(dev|session-token))")  # type: ignore[attr-defined]
schemathesis.auth.set_from_requests(Player()).apply_to(path_regex="^/play/(get-points|streak|session-state|flush|commit)")  # type: ignore[attr-defined]
schemathesis.auth.set_from_requests(GameServer()).apply_to(path_regex="^/v1/game/")  # type: ignore[attr-defined]


def _call(path: str, body: dict[str, str], auth: requests.auth.AuthBase) -> dict[str, Any]:
    answer = requests.post(URL + path, json=body, auth=auth, timeout=10)
    data: dict[str, Any] = answer.json()["data"]
    return data


def _launch() -> str:
    body = {"pc_id": f"PC-{next(_numbers)}", "internal_ip": "192.168.0.17"}
    token: str = _call("/v1/launcher/session/start", body, Launcher())["session_token"]
    return token


def _ott() -> str:
    ott: str = _call("/v1/launcher/ott", {"session_token": _launch(), "game_id": GAME}, Launcher())["ott"]
    return ott


def _session() -> str:
    found: str = _call("/v1/game/session/verify", {"ott": _ott(), "provider_user_id": PLAYER}, GameServer())["game_session_id"]
    return found


THERE: dict[str, Callable[[], str]] = {"session_token": _launch, "ott": _ott, "game_session_id": _session}


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case[Any], _kwargs: dict[str, Any]) -> None:
    """Say what the schema cannot; and let every second call name something that is there, or all would end in a 404."""
    is_positive = case.meta is not None and case.meta.generation.mode.is_positive
    if case.operation.path.startswith(("/play/", "/games", "/user/")):
        _play_fun(case, is_positive=is_positive)
        return
    if isinstance(case.body, NotSet) and is_positive:
        case.query = {"game_session_id": f"gs_{GAME}", **(case.query or {})}  # an end names its session there or in the body
    if not isinstance(case.body, dict):
        return
    body = {name: _of_64_bits(value) for name, value in case.body.items()}
    if case.operation.path.startswith("/api/games/") and "/v1/" not in case.operation.path:
        _agents(body)
    elif next(_numbers) % 2:
        for name, make in THERE.items():
            if _looks_good(case.body.get(name)):
                body[name] = make()
                if "provider_user_id" in body and name == "game_session_id" and _looks_like_a_name(body["provider_user_id"]):
                    body["provider_user_id"] = PLAYER
    case.body = body


def _agents(body: dict[str, Any]) -> None:
    """Let the agent be known and the time be now, or all would end there; and let every second link be to a game."""
    if _is_integer(body.get("agent_id")):
        body["agent_id"] = AGENT
    if _is_integer(body.get("timestamp")):
        body["timestamp"] = _clock.now_ms() // 1000
    if next(_numbers) % 2:
        if _is_integer(body.get("game_id")):
            body["game_id"] = GAME_NUMBER
        body.update({name: good for name, good in CONTEXT.items() if isinstance(body.get(name), str) and body[name]})


def _play_fun(case: schemathesis.Case[Any], *, is_positive: bool) -> None:
    """Let players be named as play.fun names them, in what is right otherwise: no schema says what a wallet is."""
    if isinstance(case.body, dict):
        case.body = {name: _of_64_bits(value) for name, value in case.body.items()}
    if case.operation.path == "/user/hmac-signature":
        _developers(case.body, is_positive=is_positive)
    if not is_positive:
        return
    if case.operation.method == "post" and case.operation.path in GAME_CHANGES:
        _games(case.body)
    if case.query:
        case.query.pop("cursor", None)  # only an answer can tell one
    if isinstance(case.body, dict) and "gameApiKey" in case.body:
        case.body["gameApiKey"] = GAME  # games that were registered have caps, and the developer's key stands for one game only
    points = case.body.get("points") if isinstance(case.body, dict) else None
    entries = points if isinstance(points, list) else []
    _few(entries)
    for named in (case.query, case.path_parameters, *entries):
        if isinstance(named, dict) and "playerId" in named:
            named["playerId"] = f"did:privy:{next(_numbers) % 10}"


def _games(body: object) -> None:
    """Let texts, links, pictures and splits be as no schema says that they have to be."""
    if not isinstance(body, dict):
        return
    for name, good in GAME_FIELDS.items():
        if body.get(name) is not None:
            body[name] = good
    if "name" in body:  # what is registered, and so needs a picture
        body["base64Image"] = GAME_TO_REGISTER["base64Image"]
    # Whoever meets a cap later has done nothing wrong.
    for name in ("image", "coverImage", "maxScorePerSession", "maxCumulativePointsPerDay"):
        body.pop(name, None)


def _few(entries: list[Any]) -> None:
    """Let points add up to no more than a player can have."""
    for entry in entries:
        points = entry.get("points") if isinstance(entry, dict) else None
        if isinstance(points, str):
            entry["points"] = points[-3:]
        elif isinstance(points, int) and not isinstance(points, bool):
            entry["points"] = points % 1000


def _developers(body: object, *, is_positive: bool) -> None:
    """Let there be a secret, in one of its two fields, and in every second order the developer's, or all would end there."""
    if not isinstance(body, dict):
        return
    if is_positive:
        body["secretKey"] = body.get("secretKey") or DEVELOPER_SECRET
    named = [name for name in ("secretKey", "apiSecret") if isinstance(body.get(name), str) and body[name]]
    if next(_numbers) % 2 and named and isinstance(body.get("apiKey"), str) and body["apiKey"]:
        body.update({"apiKey": DEVELOPER, **dict.fromkeys(named, DEVELOPER_SECRET)})


def _is_integer(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _looks_good(value: object) -> bool:
    return isinstance(value, str) and len(value) in {36, 39} and value.isascii() and value.count("-") == 4 and "\n" not in value


def _looks_like_a_name(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 128 and value.isprintable()


def _of_64_bits(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return the value with integers as the facade takes them: 64 bits, and written without a fraction."""
    match value:
        case bool():
            return value
        case float() if value.is_integer():
            return _of_64_bits(int(value))
        case int():
            return max(-(2**63), min(value, 2**64 - 1))
        case list():
            return [_of_64_bits(item) for item in value]
        case dict():
            return {name: _of_64_bits(item) for name, item in value.items()}
        case _:
            return value
