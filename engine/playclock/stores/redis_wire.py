"""A pipeline of commands to one Redis, shared by all who call at the same time.

Commands of one turn of the event loop leave in one write, and replies come back in their order, so a thousand concurrent calls
cost what one pipeline costs. Parsing and packing are hiredis's. Nothing is ever sent twice: whoever gets no answer is told so.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

import hiredis
import msgspec

from playclock.stores.base import StoreUnavailable

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
Lost = Callable[[StoreUnavailable], None]

_pack: Final[Callable[[Command], bytes]] = hiredis.pack_command  # type: ignore[assignment]
"""The package's own types allow one word a command."""


class _Group(msgspec.Struct):
    """Commands of one caller, and the replies that have come so far."""

    answer: "asyncio.Future[list[Reply]] | None"
    missing: int
    sent_tick: int
    replies: list[Reply]
    heard: Heard | None = None
    """Told as soon as the replies are there, whether or not their caller still waits."""
    lost: Lost | None = None
    """Told if they will not come."""


class Traffic:
    """What the connections to all servers of one store have done."""

    def __init__(self) -> None:
        self.connections = 0
        """How many were made."""
        self.failed_connections = 0
        """How many attempts were in vain."""
        self.round_trips = 0
        """How often commands were sent on one that stands. Those of one turn of the event loop leave together."""


class Wire(asyncio.Protocol):
    """A connection. Once it is lost it stays so: make a new one."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._waiting: deque[_Group] = deque()
        self._unsent: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._watch: asyncio.TimerHandle | None = None
        self._is_full = False
        self._acknowledged: tuple[int, asyncio.Future[list[Reply]]] | None = None
        self.traffic = Traffic()
        """Where it is counted what is sent."""
        self.tick = 0
        """Counts checks, and so the time in which this process could listen: one that stood still has not been kept waiting."""
        self.is_lost = False
        self.is_silent = False
        """Whether it was lost because the server owed an answer for too long."""
        self.is_retired = False
        """Whether nothing more may be asked here, though answers are still to come."""
        self.answered_at = self._loop.time()
        """When the server last said anything."""

    @property
    def is_open(self) -> bool:
        """Whether commands may be sent."""
        return not self.is_lost and not self.is_retired

    def ask(self, commands: Sequence[Command], heard: Heard | None = None) -> "asyncio.Future[list[Reply]]":
        """Send commands, and return what will hold their replies, errors of Redis among them. Raises StoreUnavailable.

        `heard` is told the replies, too, even where the caller was cancelled meanwhile.
        """
        answer: asyncio.Future[list[Reply]] = self._loop.create_future()
        refusal = self._why_not()
        if refusal is not None:
            answer.set_exception(refusal)
        elif not commands:
            answer.set_result([])
        else:
            if not self._unsent:
                self._loop.call_soon(self._flush)
            self._append(commands, _Group(answer, len(commands), self.tick, [], heard))
        return answer

    def tell(self, commands: Sequence[Command], heard: Heard, lost: Lost, *, since_tick: int) -> None:
        """Send commands at once for callers who have waited since that tick; one of the two hears what came of it."""
        refusal = self._why_not()
        if refusal is not None:
            lost(refusal)
            return
        self._append(commands, _Group(None, len(commands), since_tick, [], heard, lost))
        self._flush()

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
                    if group.answer is not None and not group.answer.done():  # its caller may have been cancelled
                        group.answer.set_result(group.replies)
        except (hiredis.ProtocolError, IndexError):
            self._lose("what answers there does not speak as Redis does")
        if self.is_retired and not waiting:
            self._lose("the connection to Redis has been replaced")

    def _why_not(self) -> StoreUnavailable | None:
        """Return why nothing may be sent now."""
        if not self.is_open:
            return StoreUnavailable("the connection to Redis is lost")
        return StoreUnavailable("Redis does not take in what it is sent") if self._is_full else None

    def _append(self, commands: Sequence[Command], group: _Group) -> None:
        self._unsent.extend(map(_pack, commands))
        self._waiting.append(group)
        if self._watch is None:
            self._watch = self._loop.call_later(CHECK_SEC, self._check)

    def _flush(self) -> None:
        if self._acknowledged is not None:
            (replicas, answer), self._acknowledged = self._acknowledged, None
            self._unsent.append(_pack(("WAIT", replicas, ACKNOWLEDGE_MS)))
            self._waiting.append(_Group(answer, 1, self.tick, []))
        unsent, self._unsent = self._unsent, []
        if unsent and self._transport is not None and not self.is_lost:
            self.traffic.round_trips += 1
            self._transport.write(b"".join(unsent))

    def _check(self) -> None:
        """Give up on a server that owes an answer for too long."""
        self._watch = None
        if not self._waiting:
            return
        self.tick += 1
        if self.tick - self._waiting[0].sent_tick > ANSWER_TICKS:
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
        groups = list(self._waiting)
        self._waiting.clear()
        if self._acknowledged is not None:
            groups.append(_Group(self._acknowledged[1], 1, self.tick, []))
            self._acknowledged = None
        for group in groups:
            if group.lost is not None:
                group.lost(StoreUnavailable(why))
            elif group.answer is not None and not group.answer.done():
                group.answer.set_exception(StoreUnavailable(why))
