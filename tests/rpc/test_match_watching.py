"""Lists and watches of matches over MatchService: told as it happens, from any cursor, and of the caller's own game alone."""

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from playclock.core.codec import encode
from playclock.core.ids import match_key
from playclock.core.match import Match as StoredMatch
from playclock.core.match import MatchState, Seat, SeatState, TeamResult, Terms
from playclock.core.match_terms import PLAYERS_MAX, SUBMISSIONS_MAX, TEAM_ID_MAX
from playclock.core.payout import PayoutRule
from playclock.core.results import SCORE_MAX
from playclock.rpc.server import MESSAGE_BYTES_MAX
from playclock.stores.base import ABSENT, Commit, Put
from playclock.v1 import (
    ListMatchesRequest,
    Match,
    MatchEvent,
    MatchPlayer,
    StartMatchRequest,
    WatchMatchesRequest,
    WatchMatchesResponse,
)

from tests.rpc.test_match_service import CLIENT, ELSEWHERE, SECOND, UNKNOWN, Desk, estate, user

if TYPE_CHECKING:
    from tests.conftest import World
    from tests.rpc.conftest import Metadata, Rpc


@pytest.fixture(autouse=True)
async def _clients(world: "World") -> None:
    await world.provision(estate(world))


@pytest.fixture(params=["socket", "in process"])
def desk(request: pytest.FixtureRequest, rpc: "Rpc", near: "Rpc") -> Desk:
    return Desk(rpc if request.param == "socket" else near)


class Watch:
    """A stream of what happens to matches."""

    def __init__(self, desk: Desk, metadata: "Metadata", **asked: str) -> None:
        self._stream: Any = desk.stub.WatchMatches(WatchMatchesRequest(**asked), metadata=metadata)
        self.cursor = ""

    async def next(self) -> WatchMatchesResponse:
        async with asyncio.timeout(10):
            response = await self._stream.read()
        assert isinstance(response, WatchMatchesResponse)
        self.cursor = response.cursor
        return response

    async def begun(self) -> "Watch":
        assert not (await self.next()).HasField("event")
        return self

    async def take(self, count: int) -> list[tuple[str, str]]:
        events = [(await self.next()).event for _ in range(count)]
        return [(event.match.match_id, MatchEvent.Kind.Name(event.kind).removeprefix("KIND_")) for event in events]


async def test_a_client_is_told_of_its_own_games_matches_and_goes_on_from_a_cursor(desk: Desk) -> None:
    client, operator = await Watch(desk, await desk.by_client(CLIENT)).begun(), await Watch(desk, desk.by).begun()
    theirs = await desk.create(client_id=ELSEWHERE)
    match = await desk.create()
    assert set(await operator.take(2)) == {(theirs.match_id, "CREATED"), (match.match_id, "CREATED")}
    assert await client.take(1) == [(match.match_id, "CREATED")]
    await desk.join(match, 0)
    joined = (await client.next()).event
    assert [(player.user_id, player.account_id) for player in joined.match.players] == [(user(0), "")]
    assert [player.account_id for player in (await operator.next()).event.match.players] == ["p0"]
    cursor = client.cursor
    await desk.join(match, 1)
    await desk.leave(match, 1)
    await desk.join(match, 1)
    await desk.stub.StartMatch(StartMatchRequest(match_id=match.match_id), metadata=desk.by)
    await desk.report(match, await desk.by_client(CLIENT), 1, 2)
    kinds = ["JOINED", "LEFT", "JOINED", "STARTING", "LIVE", "FINISHED", "SETTLED"]
    assert [kind for _, kind in await client.take(7)] == kinds
    again = await Watch(desk, await desk.by_client(SECOND), cursor=cursor).begun()
    assert [kind for _, kind in await again.take(7)] == kinds
    last = (await (await Watch(desk, desk.by, cursor=cursor, match_id=match.match_id).begun()).take(7))[-1]
    assert last == (match.match_id, "SETTLED")


async def test_a_watch_names_a_game_or_a_match(desk: Desk, world: "World") -> None:
    first = await Watch(desk, desk.by, game_id=world.OTHER_GAME_ID).begun()
    one = await desk.create()
    second = await Watch(desk, desk.by, match_id=one.match_id).begun()
    theirs = await desk.create(client_id=ELSEWHERE)
    await desk.cancel(one)
    await desk.cancel(theirs)
    assert await first.take(3) == [(theirs.match_id, "CREATED"), (theirs.match_id, "CANCELLED"), (theirs.match_id, "SETTLED")]
    assert await second.take(2) == [(one.match_id, "CANCELLED"), (one.match_id, "SETTLED")]


async def test_a_list_shows_what_the_caller_may_see(desk: Desk) -> None:
    mine, theirs = await desk.live(), await desk.create(client_id=ELSEWHERE)
    found = (await desk.stub.ListMatches(ListMatchesRequest(), metadata=desk.by)).matches
    assert {match.match_id for match in found} == {mine.match_id, theirs.match_id}
    request = ListMatchesRequest(state=Match.STATE_LIVE, user_id=user(0), page_size=10)
    (shown,) = (await desk.stub.ListMatches(request, metadata=await desk.by_client(SECOND))).matches
    assert [(player.state, player.account_id) for player in shown.players] == [(MatchPlayer.STATE_PAID, "")] * 2
    assert not (await desk.stub.ListMatches(request, metadata=await desk.by_client(ELSEWHERE))).matches


async def test_what_is_wrong_is_named(desk: Desk) -> None:
    for request, field in (
        (ListMatchesRequest(state=9), "state"),  # type: ignore[arg-type]
        (ListMatchesRequest(user_id="x"), "user_id"),
        (ListMatchesRequest(page_size=-1), "page_size"),
        (ListMatchesRequest(page_token="x"), "page_token"),
    ):
        failed = await desk.calls.failure(desk.stub.ListMatches(request, metadata=desk.by))
        assert (failed.code, failed.violations) == (grpc.StatusCode.INVALID_ARGUMENT, (field,))
    stream: Any = desk.stub.WatchMatches(WatchMatchesRequest(cursor="x", match_id=UNKNOWN), metadata=desk.by)
    failed = await desk.calls.failure(anext(aiter(stream)))
    assert (failed.code, failed.violations) == (grpc.StatusCode.INVALID_ARGUMENT, ("cursor",))


async def test_a_page_of_the_largest_matches_fits_into_a_message(desk: Desk, world: "World") -> None:
    terms = Terms(
        game_id=world.GAME_ID,
        client_id=CLIENT,
        is_synchronous=False,
        is_tournament=True,
        currency="GCOIN",
        entry_fee_micros=1,
        fee_basis_points=0,
        payout=PayoutRule(),
        players_min=2,
        players_max=PLAYERS_MAX,
        submissions_total=SUBMISSIONS_MAX,
        join_ms=3_600_000,
        play_ms=600_000,
    )
    seats = tuple(
        Seat(
            number=number,
            user_id=user(number),
            team_id=chr(0x1F600 + number) * TEAM_ID_MAX,
            account_id="a" * 64,
            state=SeatState.PAID,
            scores=(SCORE_MAX,) * SUBMISSIONS_MAX,
        )
        for number in range(PLAYERS_MAX)
    )
    now_ms, places = world.engine.clock.now_ms(), range(14)
    result = tuple(TeamResult(team_id=seat.team_id, score=SCORE_MAX, rank=1) for seat in seats)
    for place in places:
        match = StoredMatch(
            id=f"{place // 12:02x}{place:022x}",
            terms=terms,
            created_ms=now_ms,
            state=MatchState.LIVE,
            seats=seats,
            result=result,
            live_ms=now_ms,
        )
        put = Put(key=match_key(match.id), expect=ABSENT, data=encode(match), due_ms=now_ms + 600_000)
        assert await world.engine.store.commit([Commit(partition=place // 12, puts=[put])]) == [None]
    found, token, pages = list[str](), "", 0
    while not pages or token:
        page = await desk.stub.ListMatches(ListMatchesRequest(page_size=1_000, page_token=token), metadata=desk.by)
        assert page.ByteSize() < MESSAGE_BYTES_MAX
        found += [match.match_id for match in page.matches]
        token, pages = page.next_page_token, pages + 1
    assert len(found) == len(set(found)) == len(places)
    assert pages > 1
