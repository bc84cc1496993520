"""What a process remembers of its commits, and how that finds its way back into a store that has lost some of them."""

import asyncio
import logging
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playclock.stores.base import ABSENT, Commit, Event, Put, Record, StoreUnavailable
from playclock.stores.memory import MemoryStore
from playclock.stores.redis_journal import KEEP_SEC, Journal
from playclock.stores.redis_repeats import Fate, There, fate_of

PARTITION = 0xAB
BEFORE, NOW = b"then", b"now."
"""Marks of the epoch in which everything was acknowledged, and of the one in which it is said again."""


def write(key: str, expect: int, data: bytes = b"data", *events: bytes) -> Commit:
    return several((key, expect, data), events=events)


def several(*puts: tuple[str, int, bytes], events: Sequence[bytes] = ()) -> Commit:
    return Commit(
        partition=PARTITION,
        puts=[Put(key=key, expect=expect, data=data) for key, expect, data in puts],
        events=[Event(data=data, retain_until_ms=10**15) for data in events],
    )


class Successor(MemoryStore):
    """A store that has taken over: it knows what was written in its own epoch, as Redis does by the marks of records."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, int] = {}

    async def write_anew(self, commit: Commit) -> None:
        assert await self.commit([commit]) == [None]
        for put in commit.puts:
            self.kept.setdefault(put.key, put.expect)

    async def repeat(self, commits: Sequence[Commit]) -> list[list[There] | None]:
        return [await self._repeat(commit) for commit in commits]

    async def _repeat(self, commit: Commit) -> list[There] | None:
        keys = [put.key for put in commit.puts]
        if self.kept.keys().isdisjoint(keys) and await self.commit([commit]) == [None]:
            return None
        records = await self.get(keys)
        versions = [ABSENT if record is None else record.version for record in records]
        return [There(version, self.kept.get(key, version)) for key, version in zip(keys, versions, strict=True)]


async def holding(*commits: Commit) -> Successor:
    """Return a store to which these came before it took over."""
    store = Successor()
    assert await store.commit(commits) == [None] * len(commits)
    return store


def remembering(*commits: Commit, retry_sec: float = 0.0, bytes_max: int = 10**6) -> Journal:
    """Return a journal in which these were acknowledged just now."""
    journal = Journal(retry_sec=retry_sec, bytes_max=bytes_max)
    for commit in commits:
        journal.add([commit], now(), BEFORE)
    return journal


def now() -> float:
    return asyncio.get_running_loop().time()


async def restore(journal: Journal, store: Successor, *, since: float | None = None) -> None:
    await journal.restore(PARTITION, now() - KEEP_SEC if since is None else since, NOW, store.repeat)


async def contents(store: Successor, *keys: str) -> tuple[list[Record | None], list[bytes]]:
    return await store.get(keys), [event.data for event in await store.events({PARTITION: 0}, 1000)]


CHAIN = (
    write("ab1", 0, b"1", b"one"),
    write("ab1", 1, b"2", b"two"),
    several(("ab1", 2, b"3"), ("ab2", 0, b"x"), events=[b"3"]),
)


@pytest.mark.parametrize("kept", [0, 1, 2, 3])
async def test_what_was_lost_comes_back_with_its_events_and_what_was_not_stays_as_it_is(kept: int) -> None:
    store, journal = await holding(*CHAIN[:kept]), remembering(*CHAIN)
    for _ in range(2):  # the second time there is nothing left to do
        await restore(journal, store)
        assert await contents(store, "ab1", "ab2") == ([Record(3, b"3"), Record(1, b"x")], [b"one", b"two", b"3"])
    assert (journal.put_back, journal.given_up) == (len(CHAIN) - kept, 0)


@given(
    writers=st.lists(st.tuples(st.integers(0, 2), st.sampled_from(["ab1", "ab2", "ab3"])), max_size=30),
    kept=st.integers(0, 30),
)
@settings(max_examples=60, deadline=None)
async def test_what_several_processes_wrote_in_turn_comes_back_when_each_says_its_own_again(
    writers: list[tuple[int, str]], kept: int
) -> None:
    journals = [Journal() for _ in range(3)]
    versions: dict[str, int] = {}
    commits = []
    for number, (writer, key) in enumerate(writers):
        commits.append(write(key, versions.get(key, ABSENT), b"%d" % number, b"%d" % number))
        versions[key] = versions.get(key, ABSENT) + 1
        journals[writer].add(commits[-1:], now(), BEFORE)
    before, store = await holding(*commits), await holding(*commits[:kept])
    await asyncio.gather(*(restore(journal, store) for journal in journals))
    (records, events), (expected, told) = await contents(store, *versions), await contents(before, *versions)
    assert records == expected
    assert sorted(events) == sorted(told)
    assert sum(journal.put_back for journal in journals) == max(len(commits) - kept, 0)
    assert [journal.given_up for journal in journals] == [0, 0, 0]


async def test_what_does_not_fit_any_more_is_told_by_key_and_version_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    store = await holding(write("ab1", 0, b"1"))
    await store.write_anew(write("ab1", 1, b"of another process"))
    lost = (write("ab1", 1, b"2", b"two"), several(("ab1", 2, b"secret"), ("ab2", 0, b"x")), write("ab3", 0))
    journal = remembering(*lost)
    await restore(journal, store)
    expected = [Record(2, b"of another process"), None, Record(1, b"data")]
    assert await contents(store, "ab1", "ab2", "ab3") == (expected, [])
    assert (journal.put_back, journal.given_up) == (1, 2)
    lines = [record for record in caplog.records if record.levelno == logging.ERROR]
    new = {"key": "ab1", "kept": 1, "there": 2}
    assert [line.fields for line in lines] == [  # type: ignore[attr-defined]
        {"partition": PARTITION, "records": [{**new, "written": 2}], "events": 1},
        {
            "partition": PARTITION,
            "records": [{**new, "written": 3}, {"key": "ab2", "written": 1, "kept": 0, "there": 0}],
            "events": 0,
        },
    ]
    assert "secret" not in str([vars(line) for line in lines])
    await restore(journal, store)
    assert journal.given_up == 2  # told once


async def test_what_follows_something_that_never_came_back_is_given_up() -> None:
    store = await holding(write("ab1", 0, b"1"))
    journal = remembering(write("ab1", 2, b"on top of another process's, which is gone"))
    await restore(journal, store)
    assert await store.get(["ab1"]) == [Record(1, b"1")]
    assert (journal.put_back, journal.given_up) == (0, 1)


@pytest.mark.parametrize(
    ("expects", "found", "fate"),
    [
        ([4], [There(5, kept=5)], Fate.KEPT),
        ([4], [There(9, kept=9)], Fate.KEPT),
        ([4], [There(9, kept=5)], Fate.KEPT),
        ([0, 3], [There(1, kept=1), There(5, kept=4)], Fate.KEPT),
        ([4], [There(5, kept=4)], Fate.UNFIT),
        ([4], [There(9, kept=4)], Fate.UNFIT),
        ([4], [There(4, kept=3)], Fate.UNFIT),
        ([4], [There(3, kept=2)], Fate.UNFIT),
        ([4], [There(3, kept=3)], Fate.EARLY),
        ([4], [There(0, kept=0)], Fate.EARLY),
        ([4, 0], [There(3, kept=3), There(0, kept=0)], Fate.EARLY),
        ([4, 0], [There(5, kept=5), There(0, kept=0)], Fate.UNFIT),
        ([4, 0], [There(3, kept=3), There(1, kept=0)], Fate.UNFIT),
        ([4, 0], [There(5, kept=5), There(1, kept=0)], Fate.UNFIT),
    ],
)
def test_what_became_of_a_commit_shows_by_what_lies_there(expects: list[int], found: list[There], fate: Fate) -> None:
    assert fate_of(several(*((f"ab{number}", expect, b"") for number, expect in enumerate(expects))), found) is fate


async def test_a_commit_that_writes_no_record_is_never_said_again_for_nothing_tells_whether_it_was_lost() -> None:
    store, journal = await holding(), remembering(several(events=[b"told"]))
    await restore(journal, store)
    assert await contents(store) == ([], [])
    assert journal.partitions == []


async def test_what_is_older_than_a_minute_is_not_said_again() -> None:
    store, journal = await holding(), Journal()
    journal.add([write("ab1", 0)], 100.0, BEFORE)
    journal.add([write("ab2", 0)], 100.0 + KEEP_SEC, BEFORE)
    journal.add([write("ab3", 0)], 100.1 + KEEP_SEC, BEFORE)
    await restore(journal, store, since=100.1 + KEEP_SEC)
    assert await store.get(["ab1", "ab2", "ab3"]) == [None, None, Record(1, b"data")]


async def test_it_keeps_so_many_bytes_and_forgets_the_oldest_with_one_line(caplog: pytest.LogCaptureFixture) -> None:
    store, commits = await holding(), [write(f"ab{number}", 0, bytes(1000)) for number in range(100)]
    journal = remembering(*commits, bytes_max=50_000)
    await restore(journal, store)
    assert (journal.put_back, journal.dropped) == (await _count(store, commits), 100 - await _count(store, commits))
    assert 35 <= journal.put_back <= 40
    assert await store.get(["ab0", "ab99"]) == [None, Record(1, bytes(1000))]
    assert len([line for line in caplog.records if "may not all be put back" in line.message]) == 1


async def _count(store: Successor, commits: list[Commit]) -> int:
    return sum(record is not None for record in await store.get([commit.puts[0].key for commit in commits]))


async def test_one_that_is_interrupted_is_begun_anew_and_counts_nothing_twice() -> None:
    store, journal = await holding(), remembering(*[write(f"ab{number}", 0, b"", b"told") for number in range(600)])

    async def breaks(commits: Sequence[Commit]) -> list[list[There] | None]:
        if journal.put_back == 0 and (await store.heads()).get(PARTITION, 0) >= 256:
            raise StoreUnavailable("gone again")
        return await store.repeat(commits)

    with pytest.raises(StoreUnavailable):
        await journal.restore(PARTITION, 0.0, NOW, breaks)
    await restore(journal, store)
    assert (journal.put_back, journal.given_up, await store.heads()) == (600, 0, {PARTITION: 600})


async def test_what_was_acknowledged_in_the_epoch_in_which_it_would_be_said_again_is_there() -> None:
    # A slot that moves takes along what the server to which it moves had already written in the middle of the move.
    store, journal = await holding(write("ab1", 0)), Journal(retry_sec=0.0)
    journal.add([write("ab1", 0)], now(), BEFORE)
    await store.write_anew(write("ab1", 1, b"after ASK"))
    journal.add([write("ab1", 1, b"after ASK")], now(), NOW)
    await restore(journal, store)
    assert (journal.put_back, journal.given_up) == (0, 0)
    assert await store.get(["ab1"]) == [Record(2, b"after ASK")]
