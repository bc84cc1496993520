"""The catalogue over gRPC: what operators and services do with games, and what nobody may."""

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from playclock.rpc.catalog_fields import UPDATABLE
from playclock.v1 import (
    Agent,
    BatchGetGamesRequest,
    CatalogServiceStub,
    CreateGameRequest,
    DeleteGameRequest,
    Game,
    GetGameRequest,
    ListGamesRequest,
    ProvisionedGame,
    Provisioning,
    Token,
    UpdateAgentGamesRequest,
    UpdateGameRequest,
)

from tests.audit_trail import trail

if TYPE_CHECKING:
    from tests.conftest import World
    from tests.rpc.conftest import Failed, Rpc

DEVELOPER = "550e8400-e29b-41d4-a716-446655440000"
FULL: dict[str, Any] = {
    "name": "Seven",
    "description": "Seven of\nall",
    "brand": "Mega",
    "image_url": "https://cdn.example.com/i.png",
    "cover_image_url": "https://cdn.example.com/c.png",
    "play_url": "https://game.example.com/play",
    "demo_url": "https://game.example.com/demo",
    "platform": "web",
    "owner_id": DEVELOPER,
    "hidden": True,
    "admin_hidden": True,
    "tokens": [Token(id="a", symbol="GAME", name="Game Token", image_url="https://cdn.example.com/t.png"), Token(id="b")],
    "max_score_per_session": 1,
    "max_sessions_per_day": 2,
    "max_cumulative_points_per_day": 3,
    "on_provider_failure": ProvisionedGame.PROVIDER_FAILURE_ALLOW,
    "provider_failure_limit_sec": 60,
    "html_game": True,
    "iframable": True,
    "has_sdk": True,
    "twitter": "https://twitter.com/seven",
    "discord": "https://discord.gg/seven",
    "telegram": "@seven",
    "jwks_url": "https://game.example.com/jwks.json",
    "ownership_validated": True,
    "total_rewards_pool_value_usd": "15000.50",
    "total_rewards_allocated_usd": "5000.25",
    "estimated_daily_rewards_usd": "0",
}


class Catalogue:
    """The stub, as an operator calls it."""

    def __init__(self, rpc: "Rpc") -> None:
        self.rpc = rpc
        self.stub = CatalogServiceStub(rpc.channel)

    async def create(self, request_id: str = "", **fields: Any) -> Game:  # noqa: ANN401 - any field of a game
        request = CreateGameRequest(game=Game(**({"name": "Seven"} | fields)), request_id=request_id)
        return (await self.stub.CreateGame(request, metadata=self.rpc.OPERATOR)).game

    async def update(self, game_id: str, revision: int = 0, **fields: Any) -> Game:  # noqa: ANN401 - any field of a game
        mask = FieldMask(paths=list(fields))
        request = UpdateGameRequest(game_id=game_id, game=Game(**fields), update_mask=mask, revision=revision)
        return (await self.stub.UpdateGame(request, metadata=self.rpc.OPERATOR)).game

    async def get(self, **name: Any) -> Game:  # noqa: ANN401 - an id, number or token
        return (await self.stub.GetGame(GetGameRequest(**name), metadata=self.rpc.OPERATOR)).game

    async def delete(self, game_id: str, revision: int = 0) -> Game:
        request = DeleteGameRequest(game_id=game_id, revision=revision)
        return (await self.stub.DeleteGame(request, metadata=self.rpc.OPERATOR)).game

    async def batch(self, **names: Any) -> list[str]:  # noqa: ANN401 - ids, numbers and tokens
        answer = await self.stub.BatchGetGames(BatchGetGamesRequest(**names), metadata=self.rpc.OPERATOR)
        return [game.id for game in answer.games]

    async def page(self, **chosen: Any) -> tuple[list[str], str, int]:  # noqa: ANN401 - any field of the request
        answer = await self.stub.ListGames(ListGamesRequest(**chosen), metadata=self.rpc.OPERATOR)
        return [game.name for game in answer.games], answer.next_page_token, answer.total_size

    async def offer(self, agent_id: int, add: list[int] | None = None, remove: list[int] | None = None) -> int:
        request = UpdateAgentGamesRequest(agent_id=agent_id, add_numbers=add, remove_numbers=remove)
        return (await self.stub.UpdateAgentGames(request, metadata=self.rpc.OPERATOR)).games

    async def refused(self, call: Any) -> "Failed":  # noqa: ANN401 - any call
        return await self.rpc.failure(call)


@pytest.fixture
def games(rpc: "Rpc", world: "World") -> Catalogue:  # noqa: ARG001 - is there first
    return Catalogue(rpc)


class TestCreate:
    async def test_a_game_has_what_it_was_given_and_what_it_needs(self, games: Catalogue, world: "World") -> None:
        made = await games.create(**FULL, creator_id=DEVELOPER, number=77)
        assert {field: getattr(made, field) for field in FULL} == FULL
        assert (made.number, made.creator_id, made.revision) == (77, DEVELOPER, 1)
        assert made.create_time == made.update_time
        assert made.create_time.ToMilliseconds() == world.engine.clock.now_ms()
        assert not made.HasField("delete_time")
        assert await games.get(game_id=made.id) == await games.get(game_number=77) == await games.get(token_id="b") == made

    async def test_without_a_number_it_gets_the_next_free_one(self, games: Catalogue) -> None:
        first = await games.create()
        assert (await games.create()).number == first.number + 1
        await games.delete(first.id)
        taken = await games.refused(games.create(number=first.number))
        assert (taken.code, taken.violations) == (grpc.StatusCode.INVALID_ARGUMENT, ("game.number",))

    async def test_a_repeat_creates_no_other(self, games: Catalogue) -> None:
        made = await asyncio.gather(*(games.create("r-1", description="d") for _ in range(5)))
        assert len({game.id for game in made}) == 1
        changed = await games.update(made[0].id, name="Eight")
        assert await games.create("r-1", description="d") == changed
        refusal = await games.refused(games.create("r-1", description="another"))
        assert refusal.reason == "REQUEST_ID_REUSED"

    async def test_a_token_may_be_several_games_and_names_the_first_that_is_there(
        self, games: Catalogue, world: "World"
    ) -> None:
        one = await games.create(tokens=[Token(id="a")])
        world.engine.clock.advance(1)  # type: ignore[attr-defined] # a ManualClock
        other = await games.create(tokens=[Token(id="b"), Token(id="a")])
        assert await games.batch(token_ids=["a"]) == [one.id, other.id]
        assert (await games.get(token_id="a")).id == one.id
        await games.delete(one.id)
        assert (await games.get(token_id="a")).id == other.id


class TestUpdate:
    @pytest.mark.parametrize("field", UPDATABLE)
    async def test_each_field_can_be_changed_by_itself(self, games: Catalogue, field: str) -> None:
        before = await games.create()
        after = await games.update(before.id, **{field: FULL[field]} if field != "name" else {"name": "Eight"})
        expected = Game()
        expected.CopyFrom(before)
        expected.ClearField(field)  # type: ignore[arg-type] # a field of it
        expected.MergeFrom(Game(**{field: FULL[field]} if field != "name" else {"name": "Eight"}))
        expected.revision = 2
        if field == "owner_id":
            expected.org_rewards_split[DEVELOPER] = 10_000
        assert after == expected

    async def test_what_is_named_and_empty_becomes_empty(self, games: Catalogue) -> None:
        before = await games.create(brand="Mega", tokens=[Token(id="a")])
        after = await games.update(before.id, brand="", tokens=[])
        assert (after.brand, list(after.tokens), after.name) == ("", [], before.name)

    async def test_of_two_at_one_revision_one_is_told(self, games: Catalogue) -> None:
        game = await games.create()
        answers = await asyncio.gather(
            games.update(game.id, game.revision, name="A"),
            games.update(game.id, game.revision, name="B"),
            return_exceptions=True,
        )
        (won,) = [answer for answer in answers if isinstance(answer, Game)]
        (lost,) = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
        failed = games.rpc.unpacked(lost)
        assert (failed.code, failed.reason) == (grpc.StatusCode.ABORTED, "GAME_CHANGED")
        assert failed.metadata == {"revision": "2"}
        assert (await games.get(game_id=game.id)) == won

    async def test_of_many_at_once_no_field_is_lost(self, games: Catalogue) -> None:
        game = await games.create()
        fields: dict[str, Any] = {"name": "N", "brand": "B", "description": "D", "platform": "P"}
        await asyncio.gather(*(games.update(game.id, **{field: value}) for field, value in fields.items()))
        after = await games.get(game_id=game.id)
        assert {field: getattr(after, field) for field in fields} == fields
        assert after.revision == 5

    async def test_nothing_new_is_no_change(self, games: Catalogue, world: "World") -> None:
        game = await games.create()
        told = await trail(world)
        assert await games.update(game.id, name=game.name) == game
        assert await trail(world) == told


class TestDelete:
    async def test_it_is_for_good_and_can_be_repeated(self, games: Catalogue, world: "World") -> None:
        game = await games.create(tokens=[Token(id="a")])
        deleted = await games.delete(game.id, game.revision)
        assert deleted.delete_time.ToMilliseconds() == world.engine.clock.now_ms()
        assert await games.delete(game.id) == deleted
        for name in ({"game_id": game.id}, {"game_number": game.number}, {"token_id": "a"}):
            assert (await games.refused(games.get(**name))).reason == "GAME_NOT_FOUND"
        assert (await games.refused(games.update(game.id, name="B"))).reason == "GAME_NOT_FOUND"
        assert await games.batch(game_ids=[game.id], include_hidden=True) == []
        assert (await games.page(query=game.name, include_hidden=True))[2] == 0
        back = await games.refused(world.provision(Provisioning(games=[ProvisionedGame(id=game.id, name="Back")])))
        assert back.violations == (f"game/{game.id}",)

    async def test_at_another_revision_it_is_told(self, games: Catalogue) -> None:
        game = await games.create()
        assert (await games.refused(games.delete(game.id, 2))).reason == "GAME_CHANGED"
        assert await games.get(game_id=game.id) == game


class TestShow:
    async def test_a_batch_has_each_once_in_the_order_in_which_they_were_named(self, games: Catalogue) -> None:
        one, two, hidden = await games.create(tokens=[Token(id="a")]), await games.create(), await games.create(hidden=True)
        nowhere = DEVELOPER
        names: dict[str, Any] = {
            "game_ids": [two.id, nowhere, hidden.id],
            "game_numbers": [one.number, two.number, 1 << 40],
            "token_ids": ["a", "b"],
        }
        assert await games.batch(**names) == [two.id, one.id]
        assert await games.batch(**names, include_hidden=True) == [two.id, hidden.id, one.id]

    async def test_pages_by_token_and_by_offset_have_the_same(self, games: Catalogue) -> None:
        names = [f"Game {index}" for index in range(7)]
        for name in reversed(names):
            await games.create(name=name, description="mine")
        for descending in (False, True):
            expected = sorted(names, reverse=descending)
            found: list[str] = []
            token = ""
            while token or not found:
                page, token, total = await games.page(query="MINE", page_size=3, page_token=token, descending=descending)
                assert total == 7
                found += page
            assert found == expected
            assert (await games.page(query="mine", page_size=3, offset=2, descending=descending))[0] == expected[2:5]

    async def test_games_are_sorted_by_name_time_and_number(self, games: Catalogue, clock: Any) -> None:  # noqa: ANN401 - moved by hand
        for name, number in (("b", 903), ("A", 902), ("C", 901)):
            await games.create(name=name, number=number, description="mine")
            clock.advance(1)
        orders = {
            ListGamesRequest.SORT_BY_UNSPECIFIED: ["A", "b", "C"],
            ListGamesRequest.SORT_BY_NAME: ["A", "b", "C"],
            ListGamesRequest.SORT_BY_CREATE_TIME: ["b", "A", "C"],
            ListGamesRequest.SORT_BY_NUMBER: ["C", "A", "b"],
        }
        for sort_by, expected in orders.items():
            assert (await games.page(query="mine", sort_by=sort_by))[0] == expected

    async def test_filters_count_together(self, games: Catalogue, world: "World") -> None:
        await world.provision(Provisioning(agents=[Agent(id=7, name="Seven")]))
        mine = await games.create(name="Mine", owner_id=DEVELOPER)
        theirs = await games.create(name="Theirs")
        hidden = await games.create(name="Hidden", owner_id=DEVELOPER, admin_hidden=True)
        assert await games.offer(7, [mine.number, theirs.number, hidden.number]) == 3
        assert (await games.page(owner_id=DEVELOPER))[0] == ["Mine"]
        assert (await games.page(owner_id=DEVELOPER, include_hidden=True))[0] == ["Hidden", "Mine"]
        assert (await games.page(agent_id=7))[0] == ["Mine", "Theirs"]
        assert (await games.page(agent_id=7, owner_id=DEVELOPER, include_hidden=True, query="hid"))[0] == ["Hidden"]
        assert (await games.refused(games.page(agent_id=8))).reason == "AGENT_NOT_FOUND"


class TestAgents:
    async def test_games_are_added_and_removed(self, games: Catalogue, world: "World") -> None:
        await world.provision(Provisioning(agents=[Agent(id=7, name="Seven", games=[123])]))
        game = await games.create()
        assert await games.offer(7, [game.number, 123]) == 2
        assert await games.offer(7, [], [123, 999]) == 1
        assert (await games.page(agent_id=7))[0] == [game.name]
        await games.delete(game.id)
        assert await games.offer(7) == 0, "a deleted game is offered no more"
        assert (await games.refused(games.offer(7, [999]))).violations == ("add_numbers",)
        assert (await games.refused(games.offer(8))).reason == "AGENT_NOT_FOUND"


async def test_every_change_is_in_the_audit_trail_and_in_force_elsewhere(
    games: Catalogue, world: "World", elsewhere: "World"
) -> None:
    await world.provision(Provisioning(agents=[Agent(id=7, name="Seven")]))
    before = len(await trail(world))
    game = await games.create(tokens=[Token(id="a")])
    await games.update(game.id, brand="B", name="Eight")
    await games.offer(7, [game.number])
    await elsewhere.engine.estate.refresh()
    assert elsewhere.engine.context.catalog.games == world.engine.context.catalog.games
    assert elsewhere.engine.games.offered_by(7).numbers == {game.number}
    await games.delete(game.id)
    assert (await trail(world))[before:] == [
        ("CreateGame", f"game/{game.id}", "Seven"),
        ("UpdateGame", f"game/{game.id}", "changed brand, name"),
        ("UpdateAgentGames", "agent/7", f"added {game.number}"),
        ("DeleteGame", f"game/{game.id}", "Eight"),
    ]
    await elsewhere.engine.estate.refresh()
    assert elsewhere.engine.context.catalog.with_token("a") == []


BAD_GAMES: list[tuple[str, Any]] = [
    *(("name", name) for name in ("", "x" * 201, "a\tb")),
    *(("description", text) for text in ("x" * 4_001, "\x00", "\x1b[31m")),
    *(("brand", text) for text in ("x" * 201, "\n")),
    *((field, url) for field in ("image_url", "cover_image_url", "play_url", "demo_url") for url in ("ftp://a", "x" * 3_000)),
    ("platform", "x" * 65),
    ("owner_id", "somebody"),
    ("tokens", [Token(id="x"), Token(id="x", name="again")]),
    ("tokens", [Token(id=str(index)) for index in range(101)]),
    *(("tokens", [Token(id=token)]) for token in ("", "x" * 129, "a b", "é")),
    *(("tokens", [Token(id="x", **wrong)]) for wrong in ({"symbol": "x" * 33}, {"name": "\n"}, {"image_url": "/x"})),
    *(
        (field, value)
        for field in ("twitter", "discord", "telegram")
        for value in ("javascript:alert(1)", "a b", "@" + "x" * 65)
    ),
    *(("jwks_url", value) for value in ("ftp://x", "keys")),
    *(("total_rewards_pool_value_usd", value) for value in ("-1", "1e3", "1.", ".5", "1" * 13, "0.1234567", "\u0661")),
    ("total_rewards_allocated_usd", "x"),
    ("estimated_daily_rewards_usd", "x"),
    *(
        ("image_url", value)
        for value in ("/images/x.png", "//evil.example/" + "0" * 64 + ".png", "/images/" + "0" * 64 + ".svg", "javascript:1")
    ),
    *(
        (f"max_{cap}", value)
        for cap in ("score_per_session", "sessions_per_day", "cumulative_points_per_day")
        for value in (-1, 1 << 60)
    ),
    ("on_provider_failure", 99),
    ("provider_failure_limit_sec", -1),
]


@pytest.mark.parametrize(("field", "value"), BAD_GAMES)
async def test_a_bad_field_is_named_at_creation_and_change(games: Catalogue, world: "World", field: str, value: Any) -> None:  # noqa: ANN401
    known = dict(world.engine.context.catalog.games)
    for call in (games.create(**{field: value}), games.update(world.GAME_ID, **{field: value})):
        failed = await games.refused(call)
        assert (failed.code, failed.violations) == (grpc.StatusCode.INVALID_ARGUMENT, (f"game.{field}",))
    assert world.engine.context.catalog.games == known


def test_every_field_that_can_be_changed_has_a_bad_value() -> None:
    assert set(UPDATABLE) - {field for field, _ in BAD_GAMES} == {
        *("hidden", "admin_hidden", "html_game", "iframable", "has_sdk", "ownership_validated")
    }


async def test_a_bad_request_is_told_what_is_wrong(games: Catalogue, world: "World") -> None:
    stub, operator, id_ = games.stub, games.rpc.OPERATOR, world.GAME_ID
    mask, unknown = FieldMask(paths=["name"]), FieldMask(paths=["name", "revision"])
    cases: list[tuple[Any, Any, str]] = [
        (stub.CreateGame, CreateGameRequest(game=Game(name="A", number=-1)), "game.number"),
        (stub.CreateGame, CreateGameRequest(game=Game(name="A", number=1 << 31)), "game.number"),
        (stub.CreateGame, CreateGameRequest(game=Game(name="A", creator_id="me")), "game.creator_id"),
        (stub.CreateGame, CreateGameRequest(game=Game(name="A"), request_id="\t"), "request_id"),
        (stub.UpdateGame, UpdateGameRequest(game_id="x", game=Game(name="A"), update_mask=mask), "game_id"),
        (stub.UpdateGame, UpdateGameRequest(game_id=id_, game=Game(name="A")), "update_mask"),
        (stub.UpdateGame, UpdateGameRequest(game_id=id_, game=Game(name="A"), update_mask=unknown), "update_mask"),
        (stub.UpdateGame, UpdateGameRequest(game_id=id_, game=Game(name="A"), update_mask=mask, revision=-1), "revision"),
        (stub.GetGame, GetGameRequest(), "name"),
        (stub.GetGame, GetGameRequest(game_id=id_.upper()), "game_id"),
        (stub.BatchGetGames, BatchGetGamesRequest(game_numbers=range(101)), "game_ids"),
        (stub.ListGames, ListGamesRequest(query="x" * 201), "query"),
        (stub.ListGames, ListGamesRequest(query="a\nb"), "query"),
        (stub.ListGames, ListGamesRequest(sort_by=99), "sort_by"),  # type: ignore[arg-type] # on purpose
        (stub.ListGames, ListGamesRequest(page_size=-1), "page_size"),
        (stub.ListGames, ListGamesRequest(offset=-1), "offset"),
        *((stub.ListGames, ListGamesRequest(page_token=token), "page_token") for token in ("é", "AAAA", "!", "kwHC")),
        (stub.ListGames, ListGamesRequest(owner_id="me"), "owner_id"),
        (stub.ListGames, ListGamesRequest(agent_id=-1), "agent_id"),
        (stub.DeleteGame, DeleteGameRequest(game_id=""), "game_id"),
        (stub.DeleteGame, DeleteGameRequest(game_id=id_, revision=-1), "revision"),
        (stub.UpdateAgentGames, UpdateAgentGamesRequest(), "agent_id"),
        (stub.UpdateAgentGames, UpdateAgentGamesRequest(agent_id=1, add_numbers=range(1_001)), "add_numbers"),
        (stub.UpdateAgentGames, UpdateAgentGamesRequest(agent_id=1, remove_numbers=range(1_001)), "remove_numbers"),
    ]
    for method, request, field in cases:
        failed = await games.refused(method(request, metadata=operator))
        assert (failed.code, failed.violations) == (grpc.StatusCode.INVALID_ARGUMENT, (field,)), request


async def test_a_page_token_of_another_order_is_refused(games: Catalogue) -> None:
    token = (await games.page(page_size=1))[1]
    for chosen in ({"descending": True}, {"sort_by": ListGamesRequest.SORT_BY_NUMBER}):
        failed = await games.refused(games.page(page_size=1, page_token=token, **chosen))
        assert failed.violations == ("page_token",)
