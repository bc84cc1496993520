"""How many pictures a developer may have, as he is told over HTTP."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from PIL import Image
from playclock.blobs.memory import MemoryBlobs
from playclock.images.keeper import ImageKeeper

from tests.images.files import encoded
from tests.playwave.conftest import ServerMaker
from tests.playwave.server import Server

from .callers import Developer, bad_request, refused
from .estate import ESTATE
from .studio import GAME, data_uri

pytestmark = pytest.mark.parametrize("kind", ["memory"], indirect=True)


@pytest_asyncio.fixture(loop_scope="session")
async def server(make_server: ServerMaker) -> AsyncIterator[Server]:
    keeper = ImageKeeper(MemoryBlobs())
    made = await make_server(images=keeper, images_per_developer=1)
    await made.provision(ESTATE)
    yield made
    await keeper.close()


def game(colour: int) -> dict[str, str]:
    """Return a game with a picture of its own."""
    return {**GAME, "base64Image": data_uri(encoded(Image.new("RGB", (4, 4), (colour, 0, 0)), "PNG"))}


async def test_beyond_it_he_registers_no_game_until_an_image_is_gone(developer: Developer, rival: Developer) -> None:
    first = await developer.ask("POST", "/games", json=game(1))
    assert (await developer.ask("POST", "/games", json=game(1)))["imageUrl"] == first["imageUrl"], "the same picture is one"
    expected = "you have 1 of 1 images; those that no game names go after a day or two"
    assert refused(await developer.send("POST", "/games", json=game(2))) == bad_request(expected)
    assert len(await developer.ask("GET", "/games/me")) == 2
    assert (await rival.ask("POST", "/games", json=game(2)))["name"] == "My Game"
