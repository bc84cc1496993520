"""kill -9 under load, again and again on one store: a slice of what `scripts/soak kills` does for longer."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from playclock.core.session import State

from simulation.soak import audit
from simulation.soak.books import Books, books_in_file
from simulation.soak.kills import kill
from simulation.soak.lives import Loader

CYCLES = 20

Story = tuple[Loader, Path]


def spoil_sessions(books: Books, **fields: Any) -> None:  # noqa: ANN401 - any field
    for key, session in books.sessions.items():
        books.sessions[key] = replace(session, **fields)


def spoil_ott(books: Books) -> None:
    key, ott = next((key, ott) for key, ott in books.otts.items() if ott.session_id is not None)
    books.otts[key] = replace(ott, session_id=None)


def spoil_account(books: Books, **fields: int) -> None:
    books.account = replace(books.account, **fields)


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_after_each_death_all_that_was_answered_is_there_once_and_the_money_adds_up(kind: str, tmp_path: Path) -> None:
    *_, deaths = kill(kind, tmp_path, cycles=CYCLES, seed=20_261_120)
    assert deaths.violations == []
    assert deaths.deaths == CYCLES
    # There was a load worth the name.
    assert deaths.opened > 20 * CYCLES
    assert deaths.ended > 10 * CYCLES
    assert deaths.transfers > 40 * CYCLES


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Kill somebody once."""
    path = tmp_path_factory.mktemp("audit") / "play.db"
    loader = Loader(path)
    loader.live_and_die(400, 0)
    loader.close()
    return loader, path


@pytest.mark.parametrize(
    ("check", "spoil"),
    [
        (audit.tokens, lambda books: books.otts.clear()),
        (audit.opened, lambda books: spoil_sessions(books, id="gs_another")),
        (audit.opened, lambda books: books.otts.clear()),
        (audit.ended, lambda books: spoil_sessions(books, client_play_duration_sec=101)),
        (audit.ended, lambda books: spoil_sessions(books, state=State.ACTIVE)),
        (audit.pairs, lambda books: books.sessions.popitem()),
        (audit.pairs, spoil_ott),
        (audit.seats, lambda books: spoil_sessions(books, state=State.ACTIVE)),
        (audit.reservations, lambda books: spoil_account(books, balance_micros=books.account.balance_micros + 1)),
        (audit.reservations, lambda books: spoil_account(books, held_micros=books.account.held_micros + 1)),
        (audit.reservations, lambda books: spoil_sessions(books, state=State.ACTIVE)),
        (audit.stories, lambda books: books.told.update([next(iter(books.told))])),
        (audit.stories, lambda books: books.told.popitem()),
        (audit.conservation, lambda books: books.transfers.pop()),
        (audit.conservation, lambda books: books.transfers.append(books.transfers[0])),
    ],
)
def test_the_audit_finds(check: Callable[[Loader, Books], Iterator[str]], spoil: Callable[[Books], None], story: Story) -> None:
    loader, path = story
    books = books_in_file(path)
    assert audit.violations(loader, books) == []
    spoil(books)
    assert list(check(loader, books)) != []
    assert any(found.startswith(check.__name__) for found in audit.violations(loader, books))
