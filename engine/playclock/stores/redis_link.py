"""A connection to one Redis that has been introduced: who it is, whether it is a master, and in which epoch."""

import asyncio
import hashlib
import ssl
from typing import Final, Self

import hiredis
import msgspec

from playclock.stores.base import StoreUnavailable
from playclock.stores.redis_wire import Command, Wire

Address = tuple[str, int]

CONNECT_SEC: Final = 0.8

_WHO: Final[tuple[Command, ...]] = (("INFO", "server"), ("INFO", "replication"))


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


class Link(Wire):
    """A connection to a server that is known. Once it is lost it stays so: make a new one."""

    def __init__(self) -> None:
        super().__init__()
        self.is_owed = False
        """Whether replicas may lack something that was written here, and whoever wrote it was told so."""
        self.name = ""
        """Where it leads, for people."""
        self.is_master = False
        self.epoch = ""
        """The server's stretch of history: another one after each start and each promotion."""
        self.mark = b""
        """A short form of the epoch, with which records are marked."""

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

        Raises StoreUnavailable, also where it does not tell: a failover would go unnoticed, and OTTs be redeemed twice.
        """
        replies = await self.ask(_WHO)
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                advice = ": allow our user +info" if str(reply).startswith("NOPERM ") else f": {reply}"
                raise StoreUnavailable(f"Redis at {self.name} does not say who it is, so no failover would be noticed{advice}")
        server, replication = map(_fields, replies)
        if b"run_id" not in server or b"role" not in replication:
            raise StoreUnavailable(f"Redis at {self.name} does not tell its run_id and role, so no failover would be noticed")
        self.is_master = replication[b"role"] == b"master"
        followed = (replication.get(name, b"") for name in (b"master_replid2", b"second_repl_offset"))
        digest = hashlib.sha256(b"/".join((server[b"run_id"], *followed))).digest()
        self.epoch, self.mark = digest[:8].hex(), digest[:4]


def _fields(info: bytes) -> dict[bytes, bytes]:
    """Return what INFO says, by name."""
    return dict(line.split(b":", 1) for line in info.split(b"\r\n") if b":" in line)
