"""What is shown to whom: every way in which a game that is kept back could be found, on every store."""

from typing import TYPE_CHECKING, Any

import grpc
import pytest
from playclock.v1 import (
    BatchGetGamesByTokenRequest,
    BatchGetPublicGamesRequest,
    BeginClaimRequest,
    ClaimOwnershipRequest,
    GetGameByTokenRequest,
    GetPublicGameRequest,
    ListPublicGamesRequest,
    Token,
)

from tests.developers.callers import ANN, BEN, Games
from tests.developers.test_registered_games import refused

if TYPE_CHECKING:
    from tests.conftest import World

ORDERS = ListPublicGamesRequest.GameOrder.values()


async def found(games: Games, game_id: str) -> set[str]:
    """Return the ways in which everybody finds a game."""
    ways = set()
    for order in ORDERS:
        for ascending in (True, False):
            for query in ("", "secret"):
                chosen: dict[str, Any] = {"sort_by": order, "ascending": ascending, "query": query}
                answer = await games.public.ListPublicGames(ListPublicGamesRequest(**chosen))
                shown = game_id in {game.id for game in answer.games}
                assert answer.total_size == len(answer.games)
                ways |= {"search" if query else "list"} if shown else set()
    batch = await games.public.BatchGetPublicGames(BatchGetPublicGamesRequest(game_ids=[game_id]))
    ways |= {"batch"} if batch.games else set()
    by_token = await games.public.BatchGetGamesByToken(BatchGetGamesByTokenRequest(token_ids=["t"]))
    (token,) = by_token.tokens
    assert token.total_size == len(token.games)
    ways |= {"tokens"} if token.games else set()
    for way, call in (
        ("token", games.public.GetGameByToken(GetGameByTokenRequest(token_id="t"))),
        ("id", games.public.GetPublicGame(GetPublicGameRequest(game_id=game_id))),
    ):
        try:
            assert (await call).game.id == game_id
            ways.add(way)
        except grpc.aio.AioRpcError as error:
            assert error.code() == grpc.StatusCode.NOT_FOUND  # noqa: PT017 - either is an answer here
    return ways


EVERY_WAY = {"list", "search", "batch", "tokens", "token", "id"}


async def test_a_hidden_game_is_found_by_its_id_alone_and_then_again_in_every_way(games: Games, elsewhere: "World") -> None:
    made = await games.register(name="Secret Game")
    await games.as_operator(made.id, tokens=[Token(id="t")])
    there = Games(elsewhere.engine)
    for expected in (EVERY_WAY, {"id"}, EVERY_WAY):
        await there.refresh()
        assert await found(games, made.id) == await found(there, made.id) == expected
        assert await games.mine(ANN) == ["Secret Game"]
        assert await games.mine(BEN) == []
        await games.toggle(ANN, made.id)


async def test_what_an_operator_hides_is_found_nowhere_not_by_its_developer_either(games: Games) -> None:
    made = await games.register(name="Secret Game")
    await games.as_operator(made.id, tokens=[Token(id="t")], admin_hidden=True)
    assert await found(games, made.id) == set()
    assert await games.mine(ANN) == []
    begin = games.public.BeginClaim(BeginClaimRequest(game_id=made.id), metadata=games.signed(ANN))
    claim = games.public.ClaimOwnership(ClaimOwnershipRequest(game_id=made.id), metadata=games.signed(ANN))
    for call in (games.update(ANN, made.id, name="x"), games.toggle(ANN, made.id), begin, claim):
        assert (await refused(call)).code == grpc.StatusCode.NOT_FOUND


async def test_what_was_deleted_is_found_nowhere(games: Games, world: "World") -> None:
    made = await games.register(name="Secret Game")
    await games.as_operator(made.id, tokens=[Token(id="t")])
    await world.engine.games.delete(world.OPERATOR, made.id)
    assert await found(games, made.id) == set()
    assert await games.mine(ANN) == []
    for call in (games.update(ANN, made.id, name="x"), games.toggle(ANN, made.id)):
        assert (await refused(call)).code == grpc.StatusCode.NOT_FOUND


async def test_a_token_of_two_games_shows_both_or_the_one_that_is_not_hidden(games: Games) -> None:
    one, other = await games.register(name="One"), await games.register(name="Two")
    for made in (one, other):
        await games.as_operator(made.id, tokens=[Token(id="t")])
    request = BatchGetGamesByTokenRequest(token_ids=["t", "none", "t"])
    shared, none = (await games.public.BatchGetGamesByToken(request)).tokens
    assert {game.id for game in shared.games} == {one.id, other.id}
    assert (shared.total_size, none.token_id, none.total_size) == (2, "none", 0)
    await games.toggle(ANN, one.id)
    shared, _ = (await games.public.BatchGetGamesByToken(request)).tokens
    assert [(game.id, game.name, game.image_url) for game in shared.games] == [(other.id, "Two", other.image_url)]


async def test_lists_are_in_the_order_of_what_operators_say_of_rewards(games: Games, world: "World") -> None:
    values = {"A": "9.5", "B": "10", "C": "", "D": "10.000001"}
    await games.as_operator(world.GAME_ID, hidden=True)
    await games.as_operator(world.OTHER_GAME_ID, hidden=True)
    for name, value in values.items():
        made = await games.register(name=name)
        await games.as_operator(made.id, total_rewards_pool_value_usd=value, estimated_daily_rewards_usd=value)
        await games.as_operator(made.id, total_rewards_allocated_usd=value)
    for order in ("TOTAL_REWARDS_POOL_VALUE_USD", "ESTIMATED_DAILY_REWARDS_USD", "TOTAL_REWARDS_ALLOCATED_USD"):
        sort_by = ListPublicGamesRequest.GameOrder.Value(f"GAME_ORDER_{order}")
        assert await games.page(sort_by=sort_by) == (["D", "B", "A", "C"], "", 4)
        first, token, total = await games.page(sort_by=sort_by, ascending=True, limit=3)
        assert (first, total) == (["C", "A", "B"], 4)
        assert await games.page(sort_by=sort_by, ascending=True, page_token=token) == (["D"], "", 4)
    assert await games.page() == (["D", "B", "A", "C"], "", 4), "by the rewards pool, best first, as documented"
    assert (await games.page(limit=1, offset=1))[0] == ["B"]


@pytest.mark.parametrize("many", ["ids", "tokens"])
async def test_a_batch_has_a_hundred_at_most(games: Games, many: str) -> None:
    names = [str(index) for index in range(101)]
    for asked in (names, names[:100]):
        call: Any = (
            games.public.BatchGetPublicGames(BatchGetPublicGamesRequest(game_ids=asked))
            if many == "ids"
            else games.public.BatchGetGamesByToken(BatchGetGamesByTokenRequest(token_ids=asked))
        )
        if len(asked) > 100:
            assert (await refused(call)).violations == ("game_ids" if many == "ids" else "token_ids",)
        else:
            await call
