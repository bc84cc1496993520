"""Receivers: partners' servers, each on an address of its own on this machine, with sockets, threads and TLS of its own."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import trustme

Reply = Callable[[socket.socket], None]

OUTSIDE = "127.0.0.2"
"""Stands for an address on the Internet: the tests' clients may call it."""
INSIDE = "127.0.0.1"
"""Stands for the inner network: they may not call it."""
HOST = "hooks.example.com"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PATIENCE_SEC = 10


def says(data: bytes) -> Reply:
    return lambda stream: stream.sendall(data)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_SEC):
        while not condition():  # noqa: ASYNC110 - it is another thread that makes it true
            await asyncio.sleep(0.002)


answers = says(OK)


def silent(stream: socket.socket) -> None:
    """Wait until the other side has gone."""
    with suppress(OSError):
        stream.recv(1)


class Receiver:
    """What a server has seen."""

    def __init__(self, listener: socket.socket, tls: ssl.SSLContext | None, reply: Reply) -> None:
        self.port: int = listener.getsockname()[1]
        self.connections = 0
        self.names: list[str | None] = []
        """What clients called it, by SNI."""
        self.requests: list[bytes] = []
        self._listener = listener
        self._tls = tls
        self._reply = reply
        self._threads = [threading.Thread(target=self._accept)]
        if tls is not None:
            tls.sni_callback = lambda _, name, __: self.names.append(name)
        self._threads[0].start()

    def stop(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE_SEC)
            assert not thread.is_alive(), "a connection was not closed by the client"

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                stream, _ = self._listener.accept()
                self.connections += 1
                serving = threading.Thread(target=self._serve, args=(stream,))
                self._threads.append(serving)
                serving.start()

    def _serve(self, stream: socket.socket) -> None:
        stream.settimeout(PATIENCE_SEC)
        try:
            if self._tls is not None:
                stream = self._tls.wrap_socket(stream, server_side=True)
            self.requests.append(_read_request(stream))
            self._reply(stream)
        except OSError:
            pass  # the client went away, which is its right
        finally:
            stream.close()


def _read_request(stream: socket.socket) -> bytes:
    data = _some(stream)
    if data.startswith(b"\x16"):
        return data  # TLS, to a server that has none
    while b"\r\n\r\n" not in data:
        data += _some(stream)
    head, _, body = data.partition(b"\r\n\r\n")
    lengths = [int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while len(body) < sum(lengths):
        body += _some(stream)
    return head + b"\r\n\r\n" + body


def _some(stream: socket.socket) -> bytes:
    data = stream.recv(65_536)
    if not data:
        raise ConnectionError
    return data


def server_tls(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(tls)
    return tls


@contextmanager
def receiving(reply: Reply, tls: ssl.SSLContext | None, address: str = OUTSIDE, port: int = 0) -> Iterator[Receiver]:
    listener = socket.create_server((address, port))
    receiver = Receiver(listener, tls, reply)
    try:
        yield receiver
    finally:
        receiver.stop()


class Names:
    """A resolver that answers from a table: each lookup of a name gets the next answer, and the last one from then on."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self.answers = {name.replace("_", "."): list(them) for name, them in answers.items()}
        self.lookups: list[str] = []

    async def __call__(self, host: str, _port: int) -> list[str]:
        self.lookups.append(host)
        if host not in self.answers:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        answers = self.answers[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]
