"""An agent's server: keeps its players' money, and answers playclock's callbacks. Needs nothing but Python.

    python examples/agent_server/wallet_server.py --agent 1 --token dev-agent-token --player player_123=EUR=1000.50

listens on 127.0.0.1:9100 for an agent with one player. Point playclock at it:

    [[agent]]
    id = 1
    name = "Agent One"
    api_token = "dev-agent-token"
    games = [123]
    callback_url = "http://127.0.0.1:9100/callbacks"

and let it call there by `outgoing_networks = ["127.0.0.1/32"]` in the settings' `[security]`; on the Internet it has to be
https.

What makes it safe to be asked twice, late, or out of order: a transaction id counts once, its repeat is answered with the
balance and changes nothing, and a rollback is remembered also where its bet has not come yet, so that it never will.
"""

import argparse
import hashlib
import hmac
import json
import signal
import sqlite3
import threading
import time
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MICROS = 1_000_000
BODY_BYTES_MAX = 16_384
PATIENCE_SEC = 10

TABLES = """
CREATE TABLE IF NOT EXISTS players (
  id TEXT NOT NULL, currency TEXT NOT NULL, balance_micros INTEGER NOT NULL, PRIMARY KEY (id, currency)
) STRICT;
CREATE TABLE IF NOT EXISTS transactions (
  id TEXT PRIMARY KEY, player_id TEXT NOT NULL, currency TEXT NOT NULL, session_id TEXT NOT NULL, round_id TEXT NOT NULL,
  bet_micros INTEGER NOT NULL, win_micros INTEGER NOT NULL, is_rolled_back INTEGER NOT NULL
) STRICT;
"""


class Refused(Exception):
    """The agent does not do it. What it says goes to playclock."""

    def __init__(self, status: int, error: str, balance_micros: int | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.balance_micros = balance_micros


class Books:
    """What each player has, and each transaction once. Survives the process where it lies in a file."""

    def __init__(self, file: str = ":memory:") -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
        self._db.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + TABLES)

    def add_player(self, player_id: str, currency: str, balance_micros: int) -> None:
        """Add a player, unless it is there."""
        self._db.execute("INSERT OR IGNORE INTO players VALUES (?, ?, ?)", (player_id, currency, balance_micros))

    def balances(self) -> dict[str, int]:
        """Return what each player has."""
        with self._lock:
            rows = self._db.execute("SELECT id, currency, balance_micros FROM players").fetchall()
        return {f"{player_id}/{currency}": micros for player_id, currency, micros in rows}

    def transactions(self) -> list[dict[str, Any]]:
        """Return all transactions, those that only a rollback has told of as well."""
        names = ("id", "player_id", "session_id", "round_id", "bet_micros", "win_micros", "is_rolled_back")
        with self._lock:
            rows = self._db.execute(f"SELECT {', '.join(names)} FROM transactions ORDER BY rowid").fetchall()
        return [dict(zip(names, row, strict=True)) for row in rows]

    def do(self, request: dict[str, Any]) -> int:
        """Do what a request says, wholly or not at all, and return the player's balance. Raises Refused."""
        kinds = {"getBalance": self._balance, "makeBet": self._bet, "rollback": self._roll_back}
        kind = kinds.get(str(request.get("type")))
        if kind is None:
            raise Refused(422, "validation_error")
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                return kind(request)
            finally:
                self._db.execute("COMMIT")

    def _balance(self, request: dict[str, Any]) -> int:
        query = "SELECT balance_micros FROM players WHERE id = ? AND currency = ?"
        found = self._db.execute(query, (request["player_id"], request["currency"])).fetchone()
        if found is None:
            raise Refused(404, "player_not_found")
        return int(found[0])

    def _bet(self, request: dict[str, Any]) -> int:
        balance = self._balance(request)
        bet, win = micros_of(request["bet"]), micros_of(request["win"])
        there = self._there(request["transaction_id"])
        if there is not None:
            if there["is_rolled_back"]:
                raise Refused(409, "transaction_rolled_back", balance)
            same = (
                ("session_id", request["session_id"]),
                ("round_id", request["round_id"]),
                ("bet_micros", bet),
                ("win_micros", win),
            )
            if any(there[name] != value for name, value in same):
                raise Refused(409, "transaction_id_reused", balance)
            return balance
        if balance < bet:
            raise Refused(402, "insufficient_funds", balance)
        self._note(request["transaction_id"], request, bet, win, is_rolled_back=False)
        return self._add(request, win - bet)

    def _roll_back(self, request: dict[str, Any]) -> int:
        balance = self._balance(request)
        there = self._there(request["original_transaction_id"])
        if there is None:
            self._note(request["original_transaction_id"], request, 0, 0, is_rolled_back=True)
            raise Refused(404, "transaction_not_found", balance)
        if there["is_rolled_back"]:
            return balance
        self._db.execute("UPDATE transactions SET is_rolled_back = 1 WHERE id = ?", (request["original_transaction_id"],))
        return self._add(request, there["bet_micros"] - there["win_micros"])

    def _there(self, transaction_id: str) -> dict[str, Any] | None:
        names = ("session_id", "round_id", "bet_micros", "win_micros", "is_rolled_back")
        found = self._db.execute(f"SELECT {', '.join(names)} FROM transactions WHERE id = ?", (transaction_id,)).fetchone()
        return None if found is None else dict(zip(names, found, strict=True))

    def _note(self, transaction_id: str, request: dict[str, Any], bet: int, win: int, *, is_rolled_back: bool) -> None:
        values = (
            request["player_id"],
            request["currency"],
            request["session_id"],
            request["round_id"],
            bet,
            win,
            is_rolled_back,
        )
        self._db.execute("INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (transaction_id, *values))

    def _add(self, request: dict[str, Any], micros: int) -> int:
        change = "UPDATE players SET balance_micros = balance_micros + ? WHERE id = ? AND currency = ?"
        self._db.execute(change, (micros, request["player_id"], request["currency"]))
        return self._balance(request)


class Agent:
    """Checks who asks, and answers from the books."""

    def __init__(self, agent_id: int, token: str, books: Books, window_sec: int) -> None:
        self._agent_id = agent_id
        self._token = token.encode()
        self._window_sec = window_sec
        self.books = books

    def answer(self, body: bytes, signature: str) -> tuple[int, str]:
        """Return the status and the body that answer a request."""
        try:
            balance_micros = self.books.do(self.read(body, signature))
        except Refused as refused:
            content = None if refused.balance_micros is None else {"balance": decimal_of(refused.balance_micros)}
            return refused.status, written(
                {"error": refused.error, "message": refused.error.replace("_", " "), "content": content}
            )
        return 200, written({"content": {"balance": decimal_of(balance_micros)}})

    def read(self, body: bytes, signature: str) -> dict[str, Any]:
        """Return what a request says, if playclock has signed it for this agent, and not long ago. Raises Refused."""
        made = hmac.new(self._token, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(made.encode(), signature.encode()):
            raise Refused(403, "invalid_signature")
        try:
            request = json.loads(body, parse_float=Decimal)
            is_ours = request["agent_id"] == self._agent_id
            age_sec = abs(time.time() - int(request["timestamp"]))
        except (ValueError, TypeError, KeyError):
            raise Refused(422, "validation_error") from None
        if not is_ours:
            raise Refused(404, "agent_not_found")
        if age_sec > self._window_sec:
            raise Refused(400, "request_expired")
        return dict(request)


def micros_of(amount: Decimal | int) -> int:
    """Return an amount in millionths, without a binary float on the way. Raises Refused for one that has more digits."""
    micros = Decimal(amount) * MICROS
    if micros != int(micros) or micros < 0:
        raise Refused(422, "validation_error")
    return int(micros)


def decimal_of(micros: int) -> Decimal:
    """Return millionths as a decimal number."""
    return Decimal(micros) / MICROS


def written(answer: dict[str, Any]) -> str:
    """Return an answer as JSON; its decimal numbers keep their digits."""
    return "{" + ",".join(f"{json.dumps(name)}:{_text_of(value)}" for name, value in answer.items()) + "}"


def _text_of(value: object) -> str:
    if isinstance(value, dict):
        return written(value)
    return format(value, "f") if isinstance(value, Decimal) else json.dumps(value)


class Handler(BaseHTTPRequestHandler):
    """One request. The server has the agent."""

    timeout = PATIENCE_SEC
    agent: Agent

    def do_POST(self) -> None:
        """Answer a callback."""
        body = self.body()
        if body is not None:
            self.say(*self.agent.answer(body, self.headers.get("X-Signature", "")))

    def body(self) -> bytes | None:
        """Read the body; answer by oneself where it is too long."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_BYTES_MAX:
            self.say(413, written({"error": "validation_error", "message": "the body is too long"}))
            return None
        return self.rfile.read(length)

    def say(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        """Send an answer."""
        data = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: what is asked is nobody's to read."""


class Server(ThreadingHTTPServer):
    """Listens, a thread for each connection."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128


def server_of(options: argparse.Namespace, handler: type[Handler] = Handler) -> Server:
    """Return the server that the command line asks for."""
    books = Books(":memory:" if options.books is None else str(options.books))
    for player in options.player:
        player_id, currency, amount = player.split("=")
        books.add_player(player_id, currency, micros_of(Decimal(amount)))
    handler.agent = Agent(options.agent, options.token, books, options.window)
    host, _, port = options.listen.rpartition(":")
    return Server((host, int(port)), handler)


def place_of(server: Server) -> str:
    """Return where a server listens."""
    host, port = server.server_address[:2]
    return f"{host!s}:{port}"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="An agent's server for playclock.")
    parser.add_argument("--listen", default="127.0.0.1:9100", help="HOST:PORT, port 0 for a free one")
    parser.add_argument("--agent", type=int, required=True, help="the agent's id")
    parser.add_argument("--token", required=True, help="the agent's API token")
    parser.add_argument("--books", type=Path, help="an SQLite file that keeps the books; in memory where it is left out")
    parser.add_argument("--player", action="append", default=[], metavar="ID=CURRENCY=BALANCE", help="a player")
    parser.add_argument("--window", type=int, default=300, help="how many seconds a signed time may be off")
    return parser.parse_args(arguments)


def main() -> None:
    """Serve until SIGTERM, and say where on stdout."""
    with server_of(parse()) as server:
        signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
        print(f"ready {place_of(server)}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()
