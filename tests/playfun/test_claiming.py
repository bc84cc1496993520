"""Claims of ownership over HTTP, of pages that another process serves: by the document's tag, and by what proves nothing."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest
import pytest_asyncio
from playclock.core.catalog import Game
from playclock.pages import PAGE_BYTES_MAX, PageReader

from tests.developers.site import Site, page
from tests.playwave.conftest import ServerMaker
from tests.playwave.server import Server

from .callers import DEVELOPER, FORBIDDEN, RIVAL, TOO_MANY, Developer, refused
from .estate import ESTATE, GAME

CLAIM: Final = f"/games/claim-ownership/{GAME}"
NO_TAG: Final = {"statusCode": 403, "message": "the game's page does not name the claimer", "error": "Forbidden"}
NO_PAGE: Final = {"statusCode": 403, "message": "the game's page could not be read", "error": "Forbidden"}
OWNED: Final = {"statusCode": 403, "message": "the game's page names its present owner, too", "error": "Forbidden"}
CLAIMED: Final = {
    "success": True,
    "message": "Game ownership claimed successfully",
    "game": {"id": GAME, "ownerId": DEVELOPER, "ownershipValidated": True},
}


@pytest.fixture(scope="module")
def sites() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture
def networks() -> tuple[str, ...]:
    """Return the private networks that a setting names."""
    return ("127.0.0.1/32",)


@pytest_asyncio.fixture(loop_scope="session")
async def server(make_server: ServerMaker, networks: tuple[str, ...]) -> AsyncIterator[Server]:
    reader = PageReader(networks)
    made = await make_server(read_keys=reader)
    await made.provision(ESTATE)
    yield made
    reader.close()


@pytest_asyncio.fixture(loop_scope="session")
async def url(server: Server, sites: Site) -> str:
    """Return the address of the page of a game that the developer has created, which is not there yet."""
    url = sites.url()
    game = Game(
        id=GAME,
        number=1_001,
        name="Game",
        brand="",
        image_url="",
        play_url=url,
        demo_url="",
        creator_id=DEVELOPER,
        has_sdk=True,
    )
    await server.engine.estate.apply([game])
    await settled(server)
    return url


async def settled(server: Server) -> None:
    """Let all replicas know of what was changed, as happens within a second."""
    for engine in server.engines:
        await engine.estate.refresh()


async def test_the_document_s_tag_proves_it(developer: Developer, rival: Developer, sites: Site, url: str) -> None:
    html = f'<!doctype html><html><head><meta name="x-ogp-key" content="{DEVELOPER}" /></head><body></body></html>'
    sites.show(url, html)
    assert await developer.ask("POST", CLAIM) == CLAIMED
    await settled(developer.server)
    assert await developer.ask("POST", CLAIM) == CLAIMED
    told = await developer.ask("GET", f"/games/id/{GAME}")
    assert (told["ownerId"], told["ownershipValidated"]) == (DEVELOPER, True)
    assert refused(await rival.send("POST", CLAIM)) == NO_TAG


async def test_a_challenge_proves_it_once(developer: Developer, sites: Site, url: str) -> None:
    told = await developer.ask("POST", f"{CLAIM}/challenge")
    sites.show(url, f"<html><head>{told['metaTag']}</head></html>")
    assert await developer.ask("POST", CLAIM) == CLAIMED


async def test_who_proves_it_may_act_for_the_game_and_its_creator_no_more(
    developer: Developer, rival: Developer, sites: Site, url: str
) -> None:
    sites.show(url, page(RIVAL))
    assert refused(await developer.send("POST", CLAIM)) == NO_TAG
    assert (await rival.ask("POST", CLAIM))["game"]["ownerId"] == RIVAL
    await settled(developer.server)
    save = {"gameApiKey": GAME, "points": [{"playerId": "x:somebody", "points": 1}]}
    assert refused(await developer.send("POST", "/play/dev/batch-save-points", json=save)) == FORBIDDEN
    assert refused(await developer.send("POST", f"/games/toggle-visibility/{GAME}")) == FORBIDDEN
    assert (await rival.ask("POST", "/play/dev/batch-save-points", json=save))["savedCount"] == 1
    sites.show(url, page(RIVAL, DEVELOPER))
    assert refused(await developer.send("POST", CLAIM)) == OWNED


@pytest.mark.parametrize("kind", ["memory"], indirect=True)
@pytest.mark.parametrize(
    ("body", "answer", "told"),
    [
        (page(), {}, NO_TAG),
        (page(RIVAL), {}, NO_TAG),
        (page(DEVELOPER.upper()), {}, NO_TAG),
        ("<html><body>" + page(DEVELOPER).partition("<head>")[2], {}, NO_TAG),
        (page(DEVELOPER), {"status": 302}, NO_PAGE),
        (page(DEVELOPER), {"status": 404}, NO_PAGE),
        (page(DEVELOPER), {"status": 503}, NO_PAGE),
        (page(DEVELOPER), {"kind": "application/json"}, NO_PAGE),
        (page(DEVELOPER) + " " * PAGE_BYTES_MAX, {}, NO_PAGE),
    ],
    ids=[
        *("no tag", "another developer's key", "a key in capitals", "a tag in the body"),
        *("a redirect", "no page any more", "a site that is down", "no HTML", "a page that is too large"),
    ],
)
async def test_what_proves_nothing(
    developer: Developer, sites: Site, url: str, *, body: str, answer: dict[str, Any], told: dict[str, Any]
) -> None:
    sites.show(url, body, **answer)
    assert refused(await developer.send("POST", CLAIM)) == told
    shown = await developer.ask("GET", f"/games/id/{GAME}")
    assert (shown["ownerId"], shown["ownershipValidated"]) == (None, False)


@pytest.mark.parametrize("networks", [()], ids=["no private network"])
async def test_a_private_address_is_never_asked(developer: Developer, sites: Site, url: str) -> None:
    sites.show(url, page(DEVELOPER))
    assert refused(await developer.send("POST", CLAIM)) == NO_PAGE
    assert sites.asked(url) == 0


@pytest.mark.parametrize("kind", ["memory"], indirect=True)
async def test_pages_are_read_for_a_developer_ten_times_a_minute(
    server: Server, developer: Developer, rival: Developer, sites: Site, url: str
) -> None:
    """Else one who has pages that answer slowly would keep others waiting for theirs, and somebody's site busy."""
    sites.show(url, page(DEVELOPER))
    before = sites.asked(url)
    for _ in range(10):
        assert refused(await rival.send("POST", CLAIM)) == NO_TAG
    late = await rival.send("POST", CLAIM)
    assert refused(late) == TOO_MANY
    assert late.headers["ratelimit-policy"] == '"claims_per_developer";q=10;w=60'
    assert sites.asked(url) - before == 10
    assert await developer.ask("POST", CLAIM) == CLAIMED
    server.clock.advance(60)
    assert refused(await rival.send("POST", CLAIM)) == NO_TAG


async def test_a_site_that_is_gone_is_told_as_every_other_page_that_cannot_be_read(
    server: Server, developer: Developer
) -> None:
    gone = Site()
    url = gone.url()
    gone.close()
    game = Game(id=GAME, number=1_001, name="Game", brand="", image_url="", play_url=url, demo_url="", creator_id=DEVELOPER)
    await server.engine.estate.apply([game])
    await settled(server)
    assert refused(await developer.send("POST", CLAIM)) == NO_PAGE
