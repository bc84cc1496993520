"""Every store beside a model that is too simple to be wrong, through calls that Hypothesis thinks up."""

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from playclock.stores.base import ABSENT, UNMOVED, Commit, Conflict, Due, Event, Put, Record, StoredEvent, Unmoved
from playclock.stores.urls import open_store

TIMES = st.integers(0, 20)
PARTITIONS = st.sampled_from([0x00, 0x7F, 0xFF])


class Model:
    """The contract in dicts, one record after the other, nothing indexed."""

    def __init__(self) -> None:
        self.records: dict[str, tuple[int, bytes, int | None, int | None]] = {}
        self.events: dict[int, list[tuple[int, bytes, int]]] = {}
        self.heads: dict[int, int] = {}

    def get(self, key: str) -> Record | None:
        return Record(*self.records[key][:2]) if key in self.records else None

    def commit(self, commit: Commit) -> Conflict | None:
        if any(put.expect != self.records.get(put.key, (ABSENT,))[0] for put in commit.puts):
            return Conflict({put.key: self.get(put.key) for put in commit.puts})
        for put in commit.puts:
            version, _, filed, _ = self.records.get(put.key, (ABSENT, b"", None, None))
            due_ms = filed if isinstance(put.due_ms, Unmoved) else put.due_ms
            self.records[put.key] = (version + 1, put.data, due_ms, put.retain_until_ms)
        for event in commit.events:
            sequence = self.heads[commit.partition] = self.heads.get(commit.partition, 0) + 1
            self.events.setdefault(commit.partition, []).append((sequence, event.data, event.retain_until_ms))
        return None

    def due(self, partition: int, before_ms: int) -> list[Due]:
        entries = [
            (due_ms, key)
            for key, (_, _, due_ms, _) in self.records.items()
            if due_ms is not None and due_ms <= before_ms and int(key[:2], 16) == partition
        ]
        return [Due(*entry) for entry in sorted(entries)]

    def collect(self, before_ms: int) -> int:
        gone = [key for key, record in self.records.items() if record[3] is not None and record[3] <= before_ms]
        for key in gone:
            del self.records[key]
        dropped = len(gone)
        for events in self.events.values():
            while events and events[0][2] <= before_ms:
                del events[0]
                dropped += 1
        return dropped


PUTS = st.dictionaries(
    st.integers(0, 3),
    # How far from the version that is there the expected one lies: mostly not at all.
    st.tuples(
        st.sampled_from([0, 0, 0, 0, 1, -1]), st.binary(max_size=8), st.none() | TIMES | st.just(UNMOVED), st.none() | TIMES
    ),
    max_size=3,
)
EVENTS = st.lists(st.builds(Event, data=st.binary(max_size=8), retain_until_ms=TIMES), max_size=2)


class Comparison(RuleBasedStateMachine):
    """Does the same to a store and to the model, and compares the answers."""

    def make_url(self, folder: Path) -> str:
        raise NotImplementedError

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.store = self.runner.run(open_store(self.make_url(Path(self.folder.name))))

    def teardown(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()
        self.folder.cleanup()

    @rule(drafts=st.lists(st.tuples(PARTITIONS, PUTS, EVENTS), min_size=1, max_size=3))
    def commit(
        self, drafts: list[tuple[int, dict[int, tuple[int, bytes, int | Unmoved | None, int | None]], list[Event]]]
    ) -> None:
        commits = []
        for partition, puts, events in drafts:
            keys = {number: f"{partition:02x}-{number}" for number in puts}
            commits.append(
                Commit(
                    partition=partition,
                    puts=[
                        Put(
                            key=keys[number],
                            expect=max(0, self.model.records.get(keys[number], (ABSENT,))[0] + offset),
                            data=data,
                            due_ms=due_ms,
                            retain_until_ms=retain_until_ms,
                        )
                        for number, (offset, data, due_ms, retain_until_ms) in puts.items()
                    ],
                    events=events,
                )
            )
        assert self.runner.run(self.store.commit(commits)) == [self.model.commit(commit) for commit in commits]

    @rule(before_ms=TIMES)
    def collect(self, before_ms: int) -> None:
        assert self.runner.run(self.store.collect(before_ms, 1000)) == self.model.collect(before_ms)

    @rule(partition=PARTITIONS, before_ms=TIMES, limit=st.integers(1, 3), beyond=st.integers(0, 4))
    def page(self, partition: int, before_ms: int, limit: int, beyond: int) -> None:
        entries = self.model.due(partition, before_ms)
        after = entries[beyond] if beyond < len(entries) else None
        expected = entries[beyond + 1 :] if after else entries
        assert self.runner.run(self.store.due(partition, before_ms, limit, after=after)) == expected[:limit]

    @invariant()
    def both_hold_the_same(self) -> None:
        self.runner.run(self.compare())

    async def compare(self) -> None:
        keys = [f"{partition:02x}-{number}" for partition in (0x00, 0x7F, 0xFF) for number in range(4)]
        assert await self.store.get(keys) == [self.model.get(key) for key in keys]
        assert await self.store.heads() == self.model.heads
        for partition in (0x00, 0x7F, 0xFF):
            assert await self.store.due(partition, 20, 1000) == self.model.due(partition, 20)
            kept = self.model.events.get(partition, [])
            found = [StoredEvent(partition, sequence, data) for sequence, data, _ in kept]
            assert await self.store.events({partition: 0}, 1000) == found
            assert await self.store.events({partition: 2}, 1) == [event for event in found if event.sequence > 2][:1]
        assert await self.store.due_partitions(10) == [n for n in (0x00, 0x7F, 0xFF) if self.model.due(n, 10)]


def test_a_store_does_what_the_model_does(make_url: Callable[[Path], str]) -> None:
    class ComparisonOfThisKind(Comparison):
        def make_url(self, folder: Path) -> str:
            return make_url(folder)

    run_state_machine_as_test(
        ComparisonOfThisKind,
        settings=settings(max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)),
    )
