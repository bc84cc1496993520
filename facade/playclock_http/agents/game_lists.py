"""Lists of games as they are sent: made once for each version of an agent's list, in plain and in gzip."""

import asyncio
import struct
import zlib
from collections import OrderedDict
from typing import Final

import msgspec
from playclock.v1 import game_link_service_pb2

from playclock_http.agents.schemas import GameList, ListedGame

KEPT_BYTES_MAX: Final = 64 * 1024 * 1024
"""How much all lists that are kept may take up. With 10,000 games one takes some 1.3 MB."""

_GZIP_HEAD: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_GZIP_TAIL: Final = struct.Struct("<LL")
_LEVEL: Final = 6


class Listing:
    """One version of an agent's list: the content of the envelope, which has a time and an id of its own in each answer."""

    __slots__ = ("_deflated", "content", "etag")

    def __init__(self, etag: str, content: bytes) -> None:
        self.etag = etag
        self.content = content
        self._deflated = _deflate(content, zlib.Z_FULL_FLUSH)

    @property
    def size(self) -> int:
        """Bytes that it takes up."""
        return len(self.content) + len(self._deflated)

    def gzipped(self, before: bytes, after: bytes) -> bytes:
        """Return the text before, the content and the text after as one gzip member (RFC 1952).

        Pieces that end at a byte and know nothing of each other may be put together; only the checksum is of the whole.
        """
        checksum = zlib.crc32(after, zlib.crc32(self.content, zlib.crc32(before)))
        length = len(before) + len(self.content) + len(after)
        pieces = (_deflate(before, zlib.Z_FULL_FLUSH), self._deflated, _deflate(after, zlib.Z_FINISH))
        return b"".join((_GZIP_HEAD, *pieces, _GZIP_TAIL.pack(checksum, length & 0xFFFF_FFFF)))


class GameLists:
    """The lists that agents asked for last, the newest version of each."""

    def __init__(self, bytes_max: int = KEPT_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._size = 0
        self._kept: OrderedDict[int, Listing] = OrderedDict()
        self._in_the_making: dict[tuple[int, str], asyncio.Task[Listing]] = {}

    def newest(self, agent_id: int) -> Listing | None:
        """Return the version of an agent's list that is kept; None where none is."""
        listing = self._kept.get(agent_id)
        if listing is not None:
            self._kept.move_to_end(agent_id)
        return listing

    async def make(self, agent_id: int, answer: game_link_service_pb2.ListAgentGamesResponse) -> Listing:
        """Return the version that the engine answered with. However many ask at once, it is made once, and kept.

        A large one takes tens of milliseconds, so it is made in a thread.
        """
        kept = self._kept.get(agent_id)
        if kept is not None and kept.etag == answer.etag:
            return kept
        name = (agent_id, answer.etag)
        task = self._in_the_making.get(name)
        if task is None:
            task = asyncio.create_task(asyncio.to_thread(_make, answer))
            self._in_the_making[name] = task
            task.add_done_callback(lambda done: self._made(name, done))
        # Whoever goes away takes nothing from the others who wait for it.
        return await asyncio.shield(task)

    def _made(self, name: tuple[int, str], task: "asyncio.Task[Listing]") -> None:
        del self._in_the_making[name]
        if task.cancelled() or task.exception() is not None:
            return
        agent_id, listing = name[0], task.result()
        before = self._kept.pop(agent_id, None)
        self._size += listing.size - (0 if before is None else before.size)
        self._kept[agent_id] = listing
        while self._size > self._bytes_max:
            _, oldest = self._kept.popitem(last=False)
            self._size -= oldest.size


def _make(answer: game_link_service_pb2.ListAgentGamesResponse) -> Listing:
    games = [ListedGame(game.number, game.title, game.brand, game.image_url, game.demo) for game in answer.games]
    return Listing(answer.etag, msgspec.json.encode(GameList(games, len(games))))


def _deflate(data: bytes, mode: int) -> bytes:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return compressor.compress(data) + compressor.flush(mode)
