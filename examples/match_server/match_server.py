"""A game's server that plays OkLetsPlay matches: who throws more wins. Needs Python and PyJWT (`pip install pyjwt[crypto]`).

    playclock match-config super-game --token dev-operator-token > developer-config.json
    python examples/match_server/match_server.py --config developer-config.json

listens on 127.0.0.1:9000, where the example estate has its match_info_url and launch_url. README.md beside this file walks
through a match.

What it hears is believed only if playclock has signed it, token and body; what it is told twice counts once; and a result is
reported until playclock has taken it, which is safe, since the first one counts.
"""

import argparse
import base64
import hashlib
import hmac
import json
import re
import signal
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt

BODY_BYTES_MAX = 262_144
PATIENCE_SEC = 10
WINDOW_SEC = 300
KEY_SEC = 10
TRIES = 5


class Refused(Exception):
    """This server, or playclock, does not do it."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


class Platform:
    """playclock, as developer-config.json describes it. Threads may share it."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._url = config["okletsplay_url"]
        self._login = config["authentication"]
        self._lock = threading.Lock()
        self._token, self._until = "", 0.0
        self._pem, self._read = "", -float("inf")

    @property
    def client_id(self) -> str:
        """Our own id there."""
        return str(self._login["client_id"])

    def token_info(self, token: str) -> Any:
        """Return who plays which match by a token. Raises Refused, OSError."""
        return self._post("/api/games/v1/token-info", {"token": token})

    def finish(self, report: dict[str, Any]) -> Any:
        """Report a result, again where it may help, and return the one that counts. Raises Refused, OSError."""
        for attempt in range(1, TRIES + 1):
            try:
                return self._post("/api/games/v1/finish", report)
            except (Refused, OSError) as error:
                is_final = isinstance(error, Refused) and error.status < 500 and error.status != 429
                if is_final or attempt == TRIES:
                    raise
            time.sleep(0.2 * 2**attempt)
        raise AssertionError("the last try returns or raises")

    def claims(self, token: str) -> dict[str, Any]:
        """Return what a token says that playclock has signed for us. Raises jwt.PyJWTError, OSError."""
        try:
            return self._verified(token, self._key())
        except jwt.InvalidSignatureError:
            # The key may have been rotated.
            return self._verified(token, self._key(again=True))

    def is_signed(self, message_id: str, timestamp: str, body: bytes, signatures: str) -> bool:
        """Whether playclock has signed a body just now, as Standard Webhooks has it."""
        if not re.fullmatch(r"[0-9]{1,12}", timestamp, re.ASCII) or abs(time.time() - int(timestamp)) > WINDOW_SEC:
            return False
        text = f"{message_id}.{timestamp}.".encode() + body
        made = base64.b64encode(hmac.new(self._webhook_key(), text, hashlib.sha256).digest()).decode()
        return any(hmac.compare_digest(given.encode(), f"v1,{made}".encode()) for given in signatures.split())

    def _webhook_key(self) -> bytes:
        secret = str(self._login["client_secret"])
        if not secret.startswith("whsec_"):
            return secret.encode()
        text = secret.removeprefix("whsec_")
        return base64.b64decode(text + "=" * (-len(text) % 4))

    def _verified(self, token: str, pem: str) -> dict[str, Any]:
        claims: dict[str, Any] = jwt.decode(token, pem, algorithms=["RS256"], audience=self.client_id)
        return claims

    def _key(self, *, again: bool = False) -> str:
        """Return the realm's public key, read again at most every few seconds."""
        with self._lock:
            now = time.monotonic()
            if not self._pem or (again and now - self._read > KEY_SEC):
                with urllib.request.urlopen(self._login["public_key_url"], timeout=PATIENCE_SEC) as answer:
                    key = json.load(answer)["public_key"]
                self._pem, self._read = f"-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----", now
            return self._pem

    def _access_token(self) -> str:
        """Return an access token that is good for a while, the last one where it is."""
        with self._lock:
            if time.monotonic() >= self._until:
                form = {
                    "client_id": self._login["client_id"],
                    "client_secret": self._login["client_secret"],
                    "grant_type": "client_credentials",
                    "scope": "olp-report-api",
                }
                asked = time.monotonic()
                answer = _ask(urllib.request.Request(self._login["token_url"], urlencode(form).encode()))
                self._token, self._until = answer["access_token"], asked + answer["expires_in"] * 0.8
            return self._token

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Authorization": f"Bearer {self._access_token()}", "Content-Type": "application/json"}
        return _ask(urllib.request.Request(self._url + path, json.dumps(body).encode(), headers))


def _ask(request: urllib.request.Request) -> Any:
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SEC) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as refusal:
        with refusal:
            told = json.load(refusal)
        raise Refused(refusal.code, f"{told['error']}: {told['error_description']}") from None


class Game:
    """The matches that this server was told of, and what their players have thrown. A real one would keep them on a disk."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._lock = threading.Lock()
        self._matches: dict[str, dict[str, Any]] = {}
        self._scores: dict[str, dict[str, int]] = {}

    def begin(self, info: dict[str, Any]) -> None:
        """Note a match. It may be told of again."""
        with self._lock:
            self._matches[info["match_id"]] = info
            self._scores.setdefault(info["match_id"], {})

    def call_off(self, match_id: str) -> None:
        """Forget a match that is off, or that nobody told of."""
        with self._lock:
            self._matches.pop(match_id, None)
            self._scores.pop(match_id, None)

    def play(self, token: str) -> dict[str, Any]:
        """Let a player throw, report the result after the last one, and return what the player is shown.

        Raises Refused, OSError.
        """
        player = self._platform.token_info(token)
        if player["match_status"] not in ("live", "pending"):
            raise Refused(403, f"the match is {player['match_status']}")
        match_id, user_id = player["match_id"], player["user_id"]
        with self._lock:
            if match_id not in self._matches:
                raise Refused(409, "this server was not told of the match")
            match, scores = self._matches[match_id], self._scores[match_id]
            score = scores.setdefault(user_id, thrown(match_id, user_id))
            is_over = len(scores) == len(match["participants"])
            report = report_of(match, scores) if is_over else None
        result = None if report is None else self._platform.finish(report)
        return {"match_id": match_id, "user_id": user_id, "score": score, "result": result}


def thrown(match_id: str, user_id: str) -> int:
    """Return what a player throws: the match is the seed, so nobody can throw twice."""
    return int.from_bytes(hashlib.sha256(f"{match_id}/{user_id}".encode()).digest()[:2], "big")


def report_of(match: dict[str, Any], scores: dict[str, int]) -> dict[str, Any]:
    """Return a synchronous game's report: teams by the sum of their players' scores, those that are equal with one ranking."""
    sums = {team["id"]: 0 for team in match["teams"]}
    for player in match["participants"]:
        sums[player["team_id"]] += scores[player["id"]]
    return {
        "match_id": match["match_id"],
        "participants": [{"id": player["id"], "score": scores[player["id"]]} for player in match["participants"]],
        "teams": [
            {"id": team_id, "score": score, "ranking": 1 + sum(other > score for other in sums.values())}
            for team_id, score in sums.items()
        ],
    }


class Handler(BaseHTTPRequestHandler):
    """One request. The server has the platform and the game."""

    timeout = PATIENCE_SEC
    platform: Platform
    game: Game

    def do_PUT(self) -> None:
        """Hear of a match."""
        info = self._heard()
        if info is not None:
            self.game.begin(info)
            self._say(200, {})

    def do_DELETE(self) -> None:
        """Hear that a match is off."""
        info = self._heard()
        if info is not None:
            self.game.call_off(info["match_id"])
            self._say(200, {})

    def do_GET(self) -> None:
        """Let a player in, who comes by the launch URL."""
        url = urlsplit(self.path)
        tokens = parse_qs(url.query).get("token", [])
        if url.path != "/play" or len(tokens) != 1:
            self._say(404, {"error": "expected /play?token="})
            return
        try:
            self._say(200, self.game.play(tokens[0]))
        except Refused as refused:
            self._say(refused.status, {"error": str(refused)})
        except OSError:
            self._say(503, {"error": "playclock cannot be reached"})

    def log_message(self, *_: object) -> None:
        """Keep quiet: the token in a launch URL is nobody's to read."""

    def _heard(self) -> dict[str, Any] | None:
        """Return what playclock says; answer by oneself where it is not playclock."""
        length = self.headers.get("Content-Length", "")
        if urlsplit(self.path).path != "/match-info" or not re.fullmatch("[0-9]{1,7}", length) or int(length) > BODY_BYTES_MAX:
            self._say(400, {"error": "expected /match-info and a body of a size that is told"})
            return None
        body = self.rfile.read(int(length))
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        told = [self.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature")]
        try:
            is_known = scheme == "Bearer" and self.platform.claims(token)["typ"] == "Push"
        except (jwt.PyJWTError, KeyError):
            is_known = False
        except OSError:
            self._say(503, {"error": "the public key cannot be read"})
            return None
        if not is_known or not self.platform.is_signed(told[0], told[1], body, told[2]):
            self._say(401, {"error": "not signed by playclock"})
            return None
        info: dict[str, Any] = json.loads(body)
        return info

    def _say(self, status: int, answer: dict[str, Any]) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


class Server(ThreadingHTTPServer):
    """Listens, a thread for each connection."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


def main() -> None:
    """Serve until SIGTERM, and say where on stdout."""
    parser = argparse.ArgumentParser(description="A game's server that plays OkLetsPlay matches.")
    parser.add_argument("--config", type=Path, required=True, help="the developer-config.json")
    parser.add_argument("--listen", default="127.0.0.1:9000", help="HOST:PORT")
    options = parser.parse_args()
    host, _, port = options.listen.rpartition(":")
    Handler.platform = Platform(json.loads(options.config.read_text("utf-8")))
    Handler.game = Game(Handler.platform)
    with Server((host, int(port)), Handler) as server:
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        print(f"ready {options.listen}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
