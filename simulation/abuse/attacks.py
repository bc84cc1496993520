"""What strangers do to a server, and what they see of it."""

import contextlib
import selectors
import socket
import time
import zlib
from collections.abc import Sequence
from typing import Final, NamedTuple

import grpc
from playclock.v1.launch_service_pb2 import IssueOttRequest, StartLaunchRequest
from playclock.v1.launch_service_pb2_grpc import LaunchServiceStub
from playclock.v1.session_service_pb2 import OpenSessionRequest

from simulation.abuse.guests import VERIFY
from simulation.abuse.http2 import DATA, END_HEADERS, END_STREAM, HEADERS, PING, Stranger, frame, head_of, message, reset
from simulation.abuse.victim import GAME, GAME_ID, GAME_KEY, OPERATOR, TOKEN

OPEN: Final = "/playclock.v1.SessionService/OpenSession"
AT_ONCE: Final = 200
MIB: Final = 1 << 20
TRICKLE_SEC: Final = 0.25
"""How often a trickling connection sends a byte."""


def issue(address: str, count: int) -> list[str]:
    """Return tokens that a player could redeem, each of a PC of its own."""
    with grpc.insecure_channel(address) as channel:
        launches, otts = LaunchServiceStub(channel), []
        for number in range(count):
            start = StartLaunchRequest(pc_id=f"pc-{number}", external_ip="127.0.0.1")
            token = launches.StartLaunch(start, metadata=OPERATOR).session_token
            otts.append(launches.IssueOtt(IssueOttRequest(session_token=token, game_id=GAME_ID), metadata=OPERATOR).ott)
    return otts


def rapid_reset(address: str, count: int, otts: Sequence[str]) -> Stranger:
    """Begin so many calls on one connection, each redeeming one of the tokens, and give each up at once."""
    head = head_of(OPEN, GAME)
    bodies = [message(OpenSessionRequest(ott=ott, provider_user_id="1").SerializeToString()) for ott in otts]
    with Stranger(address) as stranger:
        stranger.take(5)
        for first in range(0, count, AT_ONCE):
            stranger.send(
                b"".join(
                    frame(HEADERS, END_HEADERS, 2 * number + 1, head)
                    + frame(DATA, END_STREAM, 2 * number + 1, bodies[number % len(bodies)])
                    + reset(2 * number + 1)
                    for number in range(first, min(first + AT_ONCE, count))
                )
            )
            stranger.take()
            if stranger.is_closed:
                break
    return stranger


def ping_flood(address: str, count: int) -> Stranger:
    """Ping so many times on one connection, and return when the server hangs up, or after ten seconds."""
    with Stranger(address) as stranger:
        stranger.take(5)
        for _ in range(0, count, AT_ONCE):
            stranger.send(frame(PING, 0, 0, b"knockout") * AT_ONCE)
            stranger.take()
        stranger.take_until_closed(10)
    return stranger


def bomb(address: str, size: int) -> Stranger:
    """Send so many zeros as one compressed message, which is a thousandth of that."""
    packer = zlib.compressobj(9, wbits=31)
    first = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    mebibyte = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    packed = first + mebibyte * (size // MIB - 1)  # its end may be missing: nobody should get so far
    head = head_of(OPEN, (("grpc-encoding", "gzip"), ("authorization", f"Bearer {TOKEN}")))
    with Stranger(address) as stranger:
        stranger.take(5)
        stranger.send(frame(HEADERS, END_HEADERS, 1, head))
        stranger.send_body(1, message(packed, is_compressed=True))
        over = time.monotonic() + 30
        while 1 not in stranger.answers and not stranger.is_closed and time.monotonic() < over:
            stranger.take(1)
    return stranger


def hold(address: str, count: int) -> Stranger:
    """Begin so many calls on one connection and end none; return when the server has said which it does not take."""
    head = head_of(OPEN, GAME)
    with Stranger(address) as stranger:
        stranger.take(5)
        for number in range(count):
            stranger.send(frame(HEADERS, END_HEADERS, 2 * number + 1, head))
        stranger.send(frame(PING, 0, 0, b"so far? "))
        over = time.monotonic() + 10
        while not stranger.seen[PING] and not stranger.is_closed and time.monotonic() < over:
            stranger.take(1)
    return stranger


def flood_body(address: str, size: int) -> tuple[bytes, int]:
    """Send a body of JSON in pieces, and return the answer's first line and how much was taken."""
    host, _, port = address.rpartition(":")
    head = f"POST {VERIFY} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {GAME_KEY}\r\nTransfer-Encoding: chunked\r\n\r\n"
    piece, taken = b"10000\r\n" + b"[" * 65_536 + b"\r\n", 0
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        try:
            connection.sendall(head.encode())
            while taken < size:
                connection.sendall(piece)
                taken += 65_536
        except (BrokenPipeError, ConnectionError):
            pass
        try:
            return connection.recv(65_536).partition(b"\r\n")[0], taken
        except ConnectionError:
            return b"", taken


class Trickled(NamedTuple):
    """How long trickling connections were let live, in seconds."""

    closed: int
    shortest: float
    longest: float


def trickle(address: str, count: int, *, give_up_sec: float) -> Trickled:
    """Open so many connections, which send their head, or their body, byte by byte until they are closed."""
    host, _, port = address.rpartition(":")
    head = f"POST {VERIFY} HTTP/1.1\r\nHost: x\r\nX-Api-Key: {GAME_KEY}\r\nContent-Length: 60000\r\n".encode()
    began, lived = {}, []
    with contextlib.ExitStack() as stack:
        chosen = stack.enter_context(selectors.DefaultSelector())
        for number in range(count):
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
            connection.setblocking(False)
            began[connection] = time.monotonic()
            connection.send(head + (b"\r\n" if number % 2 else b"X-Slow: "))
            chosen.register(connection, selectors.EVENT_READ)
        over = time.monotonic() + give_up_sec
        while began and time.monotonic() < over:
            for connection in began:
                with contextlib.suppress(OSError):
                    connection.send(b" ")
            again = time.monotonic() + TRICKLE_SEC
            while (left := again - time.monotonic()) > 0:
                for key, _ in chosen.select(left):
                    trickling = key.fileobj
                    assert isinstance(trickling, socket.socket)
                    if _is_over(trickling):
                        chosen.unregister(trickling)
                        lived.append(time.monotonic() - began.pop(trickling))
    return Trickled(len(lived), min(lived, default=0), max(lived, default=0))


def _is_over(connection: socket.socket) -> bool:
    """Say whether a connection was closed, and read what came of it."""
    try:
        return not connection.recv(65_536)
    except BlockingIOError:
        return False
    except OSError:
        return True
