"""A site with games' pages, in another process."""

import asyncio
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final


def page(*keys: str) -> str:
    tags = "".join(f'<meta name="x-ogp-key" content="{key}" />' for key in keys)
    return f"<!doctype html><html><head><title>Game</title>{tags}</head><body></body></html>"


class Site:
    """A site in another process."""

    _paths: Final = itertools.count()

    def __init__(self) -> None:
        command = [sys.executable, "-W", "error", str(Path(__file__).parent / "site_process.py")]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._address = f"127.0.0.1:{self._process.stdout.readline().split()[1]}"

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def url(self) -> str:
        """Return the address of a page that is not there yet."""
        return f"http://{self._address}/{next(self._paths)}"

    def show(self, url: str, body: str, *, status: int = 200, kind: str = "text/html", held: bool = False) -> None:
        self._say(path=self._path(url), body=body, status=status, type=kind, held=held)

    def release(self) -> None:
        self._say(release=True)

    def asked(self, url: str) -> int:
        """Return how often a page was asked for."""
        return self._say(asked=self._path(url))

    async def until_asked(self, url: str, times: int) -> None:
        async with asyncio.timeout(60):
            while self.asked(url) < times:  # noqa: ASYNC110 - it is another process that makes it true
                await asyncio.sleep(0.005)

    def _path(self, url: str) -> str:
        return url.partition(self._address)[2]

    def _say(self, **command: Any) -> int:  # noqa: ANN401 - any command
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())
