"""kill -9 under load, again and again on one store: what was answered is there, once, and the money adds up."""

import random
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from playclock.core.ids import ott_key, session_key
from playclock.core.records import Happening
from playclock.core.session import State, is_live

from tests.faults.books import Books, books_in_file, books_in_redis
from tests.redis_servers import RedisServer, durable, running

if TYPE_CHECKING:
    from tests.faults.conftest import Loader, StartLoader

CYCLES = 50
OPENING_MICROS = 10**15


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def story(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, start_loader: "StartLoader"
) -> Iterator[tuple["Loader", Books]]:
    """Kill it so many times, at moments that the seed decides, and open the books."""
    folder = tmp_path_factory.mktemp("kill")
    dice = random.Random(20_261_120)
    servers = [RedisServer(folder / "redis", *durable())] if request.param == "redis" else []
    with running(servers):
        loader = start_loader(servers[0].url if servers else folder / "play.db")
        for _ in range(CYCLES):
            loader.live_and_die(dice.randrange(200), dice.uniform(0, 0.01))
        loader.close()
        yield loader, books_in_redis(servers[0]) if servers else books_in_file(folder / "play.db")


def test_there_was_a_load_worth_the_name(story: tuple["Loader", Books]) -> None:
    loader, _ = story
    assert len(loader.opened) > 20 * CYCLES
    assert len(loader.ended) > 10 * CYCLES


def test_every_token_that_was_handed_out_is_known(story: tuple["Loader", Books]) -> None:
    loader, books = story
    assert [ott for ott in loader.otts if ott_key(ott) not in books.otts] == []


def test_every_session_that_was_opened_is_there_and_has_its_token(story: tuple["Loader", Books]) -> None:
    loader, books = story
    for session_id, ott in loader.opened.items():
        assert books.sessions[session_key(session_id)].id == session_id
        assert books.otts[ott_key(ott)].session_id == session_id


def test_every_end_that_was_answered_stands_as_it_was_answered(story: tuple["Loader", Books]) -> None:
    loader, books = story
    for session_id, answer in loader.ended.items():
        session = books.sessions[session_key(session_id)]
        assert session.state is State.ENDED
        assert (session.ended_ms, session.client_play_duration_sec) == (answer["ended_ms"], answer["counted_sec"])


def test_there_is_one_session_for_each_token_that_was_used_and_none_beside(story: tuple["Loader", Books]) -> None:
    _, books = story
    used = Counter(ott.session_id for ott in books.otts.values() if ott.session_id is not None)
    assert used == Counter(session.id for session in books.sessions.values())


def test_one_pc_has_one_live_session_at_most(story: tuple["Loader", Books]) -> None:
    _, books = story
    seats = Counter((session.cafe_id, session.pc_id) for session in books.sessions.values() if is_live(session))
    assert set(seats.values()) == {1}


def test_what_left_the_account_is_what_was_billed_and_what_is_held_is_held_for_the_living(
    story: tuple["Loader", Books],
) -> None:
    _, books = story
    charges = [session.charge for session in books.sessions.values() if session.charge is not None]
    assert books.account.balance_micros == OPENING_MICROS - sum(charge.billed_micros for charge in charges)
    assert books.account.held_micros == sum(charge.held_micros for charge in charges)
    ended = [session.charge for session in books.sessions.values() if session.charge and not is_live(session)]
    assert {charge.held_micros for charge in ended} == {0}


def test_each_session_was_told_of_once_and_each_end_once(story: tuple["Loader", Books]) -> None:
    _, books = story
    expected = Counter((session.id, Happening.OPENED) for session in books.sessions.values())
    expected.update((session.id, Happening.ENDED) for session in books.sessions.values() if session.state is State.ENDED)
    assert books.told == expected


def test_the_ledger_sums_to_zero_and_to_what_the_account_has(story: tuple["Loader", Books]) -> None:
    _, books = story
    sums: Counter[str] = Counter()
    for transfer in books.transfers:
        for leg in transfer.legs:
            sums[leg.ledger_account] += leg.amount_micros
    assert sum(sums.values()) == 0
    assert sums["held/cafe-1"] == books.account.held_micros
    assert sums["wallet/cafe-1"] == books.account.free_micros
    assert max(Counter(transfer.id for transfer in books.transfers).values()) == 1
