"""A game's server as a process of its own: prints all that it hears, a JSON line each, and answers 200."""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Receiver(BaseHTTPRequestHandler):
    """One request."""

    def do_PUT(self) -> None:
        """Print it."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        headers = {name.lower(): value for name, value in self.headers.items()}
        say(json.dumps({"method": self.command, "path": self.path, "headers": headers, "body": body}))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_DELETE(self) -> None:
        """Print it."""
        self.do_PUT()

    def log_message(self, *_: object) -> None:
        """Say nothing else."""


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    with HTTPServer(("127.0.0.1", int(sys.argv[1])), Receiver) as server:
        say("ready")
        server.serve_forever()
