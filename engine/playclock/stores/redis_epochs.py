"""Which server a partition is spoken to by, and what happens when that is another one than before.

A failover or a restart may lose what was acknowledged. So nothing is asked of a partition's new server, nor of an old one
that was started anew, before what this process remembers is back there.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Final

import hiredis

from playclock.stores.base import PARTITIONS, Commit, StoreUnavailable
from playclock.stores.redis_commits import found_by, repeat_command
from playclock.stores.redis_journal import KEEP_SEC, Journal
from playclock.stores.redis_link import Link
from playclock.stores.redis_repeats import There
from playclock.stores.redis_scripts import COMMIT
from playclock.stores.redis_topology import Topology
from playclock.stores.redis_wire import ANSWER_SEC

WATCH_SEC: Final = 1.0
"""How often the servers are asked whether they are still what they were."""

_log = logging.getLogger(__name__)


class Epochs:
    """Connections to the servers of the partitions, each in an epoch in which nothing is missing any more."""

    def __init__(self, topology: Topology) -> None:
        self.journal = Journal()
        self.known: set[str] = set()
        """The epochs of all servers that have been spoken to. Each start and each promotion of one adds another."""
        self._topology = topology
        self._held: list[Link | None] = [None] * PARTITIONS
        """The connection by which each partition was last spoken to: what its server may have lost is back, or was told."""
        self._restoring: dict[int, asyncio.Task[None]] = {}
        self._watching: asyncio.Task[None] | None = None

    def ready(self, partition: int) -> Link | None:
        """Return the connection to the partition's server; None where it has to be waited for."""
        link = self._topology.ready(partition)
        held = self._held[partition]
        if link is held or link is None:
            return link
        if held is not None and held.epoch != link.epoch and self.journal.has(partition):
            return None
        self._hold(partition, link)
        return link

    async def link(self, partition: int) -> Link:
        """Return a connection to the partition's server, once all is back there that it may have lost.

        Raises StoreUnavailable, also where that takes longer than any answer may.
        """
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name="playclock redis watch")
        while True:
            link = await self._topology.link(partition)
            held = self._held[partition]
            if self.ready(partition) is link:
                return link
            if held is None or not link.is_open:  # lost or replaced while it came
                await asyncio.sleep(0)
                continue
            try:
                async with asyncio.timeout(ANSWER_SEC):
                    await asyncio.shield(self._restored(partition, held, link))
            except TimeoutError as error:
                raise StoreUnavailable("what Redis has lost is being put back") from error

    async def close(self) -> None:
        """Stop what runs in the background."""
        tasks = [*self._restoring.values()]
        if self._watching is not None:
            tasks.append(self._watching)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _hold(self, partition: int, link: Link) -> None:
        self._held[partition] = link
        self.known.add(link.epoch)

    def _restored(self, partition: int, held: Link, link: Link) -> "asyncio.Task[None]":
        """Return what puts back what the partition's new epoch may lack. All who need it wait for the same."""
        task = self._restoring.get(partition)
        if task is None:
            task = asyncio.create_task(self._restore(partition, held, link), name="playclock redis journal")
            # Those who wait may all have been cancelled.
            task.add_done_callback(lambda task: task.cancelled() or task.exception())
            self._restoring[partition] = task
        return task

    async def _restore(self, partition: int, held: Link, link: Link) -> None:
        try:
            await self.journal.restore(partition, held.answered_at - KEEP_SEC, link.mark, partial(self._say_again, link))
            self._hold(partition, link)
        finally:
            del self._restoring[partition]

    async def _say_again(self, link: Link, commits: Sequence[Commit]) -> list[list[There] | None]:
        repeats = (repeat_command(commit, link.mark) for commit in commits)
        replies = await link.ask([("SCRIPT", "LOAD", COMMIT), *repeats])
        for reply in replies:
            if isinstance(reply, hiredis.ReplyError):
                link.close()
                await self._topology.refresh()
                raise StoreUnavailable(f"Redis refuses what it has lost: {str(reply).split(' ', 1)[0]}")
        return [found_by(reply, link.mark) for reply in replies[1:]]

    async def _watch(self) -> None:
        """Leave servers that are no masters any more, and put back what the next ones lack, whether or not anybody asks."""
        while True:
            await asyncio.sleep(WATCH_SEC)
            try:
                await self._topology.check()
                if any(self.ready(partition) is None for partition in range(PARTITIONS)):
                    await asyncio.gather(*map(self.link, self.journal.partitions), return_exceptions=True)
            except Exception:  # noqa: BLE001 - the outermost boundary of a background task: the next look has to come
                _log.exception("the watch over Redis failed")
