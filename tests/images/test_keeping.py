"""Which images stay and which go, by the clock: on a folder and in S3, with games and images that come at the worst moment."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from PIL import Image
from playclock.blobs.memory import MemoryBlobs
from playclock.clock import ManualClock
from playclock.core.catalog import Game
from playclock.core.kept_images import REMOVAL_BEGIN_MS, REMOVAL_MS
from playclock.engine import OPERATOR, Caller, Engine, Role
from playclock.engine.images import StoredImage
from playclock.errors import ImageNotFound, ImagesAway, TooManyImages
from playclock.images.keeper import ImageKeeper
from playclock.images.opening import open_images
from playclock.stores.memory import MemoryStore

from tests.blobs.s3_server import serve_s3
from tests.images.files import encoded

DAY_MS: Final = 86_400_000
ANN: Final = Caller(Role.DEVELOPER, "550e8400-e29b-41d4-a716-446655440000")
BEN: Final = Caller(Role.DEVELOPER, "660e8400-e29b-41d4-a716-446655440001")
GAME: Final = "ab000000-2222-4333-8444-555555555555"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve_s3(tmp_path_factory.mktemp("s3") / "log") as endpoint:
        yield endpoint


@pytest.fixture(params=["folder", "s3"])
async def keeper(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ImageKeeper]:
    address = str(tmp_path / "blobs")
    if request.param == "s3":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-key-of-the-tests")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret-of-the-tests")
        address = f"s3://pictures/{tmp_path.name}?region=us-east-1&endpoint={request.getfixturevalue('s3')}"
    kept = await open_images(address)
    yield kept
    await kept.close()


class HeldUpBlobs(MemoryBlobs):
    """Blobs in memory whose removal waits, once it has begun, until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def remove(self, name: str) -> None:
        self.has_begun.set()
        await self.may_go_on.wait()
        await super().remove(name)


class Platform:
    """Engines on one store, before one place for images."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore()
        self._stack = stack

    async def engine(self, keeper: ImageKeeper, *, images_per_developer: int = 1_000) -> Engine:
        made = Engine(self.store, clock=self.clock, images=keeper, images_per_developer=images_per_developer)
        return await self._stack.enter_async_context(made)


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    async with AsyncExitStack() as stack:
        yield Platform(stack)


async def put(engine: Engine, number: int = 0, *, caller: Caller = ANN) -> StoredImage:
    """Bring one of many images."""
    picture = encoded(Image.new("RGB", (4, 4), (number % 256, 1, 2)), "PNG")

    async def chunks() -> AsyncIterator[bytes]:
        yield picture

    return await engine.kept_images.put(caller, chunks(), is_data_uri=False)


async def is_there(engine: Engine, image: StoredImage) -> bool:
    try:
        await engine.images.get(image.name)
    except ImageNotFound:
        return False
    return True


async def name_in_game(engine: Engine, image: StoredImage | None, **changed: Any) -> None:  # noqa: ANN401 - any field
    """Let a game show an image, or none."""
    fields: dict[str, Any] = {"name": "Game", "brand": "", "play_url": "", "demo_url": "", "creator_id": ANN.id}
    url = "" if image is None else f"https://cdn.example.com{image.url}"
    await engine.estate.apply([Game(id=GAME, number=1_001, image_url=url, **{**fields, **changed})])


async def days(platform: Platform, engine: Engine, number: int) -> None:
    """Let days go by, with a sweep at each."""
    for _ in range(number):
        platform.clock.advance(ms=DAY_MS)
        await engine.sweep()


class TestEveryPlace:
    async def test_an_image_that_no_game_names_goes_after_a_day(self, platform: Platform, keeper: ImageKeeper) -> None:
        engine = await platform.engine(keeper)
        image, others = await put(engine), await put(engine, 1)
        platform.clock.advance(ms=DAY_MS - 1)
        await engine.sweep()
        assert await is_there(engine, image)
        await put(engine, 1)  # brought again: another day
        platform.clock.advance(ms=1)
        await engine.sweep()
        assert [await is_there(engine, image), await is_there(engine, others)] == [False, True]
        assert engine.images.outcomes() == {"stored": 2, "known": 1, "removed": 1}
        assert await put(engine) == image
        assert await is_there(engine, image)

    async def test_one_that_a_game_names_stays_and_goes_in_the_end_when_the_game_has_another(
        self, platform: Platform, keeper: ImageKeeper
    ) -> None:
        engine = await platform.engine(keeper)
        old, new, cover = await put(engine), await put(engine, 1), await put(engine, 2)
        await name_in_game(engine, old, cover_image_url=cover.url)
        await days(platform, engine, 3)
        assert await is_there(engine, old)
        assert not await is_there(engine, new)
        new = await put(engine, 1)
        await name_in_game(engine, new, cover_image_url=cover.url)
        await days(platform, engine, 1)
        assert await is_there(engine, old), "for a day, the developer may go back to it"
        await days(platform, engine, 1)
        assert [await is_there(engine, each) for each in (old, new, cover)] == [False, True, True]


class TestRaces:
    """All in memory: what is raced for is the record."""

    @pytest.fixture
    async def blobs(self) -> HeldUpBlobs:
        return HeldUpBlobs()

    @pytest.fixture
    async def keeper(self, blobs: HeldUpBlobs) -> AsyncIterator[ImageKeeper]:
        kept = ImageKeeper(blobs)
        yield kept
        await kept.close()

    async def test_a_developer_who_goes_back_to_an_image_in_time_has_it(
        self, platform: Platform, keeper: ImageKeeper, blobs: HeldUpBlobs
    ) -> None:
        engine = await platform.engine(keeper)
        blobs.may_go_on.set()
        image = await put(engine)
        await name_in_game(engine, image)
        await days(platform, engine, 1)
        await name_in_game(engine, None)
        await days(platform, engine, 1)
        await name_in_game(engine, image)
        await days(platform, engine, 5)
        assert await is_there(engine, image)

    async def test_a_game_that_was_registered_by_another_process_just_before_the_removal_has_its_image(
        self, platform: Platform, keeper: ImageKeeper, blobs: HeldUpBlobs
    ) -> None:
        blobs.may_go_on.set()
        engine, elsewhere = await platform.engine(keeper), await platform.engine(keeper)
        image = await put(engine)
        platform.clock.advance(ms=DAY_MS)
        await engine.sweeper.sweep()
        await name_in_game(elsewhere, image)
        await engine.kept_images.remove()
        assert await is_there(engine, image)
        await days(platform, engine, 3)
        assert await is_there(engine, image)

    async def test_an_image_that_is_brought_while_it_is_removed_is_refused_and_there_the_next_time(
        self, platform: Platform, keeper: ImageKeeper, blobs: HeldUpBlobs
    ) -> None:
        engine, elsewhere = await platform.engine(keeper), await platform.engine(keeper)
        image = await put(engine)
        platform.clock.advance(ms=DAY_MS)
        removing = asyncio.create_task(engine.sweep())
        await asyncio.wait_for(blobs.has_begun.wait(), 10)
        with pytest.raises(ImagesAway):
            await put(elsewhere)
        blobs.may_go_on.set()
        await removing
        assert not await is_there(engine, image)
        await put(elsewhere)
        assert await is_there(engine, image)
        await name_in_game(engine, image)
        await days(platform, engine, 2)
        assert await is_there(engine, image)

    async def test_who_dies_before_the_removal_leaves_it_to_others(
        self, platform: Platform, keeper: ImageKeeper, blobs: HeldUpBlobs
    ) -> None:
        blobs.may_go_on.set()
        dying, engine = await platform.engine(keeper), await platform.engine(keeper)
        image = await put(engine)
        platform.clock.advance(ms=DAY_MS)
        await dying.sweeper.sweep()
        await engine.sweep()
        assert await is_there(engine, image)
        platform.clock.advance(ms=REMOVAL_MS)
        await engine.sweep()
        assert not await is_there(engine, image)

    async def test_who_was_held_up_before_the_removal_leaves_it(
        self, platform: Platform, keeper: ImageKeeper, blobs: HeldUpBlobs
    ) -> None:
        blobs.may_go_on.set()
        stopped, engine = await platform.engine(keeper), await platform.engine(keeper)
        image = await put(engine)
        platform.clock.advance(ms=DAY_MS)
        await stopped.sweeper.sweep()
        platform.clock.advance(ms=REMOVAL_BEGIN_MS)
        await stopped.kept_images.remove()
        assert await is_there(engine, image)
        platform.clock.advance(ms=REMOVAL_MS - REMOVAL_BEGIN_MS)
        await put(engine)
        await stopped.kept_images.remove()
        await engine.sweep()
        assert await is_there(engine, image)


class TestBound:
    @pytest.fixture
    async def keeper(self) -> AsyncIterator[ImageKeeper]:
        kept = await open_images("memory://")
        yield kept
        await kept.close()

    async def test_a_developer_has_so_many_images_and_others_have_theirs(self, platform: Platform, keeper: ImageKeeper) -> None:
        engine = await platform.engine(keeper, images_per_developer=2)
        first, _ = await put(engine, 0), await put(engine, 1)
        with pytest.raises(TooManyImages) as caught:
            await put(engine, 2)
        assert caught.value.metadata == {"images_max": "2"}
        assert engine.images.outcomes() == {"stored": 2}
        await put(engine, 0)  # the same again is one
        for number in range(2):
            await put(engine, number, caller=BEN)  # who brought it first has it
        for number in range(2, 4):
            await put(engine, number, caller=BEN)
        for number in range(4, 8):
            await put(engine, number, caller=OPERATOR)
        await name_in_game(engine, first)
        await days(platform, engine, 1)
        await put(engine, 8)
        with pytest.raises(TooManyImages):
            await put(engine, 9)
        await put(engine, 9, caller=BEN)

    async def test_so_it_is_where_many_come_at_once_in_two_processes(self, platform: Platform, keeper: ImageKeeper) -> None:
        engines = [await platform.engine(keeper, images_per_developer=3) for _ in range(2)]
        calls = [put(engines[number % 2], number) for number in range(10)]
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert [type(answer) for answer in answers].count(StoredImage) == 3
        assert [type(answer) for answer in answers].count(TooManyImages) == 7
        assert keeper.outcomes() == {"stored": 3}
