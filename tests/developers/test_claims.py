"""Claims of games, whose pages another process serves, on every store."""

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import grpc
import pytest
from playclock.core.ownership import CLAIM_MS
from playclock.pages import HEAD_BYTES_MAX, PageReader, keys_in
from playclock.v1 import BeginClaimRequest, BeginClaimResponse, ClaimOwnershipRequest, Game, RewardsSplit

from tests.audit_trail import trail
from tests.developers.callers import ANN, BEN, Games, provision
from tests.developers.site import Site, page
from tests.developers.test_registered_games import refused
from tests.rpc.conftest import Rpc

if TYPE_CHECKING:
    from playclock.stores.base import Store

    from tests.conftest import World, WorldMaker

HOME: Final = ("127.0.0.1/32",)


class Claims(Games):
    """Developers who claim games."""

    def __init__(self, world: "World") -> None:
        super().__init__(world.engine)
        self.world = world

    async def claim(self, developer_id: str, game_id: str) -> Game:
        request = ClaimOwnershipRequest(game_id=game_id)
        return (await self.public.ClaimOwnership(request, metadata=self.signed(developer_id))).game

    async def begin(self, developer_id: str, game_id: str) -> BeginClaimResponse:
        return await self.public.BeginClaim(BeginClaimRequest(game_id=game_id), metadata=self.signed(developer_id))

    async def cause(self, developer_id: str, game_id: str) -> str:
        failed = await refused(self.claim(developer_id, game_id))
        assert (failed.code, failed.reason) == (grpc.StatusCode.PERMISSION_DENIED, "OWNERSHIP_NOT_PROVEN")
        return (failed.metadata or {})["cause"]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store_kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="session")
def sites() -> Iterator[Site]:
    site = Site()
    yield site
    site.close()


@pytest.fixture
def site(sites: Site) -> Iterator[Site]:
    yield sites
    sites.release()


@pytest.fixture
def reader() -> Iterator[PageReader]:
    reader = PageReader(HOME)
    yield reader
    reader.close()


@pytest.fixture
async def claims(store: "Store", make_world: "WorldMaker", reader: PageReader) -> Claims:
    world = await make_world(store, read_keys=reader)
    await world.provision()
    await provision(world)
    return Claims(world)


async def test_whom_the_page_names_owns_the_game(claims: Claims, site: Site) -> None:
    url = site.url()
    made = await claims.register(play_url=url)
    site.show(url, page("nobody", BEN))
    assert await claims.cause(ANN, made.id) == "NO_TAG"
    owned = await claims.claim(BEN, made.id)
    assert (owned.owner_id, owned.creator_id, owned.ownership_validated) == (BEN, ANN, True)
    assert dict(owned.org_rewards_split) == {BEN: 10_000}
    assert await claims.claim(BEN, made.id) == owned
    told = [(action, detail) for action, _, detail in await trail(claims.world, f"developer/{BEN}")]
    assert told == [("ClaimOwnership", f"developer/{BEN}")]


async def test_a_challenge_is_for_one_developer_one_game_and_one_claim(claims: Claims, site: Site) -> None:
    url, other_url = site.url(), site.url()
    made, other = await claims.register(play_url=url), await claims.register(play_url=other_url)
    begun = await claims.begin(ANN, made.id)
    assert await claims.begin(ANN, made.id) == begun
    assert begun.challenge not in {(await claims.begin(ANN, other.id)).challenge, (await claims.begin(BEN, made.id)).challenge}
    for shown in (url, other_url):
        site.show(shown, page(begun.challenge))
    assert await claims.cause(BEN, made.id) == "NO_TAG"
    assert await claims.cause(ANN, other.id) == "NO_TAG"
    assert (await claims.claim(ANN, made.id)).owner_id == ANN
    await claims.update(ANN, made.id, play_url=other_url)
    assert await claims.cause(ANN, made.id) == "NO_TAG"
    assert (await claims.begin(ANN, made.id)).challenge != begun.challenge


async def test_a_challenge_is_over_after_a_day(claims: Claims, site: Site) -> None:
    url = site.url()
    made = await claims.register(play_url=url)
    begun = await claims.begin(ANN, made.id)
    site.show(url, page(begun.challenge))
    claims.world.engine.clock.advance(CLAIM_MS)  # type: ignore[attr-defined] # a ManualClock
    assert await claims.cause(ANN, made.id) == "NO_TAG"
    assert (await claims.begin(ANN, made.id)).challenge != begun.challenge


async def test_an_owner_loses_the_game_only_to_a_page_that_does_not_name_him(claims: Claims, site: Site) -> None:
    url = site.url()
    made = await claims.register(play_url=url)
    site.show(url, page(ANN, BEN))
    await claims.claim(ANN, made.id)
    assert await claims.cause(BEN, made.id) == "OWNED"
    site.show(url, page(BEN))
    assert (await claims.claim(BEN, made.id)).owner_id == BEN


async def test_a_split_counts_for_a_proven_owner_and_ends_with_the_proof(claims: Claims, site: Site) -> None:
    url = site.url()
    made = await claims.register(play_url=url)
    split = RewardsSplit(shares={"x:ann": 7_000, ANN: 3_000})
    assert dict((await claims.update(ANN, made.id, org_rewards_split=split)).org_rewards_split) == {ANN: 10_000}
    site.show(url, page(ANN))
    assert dict((await claims.claim(ANN, made.id)).org_rewards_split) == {ANN: 10_000}
    shared = dict((await claims.update(ANN, made.id, org_rewards_split=split)).org_rewards_split)
    assert sorted(shared.values()) == [3_000, 7_000]
    assert shared[ANN] == 3_000
    assert dict((await claims.update(ANN, made.id, name="Other")).org_rewards_split) == shared
    moved = await claims.update(ANN, made.id, play_url=site.url())
    assert (moved.owner_id, moved.ownership_validated, dict(moved.org_rewards_split)) == (ANN, False, {ANN: 10_000})


async def test_of_two_claims_at_once_one_is_told_that_it_lost(claims: Claims, site: Site) -> None:
    url = site.url()
    made = await claims.register(play_url=url)
    site.show(url, page(ANN, BEN), held=True)
    both = [asyncio.ensure_future(claims.claim(developer, made.id)) for developer in (ANN, BEN)]
    await site.until_asked(url, 2)
    site.release()
    answers = await asyncio.gather(*both, return_exceptions=True)
    (won,) = (answer for answer in answers if isinstance(answer, Game))
    (lost,) = (answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError))
    assert (lost.code(), Rpc.unpacked(lost).reason) == (grpc.StatusCode.ABORTED, "GAME_CHANGED")
    assert claims.world.engine.context.catalog.games[made.id].owner_id == won.owner_id


async def test_a_page_that_is_the_games_no_more_proves_nothing(claims: Claims, site: Site) -> None:
    url = site.url()
    made = await claims.register(play_url=url)
    site.show(url, page(BEN), held=True)
    claim = asyncio.ensure_future(claims.claim(BEN, made.id))
    await site.until_asked(url, 1)
    await claims.update(ANN, made.id, play_url=site.url())
    site.release()
    assert (await refused(claim)).reason == "GAME_CHANGED"


@pytest.mark.parametrize(
    "answer",
    [{"status": 404}, {"status": 302}, {"status": 500}, {"kind": "text/plain"}, {"kind": "image/png"}],
    ids=str,
)
async def test_what_is_no_page_proves_nothing(claims: Claims, site: Site, answer: dict[str, Any]) -> None:
    url = site.url()
    made = await claims.register(play_url=url)
    site.show(url, page(ANN), **answer)
    assert await claims.cause(ANN, made.id) == "NO_PAGE"
    site.show(url, page(ANN))
    assert (await claims.claim(ANN, made.id)).ownership_validated


async def test_no_private_address_is_asked_that_no_setting_names(store: "Store", make_world: "WorldMaker", site: Site) -> None:
    reader = PageReader()
    world = await make_world(store, read_keys=reader)
    await world.provision()
    await provision(world)
    claims, url = Claims(world), site.url()
    site.show(url, page(ANN))
    made = await claims.register(play_url=url)
    assert await claims.cause(ANN, made.id) == "NO_PAGE"
    assert site.asked(url) == 0
    reader.close()


@pytest.mark.parametrize(
    ("html", "keys"),
    [
        (page("a", " b "), {"a", "b"}),
        ("<META CONTENT='a' NAME='X-OGP-KEY'>", {"a"}),
        (page("").replace("</body>", page("b") + "</body>"), set()),
        ('<head><!-- <meta name="x-ogp-key" content="a"> -->', set()),
        ('<head><script>"<meta name=x-ogp-key content=a>"</script>', set()),
        ("<head><noscript><meta name=x-ogp-key content=a></noscript>", set()),
        ("<head><template><meta name=x-ogp-key content=a></template>", set()),
        ("<head><title><meta name=x-ogp-key content=a></title>", set()),
        ("<head><meta name=x-ogp-key><meta property=x-ogp-key content=a><meta name=x-ogp-keys content=a>", set()),
        ("<head>" + " " * HEAD_BYTES_MAX + "<meta name=x-ogp-key content=a>", set()),
        ("<head>" + "<link>" * 2_000 + "<meta name=x-ogp-key content=a>", set()),
        ("", set()),
        ("\0\ufffd<", set()),
    ],
)
def test_only_tags_in_the_head_count(html: str, keys: set[str]) -> None:
    assert keys_in(html.encode()) == keys
