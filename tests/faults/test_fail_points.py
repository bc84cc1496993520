"""kill -9 right before and after each commit, and a power cut anywhere in what Redis wrote: commits are whole or absent."""

import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from playclock.core.session import State, is_live
from playclock.stores.base import ABSENT, Commit, Put
from playclock.stores.urls import open_store

from simulation.soak.books import Books, books_in_redis
from tests.redis_servers import RedisServer, durable, running

ROOT = Path(__file__).parents[2]
OPENING_MICROS = 10**15
CUTS = 25


class Story:
    """A player's story on a server, told by processes that die."""

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        command = [sys.executable, "-m", "tests.faults.dying", server.url]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, number: int, moment: str) -> bool:
        """Tell it until a process is killed at this commit; return whether it lived to the end of the story."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{number} {moment}\n")
        self._process.stdin.flush()
        ended = self._process.stdout.readline().strip()
        assert ended in {"killed", "lived"}
        return ended == "lived"

    def close(self) -> None:
        self._process.communicate(timeout=30)


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    with running([RedisServer(tmp_path / "redis", *durable())]) as (server,):
        story = Story(server)
        yield story
        story.close()


def check(books: Books) -> None:
    """See that whatever is there is there with all that belongs to it, once."""
    used = Counter(ott.session_id for ott in books.otts.values() if ott.session_id is not None)
    assert used == Counter(session.id for session in books.sessions.values())
    live = [session for session in books.sessions.values() if is_live(session)]
    assert len(live) <= 1  # all play on one PC
    charges = [session.charge for session in books.sessions.values() if session.charge is not None]
    assert len(charges) == len(books.sessions)
    assert books.account.held_micros == sum(charge.held_micros for charge in charges)
    assert bool(live) is (books.account.held_micros > 0)
    assert set(books.told.values()) <= {1}
    assert sum(session.state is State.ENDED for session in books.sessions.values()) == len(books.sessions) - len(live)
    sums: Counter[str] = Counter()
    for transfer in books.transfers:
        for leg in transfer.legs:
            sums[leg.ledger_account] += leg.amount_micros
    assert max(Counter(transfer.id for transfer in books.transfers).values()) == 1
    assert sum(sums.values()) == 0
    assert sums["held/cafe-1"] == books.account.held_micros
    assert sums["wallet/cafe-1"] == books.account.free_micros
    paid_in_micros = -sums["funding/GCOIN"]
    assert books.account.balance_micros == paid_in_micros - sum(charge.billed_micros for charge in charges)
    assert paid_in_micros >= OPENING_MICROS


def test_an_engine_that_is_killed_at_any_commit_leaves_nothing_half_done(story: Story) -> None:
    assert story.tell(10**6, "before")
    check(books_in_redis(story.server))
    number = 1
    while not (story.tell(number, "before") and story.tell(number, "after")):
        check(books_in_redis(story.server))
        assert not story.tell(number, "after")
        check(books_in_redis(story.server))
        number += 1
    assert number > 10
    check(books_in_redis(story.server))


def test_a_redis_that_is_killed_has_lost_nothing_that_was_answered(story: Story) -> None:
    assert story.tell(10**6, "before")
    before = books_in_redis(story.server)
    story.server.kill()
    story.server.start()
    after = books_in_redis(story.server)
    assert after.sessions == before.sessions
    assert (after.account, after.told) == (before.account, before.told)


async def test_a_power_cut_anywhere_in_what_redis_wrote_loses_commits_whole(story: Story, tmp_path: Path) -> None:
    """The tail may be gone: which of it was answered is what `appendfsync` promises. What is left adds up, and is played on."""
    log = story.server.folder / "appendonly.aof"
    assert story.tell(10**6, "before")
    first = log.stat().st_size
    for _ in range(3):
        assert story.tell(10**6, "before")
    story.server.kill()
    written = log.read_bytes()
    dice = random.Random(20_261_121)
    seen = set()
    for number in range(CUTS):
        server = RedisServer(tmp_path / f"cut-{number}", *durable())
        server.folder.mkdir()
        (server.folder / log.name).write_bytes(written[: dice.randrange(first, len(written))])
        with running([server]):
            books = books_in_redis(server)
            check(books)
            seen.add(len(books.told))
            store = await open_store(server.url)
            assert await store.commit([Commit(partition=0, puts=(Put(key="00:thing:x", expect=ABSENT, data=b"x"),))]) == [None]
            await store.close()
    assert len(seen) > 3  # the cuts were in different places
