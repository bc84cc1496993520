"""A store in Redis, or Valkey: one server, a master behind Sentinels, or a Cluster.

All that belongs to a partition has the hash tag {p:xx}, so a commit lies in one slot and is one script.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from playclock.stores.base import (
    PARTITIONS,
    Commit,
    Conflict,
    Due,
    Record,
    StoredEvent,
    StoreUnavailable,
)
from playclock.stores.keys import check_keys
from playclock.stores.redis_commits import INDEXES, TAGS, batches_of, only_renews, record_in, record_key
from playclock.stores.redis_delivery import ASK_SEC, Ask, Delivery
from playclock.stores.redis_epochs import Epochs
from playclock.stores.redis_journal import Journal
from playclock.stores.redis_scripts import COLLECT, DUE_AFTER, digest_of
from playclock.stores.redis_topology import Topology
from playclock.stores.redis_wire import Command, Reply

_DUE_AFTER, _COLLECT = digest_of(DUE_AFTER), digest_of(COLLECT)
_ALL: Final = range(PARTITIONS)
_PARTITIONS: Final = {f"{partition:02x}": partition for partition in _ALL}
_EVENTS_PAGE: Final = 16


class RedisStore:
    """Keeps everything in Redis."""

    def __init__(self, topology: Topology, *, replicas: int = 0) -> None:
        """Keep everything where the topology leads; so many replicas must have a commit before it is answered."""
        self._topology = topology
        self._closed = False
        self._epochs = Epochs(topology)
        self._delivery = Delivery(topology, self._epochs, replicas=replicas)

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        """Return what lies under each key."""
        places = [_PARTITIONS.get(key[:2]) for key in keys]
        asks: list[Ask] = [
            (place, ("GET", record_key(place, key))) for place, key in zip(places, keys, strict=True) if place is not None
        ]
        replies = iter(await self._ask(asks))
        return [None if place is None else record_in(next(replies)) for place in places]

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        """Carry out each commit wholly or not at all."""
        check_keys(commits)
        if len(commits) == 1 and only_renews(commits[0]):
            self._check_open()
            return [await self._delivery.renew(commits[0])]
        batches = batches_of(commits, are_slots_apart=self._topology.are_slots_apart)
        replies = await self._ask([(batch.partition, batch) for batch in batches], is_commit=True)
        conflicts: list[Conflict | None] = [None] * len(commits)
        for batch, reply in zip(batches, replies, strict=True):
            for index, current in batch.conflicts(reply):
                conflicts[index] = current or await self._look(commits[index])
        return conflicts

    async def epoch(self, partition: int) -> str:
        """Return the name of what the partition's server has been since its start, or since it became master."""
        self._check_open()
        link = self._epochs.ready(partition)
        if link is not None:
            return link.epoch
        try:
            async with asyncio.timeout(ASK_SEC):
                return (await self._epochs.link(partition)).epoch
        except TimeoutError as error:
            raise StoreUnavailable("Redis does not answer in time") from error

    async def due(self, partition: int, before_ms: int, limit: int, *, after: Due | None = None) -> list[Due]:
        """Return entries of the partition's due index."""
        if limit <= 0:
            return []
        due = INDEXES[partition][0]
        command: Command = ("ZRANGEBYSCORE", due, "-inf", before_ms, "WITHSCORES", "LIMIT", 0, limit)
        if after is not None:
            command = ("EVALSHA", _DUE_AFTER, 1, due, before_ms, limit, after.due_ms, after.key[2:])
        [reply] = await self._ask([(partition, command)])
        return [Due(int(float(score)), f"{partition:02x}{member.decode()}") for member, score in _pairs(reply)]

    async def due_partitions(self, before_ms: int) -> list[int]:
        """Return the partitions that have something due."""
        asks: list[Ask] = [(partition, ("ZRANGE", INDEXES[partition][0], 0, 0, "WITHSCORES")) for partition in _ALL]
        replies = await self._ask(asks)
        return [partition for partition, reply in enumerate(replies) if reply and float(reply[1]) <= before_ms]

    async def events(self, after: Mapping[int, int], limit: int) -> list[StoredEvent]:
        """Return events of the named partitions."""
        heads = await self._heads(after)
        behind = [(partition, last) for partition, last in after.items() if heads[partition] > last]
        found: list[StoredEvent] = []
        # Some partitions at a time: few are behind as a rule, and none is read in vain where the limit is reached.
        for first in range(0, len(behind), _EVENTS_PAGE):
            if len(found) >= limit:
                break
            page = behind[first : first + _EVENTS_PAGE]
            asks: list[Ask] = [
                (partition, ("XRANGE", INDEXES[partition][2], last + 1, "+", "COUNT", limit - len(found)))
                for partition, last in page
            ]
            for (partition, _), entries in zip(page, await self._ask(asks), strict=True):
                found += [StoredEvent(partition, int(entry.partition(b"-")[0]), fields[1]) for entry, fields in entries]
        return found[: max(limit, 0)]

    async def heads(self) -> dict[int, int]:
        """Return the last sequence of each partition that ever had an event."""
        return {partition: head for partition, head in (await self._heads(_ALL)).items() if head}

    async def collect(self, before_ms: int, limit: int, *, keep_after: Mapping[int, int] | None = None) -> int:
        """Drop what nobody asks for any more."""
        firsts = await self._ask(
            [
                ask
                for partition in _ALL
                for ask in (
                    (partition, ("ZRANGE", INDEXES[partition][1], 0, 0, "WITHSCORES")),
                    (partition, ("XRANGE", INDEXES[partition][2], "-", "+", "COUNT", 1)),
                )
            ]
        )
        dropped = 0
        for partition in _ALL:
            records, events = firsts[partition * 2 : partition * 2 + 2]
            has_records = bool(records) and float(records[1]) <= before_ms
            has_events = bool(events) and int(events[0][1][3]) <= before_ms
            if dropped < limit and (has_records or has_events):
                until = "+" if keep_after is None else keep_after.get(partition, 0)
                due, keep, outbox, _ = INDEXES[partition]
                tag = f"{TAGS[partition]}r"
                command: Command = ("EVALSHA", _COLLECT, 3, due, keep, outbox, tag, before_ms, limit - dropped, until)
                [gone] = await self._ask([(partition, command)])
                dropped += gone
        return dropped

    async def ping(self) -> None:
        """Return if the servers answer."""
        await self._ask([(0, ("PING",))])

    async def server_time_ms(self) -> int:
        """Return what the clock of one and the same server shows: in a Cluster, the one that holds the first partition."""
        [(seconds, micros)] = await self._ask([(0, ("TIME",))])
        return int(seconds) * 1000 + int(micros) // 1000

    @property
    def journal(self) -> Journal:
        """What was acknowledged a moment ago, and what became of it where a failover lost it."""
        return self._epochs.journal

    def counts(self) -> Mapping[str, int]:
        """Return what this store has counted."""
        journal, traffic = self.journal, self._topology.traffic
        return {
            "round_trips": traffic.round_trips,
            "sent_again": self._delivery.sent_again,
            "connections": traffic.connections,
            "failed_connections": traffic.failed_connections,
            "epochs": len(self._epochs.known),
            "put_back": journal.put_back,
            "given_up": journal.given_up,
            "dropped": journal.dropped,
        }

    async def close(self) -> None:
        """Let go of all connections."""
        self._closed = True
        await self._epochs.close()
        await self._topology.close()

    async def _heads(self, partitions: Iterable[int]) -> dict[int, int]:
        named = list(partitions)
        keys = [INDEXES[partition][3] for partition in named]
        links = {self._epochs.ready(partition) for partition in named}
        if self._topology.are_slots_apart or len(links) != 1 or None in links:
            replies = await self._ask([(partition, ("GET", key)) for partition, key in zip(named, keys, strict=True)])
        else:
            # Watchers and archives ask several times a second, as a rule in vain. Each partition's epoch has begun here.
            [replies] = await self._ask([(named[0], ("MGET", *keys))])
        return {partition: int(reply or 0) for partition, reply in zip(named, replies, strict=True)}

    async def _ask(self, asks: Sequence[Ask], *, is_commit: bool = False) -> list[Reply]:
        self._check_open()
        return await self._delivery.ask(asks, is_commit=is_commit)

    async def _look(self, commit: Commit) -> Conflict:
        """Return what lies there for a commit of another epoch."""
        keys = [put.key for put in commit.puts]
        return Conflict(dict(zip(keys, await self.get(keys), strict=True)))

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store has been closed")


def _pairs(flat: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)
