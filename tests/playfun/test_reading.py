"""Games as everybody finds them, on both path forms; and hidden ones, which nobody finds but by their ids."""

from dataclasses import dataclass
from typing import Any, Final

import pytest
import pytest_asyncio
from playclock.core.catalog import Game, Token

from tests.playwave.server import Server

from .callers import DEVELOPER, NOT_FOUND, RIVAL, TOO_MANY, UNAUTHORIZED, Developer, bad_request, refused

MINT: Final = "TokenMint123"
OTHER_MINT: Final = "TokenMint456"
UNKNOWN: Final = "00000000-0000-4000-8000-000000000000"


def _game(number: int, name: str, **fields: Any) -> Game:  # noqa: ANN401 - the record's fields
    plain: dict[str, Any] = {"brand": "", "image_url": f"https://cdn.example.com/{number}.png", "demo_url": ""}
    plain |= {"play_url": f"https://example.com/{number}", "creator_id": DEVELOPER}
    return Game(id=f"ac0000{number:02}-2222-4333-8444-555555555555", number=number, name=name, **{**plain, **fields})


AWESOME: Final = _game(
    1,
    "Awesome Game",
    description="A fun play-to-earn game",
    cover_image_url="https://cdn.example.com/cover.png",
    is_html=True,
    is_iframable=True,
    has_sdk=True,
    platform="WEB",
    twitter="https://twitter.com/awesomegame",
    discord="https://discord.gg/awesomegame",
    rewards_pool_usd="15000.50",
    rewards_allocated_usd="5000.25",
    tokens=(Token(MINT, "GAME", "Game Token", "https://cdn.example.com/token.png"),),
)
BORING: Final = _game(2, "Boring Game", rewards_pool_usd="3", tokens=(Token(MINT),), owner_id=RIVAL)
CHESS: Final = _game(3, "Chess", description="Not awesome", rewards_pool_usd="20")
HIDDEN: Final = _game(4, "Awesome Secret", is_hidden=True, rewards_pool_usd="99999", tokens=(Token(MINT), Token(OTHER_MINT)))
GONE: Final = _game(5, "Awesome Ban", is_admin_hidden=True, tokens=(Token(MINT), Token(OTHER_MINT)))


@dataclass
class Visitor:
    """Somebody without any signature."""

    server: Server

    async def ask(self, path: str, **options: Any) -> Any:  # noqa: ANN401 - JSON
        """GET a path, or POST it where there is a body, and return what is answered."""
        answer = await self.server.client().request("POST" if options else "GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refusal(self, path: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - what httpx takes
        """Do the same, and return how it is refused."""
        return refused(await self.server.client().request("POST" if options else "GET", path, **options))


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def games(server: Server) -> None:
    await server.engine.estate.apply([AWESOME, BORING, CHESS, HIDDEN, GONE])
    for engine in server.engines:
        await engine.estate.refresh()


@pytest.fixture
def visitor(server: Server) -> Visitor:
    return Visitor(server)


OTHERS: Final = ["Champagne Party", "Zebra Race"]
"""Games that every server of these tests has. Nobody has said what their rewards are worth."""


def names(games: list[dict[str, Any]]) -> list[str]:
    return [game["name"] for game in games if game["name"] not in OTHERS]


class TestOneGame:
    @pytest.mark.parametrize("path", ["/games/id/", "/games/"])
    async def test_the_document_s_example(self, visitor: Visitor, path: str) -> None:
        told = await visitor.ask(f"{path}{AWESOME.id}?include_tokens=true")
        example = {
            "id": AWESOME.id,
            "name": "Awesome Game",
            "description": "A fun play-to-earn game",
            "gameUrl": "https://example.com/1",
            "imageUrl": "https://cdn.example.com/1.png",
            "coverImage": "https://cdn.example.com/cover.png",
            "isHtmlGame": True,
            "iframable": True,
            "platform": "WEB",
            "twitter": "https://twitter.com/awesomegame",
            "discord": "https://discord.gg/awesomegame",
            "totalRewardsPoolValueUsd": "15000.50",
            "totalRewardsAllocatedUsd": "5000.25",
            "createdAt": "2026-01-01T00:00:00.000Z",
            "tokens": [
                {"address": MINT, "symbol": "GAME", "name": "Game Token", "imageUrl": "https://cdn.example.com/token.png"}
            ],
        }
        assert {name: told[name] for name in example} == example
        assert "hidden" not in told
        assert "tokens" not in await visitor.ask(f"{path}{AWESOME.id}")

    @pytest.mark.parametrize("path", ["/games/id/", "/games/"])
    async def test_a_hidden_game_is_found_by_its_id_and_a_banned_one_never(self, visitor: Visitor, path: str) -> None:
        assert (await visitor.ask(f"{path}{HIDDEN.id}"))["name"] == "Awesome Secret"
        for gone in (GONE.id, UNKNOWN):
            assert await visitor.refusal(f"{path}{gone}") == NOT_FOUND

    @pytest.mark.parametrize("path", ["/games/by-token-id/{}", "/games/token-id/{}/full"])
    async def test_by_a_token(self, visitor: Visitor, path: str) -> None:
        told = await visitor.ask(path.format(MINT))
        assert (told["name"], told["tokens"][0]["symbol"]) == ("Awesome Game", "GAME")
        for token in (OTHER_MINT, "TokenMint789"):
            assert await visitor.refusal(path.format(token)) == NOT_FOUND


class TestTheList:
    async def test_the_most_valuable_pool_comes_first(self, visitor: Visitor) -> None:
        told = await visitor.ask("/games")
        assert list(told) == ["games", "offset", "hasMore", "total", "nextCursor"]
        assert names(told["games"]) == ["Awesome Game", "Chess", "Boring Game"]
        assert (told["offset"], told["hasMore"], told["total"], told["nextCursor"]) == (0, False, 5, None)
        assert told["games"][0]["totalRewardsPoolValueUsd"] == "15000.50"

    async def test_the_document_s_query_page_by_page(self, visitor: Visitor) -> None:
        told = await visitor.ask("/games?limit=2&offset=0&sortBy=totalRewardsPoolValueUsd&sort=desc")
        assert (names(told["games"]), told["hasMore"], told["total"]) == (["Awesome Game", "Chess"], True, 5)
        for further in ("offset=2", f"cursor={told['nextCursor']}"):
            rest = await visitor.ask(f"/games?limit=2&{further}")
            assert (names(rest["games"]), len(rest["games"]), rest["hasMore"]) == (["Boring Game"], 2, True)
        last = await visitor.ask("/games?limit=2&offset=4")
        assert (len(last["games"]), last["offset"], last["hasMore"]) == (1, 4, False)

    @pytest.mark.parametrize(
        ("sort_by", "ascending"),
        [
            ("name", ["Awesome Game", "Boring Game", "Chess"]),
            ("createdAt", ["Awesome Game", "Boring Game", "Chess"]),
            ("totalRewardsPoolValueUsd", ["Boring Game", "Chess", "Awesome Game"]),
        ],
    )
    async def test_sorting_both_ways(self, visitor: Visitor, sort_by: str, ascending: list[str]) -> None:
        assert names((await visitor.ask(f"/games?sortBy={sort_by}&sort=asc"))["games"]) == ascending
        assert names((await visitor.ask(f"/games?sortBy={sort_by}&sort=desc"))["games"]) == ascending[::-1]

    @pytest.mark.parametrize("sort_by", ["totalRewardsAllocatedUsd", "estimatedDailyRewardsUsd"])
    async def test_the_other_sums_can_be_sorted_by(self, visitor: Visitor, sort_by: str) -> None:
        assert len((await visitor.ask(f"/games?sortBy={sort_by}"))["games"]) == 5

    async def test_a_search_looks_at_names_and_descriptions_and_never_at_hidden_games(self, visitor: Visitor) -> None:
        assert names((await visitor.ask("/games?query=AWESOME&sortBy=name&sort=asc"))["games"]) == ["Awesome Game", "Chess"]
        assert (await visitor.ask("/games?query=secret"))["total"] == 0

    async def test_a_page_has_fifty_games_unless_another_number_is_asked_for(
        self, server: Server, visitor: Visitor, developer: Developer
    ) -> None:
        await server.engine.estate.apply([_game(number, f"Game {number}") for number in range(10, 70)])
        for engine in server.engines:
            await engine.estate.refresh()
        told = await visitor.ask("/games")
        assert (len(told["games"]), told["hasMore"], told["total"]) == (50, True, 65)
        assert len((await visitor.ask("/games?limit=100"))["games"]) == 65
        assert len(await developer.ask("GET", "/games/me")) == 50
        assert len(await developer.ask("GET", "/games/me?limit=100")) == 64

    async def test_tokens_are_told_to_who_asks(self, visitor: Visitor) -> None:
        assert "tokens" not in (await visitor.ask("/games"))["games"][0]
        told = await visitor.ask("/games?include_extra=true")
        assert told["games"][0]["tokens"][0]["address"] == MINT

    @pytest.mark.parametrize(
        ("query", "problem"),
        [
            ("limit=101", "limit: expected a whole number from 1 to 100"),
            ("limit=0", "limit: expected a whole number from 1 to 100"),
            ("limit=ten", "limit: expected a whole number from 1 to 100"),
            ("offset=-1", "offset: expected a whole number from 0 to 2147483647"),
            ("sort=up", "sort: expected desc or asc"),
            ("include_extra=maybe", "include_extra: expected false or true"),
            (f"query={'x' * 201}", "query: expected 0 to 200 characters"),
            ("limit=1&limit=2", "query: a field appears twice"),
        ],
    )
    async def test_a_field_that_is_wrong_is_named(self, visitor: Visitor, query: str, problem: str) -> None:
        assert await visitor.refusal(f"/games?{query}") == bad_request(f"Invalid request parameters: {problem}")

    async def test_a_cursor_of_another_list_is_refused(self, visitor: Visitor) -> None:
        cursor = (await visitor.ask("/games?limit=1"))["nextCursor"]
        told = await visitor.refusal(f"/games?limit=1&sortBy=name&cursor={cursor}")
        assert told["message"].startswith("Invalid request parameters: cursor: ")


class TestBatches:
    async def test_by_ids(self, visitor: Visitor) -> None:
        order = {"gameIds": [CHESS.id, AWESOME.id, GONE.id, UNKNOWN, "nonsense", CHESS.id]}
        assert names(await visitor.ask("/games/batch/ids", json=order)) == ["Chess", "Awesome Game"]
        assert await visitor.ask("/games/batch/ids", json={"gameIds": [HIDDEN.id]}) == []

    async def test_by_token_ids(self, visitor: Visitor) -> None:
        told = await visitor.ask("/games/batch/token-ids", json={"tokenIds": [MINT, OTHER_MINT]})
        first = {"id": AWESOME.id, "imageUrl": "https://cdn.example.com/1.png", "name": "Awesome Game"}
        second = {"id": BORING.id, "imageUrl": "https://cdn.example.com/2.png", "name": "Boring Game"}
        assert told == {MINT: {"games": [first, second], "total": 2}, OTHER_MINT: {"games": [], "total": 0}}

    @pytest.mark.parametrize(("path", "field"), [("ids", "gameIds"), ("token-ids", "tokenIds")])
    async def test_a_hundred_and_no_more(self, visitor: Visitor, path: str, field: str) -> None:
        await visitor.ask(f"/games/batch/{path}", json={field: [f"x{number}" for number in range(100)]})
        told = await visitor.refusal(f"/games/batch/{path}", json={field: ["x"] * 101})
        assert told["message"].startswith(f"Invalid request parameters: {field}: expected at most 100 strings")


class TestMyGames:
    async def test_who_created_or_owns_a_game_sees_it_hidden_or_not(self, developer: Developer, rival: Developer) -> None:
        mine = await developer.ask("GET", "/games/me?limit=50&offset=0&sort=desc")
        assert names(mine) == ["Awesome Secret", "Chess", "Boring Game", "Awesome Game"]
        assert [game["hidden"] for game in mine] == [True, False, False, False]
        assert names(await developer.ask("GET", "/games/me?limit=1&offset=1&sort=asc")) == ["Boring Game"]
        assert names(await rival.ask("GET", "/games/me?include_extra=true")) == ["Boring Game"]

    async def test_it_needs_a_signature_of_that_path(self, developer: Developer, visitor: Visitor) -> None:
        assert await visitor.refusal("/games/me") == UNAUTHORIZED
        assert refused(await developer.send("GET", "/games/me", signed_path="/games")) == UNAUTHORIZED


async def test_sixty_calls_a_minute_from_an_address_and_signed_ones_beside(server: Server, rival: Developer) -> None:
    quota = 60 * len(server.engines)  # replicas that no background lets tell each other
    answers = [await server.client("127.0.0.2").get("/games?limit=1") for _ in range(quota + 2)]
    assert [answer.status_code for answer in answers].count(429) == 2
    assert refused(answers[-1]) == TOO_MANY
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert names(await rival.ask("GET", "/games/me")) == ["Boring Game"]
