"""A store in Redis, or Valkey: one server, a master behind Sentinels, or a Cluster.

All that belongs to a partition has the hash tag {p:xx}, so a commit lies in one slot and is one script.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import hiredis

from playclock.stores.base import (
    PARTITIONS,
    UNMOVED,
    Commit,
    Conflict,
    Due,
    Put,
    Record,
    StoredEvent,
    StoreUnavailable,
)
from playclock.stores.keys import check_keys
from playclock.stores.redis_link import Command, Link, Reply
from playclock.stores.redis_scripts import SCRIPTS, digest_of
from playclock.stores.redis_topology import Topology

ATTEMPTS_MAX: Final = 3
"""How often a command is sent again, to another server or with its script, after one said that it did nothing."""
ASK_SEC: Final = 1.0
"""How long finding and asking the servers may take in all. Who waits longer has given up."""

ELSEWHERE: Final = frozenset({"MOVED", "ASK", "READONLY", "CLUSTERDOWN", "TRYAGAIN", "MASTERDOWN"})
"""What a server says that did nothing, because another one holds the partition now."""
NO_SCRIPT: Final = "NOSCRIPT"

_IN_SCRIPT: Final = re.compile(r"ERR Error running script .*?-([A-Z]+) ")
"""How Redis 6.2 wraps what a command within a script was told."""

_COMMIT, _RENEW, _DUE_AFTER, _COLLECT = map(digest_of, SCRIPTS)
_ALL: Final = range(PARTITIONS)
_TAGS: Final = [f"{{p:{partition:02x}}}" for partition in _ALL]
_INDEXES: Final = [(f"{tag}due", f"{tag}keep", f"{tag}events", f"{tag}head") for tag in _TAGS]
_PARTITIONS: Final = {f"{partition:02x}": partition for partition in _ALL}
_EVENTS_PAGE: Final = 16
RENEWED_MAX: Final = 100
"""How many records one script renews: Redis serves nobody else meanwhile."""

Ask = tuple[int, Command]
"""A command and the partition that it is about."""


class RedisStore:
    """Keeps everything in Redis."""

    def __init__(self, topology: Topology, *, replicas: int = 0) -> None:
        """Keep everything where the topology leads; so many replicas must have a commit before it is answered."""
        self._topology = topology
        self._replicas = replicas
        self._closed = False

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        """Return what lies under each key."""
        places = [_PARTITIONS.get(key[:2]) for key in keys]
        asks: list[Ask] = [
            (place, ("GET", _record_key(place, key))) for place, key in zip(places, keys, strict=True) if place is not None
        ]
        replies = iter(await self._ask(asks))
        return [None if place is None else _record(next(replies)) for place in places]

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        """Carry out each commit wholly or not at all."""
        check_keys(commits)
        batches = _batches(commits, are_slots_apart=self._topology.are_slots_apart)
        asks = [(commits[batch[0]].partition, _batch_command(commits, batch)) for batch in batches]
        replies = await self._ask(asks, replicas=self._replicas)
        conflicts: list[Conflict | None] = [None] * len(commits)
        for batch, reply in zip(batches, replies, strict=True):
            for index, current in _conflicts(commits, batch, reply):
                conflicts[index] = current
        return conflicts

    async def due(self, partition: int, before_ms: int, limit: int, *, after: Due | None = None) -> list[Due]:
        """Return entries of the partition's due index."""
        if limit <= 0:
            return []
        due = _INDEXES[partition][0]
        command: Command = ("ZRANGEBYSCORE", due, "-inf", before_ms, "WITHSCORES", "LIMIT", 0, limit)
        if after is not None:
            command = ("EVALSHA", _DUE_AFTER, 1, due, before_ms, limit, after.due_ms, after.key[2:])
        [reply] = await self._ask([(partition, command)])
        return [Due(int(float(score)), f"{partition:02x}{member.decode()}") for member, score in _pairs(reply)]

    async def due_partitions(self, before_ms: int) -> list[int]:
        """Return the partitions that have something due."""
        asks: list[Ask] = [(partition, ("ZRANGE", _INDEXES[partition][0], 0, 0, "WITHSCORES")) for partition in _ALL]
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
                (partition, ("XRANGE", _INDEXES[partition][2], last + 1, "+", "COUNT", limit - len(found)))
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
                    (partition, ("ZRANGE", _INDEXES[partition][1], 0, 0, "WITHSCORES")),
                    (partition, ("XRANGE", _INDEXES[partition][2], "-", "+", "COUNT", 1)),
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
                due, keep, outbox, _ = _INDEXES[partition]
                tag = f"{_TAGS[partition]}r"
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

    async def close(self) -> None:
        """Let go of all connections."""
        self._closed = True
        await self._topology.close()

    async def _heads(self, partitions: Iterable[int]) -> dict[int, int]:
        named = list(partitions)
        replies = await self._ask([(partition, ("GET", _INDEXES[partition][3])) for partition in named])
        return {partition: int(reply or 0) for partition, reply in zip(named, replies, strict=True)}

    async def _ask(self, asks: Sequence[Ask], *, replicas: int = 0) -> list[Reply]:
        """Send each command to the server that holds its partition, and return the replies in order. Raises StoreUnavailable.

        A command is sent again only where the server says that it has done nothing. With `replicas`, so many have what was
        written.
        """
        if self._closed:
            raise StoreUnavailable("the store has been closed")
        replies: list[Reply] = [None] * len(asks)
        left: Sequence[int] = range(len(asks))
        deadline = asyncio.get_running_loop().time() + ASK_SEC
        # Where connections stand, answers come, or the connections go, in time. Only the rest needs a limit of its own.
        if all(self._topology.ready(partition) is not None for partition, _ in asks):
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
        groups: dict[Link, list[int]] = {}
        for index in waiting:
            partition = asks[index][0]
            link = self._topology.ready(partition) or await self._topology.link(partition)
            groups.setdefault(link, []).append(index)
        # Sent before the first answer is waited for.
        answers = [link.ask([asks[index][1] for index in those]) for link, those in groups.items()]
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

    async def _teach(self, asks: Iterable[Ask]) -> None:
        """Load scripts where a server does not know them: it is new, or has forgotten."""
        for partition in {partition for partition, _ in asks}:
            link = await self._topology.link(partition)
            await link.ask([("SCRIPT", "LOAD", script) for script in SCRIPTS])


def _batches(commits: Sequence[Commit], *, are_slots_apart: bool) -> list[list[int]]:
    """Return which commits go together, in order: many that only renew a record, or one of any other kind.

    A commit never overtakes another one of its partition.
    """
    batches: list[list[int]] = []
    open_at: dict[int, list[int]] = {}
    for index, commit in enumerate(commits):
        slot = commit.partition if are_slots_apart else 0
        if not _only_renews(commit):
            open_at.pop(slot, None)
            batches.append([index])
            continue
        batch = open_at.get(slot)
        if batch is None or len(batch) == RENEWED_MAX:
            batch = open_at[slot] = []
            batches.append(batch)
        batch.append(index)
    return batches


def _only_renews(commit: Commit) -> bool:
    if len(commit.puts) != 1 or commit.events:
        return False
    (put,) = commit.puts
    return put.due_ms is UNMOVED and put.retain_until_ms is None and put.expect > 0


def _batch_command(commits: Sequence[Commit], batch: Sequence[int]) -> Command:
    first = commits[batch[0]]
    if not _only_renews(first):
        return _commit_command(first)
    keys: list[str] = []
    arguments: list[bytes] = []
    for index in batch:
        (put,) = commits[index].puts
        keys.append(f"{_TAGS[commits[index].partition]}r{put.key[2:]}")
        expect = put.expect
        arguments += (expect.to_bytes(8, "big"), (expect + 1).to_bytes(8, "big"), put.data)
    return ("EVALSHA", _RENEW, len(keys), *keys, *arguments)


def _conflicts(commits: Sequence[Commit], batch: Sequence[int], reply: Reply) -> Iterable[tuple[int, Conflict]]:
    """Yield the commits of a batch that took no effect, and what is there instead."""
    if reply in (1, []):
        return
    if _only_renews(commits[batch[0]]):
        for place, data in _pairs(reply):
            (put,) = commits[batch[place - 1]].puts
            yield batch[place - 1], Conflict({put.key: _record(data)})
    else:
        puts = commits[batch[0]].puts
        yield batch[0], Conflict({put.key: _record(data) for put, data in zip(puts, reply, strict=True)})


def _commit_command(commit: Commit) -> Command:
    place = commit.partition
    command: list[str | bytes | int] = ["EVALSHA", _COMMIT, 4 + len(commit.puts), *_INDEXES[place]]
    command += [_record_key(place, put.key) for put in commit.puts]
    for put in commit.puts:
        command += _put_arguments(put)
    for event in commit.events:
        command += (event.data, event.retain_until_ms)
    return tuple(command)


def _put_arguments(put: Put) -> tuple[str | bytes | int, ...]:
    return (
        put.expect.to_bytes(8, "big") if put.expect else b"",
        (put.expect + 1).to_bytes(8, "big"),
        put.data,
        put.key[2:],
        "" if put.due_ms is UNMOVED else "-" if put.due_ms is None else put.due_ms,
        "" if put.retain_until_ms is None else put.retain_until_ms,
    )


def _record_key(partition: int, key: str) -> str:
    return f"{_TAGS[partition]}r{key[2:]}"


def _record(data: bytes | None) -> Record | None:
    return None if data is None else Record(int.from_bytes(data[:8], "big"), data[9:])


def _word(error: Reply) -> str:
    """Return the word that says what kind of error it is."""
    text = str(error)
    found = _IN_SCRIPT.match(text)
    return text.partition(" ")[0] if found is None else found[1]


def _pairs(flat: Sequence[Any]) -> Iterable[tuple[Any, Any]]:
    return zip(flat[::2], flat[1::2], strict=True)
