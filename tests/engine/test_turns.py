"""Turns: decisions of one partition that come together commit together, and each stands for itself."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

import pytest
from playclock.core.charge import Account
from playclock.core.codec import encode
from playclock.engine.records import ACCOUNTS, Records
from playclock.engine.turns import TOGETHER_MAX, Turns
from playclock.engine.work import Work
from playclock.errors import SessionNotFound, StoreAway, TooMuchContention
from playclock.stores.base import UNMOVED, Commit, Conflict, Put, Store, StoreUnavailable
from playclock.stores.memory import MemoryStore

T = TypeVar("T")

KEY = "07:account:a"
PARTITION = 7


class SlowStore(MemoryStore):
    """A memory store whose commits wait until the test lets them go, and which counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.commits: list[Commit] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.away = False

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        """Commit when the gate is open."""
        await self.gate.wait()
        if self.away:
            raise StoreUnavailable("away")
        self.commits.extend(commits)
        return await super().commit(commits)


def add(micros: int) -> Callable[[Work], Awaitable[int]]:
    """Make a decision that adds to the account and answers what it then has."""

    async def decision(work: Work) -> int:
        account = await work.read(ACCOUNTS, KEY) or Account("a", "GCOIN", 0, 0)
        after = Account("a", "GCOIN", account.balance_micros + micros, 0)
        work.write(KEY, after)
        return after.balance_micros

    return decision


async def refuse(work: Work) -> int:
    """Write something, and then raise."""
    work.write("07:account:other", Account("other", "GCOIN", 1, 0))
    raise SessionNotFound("no such session")


async def balance(store: Store) -> int:
    (record,) = await store.get([KEY])
    return 0 if record is None else ACCOUNTS.decode(record.data).balance_micros


@pytest.fixture
def slow() -> SlowStore:
    return SlowStore()


@pytest.fixture
def turns(slow: SlowStore) -> Turns:
    return Turns(Records(slow))


async def start(*decisions: Coroutine[Any, Any, T]) -> list[asyncio.Task[T]]:
    """Begin decisions in their order, and return when all of them wait."""
    tasks = [asyncio.create_task(decision) for decision in decisions]
    for _ in range(5):
        await asyncio.sleep(0)
    return tasks


async def test_decisions_that_wait_for_the_first_share_one_commit(turns: Turns, slow: SlowStore) -> None:
    slow.gate.clear()
    tasks = await start(*(turns.decide(PARTITION, 0, add(1)) for _ in range(11)))
    slow.gate.set()
    assert await asyncio.gather(*tasks) == list(range(1, 12))
    assert len(slow.commits) == 2
    assert await balance(slow) == 11


async def test_a_flood_is_committed_in_bounded_groups(turns: Turns, slow: SlowStore) -> None:
    slow.gate.clear()
    tasks = await start(*(turns.decide(PARTITION, 0, add(1)) for _ in range(1 + 2 * TOGETHER_MAX)))
    slow.gate.set()
    assert await asyncio.gather(*tasks) == list(range(1, 2 + 2 * TOGETHER_MAX))
    assert len(slow.commits) == 3


async def test_a_decision_that_raises_writes_nothing_and_disturbs_nobody(turns: Turns, slow: SlowStore) -> None:
    slow.gate.clear()
    first, second, third = await start(*(turns.decide(PARTITION, 0, each) for each in (add(1), refuse, add(1))))
    slow.gate.set()
    assert (await first, await third) == (1, 2)
    with pytest.raises(SessionNotFound):
        await second
    assert await slow.get(["07:account:other"]) == [None]


async def test_a_caller_that_gives_up_takes_nobody_with_it(turns: Turns, slow: SlowStore) -> None:
    slow.gate.clear()
    first, second, third = await start(*(turns.decide(PARTITION, 0, add(1)) for _ in range(3)))
    first.cancel()
    second.cancel()
    slow.gate.set()
    assert await third in (1, 2)
    with pytest.raises(asyncio.CancelledError):
        await second
    assert await turns.decide(PARTITION, 0, add(1)) == await balance(slow)


async def test_all_of_a_turn_hear_that_the_store_is_away_and_the_next_turn_goes_on(turns: Turns, slow: SlowStore) -> None:
    slow.gate.clear()
    slow.away = True
    tasks = await start(*(turns.decide(PARTITION, 0, add(1)) for _ in range(3)))
    slow.gate.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreAway] * 3
    slow.away = False
    assert await turns.decide(PARTITION, 0, add(1)) == 1


async def test_what_another_process_wrote_meanwhile_is_decided_upon_anew(turns: Turns, slow: SlowStore) -> None:
    assert await turns.decide(PARTITION, 0, add(1)) == 1
    elsewhere = Turns(Records(slow))
    assert await elsewhere.decide(PARTITION, 0, add(10)) == 11
    assert await turns.decide(PARTITION, 0, add(1)) == 12


async def test_who_never_gets_through_is_told_so(slow: SlowStore) -> None:
    records = Records(slow)
    turns = Turns(records)

    async def overtaken(work: Work) -> None:
        await work.read(ACCOUNTS, KEY)
        (record,) = await slow.get([KEY])
        put = Put(key=KEY, expect=record.version if record else 0, data=encode(Account("a", "GCOIN", 0, 0)))
        await MemoryStore.commit(slow, [Commit(partition=PARTITION, puts=(put,))])
        work.write(KEY, Account("a", "GCOIN", 1, 0))

    with pytest.raises(TooMuchContention):
        await turns.decide(PARTITION, 0, overtaken)
    assert await balance(slow) == 0


async def test_a_record_written_twice_in_a_turn_stays_filed_where_the_first_filed_it(turns: Turns, slow: SlowStore) -> None:
    async def file(work: Work) -> None:
        work.write(KEY, Account("a", "GCOIN", 1, 0), due_ms=1_000)
        work.write(KEY, Account("a", "GCOIN", 2, 0), due_ms=UNMOVED)

    await turns.decide(PARTITION, 0, file)
    assert [entry.due_ms for entry in await slow.due(PARTITION, 2_000, 10)] == [1_000]
    assert await balance(slow) == 2


async def test_what_is_discarded_is_not_written(turns: Turns, slow: SlowStore) -> None:
    async def decision(work: Work) -> str:
        work.write(KEY, Account("a", "GCOIN", 1, 0))
        work.discard()
        return "nothing"

    assert await turns.decide(PARTITION, 0, decision) == "nothing"
    assert slow.commits == []


async def test_an_old_copy_is_read_afresh_where_that_is_asked_for(slow: SlowStore) -> None:
    here, elsewhere = Turns(Records(slow)), Turns(Records(slow))
    await here.decide(PARTITION, 0, add(1))
    await elsewhere.decide(PARTITION, 0, add(1))

    async def look(work: Work) -> int:
        remembered = await work.read(ACCOUNTS, KEY)
        await work.prefetch(KEY, fresh=True)
        read = await work.read(ACCOUNTS, KEY)
        assert remembered is not None
        assert read is not None
        return read.balance_micros - remembered.balance_micros

    assert await here.decide(PARTITION, 0, look) == 1
