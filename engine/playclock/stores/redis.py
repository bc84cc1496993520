"""A store in Redis, or Valkey: one server, a master behind Sentinels, or a Cluster.

All that belongs to a partition has the hash tag {p:xx}, so a commit lies in one slot and is one script.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

import hiredis

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
from playclock.stores.redis_commits import INDEXES, TAGS, Batch, batches_of, record_in, record_key
from playclock.stores.redis_epochs import Epochs
from playclock.stores.redis_journal import Journal
from playclock.stores.redis_link import Command, Link, Reply
from playclock.stores.redis_scripts import COLLECT, DUE_AFTER, SCRIPTS, digest_of
from playclock.stores.redis_topology import Topology

ATTEMPTS_MAX: Final = 3
"""How often a command is sent again, to another server or with its script, after one said that it did nothing."""
ASK_SEC: Final = 1.2
"""How long finding and asking the servers may take in all. Who waits longer has given up."""

ELSEWHERE: Final = frozenset({"MOVED", "ASK", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN"})
"""What a server says that did nothing, because another one holds the partition now."""
NO_SCRIPT: Final = "NOSCRIPT"

_IN_SCRIPT: Final = re.compile(r"ERR Error running script .*?-([A-Z]+) ")
"""How Redis 6.2 wraps what a command within a script was told."""

_DUE_AFTER, _COLLECT = digest_of(DUE_AFTER), digest_of(COLLECT)
_ALL: Final = range(PARTITIONS)
_PARTITIONS: Final = {f"{partition:02x}": partition for partition in _ALL}
_EVENTS_PAGE: Final = 16

Ask = tuple[int, Command | Batch]
"""A command, or commits that share one, and the partition that it is about."""


class RedisStore:
    """Keeps everything in Redis."""

    def __init__(self, topology: Topology, *, replicas: int = 0) -> None:
        """Keep everything where the topology leads; so many replicas must have a commit before it is answered."""
        self._topology = topology
        self._replicas = replicas
        self._closed = False
        self._epochs = Epochs(topology)

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
        batches = batches_of(commits, are_slots_apart=self._topology.are_slots_apart)
        replies = await self._ask([(batch.partition, batch) for batch in batches], replicas=self._replicas)
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

    async def _ask(self, asks: Sequence[Ask], *, replicas: int = 0) -> list[Reply]:
        """Send each command to the server that holds its partition, and return the replies in order. Raises StoreUnavailable.

        A command is sent again only where the server says that it has done nothing. With `replicas`, so many have what was
        written. The reply to a commit of another epoch is None.
        """
        self._check_open()
        replies: list[Reply] = [None] * len(asks)
        left: Sequence[int] = range(len(asks))
        deadline = asyncio.get_running_loop().time() + ASK_SEC
        # Where connections stand, answers come, or the connections go, in time. Only the rest needs a limit of its own.
        if all(self._epochs.ready(partition) is not None for partition, _ in asks):
            left = await self._send(asks, left, replies, replicas)
        if left:
            try:
                async with asyncio.timeout_at(deadline):
                    await self._insist(asks, left, replies, replicas)
            except TimeoutError as error:
                raise StoreUnavailable("Redis does not answer in time") from error
        return replies

    async def _insist(self, asks: Sequence[Ask], left: Sequence[int], replies: list[Reply], replicas: int) -> None:
        """Send what is left where it belongs by now."""
        for attempt in range(ATTEMPTS_MAX):
            refused = {index: _word(replies[index]) for index in left if replies[index] is not None}
            words = set(refused.values())
            for word in words - ELSEWHERE - {NO_SCRIPT}:
                raise StoreUnavailable(f"Redis refuses: {word}")
            if words & ELSEWHERE:
                await asyncio.sleep(0.05 * attempt)
                await self._topology.refresh()
            if NO_SCRIPT in words:
                await self._teach(asks[index] for index in refused)
            left = await self._send(asks, left, replies, replicas)
            if not left:
                return
        raise StoreUnavailable(f"Redis refuses: {_word(replies[left[0]])}")

    async def _send(self, asks: Sequence[Ask], waiting: Sequence[int], replies: list[Reply], replicas: int) -> list[int]:
        """Send commands and take in their replies; return which of them Redis refused."""
        epochs = self._epochs
        while missing := {asks[index][0] for index in waiting if epochs.ready(asks[index][0]) is None}:
            await asyncio.gather(*map(epochs.link, missing))
        groups: dict[Link, list[int]] = {}
        for index in waiting:
            link = epochs.ready(asks[index][0])
            assert link is not None, "nothing was waited for since"
            said = asks[index][1]
            if isinstance(said, Batch) and said.epoch not in (None, link.epoch):
                replies[index] = None
            else:
                groups.setdefault(link, []).append(index)
        # Sent before the first answer is waited for.
        answers = [self._say([asks[index][1] for index in those], link) for link, those in groups.items()]
        # Where replicas lacked something, a repeat may find it by reading alone, and be told that it is done.
        slow = [link for link in groups if replicas or link.is_owed]
        answers += [asyncio.shield(link.acknowledged(self._replicas)) for link in slow]
        outcomes: list[list[Reply]] = []
        for outcome in await asyncio.gather(*answers, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome
            outcomes.append(outcome)
        for those, outcome in zip(groups.values(), outcomes, strict=False):
            for index, reply in zip(those, outcome, strict=True):
                replies[index] = reply
        for link, (count,) in zip(slow, outcomes[len(groups) :], strict=True):
            is_done = any(not isinstance(replies[index], hiredis.ReplyError) for index in groups[link])
            link.is_owed = not (isinstance(count, int) and count >= self._replicas)
            if is_done and link.is_owed:
                raise StoreUnavailable("too few replicas have it in time: whether it lasts is not known")
        return [index for index in waiting if isinstance(replies[index], hiredis.ReplyError)]

    def _say(self, sayings: Sequence[Command | Batch], link: Link) -> "asyncio.Future[list[Reply]]":
        """Send commands. Commits that take effect are kept, also if their caller does not wait any more.

        Nor is it waited for replicas: what others have seen and built on has to come back, or theirs could not either.
        """
        if not any(isinstance(said, Batch) for said in sayings):
            return link.ask(cast("Sequence[Command]", sayings))

        def heard(replies: list[Reply]) -> None:
            now = asyncio.get_running_loop().time()
            for said, reply in zip(sayings, replies, strict=True):
                if isinstance(said, Batch):
                    for commit in said.acknowledged(reply):
                        self.journal.add(commit, now)

        return link.ask([said.command(link.mark) if isinstance(said, Batch) else said for said in sayings], heard)

    async def _look(self, commit: Commit) -> Conflict:
        """Return what lies there for a commit of another epoch."""
        keys = [put.key for put in commit.puts]
        return Conflict(dict(zip(keys, await self.get(keys), strict=True)))

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the store has been closed")

    async def _teach(self, asks: Iterable[Ask]) -> None:
        """Load scripts where a server does not know them: it is new, or has forgotten."""
        for partition in {partition for partition, _ in asks}:
            link = await self._epochs.link(partition)
            await link.ask([("SCRIPT", "LOAD", script) for script in SCRIPTS])


def _word(error: Reply) -> str:
    """Return the word that says what kind of error it is."""
    text = str(error)
    found = _IN_SCRIPT.match(text)
    return text.partition(" ")[0] if found is None else found[1]


def _pairs(flat: Sequence[bytes]) -> Iterable[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)
