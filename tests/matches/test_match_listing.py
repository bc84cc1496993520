"""Lists of matches: what is open and what has just ended, by game, client, player and state, and to a client its own game's."""

import pytest
from playclock.clock import ManualClock
from playclock.core.match import Match, MatchState
from playclock.engine import OPERATOR, Caller
from playclock.errors import BadRequest

from tests.matches.conftest import CLIENT, OTHER, PUSHED, Arena, scores, user


async def listed(arena: Arena, caller: Caller = OPERATOR, *, page_size: int = 0, **wanted: object) -> list[Match]:
    found, token = list[Match](), ""
    while True:
        page, token = await arena.matches.listing.page(caller, page_size=page_size, page_token=token, **wanted)  # type: ignore[arg-type]
        assert len(page) <= (page_size or 100)
        found += page
        if not token:
            assert len({match.id for match in found}) == len(found)
            return found


async def test_matches_are_listed_as_they_stand_until_a_day_after_their_end(arena: Arena, clock: ManualClock) -> None:
    made = [await arena.create() for _ in range(12)]
    ended = await arena.live()
    await arena.matches.report(CLIENT, ended.id, scores(1, 2))
    for size in (0, 1, 5):
        assert {match.id for match in await listed(arena, page_size=size)} == {match.id for match in (*made, ended)}
    clock.advance(3_600)
    aborted = await listed(arena, state=MatchState.ABORTED)
    assert {match.id for match in aborted} == {match.id for match in made}
    await arena.engine.sweep()
    assert len(await listed(arena)) == 13
    clock.advance(86_400 - 3_600)
    assert {match.id for match in await listed(arena)} == {match.id for match in made}
    clock.advance(3_600)
    assert await listed(arena) == []
    assert await arena.engine.sweep() == 13
    assert await arena.engine.sweep() == 0
    assert (await arena.matches.get(OPERATOR, ended.id)).state is MatchState.FINISHED


@pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
async def test_a_filter_lets_through_what_it_names(arena: Arena) -> None:
    lonely, live = await arena.join(await arena.create(), 2), await arena.live()
    pushed = await arena.join(await arena.create(client_id=PUSHED.id), 0)
    for wanted, found in (
        ({"client_id": CLIENT.id}, {lonely.id, live.id}),
        ({"client_id": PUSHED.id}, {pushed.id}),
        ({"client_id": "nobody"}, set()),
        ({"game_id": live.terms.game_id}, {lonely.id, live.id, pushed.id}),
        ({"game_id": "x"}, set()),
        ({"state": MatchState.LIVE}, {live.id}),
        ({"state": MatchState.CREATED, "client_id": CLIENT.id}, {lonely.id}),
        ({"user_id": user(0)}, {live.id, pushed.id}),
        ({"user_id": user(3)}, set()),
    ):
        assert {match.id for match in await listed(arena, **wanted)} == found


@pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
async def test_a_client_lists_its_own_games_matches_alone(arena: Arena) -> None:
    match = await arena.create()
    assert [each.id for each in await listed(arena, CLIENT)] == [match.id]
    assert await listed(arena, OTHER) == []
    assert await listed(arena, OTHER, game_id=match.terms.game_id) == []


@pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
async def test_what_is_wrong_is_named(arena: Arena) -> None:
    page = arena.matches.listing.page
    for field, call in (
        ("user_id", page(OPERATOR, page_size=0, page_token="", user_id="x")),
        ("page_size", page(OPERATOR, page_size=-1, page_token="")),
        ("page_token", page(OPERATOR, page_size=0, page_token="x")),
    ):
        with pytest.raises(BadRequest) as caught:
            await call
        assert list(caught.value.violations) == [field]
