"""The catalogue: the index in memory, who may have which number, and how followers learn what was changed."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core.catalog import NUMBER_MAX, Game, Token
from playclock.core.catalog_changes import RING_MAX, Change, Ring, changed_since, described, edit, extended, problems
from playclock.core.catalog_index import Catalog
from playclock.core.gamelist import Query, Sort

REPEATABLE = settings(deadline=None, derandomize=True)


def game(index: int = 1, **fields: Any) -> Game:  # noqa: ANN401 - any field of a game
    """Return a game that differs from that of every other index."""
    plain: dict[str, Any] = {
        "id": f"{index:08d}-2222-4333-8444-555555555555",
        "number": index,
        "name": f"Game {index}",
        "brand": "",
        "image_url": "",
        "play_url": "",
        "demo_url": "",
        "revision": 1,
    }
    return Game(**(plain | fields))


class TestLookUps:
    def test_a_game_is_found_by_id_number_and_token(self) -> None:
        one, other = game(1, tokens=(Token("a"), Token("b"))), game(2)
        catalog = Catalog([one, other], 7)
        assert catalog.revision == 7
        assert catalog.games == {one.id: one, other.id: other}
        assert catalog.by_number(1) == one
        assert catalog.with_token("a") == catalog.with_token("b") == [one]
        assert catalog.by_number(2) == other
        assert catalog.by_number(3) is catalog.known("none") is None
        assert catalog.with_token("c") == []

    def test_a_token_has_all_its_games_that_were_not_deleted_first_created_first(self) -> None:
        shared = (Token("a"),)
        late, early, gone = game(1, tokens=shared, created_ms=9), game(2, tokens=shared, created_ms=5), game(3, tokens=shared)
        catalog = Catalog([late, early, gone])
        catalog.take([replace(gone, deleted_ms=5, revision=2)], 1)
        assert catalog.with_token("a") == [early, late]
        catalog.take([replace(early, tokens=(), revision=2)], 2)
        assert catalog.with_token("a") == [late]

    def test_a_deleted_game_is_only_remembered(self) -> None:
        gone = game(1, tokens=(Token("a"),), deleted_ms=5)
        catalog = Catalog([gone])
        assert catalog.games == {}
        assert catalog.by_number(1) is catalog.open_to_players(gone.id) is None
        assert catalog.with_token("a") == []
        assert catalog.known(gone.id) == gone
        assert gone.id in catalog
        assert catalog.is_closed(gone.id)
        assert catalog.holder_of(1) == gone.id

    def test_a_game_that_an_operator_hides_is_closed_and_one_that_its_owner_hides_is_not(self) -> None:
        catalog = Catalog([game(1, is_admin_hidden=True), game(2, is_hidden=True), game(3)])
        found = {
            index: (catalog.open_to_players(game(index).id) is None, catalog.is_closed(game(index).id)) for index in (1, 2, 3)
        }
        assert found == {1: (True, True), 2: (False, False), 3: (False, False)}
        assert [each.is_visible for each in catalog.games.values()] == [False, False, True]
        assert not catalog.is_closed("unknown"), "another process may know it"

    def test_what_is_known_as_it_was_later_stays(self) -> None:
        catalog = Catalog([game(1, name="later", revision=3)], 9)
        catalog.take([game(1, name="earlier", revision=2)], 8)
        assert catalog.revision == 9
        assert catalog.games[game(1).id].name == "later"


IMAGE, OTHER_IMAGE = f"{64 * '0'}.png", f"{64 * '1'}.webp"
CHANGED = st.builds(
    game,
    st.integers(1, 6),
    number=st.integers(0, 9),
    name=st.text(max_size=3),
    description=st.text(max_size=3),
    owner_id=st.sampled_from(["", "a", "b"]),
    is_hidden=st.booleans(),
    is_admin_hidden=st.booleans(),
    creator_id=st.sampled_from(["", "a", "b"]),
    image_url=st.sampled_from(["", "https://example.com/a.png", f"/images/{IMAGE}", f"https://cdn.example.com/{OTHER_IMAGE}"]),
    cover_image_url=st.sampled_from(["", f"/images/{IMAGE}"]),
    tokens=st.sets(st.sampled_from([Token("x"), Token("y", image_url=f"/images/{OTHER_IMAGE}"), Token("z")])).map(tuple),
    rewards_pool_usd=st.sampled_from(["", "0", "9.5", "10", "10.000001"]),
    created_ms=st.integers(0, 3),
    deleted_ms=st.none() | st.just(5),
)


@REPEATABLE
@given(st.lists(st.lists(CHANGED, max_size=4, unique_by=lambda each: each.id), max_size=12))
def test_a_catalogue_that_followed_changes_equals_one_that_was_read_anew(changes: list[list[Game]]) -> None:
    followed = Catalog()
    for wanted in changes:
        # As in the store: a deleted game stays as it is, and what is one game's alone is no other's.
        games = [each for each in wanted if each.id not in followed.tombstones]
        made = edit(followed, games, 1_000)
        if not problems(followed, made.games):
            followed.take(made.games, made.revision + 1)
    anew = Catalog([*followed.games.values(), *followed.tombstones.values()], followed.revision)
    assert vars_of(followed) == vars_of(anew)
    for query in (Query(sort=sort, with_hidden=with_hidden) for sort in Sort for with_hidden in (False, True)):
        assert followed.page(query, limit=9) == anew.page(query, limit=9)


def vars_of(catalog: Catalog) -> dict[str, Any]:
    """Return all that a catalogue knows but its orders, and the highest number ever given: games may have given theirs up."""
    return {name: value for name, value in vars(catalog).items() if name not in {"_number_max", "_list"}}


def test_an_image_is_named_as_long_as_some_game_that_was_not_deleted_names_it() -> None:
    both = [game(1, image_url=f"/images/{IMAGE}", cover_image_url=f"/images/{IMAGE}"), game(2, image_url=f"/images/{IMAGE}")]
    catalog = Catalog(both, 1)
    assert (catalog.names_image(IMAGE), catalog.names_image(OTHER_IMAGE)) == (True, False)
    catalog.take([replace(both[0], image_url="", cover_image_url="", revision=2)], 2)
    assert catalog.names_image(IMAGE)
    catalog.take([replace(both[1], deleted_ms=5, revision=2)], 3)
    assert not catalog.names_image(IMAGE)


class TestPages:
    def test_a_page_goes_on_where_the_last_one_ended_also_if_that_game_is_gone(self) -> None:
        catalog = Catalog([game(index) for index in range(1, 8)])
        for is_descending, expected in ((False, [4, 5]), (True, [2, 1])):
            catalog.take([game(3)], 1)
            query = Query(sort=Sort.NUMBER, is_descending=is_descending)
            last = catalog.page(query, limit=3 if not is_descending else 5).last
            catalog.take([game(3, deleted_ms=5)], 2)
            assert [each.number for each in catalog.page(query, limit=2, after=last).games] == expected


class TestNumbers:
    def test_games_without_one_get_the_next_that_nobody_has_or_had(self) -> None:
        catalog = Catalog([game(3), game(7, deleted_ms=5)], 4)
        made = edit(catalog, [game(10, number=0, revision=0), game(8, revision=0), game(11, number=0, revision=0)], 50)
        assert [each.number for each in made.games] == [9, 8, 10]
        assert made.revision == 4
        assert {(each.created_ms, each.updated_ms, each.revision) for each in made.games} == {(50, 50, 1)}

    def test_after_the_highest_possible_one_those_below_are_given(self) -> None:
        catalog = Catalog([game(1), game(2, number=NUMBER_MAX)])
        (made,) = edit(catalog, [game(3, number=0)], 1).games
        assert made.number == 2

    def test_a_change_keeps_when_it_was_created_and_counts(self) -> None:
        catalog = Catalog([game(1, created_ms=5, updated_ms=6, revision=3)])
        (made,) = edit(catalog, [replace(catalog.games[game(1).id], name="new")], 50).games
        assert (made.created_ms, made.updated_ms, made.revision, made.name) == (5, 50, 4, "new")


class TestProblems:
    @pytest.mark.parametrize(
        ("wanted", "sentence"),
        [
            (game(9, number=1), "number 1 is another game's too"),
            (game(9, number=2), "number 2 is another game's too"),
            (game(2), "was deleted: its id is never given again"),
        ],
    )
    def test_what_is_or_was_another_games_is_refused(self, wanted: Game, sentence: str) -> None:
        catalog = Catalog([game(1, tokens=(Token("a"),)), game(2, deleted_ms=5, tokens=(Token("b"),))])
        assert problems(catalog, [wanted]) == {f"game/{wanted.id}": sentence}

    def test_within_one_change_too(self) -> None:
        assert problems(Catalog(), [game(1), game(2, number=1)]) == {f"game/{game(2).id}": "number 1 is another game's too"}

    def test_a_token_may_be_several_games(self) -> None:
        shared = [game(1, tokens=(Token("a"),)), game(2, tokens=(Token("a"),))]
        assert problems(Catalog(), shared) == problems(Catalog([shared[0]]), [shared[1]]) == {}

    def test_games_may_change_what_they_have_with_each_other(self) -> None:
        catalog = Catalog([game(1, tokens=(Token("a"),)), game(2, tokens=(Token("b"),))])
        swapped = [game(1, number=2, tokens=(Token("b"),)), game(2, number=1, tokens=(Token("a"),))]
        assert problems(catalog, swapped) == {}
        catalog.take(swapped, 1)
        assert (catalog.by_number(1), catalog.with_token("b")) == (swapped[1], [swapped[0]])

    def test_any_number_of_games_have_no_number_yet(self) -> None:
        assert problems(Catalog([game(2)]), [game(3, number=0), game(4, number=0)]) == {}


class TestDescriptions:
    def test_what_a_file_does_not_say_stays(self) -> None:
        known = game(1, number=5, description="long", is_hidden=True, owner_id="me", created_ms=7, revision=3)
        wanted = game(1, number=0, name="New", brand="B", play_url="https://play.example.com", revision=0)
        assert described(Catalog([known]), wanted) == replace(known, name="New", brand="B", play_url="https://play.example.com")
        assert described(Catalog([known]), replace(wanted, number=6)).number == 6

    def test_a_new_game_is_as_the_file_says(self) -> None:
        assert described(Catalog(), game(1)) == game(1)


class TestRing:
    def test_it_says_what_was_changed_after_a_revision(self) -> None:
        ring = extended(extended(Ring(0, ()), Change(1, ("a", "b"))), Change(2, ("b", "c")))
        assert [changed_since(ring, revision) for revision in (0, 1, 2)] == [["a", "b", "c"], ["b", "c"], []]

    def test_it_forgets_the_oldest_and_says_so(self) -> None:
        ring = Ring(0, ())
        for revision in range(1, RING_MAX + 3):
            ring = extended(ring, Change(revision, (str(revision),)))
        assert sum(len(change.ids) for change in ring.changes) == RING_MAX
        assert changed_since(ring, 1) is None
        assert changed_since(ring, 2) == [str(revision) for revision in range(3, RING_MAX + 3)]

    def test_a_change_of_too_many_games_is_not_listed(self) -> None:
        ring = extended(Ring(0, ()), Change(1, tuple(map(str, range(RING_MAX + 1)))))
        assert ring == Ring(1, ())
        assert changed_since(ring, 0) is None
        assert changed_since(extended(ring, Change(2, ("a",))), 1) == ["a"]
