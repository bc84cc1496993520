"""Lists of games and searches in them, held against the way that needs no thought, whatever is changed in between."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace
from playclock.core.catalog import Game
from playclock.core.catalog_index import Catalog
from playclock.core.gamelist import GameList, Place, Query, Sort
from playclock.core.selection import Numbered
from playclock.core.shelf import Shelf
from playclock.core.vocabulary import Vocabulary

REPEATABLE = settings(deadline=None, derandomize=True)
COUNT = 80
"""How many games there may be: one of them is few, and two are not."""

BLANKS = " \u00a0\u2003"
LETTERS = "abAB1%_ß\u0130\U0001f600"
SOME_WORDS = st.sampled_from(["a", "A", "ab", "b", "ba", "Straße", "STRASSE", "\u0130", "a b", "%", "_", "ab\u00a0a"])
TEXTS = SOME_WORDS | st.text(BLANKS + LETTERS, max_size=12) | st.lists(SOME_WORDS, max_size=4).map(" ".join)
DESCRIPTIONS = TEXTS | st.text(BLANKS + LETTERS + "\n\t", max_size=20)
AMOUNTS = st.sampled_from(["", "0", "9.5", "10", "10.000001", "100.00"])
DEVELOPERS = st.sampled_from(["", "me", "you"])
FIELDS = st.fixed_dictionaries(
    {
        "name": TEXTS,
        "description": DESCRIPTIONS,
        "created_ms": st.integers(0, 3),
        "rewards_pool_usd": AMOUNTS,
        "rewards_allocated_usd": AMOUNTS,
        "daily_rewards_usd": AMOUNTS,
        "owner_id": DEVELOPERS,
        "creator_id": DEVELOPERS,
        "is_hidden": st.booleans(),
        "is_admin_hidden": st.sampled_from([False, False, True]),
    }
)
NUMBERS = st.integers(1, COUNT)
QUERIES = st.builds(
    Query,
    text=TEXTS | st.text(LETTERS, max_size=2),
    sort=st.sampled_from(Sort),
    is_descending=st.booleans(),
    owner_id=st.sampled_from(["", "", "", "me"]),
    developer_id=st.sampled_from(["", "", "", "me", "nobody"]),
    numbered=st.none() | st.frozensets(NUMBERS, max_size=3).map(Numbered) | st.just(Numbered(frozenset(range(1, COUNT, 2)))),
    with_hidden=st.booleans(),
)

KEYS: dict[Sort, Callable[[Game], Any]] = {
    Sort.NAME: lambda each: each.name.casefold(),
    Sort.CREATED: lambda each: each.created_ms,
    Sort.NUMBER: lambda each: each.number,
    Sort.REWARDS_POOL: lambda each: Decimal(each.rewards_pool_usd or 0),
    Sort.REWARDS_ALLOCATED: lambda each: Decimal(each.rewards_allocated_usd or 0),
    Sort.DAILY_REWARDS: lambda each: Decimal(each.daily_rewards_usd or 0),
}


def game(number: int, fields: dict[str, Any], revision: int = 1) -> Game:
    """Return the game of a number."""
    # Ids are in another order than numbers.
    game_id = f"{number * 37 % 101:08x}-2222-4333-8444-555555555555"
    return Game(id=game_id, number=number, brand="", image_url="", play_url="", demo_url="", revision=revision, **fields)


def small_catalog() -> Catalog:
    """Return a catalogue in which a handful of games are many: words are common soon, segments and steps short, few kept."""
    return Catalog(listed=GameList(Shelf(Vocabulary(common_min=3, segment_words=4), step=5), kept_max=3))


def is_meant(query: Query, each: Game) -> bool:
    """Whether a game is asked for."""
    texts = (each.name, each.description)
    return (
        (query.with_hidden or each.is_visible)
        and (not query.owner_id or each.owner_id == query.owner_id)
        and (not query.developer_id or (query.developer_id in (each.owner_id, each.creator_id) and not each.is_admin_hidden))
        and (query.numbered is None or each.number in query.numbered.numbers)
        and any(query.text.casefold() in text.casefold() for text in texts)
    )


def plainly(games: list[Game], query: Query) -> list[Game]:
    """List games in the way that needs no thought."""
    found = [each for each in games if is_meant(query, each)]
    return sorted(found, key=lambda each: (KEYS[query.sort](each), each.id), reverse=query.is_descending)


class Changing(RuleBasedStateMachine):
    """A catalogue that is changed and searched, beside a plain list."""

    searches: Bundle[tuple[Query, Iterator[None]]] = Bundle("searches")

    def __init__(self) -> None:
        super().__init__()
        self.catalog = small_catalog()
        self.games: dict[int, Game] = {}
        self.gone: set[int] = set()
        self.revision = 0

    def take(self, fields: dict[int, dict[str, Any]], **more: Any) -> None:  # noqa: ANN401 - any field of a game
        self.revision += 1
        changed = [game(number, each | more, self.revision) for number, each in fields.items() if number not in self.gone]
        self.catalog.take(changed, self.revision)
        for each in changed:
            if each.deleted_ms is None:
                self.games[each.number] = each
            else:
                self.games.pop(each.number, None)
                self.gone.add(each.number)

    @rule(number=NUMBERS, fields=FIELDS)
    def put(self, number: int, fields: dict[str, Any]) -> None:
        """Create or change a game."""
        self.take({number: fields})

    @rule(first=NUMBERS, fields=st.lists(FIELDS, min_size=20, max_size=COUNT))
    def put_many(self, first: int, fields: list[dict[str, Any]]) -> None:
        """Create or change many at once."""
        self.take({(first + index) % COUNT + 1: each for index, each in enumerate(fields)})

    @rule(first=NUMBERS, texts=st.lists(TEXTS, min_size=10, max_size=16))
    def name(self, first: int, texts: list[str]) -> None:
        """Create or change several, one by one, that differ in their names alone."""
        for index, text in enumerate(texts):
            self.take({(first + index) % COUNT + 1: {"name": text, "description": "all"}})

    @rule(number=NUMBERS, fields=FIELDS)
    def delete(self, number: int, fields: dict[str, Any]) -> None:
        """Delete a game."""
        if number in self.games:
            self.take({number: fields}, deleted_ms=5)

    @rule(number=NUMBERS, is_hidden=st.booleans(), is_admin_hidden=st.booleans())
    def hide(self, number: int, is_hidden: bool, is_admin_hidden: bool) -> None:
        """Hide a game, or show it."""
        known = self.games.get(number)
        if known is not None:
            self.revision += 1
            self.games[number] = replace(known, is_hidden=is_hidden, is_admin_hidden=is_admin_hidden, revision=self.revision)
            self.catalog.take([self.games[number]], self.revision)

    @rule(query=QUERIES, offset=st.integers(0, 90), limit=st.integers(0, 90))
    def look(self, query: Query, offset: int, limit: int) -> None:
        """Ask for a page."""
        self.check(query, offset, limit)

    @rule(query=QUERIES, offset=st.integers(0, 9), limit=st.integers(0, 30), number=NUMBERS, fields=FIELDS)
    def look_after(self, query: Query, offset: int, limit: int, number: int, fields: dict[str, Any]) -> None:
        """Ask for a page after a game, which may not be in the list, or may have gone."""
        place = place_of(query, self.games.get(number, game(number, fields)))
        everything = plainly(list(self.games.values()), query)
        left = [each for each in everything if is_after(query, each, place)]
        page = self.catalog.page(query, offset=offset, limit=limit, after=place)
        assert list(page.games) == left[offset : offset + limit]
        assert page.total == len(everything)
        assert (page.last is None) == (limit == 0 or len(left) <= offset + limit)

    @rule(target=searches, query=QUERIES)
    def begin(self, query: Query) -> tuple[Query, Iterator[None]]:
        """Begin a search that is done in steps."""
        return query, self.catalog.prepare(query)

    @rule(search=searches, steps=st.integers(1, 6))
    def go_on(self, search: tuple[Query, Iterator[None]], steps: int) -> None:
        """Do a few steps of a search."""
        for _ in range(steps):
            next(search[1], None)

    @rule(search=searches)
    def end(self, search: tuple[Query, Iterator[None]]) -> None:
        """Do the rest of a search."""
        for _ in search[1]:
            pass
        self.check(search[0], 0, 10)

    @invariant()
    def a_common_letter_is_found(self) -> None:
        """One search is asked for after each change."""
        self.check(Query(text="a", sort=Sort.NUMBER), 0, 5)

    def check(self, query: Query, offset: int, limit: int) -> None:
        """Hold a page against the plain list."""
        expected = plainly(list(self.games.values()), query)
        page = self.catalog.page(query, offset=offset, limit=limit)
        assert list(page.games) == expected[offset : offset + limit]
        assert page.total == len(expected)
        assert (page.last is None) == (limit == 0 or offset + limit >= len(expected))


def place_of(query: Query, each: Game) -> Place:
    """Return where a game stands."""
    key = KEYS[query.sort](each)
    return int(key * 1_000_000) if isinstance(key, Decimal) else key, each.id


def is_after(query: Query, each: Game, place: Place) -> bool:
    """Whether a game comes after a place."""
    own: Any = place_of(query, each)
    return bool(own < place if query.is_descending else own > place)


TestChanging = Changing.TestCase
TestChanging.settings = settings(deadline=None, derandomize=True, max_examples=12, stateful_step_count=30)


class TestPages:
    @REPEATABLE
    @given(st.lists(FIELDS, max_size=70), QUERIES, st.integers(1, 30))
    def test_pages_one_after_the_other_have_everything_once(
        self, fields: list[dict[str, Any]], query: Query, limit: int
    ) -> None:
        games = [game(number, each) for number, each in enumerate(fields, 1)]
        catalog = small_catalog()
        catalog.take(games, 1)
        page = catalog.page(query, limit=limit)
        found = list(page.games)
        while page.last is not None and len(found) <= len(games):
            page = catalog.page(query, limit=limit, after=page.last)
            found += page.games
        assert found == plainly(games, query)

    @pytest.mark.parametrize(
        "text",
        [
            "all",
            "ALL",
            "l",
            "ll o",
            "all odd",
            "all odd 1",
            "odd",
            "od",
            "7",
            "17",
            "d 1",
            "l ",
            " ",
            " odd ",
            "none",
            "%",
            "l\u00a0o",
        ],
    )
    def test_common_and_rare_words_and_several_are_found(self, text: str) -> None:
        games = [
            game(
                number,
                {"name": f"All {'odd' if number % 2 else 'even'} {number}", "description": "All\u00a0of them" * (number % 3)},
            )
            for number in range(1, 80)
        ]
        catalog = small_catalog()
        catalog.take(games[:60], 1)
        for each in games[60:]:
            catalog.take([each], 1)
        for query in (Query(text=text), Query(text=text, with_hidden=True, sort=Sort.NUMBER, is_descending=True)):
            assert list(catalog.page(query, limit=99).games) == plainly(games, query)

    def test_steps_do_what_a_page_would_do_else(self) -> None:
        catalog = small_catalog()
        catalog.take([game(number, {"name": f"a{number} b"}) for number in range(1, 60)], 1)
        for query, least in ((Query(text="a"), 2), (Query(text="a b"), 2), (Query(developer_id="me"), 0), (Query(), 0)):
            assert len(list(catalog.prepare(query))) >= least
            assert len(list(catalog.prepare(query))) == 0, "it is known now"

    def test_what_is_looked_for_in_steps_stays_right_when_others_change_games(self) -> None:
        catalog = small_catalog()
        games = [game(number, {"name": f"word{number}"}) for number in range(1, 60)]
        catalog.take(games, 1)
        query = Query(text="word", sort=Sort.NUMBER)
        steps = catalog.prepare(query)
        next(steps)
        catalog.take([replace(games[0], name="other", revision=2), game(60, {"name": "a new word"}, 2)], 2)
        list(steps)
        assert [each.number for each in catalog.page(query, limit=99).games] == list(range(2, 61))


class TestVocabulary:
    def test_words_that_come_and_go_leave_nothing(self) -> None:
        words = Vocabulary(common_min=2, segment_words=4)
        for turn in range(200):
            words.add(turn % 7, f"always {turn}", 7)
            words.remove(turn % 7, f"always {turn}", 7)
        assert vars(words)["_slots"] == {}
        assert vars(words)["_common"] == set()
        assert sum(len(segment) for segment in vars(words)["_segments"]) < 100
