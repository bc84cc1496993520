"""Showing, hiding and claiming games, as their developers do."""

import pytest
import pytest_asyncio

from tests.playwave.server import Server

from .callers import FORBIDDEN, NOT_FOUND, UNAUTHORIZED, Developer, refused
from .estate import GAME, add_games

UNKNOWN = "00000000-0000-4000-8000-000000000000"
CALLS = ["/games/toggle-visibility/{}", "/games/claim-ownership/{}", "/games/claim-ownership/{}/challenge"]


@pytest_asyncio.fixture(autouse=True, loop_scope="session")
async def games(server: Server) -> None:
    await add_games(server)


async def test_the_visibility_is_toggled_once_for_each_signature(developer: Developer) -> None:
    path = f"/games/toggle-visibility/{GAME}"
    signed = developer.authorization("POST", path)
    hidden = await developer.ask("POST", path, authorization=signed)
    assert hidden == {
        "success": True,
        "message": "Game visibility toggled successfully",
        "game": {"id": GAME, "name": "Game", "hidden": True},
    }
    assert await developer.ask("POST", path, authorization=signed) == hidden
    assert (await developer.ask("POST", path))["game"]["hidden"] is False


async def test_who_is_not_the_owner_may_not_toggle(rival: Developer) -> None:
    assert refused(await rival.send("POST", f"/games/toggle-visibility/{GAME}")) == FORBIDDEN


async def test_a_challenge_is_told_as_a_tag_and_stays_the_same(developer: Developer) -> None:
    told = await developer.ask("POST", f"/games/claim-ownership/{GAME}/challenge")
    assert told["challenge"].startswith("ogp-claim-")
    assert told["metaTag"] == f'<meta name="x-ogp-key" content="{told["challenge"]}" />'
    assert (await developer.ask("POST", f"/games/claim-ownership/{GAME}/challenge"))["challenge"] == told["challenge"]


async def test_a_claim_that_no_page_proves_is_refused_and_says_so(rival: Developer) -> None:
    body = refused(await rival.send("POST", f"/games/claim-ownership/{GAME}"))
    assert (body["statusCode"], body["error"]) == (403, "Forbidden")
    assert body["message"] != FORBIDDEN["message"]


@pytest.mark.parametrize("path", CALLS)
async def test_unknown_games_and_strangers(developer: Developer, path: str) -> None:
    assert refused(await developer.send("POST", path.format(UNKNOWN))) == NOT_FOUND
    wrong = developer.authorization("POST", "/games")
    assert refused(await developer.send("POST", path.format(GAME), authorization=wrong)) == UNAUTHORIZED
    assert refused(await developer.server.client().post(path.format(GAME))) == UNAUTHORIZED
