"""Players' session tokens: bound to their game, over in time, in the store as hashes alone, and counted by its caps."""

import asyncio
from itertools import chain
from typing import TYPE_CHECKING, Any, Final

import pytest
from playclock.clock import ManualClock
from playclock.core.catalog import Game
from playclock.core.ids import player_session_key
from playclock.core.outbox import Audit, decode
from playclock.core.points import PlayerSession
from playclock.engine import OPERATOR, Caller, Role
from playclock.engine.points import Entry
from playclock.errors import BadRequest, GameNotFound, PermissionDenied, PointsExceeded, RequestIdReused

from tests.rpc.test_kinds_of_ids import ListeningStore

if TYPE_CHECKING:
    from tests.conftest import FaultInjectingStore, World, WorldMaker

OWNER: Final = Caller(Role.DEVELOPER, "550e8400-e29b-41d4-a716-446655440000")
STRANGER: Final = Caller(Role.DEVELOPER, "770e8400-e29b-41d4-a716-446655440002")
GAME: Final = "ab000000-2222-4333-8444-555555555555"
CAPPED: Final = "ab000001-2222-4333-8444-555555555555"
THEIRS: Final = "ab000002-2222-4333-8444-555555555555"
HIDDEN: Final = "ab000003-2222-4333-8444-555555555555"
HALF_AN_HOUR_SEC: Final = 1_800


@pytest.fixture
async def world(world: "World") -> "World":
    fields: dict[str, Any] = {"brand": "", "image_url": "", "play_url": "", "demo_url": ""}
    await world.engine.estate.apply(
        [
            Game(id=GAME, number=1_001, name="Game", owner_id=OWNER.id, **fields),
            Game(
                id=CAPPED,
                number=1_002,
                name="Capped",
                owner_id=OWNER.id,
                max_score_per_session=10,
                max_sessions_per_day=2,
                **fields,
            ),
            Game(id=THEIRS, number=1_003, name="Theirs", owner_id=STRANGER.id, **fields),
            Game(id=HIDDEN, number=1_004, name="Hidden", owner_id=OWNER.id, is_admin_hidden=True, **fields),
        ]
    )
    return world


async def issue(
    world: "World", name: str = "x:ann", *, game_id: str = GAME, caller: Caller = OWNER, request_id: str = ""
) -> tuple[PlayerSession, str]:
    return await world.engine.player_sessions.issue(caller, game_id, name, request_id=request_id)


async def save(world: "World", points: int, *, name: str = "x:ann", game_id: str = GAME) -> None:
    await world.engine.points.save(OWNER, game_id, [Entry(name, points)])


async def listed(world: "World", game_id: str = GAME, *, page_size: int = 0) -> list[list[str]]:
    """Return the ids of a game's sessions, page by page."""
    pages, token = [], ""
    while True:
        page, token = await world.engine.player_sessions.page(OWNER, game_id, page_size=page_size, page_token=token)
        pages.append([session.id for session in page])
        if not token:
            return pages


class TestTokens:
    async def test_are_good_for_half_an_hour_and_for_their_game(
        self, world: "World", elsewhere: "World", clock: ManualClock
    ) -> None:
        session, token = await issue(world, "solana:9qdvVLY3vLhmvV7uBkLJsQKcHDjxhoUWJ9uZASYEfwwC")
        assert token.startswith("player_")
        assert (session.game_id, session.player) == (GAME, "sol:9qdvVLY3vLhmvV7uBkLJsQKcHDjxhoUWJ9uZASYEfwwC")
        clock.advance(HALF_AN_HOUR_SEC - 0.001)
        for caller in (OWNER, OPERATOR):
            assert await elsewhere.engine.player_sessions.validate(caller, token) == session
        clock.advance(0.001)
        assert await elsewhere.engine.player_sessions.validate(OWNER, token) is None
        assert await world.engine.sweep() == 1
        assert await world.engine.store.get([player_session_key(GAME, session.id)]) == [None]
        assert await world.engine.sweep() == 0

    async def test_of_another_game_or_of_nobody_are_good_for_nothing(self, world: "World") -> None:
        _, token = await issue(world)
        _, theirs = await issue(world, game_id=THEIRS, caller=STRANGER)
        validate = world.engine.player_sessions.validate
        assert await validate(STRANGER, token) is None
        assert await validate(OWNER, theirs) is None
        assert await validate(STRANGER, theirs) is not None
        other_game = "player_" + THEIRS.replace("-", "") + token[-32:]
        wrong = [other_game, token[:-1] + ("0" if token[-1] != "0" else "1"), token + "0", token.upper(), "player_", "x"]
        for text in wrong:
            assert await validate(OPERATOR, text) is None

    async def test_lie_in_the_store_as_hashes_alone(self, world: "World", make_world: "WorldMaker") -> None:
        store = ListeningStore(world.engine.store)
        listening = await make_world(store)
        session, token = await issue(listening, request_id="r")
        assert await listening.engine.player_sessions.validate(OWNER, token) == session
        keys = sorted(store.read | store.written)
        records = [record.data for record in await store.get(keys) if record is not None]
        assert any(session.id.encode() in data for data in records)
        secret = token[-32:]
        assert not any(secret in key for key in keys)
        assert not any(secret.encode() in data or bytes.fromhex(secret) in data for data in records)

    async def test_a_request_id_begins_one_session_and_tells_its_token_once(
        self, world: "World", elsewhere: "World", make_world: "WorldMaker", busy_store: "FaultInjectingStore"
    ) -> None:
        crowded = await make_world(busy_store)
        calls = [issue((crowded, elsewhere)[number % 2], request_id="r") for number in range(20)]
        answers = await asyncio.gather(*calls)
        assert len({session.id for session, _ in answers}) == 1
        (token,) = (token for _, token in answers if token)
        assert await world.engine.player_sessions.validate(OWNER, token) == answers[0][0]
        assert await listed(world) == [[answers[0][0].id]]
        with pytest.raises(RequestIdReused):
            await issue(world, "x:ben", request_id="r")
        assert crowded.engine.counts.player_sessions + elsewhere.engine.counts.player_sessions == 1

    async def test_are_issued_to_players_for_games_of_ones_own_that_are_open(self, world: "World") -> None:
        with pytest.raises(PermissionDenied):
            await issue(world, game_id=THEIRS)
        with pytest.raises(GameNotFound):
            await issue(world, game_id=HIDDEN)
        with pytest.raises(BadRequest) as caught:
            await issue(world, "invalid-id")
        assert caught.value.violations == {"player": "Unable to resolve playerId: invalid-id"}


class TestCaps:
    async def test_sessions_of_a_day_are_counted_with_saves_that_belong_to_none(
        self, world: "World", elsewhere: "World"
    ) -> None:
        await issue(world, game_id=CAPPED)
        await save(elsewhere, 6, game_id=CAPPED)
        await save(elsewhere, 4, game_id=CAPPED)
        with pytest.raises(PointsExceeded) as caught:
            await save(world, 1, game_id=CAPPED)
        assert (caught.value.metadata["cap"], caught.value.metadata["value"]) == ("max_score_per_session", "11")
        await issue(elsewhere, game_id=CAPPED)
        await save(world, 10, game_id=CAPPED)
        with pytest.raises(PointsExceeded) as caught:
            await issue(world, game_id=CAPPED)
        assert caught.value.metadata == {"cap": "max_sessions_per_day", "maximum": "2", "value": "3", "player": "x:ann"}
        assert world.engine.counts.points_exceeded == {"max_score_per_session": 1, "max_sessions_per_day": 1}
        assert len(await listed(world, CAPPED)) == 1

    async def test_no_more_begin_than_may_where_many_are_asked_for_at_once(
        self, world: "World", elsewhere: "World", make_world: "WorldMaker", busy_store: "FaultInjectingStore"
    ) -> None:
        crowded = await make_world(busy_store)
        calls = [issue((crowded, elsewhere)[number % 2], game_id=CAPPED) for number in range(20)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert sum(isinstance(answer, PointsExceeded) for answer in answers) == 18
        assert sum(map(len, await listed(world, CAPPED))) == 2


class TestEnding:
    async def test_a_session_that_was_invalidated_is_over_and_its_points_stay(self, world: "World", elsewhere: "World") -> None:
        session, token = await issue(world, game_id=CAPPED)
        await save(world, 10, game_id=CAPPED)
        invalidate = elsewhere.engine.player_sessions.invalidate
        assert await invalidate(OWNER, CAPPED, [session.id, "0" * 32, session.id]) == [session.id]
        assert await invalidate(OWNER, CAPPED, [session.id]) == []
        assert await world.engine.player_sessions.validate(OWNER, token) is None
        assert await listed(world, CAPPED) == [[]]
        await save(world, 10, game_id=CAPPED)  # another session's: that one is full
        assert (await world.engine.points.get(OWNER, CAPPED, "x:ann")).total == 20

    async def test_another_games_session_is_left_alone(self, world: "World") -> None:
        session, token = await issue(world)
        assert await world.engine.player_sessions.invalidate(OWNER, CAPPED, [session.id]) == []
        with pytest.raises(PermissionDenied):
            await world.engine.player_sessions.invalidate(STRANGER, GAME, [session.id])
        assert await world.engine.player_sessions.validate(OWNER, token) == session

    @pytest.mark.parametrize("ids", [[], ["0" * 32] * 101, ["0" * 31], ["G" * 32]], ids=["none", "too many", "short", "odd"])
    async def test_what_is_no_list_of_ids_is_refused(self, world: "World", ids: list[str]) -> None:
        with pytest.raises(BadRequest):
            await world.engine.player_sessions.invalidate(OWNER, GAME, ids)

    async def test_operators_are_in_the_audit_trail(self, world: "World") -> None:
        before = (await world.engine.store.heads()).get(0xAB, 0)
        session, _ = await issue(world, caller=OPERATOR, request_id="r")
        await issue(world, caller=OPERATOR, request_id="r")
        for _ in range(2):
            await world.engine.player_sessions.invalidate(OPERATOR, GAME, [session.id])
        told = [decode(event.data) for event in await world.engine.store.events({0xAB: before}, 100)]
        assert [(each.action, each.target, each.detail) for each in told if isinstance(each, Audit)] == [
            ("IssueSessionToken", f"game/{GAME}", session.id),
            ("InvalidateSessions", f"game/{GAME}", "1 sessions"),
        ]


class TestListing:
    async def test_pages_through_those_of_the_game_that_go_on(self, world: "World", clock: ManualClock) -> None:
        made = []
        for number in range(5):
            session, _ = await issue(world, f"x:p{number}")
            await issue(world, game_id=CAPPED, name=f"x:p{number}")
            made.append(session.id)
            clock.advance(600)
        going_on = made[3:]  # the third ended with this moment
        assert list(chain(*await listed(world))) == list(chain(*await listed(world, page_size=1))) == going_on
        await world.engine.sweep()
        assert list(chain(*await listed(world, page_size=1))) == going_on

    async def test_is_for_the_games_developer(self, world: "World") -> None:
        page = world.engine.player_sessions.page
        with pytest.raises(PermissionDenied):
            await page(STRANGER, GAME, page_size=0, page_token="")
        for asked in ({"page_size": -1, "page_token": ""}, {"page_size": 0, "page_token": "x"}):
            with pytest.raises(BadRequest):
                await page(OWNER, GAME, **asked)  # type: ignore[arg-type] # one of each kind
