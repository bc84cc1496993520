"""The reference agent as a process of its own that a test can make fail: commands on stdin, answers on stdout, JSON lines.

    {"fault": {"makeBet": "lost"}}     what happens to requests of a type from now on
    {"player": "player-7"}             open an account with 1000.50 EUR
    {"release": true}                  let go on what is held
    {"show": "player-7"}               the player's balance and transactions, and what was asked of him, each request's body

Nothing is done, and the caller hears: `gone`, the end of the connection; `silent`, nothing; `5xx_before`, 500; `refuse`, no;
`busy`, 429 with Retry-After; `naive`, of a bet to take back that has not come, that there is none, and nobody remembers it.
It is done, and the caller hears: `lost`, the end of the connection; `slow`, nothing; `5xx_after`, 500; `unreadable`, a page;
`twice`, it twice; `repeated`, the second answer, as by a proxy that repeats requests; `held`, the answer, once it is let go.
"""

import json
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "agent_server"))

import wallet_server

BUSY_SEC = 7
ERRORS = {
    "5xx_before": (500, "internal_error", {}),
    "5xx_after": (500, "internal_error", {}),
    "refuse": (403, "player_blocked", {}),
    "busy": (429, "too_many_requests", {"Retry-After": str(BUSY_SEC)}),
}


class Spoiled(wallet_server.Handler):
    """Spoils requests as it was told to."""

    faults: ClassVar[dict[str, str]] = {}
    asked: ClassVar[list[dict[str, Any]]] = []
    released: ClassVar[threading.Event] = threading.Event()

    def do_POST(self) -> None:
        """Answer a callback, or not."""
        body = self.body()
        assert body is not None
        request = json.loads(body)
        self.asked.append(request)
        fault = self.faults.get(request["type"], "")
        self.close_connection = True
        with suppress(OSError):
            if fault == "naive" and not self._knows(request):
                self.say(404, '{"error":"transaction_not_found","message":"no"}')
            else:
                self._spoil(fault, lambda: self.agent.answer(body, self.headers.get("X-Signature", "")))

    def _spoil(self, fault: str, do: Callable[[], tuple[int, str]]) -> None:
        if fault == "held":
            self.released.wait()
        answers = [] if fault in ("gone", "silent", "5xx_before", "refuse", "busy") else [do()]
        if fault in ("silent", "slow"):
            self._wait()
        elif fault in ERRORS:
            status, error, headers = ERRORS[fault]
            self.say(status, json.dumps({"error": error, "message": "no"}), headers)
        elif fault == "unreadable":
            self.say(200, "<html>fine</html>")
        elif fault not in ("gone", "lost"):
            answers += [do()] if fault == "repeated" else answers if fault == "twice" else []
            for answer in answers[1:] if fault == "repeated" else answers:
                self.say(*answer)

    def _wait(self) -> None:
        """Wait until the caller has given up."""
        self.connection.settimeout(None)
        self.connection.recv(1, socket.MSG_PEEK)

    def _knows(self, request: dict[str, Any]) -> bool:
        known = {each["id"] for each in self.agent.books.transactions()}
        return request["type"] != "rollback" or request["original_transaction_id"] in known


def show(player_id: str) -> dict[str, Any]:
    """Return what there is of a player."""
    books = Spoiled.agent.books
    asked = [each for each in Spoiled.asked if each["player_id"] == player_id]
    transactions = [each for each in books.transactions() if each["player_id"] == player_id]
    return {"balance": books.balances()[f"{player_id}/EUR"], "transactions": transactions, "asked": asked}


def main() -> None:
    """Serve and obey until stdin ends."""
    server = wallet_server.server_of(wallet_server.parse(), Spoiled)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"ready {wallet_server.place_of(server)}", flush=True)
    for line in sys.stdin:
        command = json.loads(line)
        if "fault" in command:
            Spoiled.faults = command["fault"]
            Spoiled.released.clear()
        if "release" in command:
            Spoiled.released.set()
        if "player" in command:
            Spoiled.agent.books.add_player(command["player"], "EUR", 1_000_500_000)
        print(json.dumps(show(command["show"]) if "show" in command else {}), flush=True)


if __name__ == "__main__":
    main()
