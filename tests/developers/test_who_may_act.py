"""Who may act for a game, over every call that acts for one: before and after somebody has proven to own it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

import grpc
import pytest
from playclock.core.catalog import Game
from playclock.rpc.inprocess import InProcessChannel
from playclock.v1 import (
    BatchSavePointsRequest,
    GameFields,
    GetLeaderboardRequest,
    GetPointsRequest,
    GetStreakRequest,
    InvalidateSessionsRequest,
    IssueSessionTokenRequest,
    ListPlayerSessionsRequest,
    ListRiskySessionsRequest,
    PointsEntry,
    PointsServiceStub,
    ToggleVisibilityRequest,
    UpdateRegisteredGameRequest,
    ValidateSessionTokenRequest,
)

from tests.developers.callers import ANN, BEN, EVE, Games, provision
from tests.rpc.conftest import Rpc

if TYPE_CHECKING:
    from playclock.v1.points_service_pb2_grpc import PointsServiceAsyncStub

    from tests.conftest import World

pytestmark = pytest.mark.parametrize("store_kind", ["memory"], indirect=True)

ID: Final = "ab000000-2222-4333-8444-555555555555"
PLAYER: Final = "x:somebody"
NO_SESSION: Final = "0" * 32
PLAIN: Final[dict[str, Any]] = {"id": ID, "number": 1_001, "name": "Game", "brand": "", "image_url": "", "demo_url": ""}

# Ann created the game. What is told of its owner, and which of Ann, Ben and Eve may act for it then.
STATES: Final[dict[str, tuple[dict[str, Any], Sequence[str]]]] = {
    "unclaimed": ({}, [ANN]),
    "claimed by its creator": ({"owner_id": ANN, "is_ownership_validated": True}, [ANN]),
    "claimed by another": ({"owner_id": BEN, "is_ownership_validated": True}, [BEN]),
    "moved by the owner, unproven again": ({"owner_id": BEN}, [BEN]),
}
CALLS: Final[dict[str, Callable[[Games, Any, dict[str, Any]], Awaitable[object]]]] = {
    "UpdateRegisteredGame": lambda games, _, signed: games.public.UpdateRegisteredGame(
        UpdateRegisteredGameRequest(game_id=ID, fields=GameFields(description="new")), **signed
    ),
    "ToggleVisibility": lambda games, _, signed: games.public.ToggleVisibility(ToggleVisibilityRequest(game_id=ID), **signed),
    "BatchSavePoints": lambda _, points, signed: points.BatchSavePoints(
        BatchSavePointsRequest(game_id=ID, entries=[PointsEntry(player=PLAYER, points=1)]), **signed
    ),
    "GetPoints": lambda _, points, signed: points.GetPoints(GetPointsRequest(game_id=ID, player=PLAYER), **signed),
    "GetStreak": lambda _, points, signed: points.GetStreak(GetStreakRequest(game_id=ID, player=PLAYER), **signed),
    "GetLeaderboard": lambda _, points, signed: points.GetLeaderboard(GetLeaderboardRequest(game_id=ID), **signed),
    "IssueSessionToken": lambda _, points, signed: points.IssueSessionToken(
        IssueSessionTokenRequest(game_id=ID, player=PLAYER), **signed
    ),
    "InvalidateSessions": lambda _, points, signed: points.InvalidateSessions(
        InvalidateSessionsRequest(game_id=ID, session_ids=[NO_SESSION]), **signed
    ),
    "ListPlayerSessions": lambda _, points, signed: points.ListPlayerSessions(ListPlayerSessionsRequest(game_id=ID), **signed),
    "ListRiskySessions": lambda _, points, signed: points.ListRiskySessions(ListRiskySessionsRequest(game_id=ID), **signed),
}


@pytest.fixture
async def points(world: "World") -> "PointsServiceAsyncStub":
    await provision(world, (ANN, BEN, EVE))
    return PointsServiceStub(InProcessChannel(world.engine))


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("call", CALLS)
async def test_a_call_is_for_whose_game_it_is_and_for_nobody_else(
    world: "World", games: Games, points: "PointsServiceAsyncStub", state: str, call: str
) -> None:
    told, allowed = STATES[state]
    await world.engine.estate.apply([Game(**PLAIN, play_url="https://game.example.com/", creator_id=ANN, **told)])
    for developer_id in (ANN, BEN, EVE):
        asked = CALLS[call](games, points, {"metadata": games.signed(developer_id)})
        if developer_id in allowed:
            await asked
            continue
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asked
        failed = Rpc.unpacked(caught.value)
        assert (failed.code, failed.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    as_operator = PointsServiceStub(InProcessChannel(world.engine, operator=True))
    games.public = games.operator
    await CALLS[call](games, as_operator, {})


@pytest.mark.parametrize("call", CALLS)
async def test_others_do_not_hear_that_there_is_a_game_that_an_operator_hides(
    world: "World", games: Games, points: "PointsServiceAsyncStub", call: str
) -> None:
    await world.engine.estate.apply([Game(**PLAIN, play_url="https://game.example.com/", creator_id=ANN, is_admin_hidden=True)])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await CALLS[call](games, points, {"metadata": games.signed(EVE)})
    assert Rpc.unpacked(caught.value).reason == "GAME_NOT_FOUND"


@pytest.mark.parametrize("ask", [GetPointsRequest, GetStreakRequest])
async def test_nor_from_their_own_points(
    world: "World", games: Games, points: "PointsServiceAsyncStub", ask: type[GetPointsRequest | GetStreakRequest]
) -> None:
    await world.engine.estate.apply([Game(**PLAIN, play_url="https://game.example.com/", creator_id=ANN, is_admin_hidden=True)])
    call: Any = points.GetPoints if ask is GetPointsRequest else points.GetStreak
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(ask(game_id=ID, player=EVE), metadata=games.signed(EVE))
    assert Rpc.unpacked(caught.value).reason == "GAME_NOT_FOUND"
    await call(ask(game_id=ID, player=ANN), metadata=games.signed(ANN))


@pytest.mark.parametrize("state", STATES)
async def test_a_token_is_good_for_whose_game_it_is(
    world: "World", games: Games, points: "PointsServiceAsyncStub", state: str
) -> None:
    told, allowed = STATES[state]
    await world.engine.estate.apply([Game(**PLAIN, play_url="https://game.example.com/", creator_id=ANN, **told)])
    operator = PointsServiceStub(InProcessChannel(world.engine, operator=True))
    token = (await operator.IssueSessionToken(IssueSessionTokenRequest(game_id=ID, player=PLAYER))).player_token
    asked = ValidateSessionTokenRequest(player_token=token)
    valid = [
        developer_id
        for developer_id in (ANN, BEN, EVE)
        if (await points.ValidateSessionToken(asked, metadata=games.signed(developer_id))).is_valid
    ]
    assert valid == allowed
    assert (await operator.ValidateSessionToken(asked)).is_valid


async def test_whoever_creates_another_s_game_cannot_act_for_it_once_that_is_proven(
    games: Games, points: "PointsServiceAsyncStub"
) -> None:
    made = await games.register(ANN)
    save = BatchSavePointsRequest(game_id=made.id, entries=[PointsEntry(player=PLAYER, points=1)])
    await points.BatchSavePoints(save, metadata=games.signed(ANN))
    await games.as_operator(made.id, owner_id=BEN)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await points.BatchSavePoints(save, metadata=games.signed(ANN))
    assert Rpc.unpacked(caught.value).reason == "PERMISSION_DENIED"
    await points.BatchSavePoints(save, metadata=games.signed(BEN))
    told = await points.GetPoints(GetPointsRequest(game_id=made.id, player=PLAYER), metadata=games.signed(BEN))
    assert told.total_points == 2, "what was saved before stays"
    assert await games.mine(ANN) == await games.mine(BEN) == [made.name]
