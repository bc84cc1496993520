"""A game's server as a process of its own that a test can make fail: commands on stdin, answers on stdout, JSON lines.

    {"trust": [{"keys": []}, "secret", …]}   by which keys tokens are verified, and with which secrets bodies are signed; with
                                             the URL of the keys they are fetched, and times have to be right by the real clock
    {"answers": {"PUT": ["503", "200"]}}     what is said to requests of a method, in turn, and the last one for ever;
                                             "PUT /other" are those to a path alone
    {"show": "600f…"}                        what has come about a match, in the order in which it was answered
    {"release": true}                        let go on what is held

An answer is a status, with headers after it, as in "429 Retry-After=7"; `gone`, the end of the connection without an answer;
`silent`, nothing until the caller gives up; `held`, 200, once it is let go; `dead`, the end of this whole process.
Whatever nobody has signed, or not for this server, is answered with 401, and noted as `forged`.
"""

import json
import os
import socket
import sys
import threading
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Final

import jwt
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

AUDIENCES: Final = {"/match-info": "told-game", "/other": "other-told-game"}


class GameServer(BaseHTTPRequestHandler):
    """Hears of matches."""

    protocol_version = "HTTP/1.1"
    keys: ClassVar[list[jwt.PyJWK]] = []
    fetched: ClassVar[jwt.PyJWKClient | None] = None
    secrets: ClassVar[list[str]] = []
    answers: ClassVar[dict[str, list[str]]] = {}
    seen: ClassVar[list[dict[str, Any]]] = []
    under_way: ClassVar[int] = 0
    most: ClassVar[int] = 0
    released: ClassVar[threading.Event] = threading.Event()
    lock: ClassVar[threading.Lock] = threading.Lock()

    def do_PUT(self) -> None:
        """Hear of a match."""
        self._hear()

    def do_DELETE(self) -> None:
        """Hear that a match is off."""
        self._hear()

    def do_GET(self) -> None:
        """Note that somebody has followed a redirect."""
        self._hear()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _hear(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.close_connection = True
        problem = self._problem(body)
        with self.lock:
            at_path = f"{self.command} {self._place()}"
            waiting = self.answers.get(at_path) or self.answers.get(self.command, ["200"])
            answer = "401" if problem else waiting.pop(0) if len(waiting) > 1 else waiting[0]
            self.seen.append(
                {
                    "method": self.command,
                    "path": self.path,
                    "id": self.headers.get("webhook-id"),
                    "at": int(self.headers.get("webhook-timestamp", 0)),
                    "type": self.headers.get("Content-Type"),
                    "body": body.decode(),
                    "answer": answer,
                    "forged": problem,
                }
            )
            GameServer.under_way += 1
            GameServer.most = max(self.most, self.under_way)
        try:
            self._answer(answer)
        finally:
            with self.lock:
                GameServer.under_way -= 1

    def _answer(self, answer: str) -> None:
        if answer == "gone":
            return
        if answer == "dead":
            os._exit(1)
        if answer == "silent":
            self.connection.settimeout(None)
            self.connection.recv(1, socket.MSG_PEEK)
            return
        if answer == "held":
            self.released.wait()
            answer = "200"
        if answer == "echo":
            self._echo()
            return
        status, *headers = answer.split(" ", 1)
        self.send_response(int(status))
        for name, value in (header.split("=", 1) for header in headers):
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _echo(self) -> None:
        """Answer 200 with more than anybody reads."""
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        with suppress(ConnectionError):
            self.wfile.write(b"x" * 1_000_000)

    def _place(self) -> str:
        return self.path.partition("?")[0]

    def _problem(self, body: bytes) -> str:
        """Return what is wrong with a request, by libraries that are not the sender's."""
        if not self._is_signed(body):
            return "the body is not signed"
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        at = int(self.headers.get("webhook-timestamp", 0))
        # Without a URL the sender's time is a test's, which the signature has vouched for.
        options: Any = {} if self.fetched else {"verify_exp": False, "verify_iat": False}
        try:
            audience = AUDIENCES.get(self._place(), "")
            claims = jwt.decode(token, self._key(token), ["RS256"], audience=audience, options=options)
        except (jwt.PyJWTError, StopIteration, KeyError) as error:
            return f"the token is bad: {error}"
        if scheme != "Bearer" or not claims["iat"] <= at < claims["exp"] or claims["typ"] != "Push":
            return "the token is of no use"
        return ""

    def _key(self, token: str) -> jwt.PyJWK:
        if self.fetched is not None:
            return self.fetched.get_signing_key_from_jwt(token)
        key_id = jwt.get_unverified_header(token)["kid"]
        return next(key for key in self.keys if key.key_id == key_id)

    def _is_signed(self, body: bytes) -> bool:
        webhooks = [Webhook(secret if secret.startswith("whsec_") else secret.encode()) for secret in self.secrets]
        if self.fetched is not None:
            try:
                webhooks[0].verify(body, dict(self.headers.items()))
            except WebhookVerificationError:
                return False
            return True
        message_id, at = self.headers.get("webhook-id", ""), int(self.headers.get("webhook-timestamp", 0))
        signed_at = datetime.fromtimestamp(at, UTC)
        given = self.headers.get("webhook-signature", "").split()
        return bool(set(given) & {webhook.sign(message_id, signed_at, body.decode()) for webhook in webhooks})


def main() -> None:
    """Serve and obey until stdin ends."""
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), GameServer)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print("ready", flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        answer: object = {}
        if "trust" in command:
            keys, *GameServer.secrets = command["trust"]
            is_url = isinstance(keys, str)
            GameServer.fetched = jwt.PyJWKClient(keys) if is_url else None
            GameServer.keys = [] if is_url else list(jwt.PyJWKSet.from_dict(keys).keys)
        if "answers" in command:
            GameServer.answers = command["answers"]
            GameServer.released.clear()
            GameServer.most = 0
        if "release" in command:
            GameServer.released.set()
        if "show" in command:
            with GameServer.lock:
                seen = [each for each in GameServer.seen if command["show"] in each["body"] or not command["show"]]
                answer = {"seen": seen, "under_way": GameServer.under_way, "most": GameServer.most}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
