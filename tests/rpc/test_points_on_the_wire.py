"""PointsService as developers and facades call it: over a socket and in process, signed, and signed again."""

from typing import TYPE_CHECKING, Any, Final

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from playclock.clock import ManualClock
from playclock.core.catalog import Game
from playclock.v1 import (
    BatchSavePointsRequest,
    BatchSavePointsResponse,
    Developer,
    GetLeaderboardRequest,
    GetLeaderboardResponse,
    GetPointsRequest,
    GetPointsResponse,
    GetStreakRequest,
    GetStreakResponse,
    InvalidateSessionsRequest,
    InvalidateSessionsResponse,
    IssueSessionTokenRequest,
    LeaderboardEntry,
    ListPlayerSessionsRequest,
    ListPlayerSessionsResponse,
    ListRiskySessionsRequest,
    PlayerSession,
    PointsEntry,
    PointsServiceStub,
    Provisioning,
    ValidateSessionTokenRequest,
    ValidateSessionTokenResponse,
)

if TYPE_CHECKING:
    from playclock.v1.points_service_pb2_grpc import PointsServiceAsyncStub

    from tests.conftest import World
    from tests.rpc.conftest import Rpc

DEVELOPER: Final = "550e8400-e29b-41d4-a716-446655440000"
OTHER: Final = "660e8400-e29b-41d4-a716-446655440001"
GAME: Final = "ab000000-2222-4333-8444-555555555555"
THEIRS: Final = "ab000001-2222-4333-8444-555555555555"


@pytest.fixture(autouse=True)
async def games(world: "World") -> None:
    await world.provision(
        Provisioning(
            developers=[
                Developer(id=DEVELOPER, secret="the-secret-of-the-developer"),
                Developer(id=OTHER, secret="the-secret-of-another-developer"),
            ]
        )
    )
    fields: dict[str, Any] = {"brand": "", "image_url": "", "play_url": "", "demo_url": ""}
    mine = Game(id=GAME, number=1_001, name="Game", owner_id=DEVELOPER, max_score_per_session=100, **fields)
    theirs = Game(id=THEIRS, number=1_002, name="Theirs", owner_id=OTHER, creator_id=OTHER, **fields)
    await world.engine.estate.apply([mine, theirs])


@pytest.fixture(params=["socket", "in process"])
def calls(request: pytest.FixtureRequest, rpc: "Rpc", near: "Rpc") -> "Rpc":
    return {"socket": rpc, "in process": near}[request.param]


@pytest.fixture
def points(calls: "Rpc") -> "PointsServiceAsyncStub":
    return PointsServiceStub(calls.channel)


def batch(*entries: tuple[str, int], game_id: str = GAME, request_id: str = "") -> BatchSavePointsRequest:
    return BatchSavePointsRequest(
        game_id=game_id,
        entries=[PointsEntry(player=player, points=number) for player, number in entries],
        request_id=request_id,
    )


async def test_a_developers_day(calls: "Rpc", points: "PointsServiceAsyncStub", clock: ManualClock) -> None:
    saved = await points.BatchSavePoints(batch(("x:Ann", 5), (OTHER, 3)), metadata=calls.signed_by_developer())
    ann = saved.player_ids["x:Ann"]
    assert saved == BatchSavePointsResponse(saved_count=2, player_ids={"x:Ann": ann, OTHER: OTHER})
    now = Timestamp(seconds=clock.now_ms() // 1000)
    by = calls.signed_by_developer
    assert await points.GetPoints(GetPointsRequest(game_id=GAME, player="x:ann"), metadata=by()) == GetPointsResponse(
        player_id=ann, points=5, total_points=5
    )
    leaders = await points.GetLeaderboard(GetLeaderboardRequest(game_id=GAME), metadata=by())
    assert leaders == GetLeaderboardResponse(
        date="2026-01-01",
        entries=[
            LeaderboardEntry(rank=1, player_id=ann, points=5, reach_time=now),
            LeaderboardEntry(rank=2, player_id=OTHER, points=3, reach_time=now),
        ],
    )
    first = await points.GetLeaderboard(GetLeaderboardRequest(game_id=GAME, limit=1, date="2026-01-01"), metadata=by())
    assert list(first.entries) == list(leaders.entries)[:1]
    streak = await points.GetStreak(GetStreakRequest(game_id=GAME, player="x:ann"), metadata=by())
    assert streak == GetStreakResponse(today=True, streak=1)


@pytest.mark.parametrize("store_kind", ["memory"], indirect=True)
async def test_a_developer_saves_three_batches_a_second_and_operators_as_many_as_they_like(
    calls: "Rpc", points: "PointsServiceAsyncStub"
) -> None:
    for _ in range(3):
        await points.BatchSavePoints(batch(("x:ann", 1)), metadata=calls.signed_by_developer())
    failed = await calls.failure(points.BatchSavePoints(batch(("x:ann", 1)), metadata=calls.signed_by_developer()))
    assert (failed.code, failed.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert failed.metadata == {"limit": "point_saves_per_developer", "quota": "3", "window_sec": "1"}
    await points.GetPoints(GetPointsRequest(game_id=GAME, player="x:ann"), metadata=calls.signed_by_developer())
    for _ in range(5):
        await points.BatchSavePoints(batch(("x:ann", 1)), metadata=calls.OPERATOR)


async def test_a_session_from_its_token_to_its_end(calls: "Rpc", points: "PointsServiceAsyncStub", clock: ManualClock) -> None:
    by = calls.signed_by_developer
    issued = await points.IssueSessionToken(IssueSessionTokenRequest(game_id=GAME, player="twitter:ann"), metadata=by())
    session = issued.session
    assert session == PlayerSession(
        id=session.id,
        game_id=GAME,
        player="twitter:ann",
        player_id=session.player_id,
        create_time=Timestamp(seconds=clock.now_ms() // 1000),
        expire_time=Timestamp(seconds=clock.now_ms() // 1000 + 1_800),
    )
    validate = ValidateSessionTokenRequest(player_token=issued.player_token)
    good = ValidateSessionTokenResponse(is_valid=True, session=session)
    assert await points.ValidateSessionToken(validate, metadata=by()) == good
    page = await points.ListPlayerSessions(ListPlayerSessionsRequest(game_id=GAME), metadata=by())
    assert page == ListPlayerSessionsResponse(sessions=[session])
    end = InvalidateSessionsRequest(game_id=GAME, session_ids=[session.id])
    clock.advance(1)
    assert await points.InvalidateSessions(end, metadata=by()) == InvalidateSessionsResponse(session_ids=[session.id])
    assert await points.ValidateSessionToken(validate, metadata=by()) == ValidateSessionTokenResponse(is_valid=False)


async def test_a_signature_that_comes_again_acts_once(
    calls: "Rpc", points: "PointsServiceAsyncStub", clock: ManualClock
) -> None:
    signed = calls.signed_by_developer()
    answers = [await points.BatchSavePoints(batch(("x:ann", 5)), metadata=signed) for _ in range(2)]
    assert answers[0] == answers[1]
    failed = await calls.failure(points.BatchSavePoints(batch(("x:ann", 6)), metadata=signed))
    assert (failed.code, failed.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
    clock.advance(1)
    signed, request = calls.signed_by_developer(), IssueSessionTokenRequest(game_id=GAME, player="x:ann")
    issued = [await points.IssueSessionToken(request, metadata=signed) for _ in range(3)]
    assert [bool(each.player_token) for each in issued] == [True, False, False]
    assert len({each.session.id for each in issued}) == 1
    told = await points.GetPoints(GetPointsRequest(game_id=GAME, player="x:ann"), metadata=calls.signed_by_developer())
    assert (told.points, told.total_points) == (5, 5)


async def test_another_developers_game_is_refused(calls: "Rpc", points: "PointsServiceAsyncStub") -> None:
    requests: dict[str, Message] = {
        "BatchSavePoints": batch(("x:ann", 1), game_id=THEIRS),
        "GetPoints": GetPointsRequest(game_id=THEIRS, player="x:ann"),
        "GetLeaderboard": GetLeaderboardRequest(game_id=THEIRS),
        "GetStreak": GetStreakRequest(game_id=THEIRS, player="x:ann"),
        "IssueSessionToken": IssueSessionTokenRequest(game_id=THEIRS, player="x:ann"),
        "InvalidateSessions": InvalidateSessionsRequest(game_id=THEIRS, session_ids=["0" * 32]),
        "ListPlayerSessions": ListPlayerSessionsRequest(game_id=THEIRS),
        "ListRiskySessions": ListRiskySessionsRequest(game_id=THEIRS),
    }
    for name, request in requests.items():
        failed = await calls.failure(getattr(points, name)(request, metadata=calls.signed_by_developer()))
        assert (failed.code, failed.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED"), name
    theirs = await points.IssueSessionToken(IssueSessionTokenRequest(game_id=THEIRS, player="x:ann"), metadata=calls.OPERATOR)
    validate = ValidateSessionTokenRequest(player_token=theirs.player_token)
    told = await points.ValidateSessionToken(validate, metadata=calls.signed_by_developer())
    assert told == ValidateSessionTokenResponse(is_valid=False)


async def test_over_a_cap_the_entry_is_named(calls: "Rpc", points: "PointsServiceAsyncStub") -> None:
    failed = await calls.failure(
        points.BatchSavePoints(batch(("x:ann", 100), ("x:ben", 101)), metadata=calls.signed_by_developer())
    )
    assert (failed.code, failed.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "POINTS_EXCEEDED")
    assert failed.sentence == "entry 1: 101 would exceed max_score_per_session of 100"
    assert failed.metadata == {
        "cap": "max_score_per_session",
        "maximum": "100",
        "value": "101",
        "player": "x:ben",
        "entry": "1",
    }


@pytest.mark.parametrize(
    ("name", "request_", "field"),
    [
        ("BatchSavePoints", batch(("x:ann", 1), game_id="game"), "game_id"),
        ("BatchSavePoints", batch(), "entries"),
        ("BatchSavePoints", batch(("ann", 1)), "entries[0].player"),
        ("BatchSavePoints", batch(("x:ann", 2**53)), "entries[0].points"),
        ("BatchSavePoints", batch(("x:ann", 1), request_id="r\u00e9"), "request_id"),
        ("GetPoints", GetPointsRequest(game_id=GAME, player="ann"), "player"),
        ("GetStreak", GetStreakRequest(game_id=GAME), "player"),
        ("GetLeaderboard", GetLeaderboardRequest(game_id=GAME, date="2026-02-30"), "date"),
        ("GetLeaderboard", GetLeaderboardRequest(game_id=GAME, limit=101), "limit"),
        ("IssueSessionToken", IssueSessionTokenRequest(game_id=GAME, player="ann"), "player"),
        ("ValidateSessionToken", ValidateSessionTokenRequest(), "player_token"),
        ("ValidateSessionToken", ValidateSessionTokenRequest(player_token="x" * 256), "player_token"),
        ("InvalidateSessions", InvalidateSessionsRequest(game_id=GAME), "session_ids"),
        ("InvalidateSessions", InvalidateSessionsRequest(game_id=GAME, session_ids=["x"]), "session_ids[0]"),
        ("ListPlayerSessions", ListPlayerSessionsRequest(game_id=GAME, page_size=-1), "page_size"),
        ("ListPlayerSessions", ListPlayerSessionsRequest(game_id=GAME, page_token="x"), "page_token"),
        ("ListRiskySessions", ListRiskySessionsRequest(game_id=GAME, page_size=-1), "page_size"),
    ],
)
async def test_what_is_malformed_is_refused_by_name(near: "Rpc", name: str, request_: Message, field: str) -> None:
    call = getattr(PointsServiceStub(near.channel), name)
    failed = await near.failure(call(request_, metadata=near.OPERATOR))
    assert (failed.code, failed.violations) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))
