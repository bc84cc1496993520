"""A Redis whose clock a test sets: a way to a real server on which each TIME is answered with the test's time."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Final, Self

from tests.redis_servers import free_ports

TIME: Final = b"*1\r\n$4\r\nTIME\r\n"
STANDING: Final = b"return {ARGV[1],ARGV[2]}"
RUNNING: Final = b"local t=redis.call('TIME') return {string.format('%.0f',t[1]+ARGV[1]),t[2]}"


class TimeProxy:
    """Passes everything on as it is, and asks for another time. What is behind it must not split a command."""

    def __init__(self, port: int, *, now_ms: int | None = None) -> None:
        """Stand in front of the server on the port. With `now_ms` time stands still until it is set."""
        self.now_ms = now_ms
        self.ahead_sec = 0
        """What the clock is ahead of the real one, where it runs."""
        self._to = port
        self.port = free_ports(1)[0]
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for each in (self._listener, *self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += (client, server)
                threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
                threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, asks: bool) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                target.sendall(data.replace(TIME, self._question()) if asks else data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)

    def _question(self) -> bytes:
        words = [b"EVAL", RUNNING, b"0", b"%d" % self.ahead_sec]
        if self.now_ms is not None:
            words = [b"EVAL", STANDING, b"0", b"%d" % (self.now_ms // 1000), b"%d" % (self.now_ms % 1000 * 1000)]
        return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)
