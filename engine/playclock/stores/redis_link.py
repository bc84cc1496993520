"""One connection to one Redis, shared by all who call at the same time.

Commands of one turn of the event loop leave in one write, and replies come back in their order, so a thousand concurrent calls
cost what one pipeline costs. Parsing and packing are hiredis's. Nothing is ever sent twice: whoever gets no answer is told so.
"""

import asyncio
import hashlib
import logging
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, Self, cast

import hiredis
import msgspec

from playclock.stores.base import StoreUnavailable

CONNECT_SEC: Final = 0.8
ANSWER_SEC: Final = 0.8
"""How long an answer may take. A server that is slower than that is away, for those who wait could do nothing with it."""
CHECK_SEC: Final = 0.1
ANSWER_TICKS: Final = round(ANSWER_SEC / CHECK_SEC)
UNSENT_BYTES_MAX: Final = 16 * 1024 * 1024
"""How much may wait for a server that does not take it in. What comes then is refused, and was not sent."""
ACKNOWLEDGE_MS: Final = 350
"""How long replicas may take to have what was written. Others wait behind it, so two of these fit into ANSWER_SEC."""

Command = tuple[str | bytes | int | float, ...]
Reply = Any
Heard = Callable[[list[Reply]], None]

_WHO: Final[tuple[Command, ...]] = (("INFO", "server"), ("INFO", "replication"))


_log = logging.getLogger(__name__)


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """What a server wants to hear first."""

    username: str | None = None
    password: str | None = None
    database: int = 0
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"Login(username={self.username!r}, password=***, database={self.database})"

    def commands(self) -> list[Command]:
        """Return what has to be said first."""
        said: list[Command] = []
        if self.password is not None:
            said.append(("AUTH", self.username, self.password) if self.username else ("AUTH", self.password))
        if self.database:
            said.append(("SELECT", self.database))
        said.append(("CLIENT", "SETNAME", "playclock"))
        return said


_pack: Final[Callable[[Command], bytes]] = hiredis.pack_command  # type: ignore[assignment]
"""The package's own types allow one word a command."""


class _Group(msgspec.Struct):
    """Commands of one caller, and the replies that have come so far."""

    answer: "asyncio.Future[list[Reply]]"
    missing: int
    sent_tick: int
    replies: list[Reply]
    heard: Heard | None = None
    """Told as soon as the replies are there, whether or not their caller still waits."""


class Link(asyncio.Protocol):
    """A connection. Once it is lost it stays so: make a new one."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._waiting: deque[_Group] = deque()
        self._unsent: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._tick = 0
        """Counts checks, and so the time in which this process could listen: one that stood still has not been kept waiting."""
        self._is_full = False
        self._acknowledged: tuple[int, asyncio.Future[list[Reply]]] | None = None
        self.is_lost = False
        self.is_silent = False
        """Whether it was lost because the server owed an answer for too long."""
        self.is_owed = False
        """Whether replicas may lack something that was written here, and whoever wrote it was told so."""
        self.name = ""
        """Where it leads, for people."""
        self.is_retired = False
        """Whether nothing more may be asked here, though answers are still to come."""
        self.is_master = False
        self.epoch = ""
        """The server's stretch of history: another one after each start and each promotion."""
        self.mark = b""
        """A short form of the epoch, with which records are marked."""
        self.answered_at = self._loop.time()
        """When the server last said anything."""

    @classmethod
    async def connect(cls, host: str, port: int, login: Login, *, is_master: bool = True) -> Self:
        """Connect, say what the server wants to hear first, and ask who it is.

        Raises StoreUnavailable, also where it has to be a master and is none.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SEC):
                _, link = await loop.create_connection(
                    cls, host, port, ssl=login.tls, server_hostname=host if login.tls is not None else None
                )
        except ssl.SSLCertVerificationError as error:
            raise StoreUnavailable(
                f"the certificate of Redis at {host}:{port} is not valid here: {error.verify_message}"
            ) from error
        except (OSError, TimeoutError) as error:
            raise StoreUnavailable(f"Redis at {host}:{port} cannot be reached") from error
        link.name = f"{host}:{port}"
        try:
            replies = await link.ask(login.commands())
        except BaseException:
            link.close()
            raise
        for reply in replies:
            # A user who may not name a connection may do all else.
            if isinstance(reply, hiredis.ReplyError) and not (reply is replies[-1] and str(reply).startswith("NOPERM ")):
                link.close()
                raise StoreUnavailable(f"Redis at {host}:{port} refuses us: {reply}")
        try:
            await link.learn()
        except BaseException:
            link.close()
            raise
        if is_master and not link.is_master:
            link.close()
            raise StoreUnavailable(f"Redis at {host}:{port} is a replica; name its master, or the Sentinels that know it")
        return link

    @property
    def is_open(self) -> bool:
        """Whether commands may be sent."""
        return not self.is_lost and not self.is_retired

    async def check(self) -> None:
        """Let go of a server that is no master any more, or has begun another history. Raises StoreUnavailable."""
        was_master, epoch = self.is_master, self.epoch
        await self.learn()
        if was_master and not self.is_master:
            self._lose("Redis is no master any more")
        elif self.epoch != epoch:
            # What is on its way here is answered here. What comes next goes by the new epoch.
            self.epoch, self.is_retired = epoch, True

    async def learn(self) -> None:
        """Ask the server who it is. Its run tells starts apart; whom it followed, and until when, promotions without a start.

        One that may not tell is taken for a master that never changes. Raises StoreUnavailable.
        """
        replies = await self.ask(_WHO)
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError) and not str(reply).startswith("NOPERM "):
                raise StoreUnavailable(f"Redis does not say who it is: {reply}")
        server, replication = ({} if isinstance(reply, hiredis.ReplyError) else _fields(reply) for reply in replies)
        if self.is_master and not (server and replication):
            return
        if not (server and replication):
            _log.warning("Redis may not say who it is, so no failover will be noticed", extra={"fields": {"server": self.name}})
        self.is_master = replication.get(b"role", b"master") == b"master"
        followed = (replication.get(name, b"") for name in (b"master_replid2", b"second_repl_offset"))
        digest = hashlib.sha256(b"/".join((server.get(b"run_id", b""), *followed))).digest()
        self.epoch, self.mark = digest[:8].hex(), digest[:4]

    def ask(self, commands: Sequence[Command], heard: Heard | None = None) -> "asyncio.Future[list[Reply]]":
        """Send commands, and return what will hold their replies, errors of Redis among them. Raises StoreUnavailable.

        `heard` is told the replies, too, even where the caller was cancelled meanwhile.
        """
        answer: asyncio.Future[list[Reply]] = self._loop.create_future()
        if not self.is_open:
            answer.set_exception(StoreUnavailable("the connection to Redis is lost"))
            return answer
        if self._is_full:
            answer.set_exception(StoreUnavailable("Redis does not take in what it is sent"))
            return answer
        if not commands:
            answer.set_result([])
            return answer
        if not self._unsent:
            self._loop.call_soon(self._flush)
        self._unsent.extend(map(_pack, commands))
        self._waiting.append(_Group(answer, len(commands), self._tick, [], heard))
        if self._watch is None:
            self._watch = self._loop.call_later(CHECK_SEC, self._check)
        return answer

    def acknowledged(self, replicas: int) -> "asyncio.Future[list[Reply]]":
        """Return what will hold how many replicas have all that was written here up to the end of this turn of the loop.

        To be called in the turn of `ask`. All who ask in one turn share the answer, and one WAIT, for it holds up what comes
        after it; so shield it. Raises StoreUnavailable.
        """
        if self._acknowledged is None:
            if not self.is_open:
                return self.ask([])
            self._acknowledged = (replicas, self._loop.create_future())
        return self._acknowledged[1]

    def close(self) -> None:
        """Let go of the connection; whoever waits is told."""
        self._lose("the connection to Redis has been closed")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember the way out."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one, but for its class
        self._transport.set_write_buffer_limits(high=UNSENT_BYTES_MAX)

    def pause_writing(self) -> None:
        """Refuse more while too much is unsent."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Take more."""
        self._is_full = False

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Tell whoever waits."""
        self._lose("Redis has closed the connection")

    def data_received(self, data: bytes) -> None:
        """Hand the replies to those who wait for them."""
        self._reader.feed(data)
        self.answered_at = self._loop.time()
        waiting = self._waiting
        try:
            while (reply := self._reader.gets()) is not False:
                group = waiting[0]
                group.replies.append(reply)
                group.missing -= 1
                if not group.missing:
                    waiting.popleft()
                    if group.heard is not None:
                        group.heard(group.replies)
                    if not group.answer.done():  # its caller may have been cancelled
                        group.answer.set_result(group.replies)
        except (hiredis.ProtocolError, IndexError):
            self._lose("what answers there does not speak as Redis does")
        if self.is_retired and not waiting:
            self._lose("the connection to Redis has been replaced")

    def _flush(self) -> None:
        if self._acknowledged is not None:
            (replicas, answer), self._acknowledged = self._acknowledged, None
            self._unsent.append(_pack(("WAIT", replicas, ACKNOWLEDGE_MS)))
            self._waiting.append(_Group(answer, 1, self._tick, []))
        unsent, self._unsent = self._unsent, []
        if unsent and self._transport is not None and not self.is_lost:
            self._transport.write(b"".join(unsent))

    def _check(self) -> None:
        """Give up on a server that owes an answer for too long."""
        self._watch = None
        if not self._waiting:
            return
        self._tick += 1
        if self._tick - self._waiting[0].sent_tick > ANSWER_TICKS:
            self.is_silent = True
            self._lose("Redis does not answer")
        else:
            self._watch = self._loop.call_later(CHECK_SEC, self._check)

    def _lose(self, why: str) -> None:
        if self.is_lost:
            return
        self.is_lost = True
        if self._watch is not None:
            self._watch.cancel()
        if self._transport is not None:
            self._transport.abort()
        answers = [group.answer for group in self._waiting]
        if self._acknowledged is not None:
            answers.append(self._acknowledged[1])
        self._waiting.clear()
        self._acknowledged = None
        for answer in answers:
            if not answer.done():
                answer.set_exception(StoreUnavailable(why))
        while self._waiting:
            group = self._waiting.popleft()
            if not group.answer.done():
                group.answer.set_exception(StoreUnavailable(why))


def _fields(info: bytes) -> dict[bytes, bytes]:
    """Return what INFO says, by name."""
    return dict(line.split(b":", 1) for line in info.split(b"\r\n") if b":" in line)
