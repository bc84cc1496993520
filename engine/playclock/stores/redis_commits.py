"""How a commit is said to Redis, and how Redis answers."""

from collections.abc import Iterable, Sequence
from typing import Final

import hiredis
import msgspec

from playclock.stores.base import PARTITIONS, UNMOVED, Commit, Conflict, Put, Record
from playclock.stores.redis_repeats import There
from playclock.stores.redis_scripts import COMMIT, RENEW, digest_of
from playclock.stores.redis_wire import Command, Reply

RENEWED_MAX: Final = 100
"""How many records one script renews: Redis serves nobody else meanwhile."""

TAGS: Final = [f"{{p:{partition:02x}}}" for partition in range(PARTITIONS)]
"""The hash tag of each partition, with which all of its keys begin."""
INDEXES: Final = [(f"{tag}due", f"{tag}keep", f"{tag}events", f"{tag}head") for tag in TAGS]
"""The keys of each partition's indexes and outbox."""

OLD_MARK: Final = bytes(4)
"""Marks what was written again as what it is: older than the epoch."""

_MARK: Final = slice(9, 13)
_BEGAN: Final = slice(13, 21)
_COMMIT, _RENEW = digest_of(COMMIT), digest_of(RENEW)


class Batch(msgspec.Struct, frozen=True, gc=False):
    """Commits that share a command, and their places among those of the call."""

    commits: list[Commit]
    places: list[int]
    is_renewal: bool
    """Whether each only renews a record; or else there is only one."""

    @property
    def partition(self) -> int:
        """The partition that the command is about, or one that lies with it."""
        return self.commits[0].partition

    @property
    def epoch(self) -> str | None:
        """The only epoch in which it may be done; None for any."""
        return self.commits[0].epoch

    def command(self, mark: bytes) -> Command:
        """Return the command that carries the commits out, in the epoch of the mark."""
        if not self.is_renewal:
            return _command(self.commits[0], b"-", mark)
        keys: list[str] = []
        arguments: list[bytes] = [mark]
        for commit in self.commits:
            (put,) = commit.puts
            keys.append(record_key(commit.partition, put.key))
            arguments += (put.expect.to_bytes(8, "big"), (put.expect + 1).to_bytes(8, "big"), put.data)
        return ("EVALSHA", _RENEW, len(keys), *keys, *arguments)

    def acknowledged(self, reply: Reply) -> Sequence[Commit]:
        """Return the commits that took effect."""
        if isinstance(reply, hiredis.ReplyError):
            return ()
        if not self.is_renewal:
            return self.commits if reply == 1 else ()
        if not reply:
            return self.commits
        refused = set(reply[::2])
        return [commit for number, commit in enumerate(self.commits, start=1) if number not in refused]

    def refused(self, reply: Reply) -> Iterable[tuple[int, Conflict]]:
        """Yield which of several commits took no effect, counted from 0, and what is there."""
        for number, data in zip(reply[::2], reply[1::2], strict=True):
            (put,) = self.commits[number - 1].puts
            yield number - 1, Conflict({put.key: record_in(data)})

    def conflicts(self, reply: Reply) -> Iterable[tuple[int, Conflict | None]]:
        """Yield the places of the commits that took no effect, and what is there; None where the epoch is another one."""
        if reply is None:
            yield self.places[0], None
        elif self.is_renewal:
            for number, conflict in self.refused(reply):
                yield self.places[number], conflict
        elif reply != 1:
            puts = self.commits[0].puts
            yield self.places[0], Conflict({put.key: record_in(data) for put, data in zip(puts, reply, strict=True)})


def batches_of(commits: Sequence[Commit], *, are_slots_apart: bool) -> list[Batch]:
    """Return which commits go together, in order: many that only renew a record, or one of any other kind.

    A commit never overtakes another one of its partition.
    """
    batches: list[Batch] = []
    open_at: dict[int, Batch] = {}
    for place, commit in enumerate(commits):
        slot = commit.partition if are_slots_apart else 0
        if not only_renews(commit):
            open_at.pop(slot, None)
            batches.append(Batch([commit], [place], is_renewal=False))
            continue
        batch = open_at.get(slot)
        if batch is None or len(batch.places) == RENEWED_MAX:
            batch = open_at[slot] = Batch([], [], is_renewal=True)
            batches.append(batch)
        batch.commits.append(commit)
        batch.places.append(place)
    return batches


def only_renews(commit: Commit) -> bool:
    """Return whether a commit changes one record that stays filed as it is and is kept: a heartbeat."""
    if len(commit.puts) != 1 or commit.events or commit.epoch is not None:
        return False
    (put,) = commit.puts
    return put.due_ms is UNMOVED and put.retain_until_ms is None and put.expect > 0


def repeat_command(commit: Commit, mark: bytes) -> Command:
    """Return the command that carries a commit of an earlier epoch out, where nothing of the mark's epoch is in its way."""
    return _command(commit, mark, OLD_MARK)


def _command(commit: Commit, refused: bytes, mark: bytes) -> Command:
    place = commit.partition
    command: list[str | bytes | int] = ["EVALSHA", _COMMIT, 4 + len(commit.puts), *INDEXES[place]]
    command += [record_key(place, put.key) for put in commit.puts]
    command += (refused, mark)
    for put in commit.puts:
        command += _put_arguments(put)
    for event in commit.events:
        command += (event.data, event.retain_until_ms)
    return tuple(command)


def found_by(reply: Reply, mark: bytes) -> list[There] | None:
    """Return what lies where a commit was to be repeated; None where it was."""
    if reply == 1:
        return None
    return [There(0, 0) if data is None else There(_version(data), _kept(data, mark)) for data in reply]


def record_key(partition: int, key: str) -> str:
    """Return the key under which Redis has a record."""
    return f"{TAGS[partition]}r{key[2:]}"


def record_in(data: bytes | None) -> Record | None:
    """Return the record that lies there, if one does."""
    return None if data is None else Record(_version(data), data[_BEGAN.stop :])


def _version(data: bytes) -> int:
    return int.from_bytes(data[:8], "big")


def _kept(data: bytes, mark: bytes) -> int:
    """Return the version that the record had before anything was written in the epoch of the mark."""
    return int.from_bytes(data[_BEGAN], "big") if data[_MARK] == mark else _version(data)


def _put_arguments(put: Put) -> tuple[str | bytes | int, ...]:
    return (
        put.expect.to_bytes(8, "big") if put.expect else b"",
        (put.expect + 1).to_bytes(8, "big"),
        put.data,
        put.key[2:],
        "" if put.due_ms is UNMOVED else "-" if put.due_ms is None else put.due_ms,
        "" if put.retain_until_ms is None else put.retain_until_ms,
    )
