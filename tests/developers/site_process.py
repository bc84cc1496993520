"""A site with games' pages, as a process of its own: commands on stdin, answers on stdout, JSON lines.

{"path": "/a", "body": "<html>", "status": 200, "type": "text/html", "held": false}     what is at a path from now on
{"release": true}                                                                       let go on what is held
{"asked": "/a"}                                                                         how often a path was asked for
"""

import json
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PAGES: dict[str, dict[str, Any]] = {}
ASKED: Counter[str] = Counter()
RELEASED = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """Hands out pages."""

    def do_GET(self) -> None:
        """Hand out a page."""
        page = PAGES.get(self.path, {"status": 404, "body": "", "type": "text/html"})
        ASKED[self.path] += 1
        if page.get("held"):
            RELEASED.wait()
        body = page["body"].encode()
        self.send_response(page["status"])
        self.send_header("Content-Type", page["type"])
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def say(line: str) -> None:
    """Write a line to whoever commands."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until stdin ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    say(f"ready {server.server_port}")
    for line in sys.stdin:
        command = json.loads(line)
        if "release" in command:
            RELEASED.set()
        elif "path" in command:
            if command.get("held"):
                RELEASED.clear()
            PAGES[command["path"]] = command
        say(str(ASKED[command.get("asked", "")]))


main()
