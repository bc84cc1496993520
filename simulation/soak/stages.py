"""Empty stores to play on, and their books."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from simulation.soak.books import Books, books_in_file, books_in_redis
from tests.redis_servers import RedisServer, durable, running

KINDS: Final = ("sqlite", "redis")
GONE_SEC: Final = 10.0
"""How long Redis may take to notice that who was killed is gone."""


@contextmanager
def stage(kind: str, folder: Path) -> Iterator[tuple[str, Callable[[], Books]]]:
    """Yield an empty store's URL, and what reads its books when nobody else is connected."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "sqlite":
        path = folder / "play.db"
        yield f"sqlite:///{path}", lambda: books_in_file(path)
        return
    with running([RedisServer(folder / "redis", *durable())]) as (server,):
        yield server.url, lambda: _books_when_alone(server)


def _books_when_alone(server: RedisServer) -> Books:
    """Read the books when all is carried out that the dead had sent: when Redis has closed their connections."""
    deadline = time.monotonic() + GONE_SEC
    with server.client() as client:
        while len(client.client_list()) > 1:
            assert time.monotonic() < deadline, "somebody else is still connected"
            time.sleep(0.002)
    return books_in_redis(server)
