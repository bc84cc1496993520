"""What every store promises. A new kind of store is a line in `conftest.KINDS`, a case of `make_url`, and, unless
its data lie in one object only, a word in `SHARED_KINDS`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playclock.stores.base import (
    ABSENT,
    UNMOVED,
    Commit,
    Conflict,
    Due,
    Event,
    Put,
    Record,
    Store,
    StoredEvent,
    StoreUnavailable,
    Unmoved,
)

LATER = 1_000_000
NEVER_USED = count()


def put(
    key: str,
    expect: int,
    data: bytes = b"data",
    *,
    due_ms: int | Unmoved | None = None,
    retain_until_ms: int | None = None,
) -> Put:
    return Put(key=key, expect=expect, data=data, due_ms=due_ms, retain_until_ms=retain_until_ms)


def commit(*puts: Put, partition: int = 0xAB, events: Sequence[Event] = ()) -> Commit:
    return Commit(partition=partition, puts=puts, events=events)


def event(data: bytes, retain_until_ms: int = LATER) -> Event:
    return Event(data=data, retain_until_ms=retain_until_ms)


async def write(store: Store, *puts: Put, partition: int = 0xAB, events: Sequence[Event] = ()) -> None:
    assert await store.commit([commit(*puts, partition=partition, events=events)]) == [None]


async def read(store: Store, key: str) -> Record | None:
    [record] = await store.get([key])
    return record


async def due_keys(store: Store, before_ms: int = LATER, *, partition: int = 0xAB) -> list[str]:
    return [entry.key for entry in await store.due(partition, before_ms, 1000)]


async def events_of(store: Store, after: Mapping[int, int], limit: int = 1000) -> list[tuple[int, int, bytes]]:
    return [(found.partition, found.sequence, found.data) for found in await store.events(after, limit)]


class TestVersions:
    async def test_a_key_that_was_never_written_has_no_record(self, store: Store) -> None:
        assert await store.get(["ab1", "ab2"]) == [None, None]

    async def test_nothing_asked_is_nothing_answered(self, store: Store) -> None:
        assert await store.get([]) == []
        assert await store.commit([]) == []

    async def test_the_first_write_makes_version_one(self, store: Store) -> None:
        await write(store, put("ab1", ABSENT, b"first"))
        assert await read(store, "ab1") == Record(1, b"first")

    async def test_each_write_counts_the_version_up(self, store: Store) -> None:
        for version in range(5):
            await write(store, put("ab1", version, b"%d" % version))
        assert await read(store, "ab1") == Record(5, b"4")

    async def test_records_come_in_the_order_in_which_they_were_asked_for(self, store: Store) -> None:
        await write(store, put("ab1", ABSENT, b"1"), put("ab2", ABSENT, b"2"))
        await write(store, put("cd1", ABSENT, b"3"), partition=0xCD)
        expected = [Record(1, b"3"), None, Record(1, b"1"), Record(1, b"2"), Record(1, b"1")]
        assert await store.get(["cd1", "ab9", "ab1", "ab2", "ab1"]) == expected

    @pytest.mark.parametrize("expect", [ABSENT, 1, 3])
    async def test_a_write_that_expects_another_version_is_a_conflict(self, store: Store, expect: int) -> None:
        await write(store, put("ab1", 0))
        await write(store, put("ab1", 1, b"as it is"))
        assert await store.commit([commit(put("ab1", expect, b"lost"))]) == [Conflict({"ab1": Record(2, b"as it is")})]
        assert await read(store, "ab1") == Record(2, b"as it is")

    async def test_a_write_that_expects_a_record_where_none_is_is_a_conflict(self, store: Store) -> None:
        assert await store.commit([commit(put("ab1", 1))]) == [Conflict({"ab1": None})]
        assert await read(store, "ab1") is None

    @given(data=st.binary(max_size=3000))
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    async def test_bytes_come_back_as_they_went_in(self, store: Store, data: bytes) -> None:
        key = f"ab{next(NEVER_USED)}"
        await write(store, put(key, ABSENT, data), events=[event(data)])
        assert await read(store, key) == Record(1, data)
        head = (await store.heads())[0xAB]
        assert await events_of(store, {0xAB: head - 1}) == [(0xAB, head, data)]


class TestEpochs:
    async def test_all_who_speak_to_a_store_are_in_the_same_epoch(self, store: Store, another_handle: Store) -> None:
        epoch = await store.epoch(0xAB)
        assert await another_handle.epoch(0xAB) == epoch
        await write(store, put("ab1", ABSENT))
        assert await store.epoch(0xAB) == epoch

    async def test_what_is_committed_in_its_epoch_is_carried_out(self, store: Store) -> None:
        named = Commit(partition=0xAB, puts=[put("ab1", ABSENT)], epoch=await store.epoch(0xAB))
        assert await store.commit([named]) == [None]

    async def test_what_is_committed_for_another_epoch_changes_nothing_and_hears_what_there_is(self, store: Store) -> None:
        await write(store, put("ab1", ABSENT, b"old"))
        late = Commit(
            partition=0xAB, puts=[put("ab1", 1, b"new"), put("ab2", ABSENT)], events=[event(b"told")], epoch="an earlier one"
        )
        assert await store.commit([late, commit(put("ab3", ABSENT))]) == [
            Conflict({"ab1": Record(1, b"old"), "ab2": None}),
            None,
        ]
        assert await store.get(["ab1", "ab2"]) == [Record(1, b"old"), None]
        assert await store.heads() == {}


class TestAtomicity:
    async def test_one_good_and_one_conflicting_put_leave_nothing(self, store: Store) -> None:
        await write(store, put("ab1", ABSENT, b"old"))
        mixed = commit(
            put("ab2", ABSENT, b"good", due_ms=5, retain_until_ms=5), put("ab1", ABSENT, b"bad"), events=[event(b"e")]
        )
        assert await store.commit([mixed]) == [Conflict({"ab1": Record(1, b"old"), "ab2": None})]
        assert await store.get(["ab1", "ab2"]) == [Record(1, b"old"), None]
        assert await due_keys(store) == []
        assert await store.heads() == {}

    async def test_a_conflict_shows_all_records_of_its_commit(self, store: Store) -> None:
        await write(store, put("ab1", ABSENT, b"1"), put("ab2", ABSENT, b"2"))
        refused = commit(put("ab1", 1), put("ab2", 7), put("ab3", ABSENT))
        assert await store.commit([refused]) == [Conflict({"ab1": Record(1, b"1"), "ab2": Record(1, b"2"), "ab3": None})]

    async def test_a_conflict_leaves_the_commits_beside_it_alone(self, store: Store) -> None:
        await write(store, put("ab2", ABSENT, b"old"))
        answers = await store.commit(
            [
                commit(put("ab1", ABSENT, b"before")),
                commit(put("ab2", ABSENT, b"refused")),
                commit(put("cd3", ABSENT, b"after"), partition=0xCD),
            ]
        )
        assert answers == [None, Conflict({"ab2": Record(1, b"old")}), None]
        assert await store.get(["ab1", "ab2", "cd3"]) == [Record(1, b"before"), Record(1, b"old"), Record(1, b"after")]

    async def test_a_commit_sees_what_those_before_it_in_the_call_have_written(self, store: Store) -> None:
        answers = await store.commit(
            [
                commit(put("ab1", ABSENT, b"one", due_ms=5)),
                commit(put("ab1", 1, b"two", due_ms=UNMOVED)),
                commit(put("ab1", 1, b"refused")),
                commit(put("ab1", 2, b"three", due_ms=UNMOVED, retain_until_ms=9)),
            ]
        )
        assert answers == [None, None, Conflict({"ab1": Record(2, b"two")}), None]
        assert await read(store, "ab1") == Record(3, b"three")
        assert await store.due(0xAB, LATER, 10) == [Due(5, "ab1")]

    async def test_of_fifty_writers_at_once_one_wins(self, store: Store) -> None:
        answers = await asyncio.gather(*(store.commit([commit(put("ab1", ABSENT, b"%d" % n))]) for n in range(50)))
        [winner] = [n for n, answer in enumerate(answers) if answer == [None]]
        record = Record(1, b"%d" % winner)
        assert await read(store, "ab1") == record
        assert [answer for answer in answers if answer != [None]] == [[Conflict({"ab1": record})]] * 49

    async def test_of_fifty_increments_at_once_none_is_lost(self, store: Store) -> None:
        async def increment() -> None:
            record = await read(store, "ab1") or Record(ABSENT, b"0")
            while conflict := (await store.commit([commit(put("ab1", record.version, b"%d" % (int(record.data) + 1)))]))[0]:
                record = conflict.current["ab1"] or Record(ABSENT, b"0")

        await asyncio.gather(*(increment() for _ in range(50)))
        assert await read(store, "ab1") == Record(50, b"50")

    async def test_a_large_call_is_carried_out_in_full(self, store: Store) -> None:
        keys = [f"{n % 256:02x}-{n}" for n in range(3001)]
        for version in range(2):
            commits = [
                commit(put(key, version, key.encode(), due_ms=UNMOVED), partition=int(key[:2], 16), events=[event(b"e")])
                for key in keys
            ]
            assert await store.commit(commits) == [None] * len(keys)
        assert await store.get(keys) == [Record(2, key.encode()) for key in keys]
        assert sum((await store.heads()).values()) == 2 * len(keys)

    async def test_a_commit_may_hold_many_records(self, store: Store) -> None:
        puts = [put(f"ab{n}", ABSENT, b"%d" % n, due_ms=n) for n in range(300)]
        await write(store, *puts)
        assert await store.get([each.key for each in puts]) == [Record(1, each.data) for each in puts]


class TestKeys:
    @pytest.mark.parametrize("key", ["ac1", "AB1", "a", ""])
    async def test_a_key_of_another_partition_is_refused_before_anything_is_done(self, store: Store, key: str) -> None:
        with pytest.raises(ValueError, match="partition"):
            await store.commit([commit(put("ab1", ABSENT)), commit(put("ab2", ABSENT), put(key, ABSENT))])
        assert await store.get(["ab1", "ab2"]) == [None, None]

    @pytest.mark.parametrize("partition", [-1, 256])
    async def test_there_are_256_partitions(self, store: Store, partition: int) -> None:
        with pytest.raises(ValueError, match="partition"):
            await store.commit([commit(partition=partition, events=[event(b"e")])])

    async def test_a_key_that_a_commit_names_twice_is_refused(self, store: Store) -> None:
        with pytest.raises(ValueError, match="twice"):
            await store.commit([commit(put("ab1", ABSENT, b"1"), put("ab1", ABSENT, b"2"))])
        assert await read(store, "ab1") is None


class TestDue:
    async def test_entries_come_in_order_of_time_and_key(self, store: Store) -> None:
        await write(store, put("ab3", 0, due_ms=10), put("ab1", 0, due_ms=20), put("ab2", 0, due_ms=10))
        assert await store.due(0xAB, 20, 10) == [Due(10, "ab2"), Due(10, "ab3"), Due(20, "ab1")]

    async def test_the_limit_of_time_is_included(self, store: Store) -> None:
        await write(store, put("ab1", 0, due_ms=10), put("ab2", 0, due_ms=11))
        assert await store.due(0xAB, 9, 10) == []
        assert await store.due(0xAB, 10, 10) == [Due(10, "ab1")]

    async def test_pages_join_without_gap_or_overlap(self, store: Store) -> None:
        await write(store, *(put(f"ab{n}", 0, due_ms=n // 4) for n in range(23)))
        everything = await store.due(0xAB, LATER, 100)
        assert len(everything) == 23
        pages: list[Due] = []
        while page := await store.due(0xAB, LATER, 5, after=pages[-1] if pages else None):
            assert len(page) <= 5
            pages += page
        assert pages == everything

    async def test_a_page_begins_beyond_an_entry_that_is_gone(self, store: Store) -> None:
        await write(store, put("ab1", 0, due_ms=10), put("ab2", 0, due_ms=20), put("ab3", 0, due_ms=30))
        await write(store, put("ab2", 1, due_ms=None))
        assert await store.due(0xAB, LATER, 10, after=Due(20, "ab2")) == [Due(30, "ab3")]
        assert await store.due(0xAB, LATER, 10, after=Due(30, "ab3")) == []
        assert await store.due(0xAB, LATER, 10, after=Due(99, "")) == []

    async def test_no_limit_is_no_entry(self, store: Store) -> None:
        await write(store, put("ab1", 0, due_ms=10))
        assert await store.due(0xAB, LATER, 0) == []

    async def test_a_new_time_takes_the_place_of_the_old_one(self, store: Store) -> None:
        await write(store, put("ab1", 0, due_ms=10))
        await write(store, put("ab1", 1, due_ms=5))
        assert await store.due(0xAB, LATER, 10) == [Due(5, "ab1")]

    async def test_an_unmoved_time_stays_as_it_is_filed(self, store: Store) -> None:
        await write(store, put("ab1", 0, due_ms=10))
        await write(store, put("ab1", 1, b"new", due_ms=UNMOVED))
        assert await read(store, "ab1") == Record(2, b"new")
        assert await store.due(0xAB, LATER, 10) == [Due(10, "ab1")]

    async def test_an_unmoved_time_of_a_new_record_is_none(self, store: Store) -> None:
        await write(store, put("ab1", 0, due_ms=UNMOVED))
        assert await read(store, "ab1") == Record(1, b"data")
        assert await store.due(0xAB, LATER, 10) == []

    async def test_none_takes_the_record_out_of_the_index(self, store: Store) -> None:
        await write(store, put("ab1", 0, due_ms=10))
        await write(store, put("ab1", 1, due_ms=None))
        assert await store.due(0xAB, LATER, 10) == []
        assert await store.due_partitions(LATER) == []

    async def test_a_conflict_leaves_the_index_as_it_is(self, store: Store) -> None:
        await write(store, put("ab1", 0, due_ms=10))
        await store.commit([commit(put("ab1", 0, due_ms=1))])
        assert await store.due(0xAB, LATER, 10) == [Due(10, "ab1")]

    async def test_partitions_have_indexes_of_their_own(self, store: Store) -> None:
        await write(store, put("ab1", 0, due_ms=10))
        await write(store, put("001", 0, due_ms=20), partition=0)
        await write(store, put("ff1", 0, due_ms=30), partition=0xFF)
        await write(store, put("cd1", 0), partition=0xCD)
        assert await due_keys(store, partition=0) == ["001"]
        assert await due_keys(store, partition=0xCD) == []
        assert await store.due_partitions(9) == []
        assert await store.due_partitions(20) == [0, 0xAB]
        assert await store.due_partitions(LATER) == [0, 0xAB, 0xFF]


class TestEvents:
    async def test_sequences_rise_from_one_without_gaps(self, store: Store) -> None:
        await write(store, events=[event(b"1"), event(b"2")])
        await store.commit([commit(put("ab1", 9), events=[event(b"of a conflict")])])
        await write(store, put("ab1", 0), events=[event(b"3")])
        assert await store.events({0xAB: 0}, 10) == [StoredEvent(0xAB, n, b"%d" % n) for n in (1, 2, 3)]

    async def test_commits_of_one_call_append_in_their_order(self, store: Store) -> None:
        answers = await store.commit([commit(put(f"ab{n}", 0), events=[event(b"%d" % n)]) for n in range(200)])
        assert answers == [None] * 200
        assert await events_of(store, {0xAB: 0}) == [(0xAB, n + 1, b"%d" % n) for n in range(200)]

    async def test_reading_goes_on_after_a_sequence_and_stops_at_the_limit(self, store: Store) -> None:
        await write(store, events=[event(b"%d" % n) for n in range(1, 8)])
        assert await events_of(store, {0xAB: 2}, 3) == [(0xAB, 3, b"3"), (0xAB, 4, b"4"), (0xAB, 5, b"5")]
        assert await events_of(store, {0xAB: 6}, 3) == [(0xAB, 7, b"7")]
        assert await events_of(store, {0xAB: 7}, 3) == []
        assert await events_of(store, {0xAB: 0}, 0) == []

    async def test_only_named_partitions_are_read_and_the_limit_is_for_all_of_them(self, store: Store) -> None:
        for partition in (1, 2, 3):
            await write(store, partition=partition, events=[event(b"a"), event(b"b")])
        found = await events_of(store, {1: 0, 3: 1, 4: 0})
        assert sorted(found) == [(1, 1, b"a"), (1, 2, b"b"), (3, 2, b"b")]
        assert len(await store.events({1: 0, 2: 0, 3: 0}, 5)) == 5

    async def test_heads_name_each_partition_that_ever_had_an_event(self, store: Store) -> None:
        assert await store.heads() == {}
        await write(store, partition=0, events=[event(b"a")])
        await write(store, partition=0xFF, events=[event(b"a"), event(b"b")])
        await write(store, put("ab1", 0))
        assert await store.heads() == {0: 1, 0xFF: 2}

    async def test_no_sequence_is_used_twice_even_when_all_events_are_gone(self, store: Store) -> None:
        await write(store, events=[event(b"1", 5), event(b"2", 5)])
        await store.collect(5, 100)
        assert await store.heads() == {0xAB: 2}
        await write(store, events=[event(b"3")])
        assert (await events_of(store, {0xAB: 0}))[-1] == (0xAB, 3, b"3")
        assert await store.heads() == {0xAB: 3}


class TestCollect:
    """A store that collects by itself returns 0 and may keep longer; those that are asked drop what they count."""

    async def test_what_may_go_goes_and_what_must_stay_stays(self, store: Store) -> None:
        await write(
            store,
            put("ab1", 0, due_ms=1, retain_until_ms=10),
            put("ab2", 0, due_ms=2, retain_until_ms=11),
            put("ab3", 0, due_ms=3),
        )
        assert await store.collect(10, 100) == 1
        assert await store.get(["ab1", "ab2", "ab3"]) == [None, Record(1, b"data"), Record(1, b"data")]
        assert await due_keys(store) == ["ab2", "ab3"]
        assert await store.collect(LATER, 100) == 1
        assert await store.get(["ab2", "ab3"]) == [None, Record(1, b"data")]

    async def test_no_more_than_the_limit_goes_at_once(self, store: Store) -> None:
        await write(store, *(put(f"ab{n}", 0, retain_until_ms=n) for n in range(7)))
        await write(store, partition=0xCD, events=[event(b"%d" % n, n) for n in range(4)])
        counts = [await store.collect(LATER, 3) for _ in range(5)]
        assert sum(counts) == 11
        assert max(counts) == 3
        assert await store.collect(LATER, 0) == 0

    async def test_the_last_write_decides_how_long_a_record_is_kept(self, store: Store) -> None:
        await write(store, put("ab1", 0, retain_until_ms=10), put("ab2", 0, retain_until_ms=10), put("ab3", 0))
        await write(store, put("ab1", 1), put("ab2", 1, due_ms=UNMOVED, retain_until_ms=20))
        await write(store, put("ab3", 1, due_ms=UNMOVED, retain_until_ms=10))
        assert await store.collect(10, 100) == 1
        assert await store.get(["ab1", "ab2", "ab3"]) == [Record(2, b"data"), Record(2, b"data"), None]

    async def test_a_dropped_record_begins_anew(self, store: Store) -> None:
        await write(store, put("ab1", 0, due_ms=1, retain_until_ms=10))
        await store.collect(10, 100)
        await write(store, put("ab1", ABSENT, b"anew", due_ms=UNMOVED))
        assert await read(store, "ab1") == Record(1, b"anew")
        assert await due_keys(store) == []
        assert await store.collect(LATER, 100) == 0

    async def test_events_go_from_the_front_only(self, store: Store) -> None:
        await write(store, events=[event(b"1", 5), event(b"2", 50), event(b"3", 5)])
        assert await store.collect(10, 100) == 1
        assert await events_of(store, {0xAB: 0}) == [(0xAB, 2, b"2"), (0xAB, 3, b"3")]
        assert await store.collect(50, 100) == 2
        assert await events_of(store, {0xAB: 0}) == []

    async def test_events_that_somebody_has_yet_to_read_stay_whatever_their_time(self, store: Store) -> None:
        await write(store, put("ab1", 0, retain_until_ms=5), events=[event(b"%d" % n, 5) for n in range(4)])
        await write(store, partition=0xCD, events=[event(b"a", 5)])
        assert await store.collect(10, 100, keep_after={}) == 1
        assert await store.get(["ab1"]) == [None]
        assert len(await events_of(store, {0xAB: 0, 0xCD: 0})) == 5
        assert await store.collect(10, 100, keep_after={0xAB: 3}) == 3
        assert await store.collect(10, 100, keep_after={0xAB: 3, 0xEF: 9}) == 0
        assert await events_of(store, {0xAB: 0, 0xCD: 0}) == [(0xAB, 4, b"3"), (0xCD, 1, b"a")]
        assert await store.collect(10, 100) == 2

    async def test_events_that_have_been_read_stay_as_long_as_they_are_retained(self, store: Store) -> None:
        await write(store, events=[event(b"1", 5), event(b"2", 50), event(b"3", 5)])
        assert await store.collect(10, 100, keep_after={0xAB: 3}) == 1
        assert await store.collect(50, 1, keep_after={0xAB: 100}) == 1
        assert await events_of(store, {0xAB: 0}) == [(0xAB, 3, b"3")]


# What is in memory belongs to one object and goes with it; what lies elsewhere can be reached through a second handle.
SHARED_KINDS = ["sqlite", "redis", "valkey", "cluster"]


class TestHandles:
    @pytest.mark.parametrize("kind", SHARED_KINDS)
    async def test_a_second_handle_sees_what_the_first_has_committed(self, store: Store, another_handle: Store) -> None:
        await write(store, put("ab1", 0, b"first", due_ms=7), events=[event(b"1")])
        assert await read(another_handle, "ab1") == Record(1, b"first")
        assert await due_keys(another_handle) == ["ab1"]
        await write(another_handle, put("ab1", 1, b"second", due_ms=UNMOVED), events=[event(b"2")])
        assert await read(store, "ab1") == Record(2, b"second")
        assert await events_of(store, {0xAB: 0}) == [(0xAB, 1, b"1"), (0xAB, 2, b"2")]
        assert await store.commit([commit(put("ab1", 1))]) == [Conflict({"ab1": Record(2, b"second")})]

    @pytest.mark.parametrize("kind", SHARED_KINDS)
    async def test_of_two_handles_one_wins(self, store: Store, another_handle: Store) -> None:
        handles = [store, another_handle] * 10
        answers = await asyncio.gather(*(handle.commit([commit(put("ab1", ABSENT))]) for handle in handles))
        assert answers.count([None]) == 1

    async def test_a_store_that_is_open_answers_a_ping(self, store: Store) -> None:
        await store.ping()

    async def test_a_closed_store_is_unavailable(self, store: Store) -> None:
        await store.close()
        await store.close()
        attempts: list[Callable[[], Awaitable[object]]] = [
            lambda: store.get(["ab1"]),
            lambda: store.commit([commit(put("ab1", ABSENT))]),
            lambda: store.due(0xAB, LATER, 1),
            lambda: store.due_partitions(LATER),
            lambda: store.events({0xAB: 0}, 1),
            store.heads,
            lambda: store.collect(LATER, 1),
            store.ping,
        ]
        for attempt in attempts:
            with pytest.raises(StoreUnavailable, match="closed"):
                await attempt()
