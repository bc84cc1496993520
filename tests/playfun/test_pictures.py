"""Pictures of games by HTTP: a row for each kind. What is done to them is tested where it is done."""

from io import BytesIO
from typing import Final

import httpx
import pytest
from PIL import Image

from tests.images import files

from .callers import bad_request, refused
from .studio import GAME, PNG, Studio, data_uri, form

TYPES: Final = {"JPEG": "image/jpeg", "PNG": "image/png", "GIF": "image/gif", "WEBP": "image/webp"}
DAMAGED: Final = "Image file is damaged or incomplete"
SUPPORTED: Final = "Supported formats: jpeg, jpg, png, gif, webp"
PIXELS: Final = "Image dimensions exceed 16777216 pixels, or 16383 on a side. Please use a smaller image."


async def send(studio: Studio, data: bytes, file_name: str = "image.png", *, as_text: bool) -> httpx.Response:
    """Register a game with a picture, as a file of a form or as a text in JSON."""
    if as_text:
        return await studio.developer.send("POST", "/games", json=GAME | {"base64Image": data_uri(data)})
    return await studio.register(("image", data, file_name), image=None)


async def shown(studio: Studio, answer: httpx.Response) -> httpx.Response:
    """Return what is served of a game's picture."""
    assert answer.status_code == 200, answer.text
    served = await studio.server.client().get(answer.json()["imageUrl"])
    assert served.status_code == 200
    assert served.headers["x-content-type-options"] == "nosniff"
    return served


@pytest.mark.parametrize("as_text", [False, True], ids=["file", "text"])
@pytest.mark.parametrize("kind", TYPES)
async def test_each_format_is_told_by_its_contents_and_served_as_such(
    memory_studio: Studio, kind: str, *, as_text: bool
) -> None:
    served = await shown(memory_studio, await send(memory_studio, files.good()[kind], "wrong.txt", as_text=as_text))
    assert served.headers["content-type"] == TYPES[kind]
    with Image.open(BytesIO(served.content)) as picture:
        assert (picture.format, picture.size) == (kind, (48, 32))


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
async def test_what_moves_goes_on_moving(memory_studio: Studio, kind: str) -> None:
    served = await shown(memory_studio, await send(memory_studio, files.animated(kind, 5), as_text=False))
    with Image.open(BytesIO(served.content)) as picture:
        assert getattr(picture, "n_frames", 1) == 5


async def test_of_a_picture_that_is_a_page_too_the_page_is_gone(memory_studio: Studio) -> None:
    polyglot = files.good()["PNG"] + b"<script>alert(1)</script>"
    served = await shown(memory_studio, await send(memory_studio, polyglot, "page.html", as_text=False))
    assert b"script" not in served.content
    assert served.headers["content-type"] == "image/png"


@pytest.mark.parametrize("as_text", [False, True], ids=["file", "text"])
@pytest.mark.parametrize(
    ("data", "message"),
    [
        (files.svg(), f"Unsupported image format: svg. {SUPPORTED}"),
        (b"BM" + bytes(100), f"Unsupported image format: bmp. {SUPPORTED}"),
        (b"MZ" + bytes(100), f"Unsupported image format: unknown. {SUPPORTED}"),
        *((data[: len(data) // 2], DAMAGED) for data in files.good().values()),
        (files.png_bomb(8192), PIXELS),
        (files.gif_bomb(65_535), PIXELS),
    ],
    ids=["svg", "bmp", "exe", "half-jpeg", "half-png", "half-gif", "half-webp", "png-bomb", "gif-bomb"],
)
async def test_what_is_no_picture_makes_no_game(memory_studio: Studio, data: bytes, message: str, *, as_text: bool) -> None:
    before = await memory_studio.mine()
    assert refused(await send(memory_studio, data, as_text=as_text)) == bad_request(message)
    assert await memory_studio.mine() == before


async def test_a_text_may_have_five_megabytes_to_the_byte(memory_studio: Studio) -> None:
    most = PNG + bytes(5 * 1024 * 1024 - len(PNG))
    alone = (await memory_studio.registered())["imageUrl"]
    for sent in ({"base64Image": data_uri(most)}, {"base64Image": data_uri(most), "base64CoverImage": data_uri(most)}):
        assert (await memory_studio.developer.ask("POST", "/games", json=GAME | sent))["imageUrl"] == alone
        in_a_form = form([*((name, text, None) for name, text in (GAME | sent).items())])
        assert (await memory_studio.send(in_a_form)).json()["imageUrl"] == alone


async def test_a_file_may_be_larger_than_a_text_but_not_than_the_limit(memory_studio: Studio) -> None:
    """Whoever sends too much hears why, though the server stops keeping it long before."""
    six = files.good()["PNG"] + bytes(6 * 1024 * 1024)
    assert (await send(memory_studio, six, as_text=False)).status_code == 200
    too_large = "Image file size exceeds 5MB limit. Please use a smaller image or the UPLOAD flow for larger files."
    assert refused(await send(memory_studio, six, as_text=True)) == bad_request(too_large)
    told = refused(await send(memory_studio, six * 3, as_text=False))
    assert told == bad_request("Image file size exceeds 10MB limit. Please use a smaller image.")
