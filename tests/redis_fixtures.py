"""Redis for tests that only need an empty one: a server that lasts for the whole run, emptied for each test."""

import socket
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.redis_servers import RedisServer, cluster, durable, running, valkey_binary


class RedisOfTests:
    """Servers, and the address of what each test finds empty there."""

    def __init__(self, servers: Sequence[RedisServer], url: str) -> None:
        self.servers = servers
        self.url = url
        self._folder: Path | None = None

    def url_of(self, folder: Path) -> str:
        """Return the address, emptied for each new folder."""
        if folder != self._folder:
            self._folder = folder
            self.empty()
        return self.url

    def empty(self) -> None:
        """Forget everything. Said by hand: to make a client takes longer than all the rest, and this comes before each test."""
        for server in self.servers:
            with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
                connection.sendall(b"FLUSHALL\r\n")
                assert connection.recv(64) == b"+OK\r\n"


@pytest.fixture(scope="session")
def redis_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisOfTests]:
    """Run a redis-server."""
    with running([RedisServer(tmp_path_factory.mktemp("redis") / "data", *durable())]) as (server,):
        yield RedisOfTests([server], server.url)


@pytest.fixture(scope="session")
def valkey_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisOfTests]:
    """Run a valkey-server."""
    folder = tmp_path_factory.mktemp("valkey") / "data"
    with running([RedisServer(folder, *durable(), binary=valkey_binary())]) as (server,):
        yield RedisOfTests([server], server.url)


@pytest.fixture(scope="session")
def cluster_of_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisOfTests]:
    """Run a Redis Cluster of three masters."""
    with cluster(tmp_path_factory.mktemp("cluster")) as servers:
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
        yield RedisOfTests(servers, f"redis+cluster://{hosts}")
