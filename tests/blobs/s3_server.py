"""S3 on this machine: moto's server, a process of its own."""

import contextlib
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

DEADLINE_SEC: Final = 60


@contextlib.contextmanager
def serve_s3(log: Path) -> Iterator[str]:
    """Serve S3, with the bucket `pictures`, and yield its endpoint."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], stdout=output, stderr=output
        )
    endpoint = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + DEADLINE_SEC
        while True:
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            try:
                urllib.request.urlopen(urllib.request.Request(f"{endpoint}/pictures", method="PUT"), timeout=5).close()
                break
            except urllib.error.URLError:
                time.sleep(0.05)
        yield endpoint
    finally:
        server.kill()
        server.wait()
