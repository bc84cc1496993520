"""ImageService and what is served over HTTP: over a socket and in process, to whoever may put, and to strangers who look."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path

import grpc
import grpc.aio
import httpx
import pytest
from PIL import Image as Picture
from playclock.blobs.folder import FolderBlobs
from playclock.blobs.memory import MemoryBlobs
from playclock.cli.addresses import Address, bind
from playclock.cli.crowd import Crowd
from playclock.cli.http_server import HttpServer
from playclock.core.images import BASE64_BYTES_MAX, FILE_BYTES_MAX
from playclock.engine import Engine
from playclock.images.keeper import UPLOADS_MAX, ImageKeeper
from playclock.images.opening import open_images
from playclock.metrics import EngineCollector
from playclock.rpc.inprocess import InProcessChannel
from playclock.rpc.server import Server
from playclock.v1 import (
    IMAGE_ENCODING_DATA_URI,
    GetImageRequest,
    Image,
    ImageEncoding,
    ImageServiceStub,
    PutImageRequest,
)
from playclock_http import make_app
from prometheus_client import CollectorRegistry

from tests.images import files
from tests.rpc.conftest import Rpc

TOKEN = "operator-token"
OPERATOR = (("authorization", f"Bearer {TOKEN}"),)
LARGEST = 1 << 20
DEADLINE_SEC = 20
CUT_OFF = grpc.StatusCode.INTERNAL
"""What gRPC's client says, instead of the answer, when its stream ends while it sends a message."""


@pytest.fixture
async def keeper(tmp_path: Path) -> AsyncIterator[ImageKeeper]:
    kept = await open_images(str(tmp_path / "blobs"), url="https://cdn.example.com/images/")
    yield kept
    await kept.close()


@pytest.fixture
async def engine(keeper: ImageKeeper) -> AsyncIterator[Engine]:
    async with Engine(operator_tokens=[TOKEN], images=keeper, background=False) as made:
        yield made


@pytest.fixture(params=["socket", "in process"])
async def channel(engine: Engine, request: pytest.FixtureRequest) -> AsyncIterator[grpc.aio.Channel]:
    if request.param == "in process":
        yield InProcessChannel(engine)
        return
    server = await Server.start(engine)
    async with grpc.aio.insecure_channel(server.address) as connected:
        yield connected
    await server.drain(0)


def pieces(data: bytes, encoding: ImageEncoding.ValueType = 0) -> Iterator[PutImageRequest]:  # type: ignore[assignment]
    yield PutImageRequest(chunk=data[:LARGEST], encoding=encoding)
    for start in range(LARGEST, len(data), LARGEST):
        yield PutImageRequest(chunk=data[start : start + LARGEST])


async def put(
    channel: grpc.aio.Channel,
    data: bytes,
    encoding: ImageEncoding.ValueType = 0,  # type: ignore[assignment]
) -> Image:
    return (await ImageServiceStub(channel).PutImage(pieces(data, encoding), metadata=OPERATOR)).image


async def refused(channel: grpc.aio.Channel, data: bytes, encoding: ImageEncoding.ValueType = 0) -> tuple[str, str]:  # type: ignore[assignment]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await put(channel, data, encoding)
    failed = Rpc.unpacked(caught.value)
    assert (failed.code, failed.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_IMAGE")
    assert failed.metadata is not None
    return failed.metadata["problem"], failed.sentence


async def get(channel: grpc.aio.Channel, name: str) -> bytes:
    messages = [each async for each in ImageServiceStub(channel).GetImage(GetImageRequest(name=name), metadata=OPERATOR)]
    data = b"".join(each.chunk for each in messages)
    assert messages[0].image.size_bytes == len(data)
    return data


def uri(data: bytes, kind: str = "png") -> bytes:
    return f"data:image/{kind};base64,".encode() + base64.b64encode(data)


class TestPutting:
    @pytest.mark.parametrize(
        ("kind", "extension", "content_type"),
        [
            ("JPEG", "jpg", "image/jpeg"),
            ("PNG", "png", "image/png"),
            ("GIF", "gif", "image/gif"),
            ("WEBP", "webp", "image/webp"),
        ],
    )
    async def test_keeps_an_image_under_the_hash_of_what_is_kept(
        self, channel: grpc.aio.Channel, kind: str, extension: str, content_type: str
    ) -> None:
        image = await put(channel, files.good()[kind])
        data = await get(channel, image.name)
        assert image.name == f"{hashlib.sha256(data).hexdigest()}.{extension}"
        assert (image.content_type, image.size_bytes, image.width, image.height) == (content_type, len(data), 48, 32)
        assert image.url == f"https://cdn.example.com/images/{image.name}"
        assert Picture.open(BytesIO(data)).format == kind

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
    async def test_a_data_uri_holds_exactly_what_a_file_is(self, channel: grpc.aio.Channel, kind: str) -> None:
        data = files.good()[kind]
        assert await put(channel, uri(data, kind.lower()), IMAGE_ENCODING_DATA_URI) == await put(channel, data)
        # What it is called says nothing.
        assert await put(channel, uri(data, "gif"), IMAGE_ENCODING_DATA_URI) == await put(channel, data)

    async def test_takes_a_file_of_ten_mebibytes_and_no_byte_more(self, channel: grpc.aio.Channel) -> None:
        data = files.good()["PNG"]
        large = data + b"\0" * (FILE_BYTES_MAX - len(data))
        assert await put(channel, large) == await put(channel, data)
        assert (await refused(channel, large + b"\0"))[0] == "FILE_TOO_LARGE"

    async def test_takes_five_mebibytes_as_a_data_uri_and_no_byte_more(self, channel: grpc.aio.Channel) -> None:
        data = files.good()["PNG"]
        large = data + b"\0" * (BASE64_BYTES_MAX - len(data))
        assert await put(channel, uri(large), IMAGE_ENCODING_DATA_URI) == await put(channel, data)
        for more in (1, FILE_BYTES_MAX):
            assert await refused(channel, uri(large + b"\0" * more), IMAGE_ENCODING_DATA_URI) == (
                "BASE64_TOO_LARGE",
                "Image file size exceeds 5MB limit. Please use a smaller image or the UPLOAD flow for larger files.",
            )

    @pytest.mark.parametrize(
        ("data", "is_uri", "problem", "sentence"),
        [
            (b"", False, "NO_IMAGE", "No image provided"),
            (b"", True, "NO_IMAGE", "No image provided"),
            (b"iVBORw0KGgo=", True, "INVALID_BASE64", "Invalid base64 image format"),
            (
                uri(b"BM", "bmp"),
                True,
                "UNSUPPORTED_FORMAT",
                "Unsupported image format: bmp. Supported formats: jpeg, jpg, png, gif, webp",
            ),
            (
                uri(files.encoded(files.picture(), "BMP"), "png"),
                True,
                "UNSUPPORTED_FORMAT",
                "Unsupported image format: bmp. Supported formats: jpeg, jpg, png, gif, webp",
            ),
            (
                files.svg(),
                False,
                "UNSUPPORTED_FORMAT",
                "Unsupported image format: svg. Supported formats: jpeg, jpg, png, gif, webp",
            ),
            (files.good()["PNG"][:-20], False, "DAMAGED", "Image file is damaged or incomplete"),
        ],
    )
    async def test_refuses_in_the_documents_words(
        self, channel: grpc.aio.Channel, data: bytes, is_uri: bool, problem: str, sentence: str
    ) -> None:
        told = await refused(channel, data, IMAGE_ENCODING_DATA_URI if is_uri else 0)  # type: ignore[arg-type]
        assert told == (problem, sentence)

    async def test_a_stranger_is_refused_before_anything_is_taken(self, channel: grpc.aio.Channel) -> None:
        taken = []

        async def endless() -> AsyncIterator[PutImageRequest]:
            while True:
                taken.append(0)
                yield PutImageRequest(chunk=b"\0" * LARGEST)

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(ImageServiceStub(channel).PutImage(endless()), DEADLINE_SEC)
        assert caught.value.code() in {grpc.StatusCode.UNAUTHENTICATED, CUT_OFF}
        assert len(taken) < 32

    async def test_whoever_sends_without_end_is_refused(self, channel: grpc.aio.Channel) -> None:
        async def endless() -> AsyncIterator[PutImageRequest]:
            while True:
                yield PutImageRequest(chunk=b"\0" * LARGEST)

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(ImageServiceStub(channel).PutImage(endless(), metadata=OPERATOR), DEADLINE_SEC)
        assert caught.value.code() in {grpc.StatusCode.INVALID_ARGUMENT, CUT_OFF}

    async def test_what_was_offered_is_counted(self, channel: grpc.aio.Channel, engine: Engine) -> None:
        for _ in range(2):
            await put(channel, files.good()["PNG"])
        await refused(channel, files.svg())
        registry = CollectorRegistry()
        registry.register(EngineCollector(engine))
        for outcome in ("stored", "known", "UNSUPPORTED_FORMAT"):
            assert registry.get_sample_value("playclock_images_total", {"outcome": outcome}) == 1


class TestKeeping:
    async def test_whoever_trickles_is_refused_in_time(self) -> None:
        keeper = ImageKeeper(MemoryBlobs(), receipt_sec=0.05)
        engine = Engine(operator_tokens=[TOKEN], images=keeper)

        async def trickle() -> AsyncIterator[PutImageRequest]:
            yield PutImageRequest(chunk=b"\x89")
            await asyncio.Event().wait()

        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await ImageServiceStub(InProcessChannel(engine)).PutImage(trickle(), metadata=OPERATOR)
        assert Rpc.unpacked(caught.value).violations == ("chunk",)
        await keeper.close()

    async def test_no_more_images_are_on_their_way_than_there_is_room_for(self, engine: Engine) -> None:
        channel, begun = InProcessChannel(engine), asyncio.Semaphore(0)

        async def held_up() -> AsyncIterator[PutImageRequest]:
            yield PutImageRequest()
            begun.release()
            await asyncio.Event().wait()

        stub = ImageServiceStub(channel)
        uploads = [asyncio.ensure_future(stub.PutImage(held_up(), metadata=OPERATOR)) for _ in range(UPLOADS_MAX)]
        for _ in uploads:
            await begun.acquire()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await put(channel, files.good()["PNG"])
        failed = Rpc.unpacked(caught.value)
        assert (failed.code, failed.reason, failed.retry_ms) == (grpc.StatusCode.UNAVAILABLE, "IMAGES_UNAVAILABLE", 1_000)
        for upload in uploads:
            upload.cancel()
        await asyncio.wait(uploads)
        assert (await put(channel, files.good()["PNG"])).name

    async def test_a_disk_that_is_away_is_told_as_such(self, tmp_path: Path) -> None:
        keeper = ImageKeeper(await FolderBlobs.open(tmp_path / "blobs"))
        channel = InProcessChannel(Engine(operator_tokens=[TOKEN], images=keeper))
        name = (await put(channel, files.good()["PNG"])).name
        folder = tmp_path / "blobs" / name[:2]
        (folder / name).unlink()
        folder.rmdir()
        folder.symlink_to("/dev/full")
        for call in (put(channel, files.good()["PNG"]), get(channel, name)):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call
            assert Rpc.unpacked(caught.value).reason == "IMAGES_UNAVAILABLE"
        await keeper.close()

    async def test_an_engine_without_a_place_for_them_says_so(self) -> None:
        channel = InProcessChannel(Engine(operator_tokens=[TOKEN]))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await put(channel, files.good()["PNG"])
        assert Rpc.unpacked(caught.value).reason == "NO_IMAGES"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await get(channel, "0f" * 32 + ".png")
        assert Rpc.unpacked(caught.value).reason == "IMAGE_NOT_FOUND"


@pytest.fixture(params=["in process", "elsewhere"])
async def web(engine: Engine, request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client of a real HTTP server, whose engine is in its process or not."""
    server = await Server.start(engine)
    far = grpc.aio.insecure_channel(server.address)
    near = InProcessChannel(engine)
    app = make_app(near) if request.param == "in process" else make_app(far, engine_token=TOKEN)
    with bind(Address("127.0.0.1", 0)) as listener:
        http = await HttpServer.start(app, listener, Address("127.0.0.1", 0), crowd=Crowd(100, ()))
        async with httpx.AsyncClient(base_url=f"http://{http.address}") as client:
            yield client
        await http.drain(0)
    await far.close()
    await server.drain(0)


class TestServing:
    async def test_an_image_is_what_it_is_for_good_and_never_runs(self, web: httpx.AsyncClient, engine: Engine) -> None:
        image = await put(InProcessChannel(engine), files.good()["JPEG"])
        answer = await web.get(f"/images/{image.name}")
        assert answer.status_code == 200
        assert hashlib.sha256(answer.content).hexdigest() == image.name.partition(".")[0]
        assert {name: answer.headers[name] for name in answer.headers if name not in {"date", "x-request-id"}} == {
            "content-type": "image/jpeg",
            "content-length": str(image.size_bytes),
            "etag": f'"{image.name.partition(".")[0]}"',
            "cache-control": "public, max-age=31536000, immutable",
            "x-content-type-options": "nosniff",
            "content-security-policy": "default-src 'none'; sandbox",
            "cross-origin-resource-policy": "cross-origin",
        }
        head = await web.head(f"/images/{image.name}")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(image.size_bytes)

    async def test_a_large_one_comes_whole(self, web: httpx.AsyncClient, engine: Engine) -> None:
        noise = Picture.merge("RGB", [Picture.effect_noise((1_000, 800), sigma) for sigma in (40, 80, 120)])
        image = await put(InProcessChannel(engine), files.encoded(noise, "PNG", compress_level=1))
        assert image.size_bytes > 1 << 20
        answer = await web.get(f"/images/{image.name}")
        assert hashlib.sha256(answer.content).hexdigest() == image.name.partition(".")[0]

    @pytest.mark.parametrize(
        ("condition", "status"),
        [('"{}"', 304), ('W/"{}"', 304), ('"other", "{}"', 304), ("*", 304), ('"other"', 200), ("{}", 200), ("", 200)],
    )
    async def test_who_has_it_is_told_so(self, web: httpx.AsyncClient, engine: Engine, condition: str, status: int) -> None:
        image = await put(InProcessChannel(engine), files.good()["GIF"])
        digest = image.name.partition(".")[0]
        answer = await web.get(f"/images/{image.name}", headers={"if-none-match": condition.replace("{}", digest)})
        assert answer.status_code == status
        assert answer.headers["etag"] == f'"{digest}"'
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert bool(answer.content) is (status == 200)

    async def test_nothing_else_is_served(self, web: httpx.AsyncClient, engine: Engine) -> None:
        image = await put(InProcessChannel(engine), files.good()["PNG"])
        digest = image.name.partition(".")[0]
        for path in (
            "/images/", f"/images/{digest}", f"/images/{digest}.jpg", f"/images/{digest}.svg", f"/images/{digest}.png/",
            f"/images/{digest.upper()}.png", f"/images/{'0f' * 32}.png", "/images/..%2f..%2fetc%2fpasswd", "/images/.env",
            f"/images/%2e/{image.name}", f"/images//{image.name}",
        ):  # fmt: skip
            for headers in ({}, {"if-none-match": "*"}):
                answer = await web.get(path, headers=headers)
                assert answer.status_code == 404, path
                assert answer.headers["content-type"] == "application/json"

    async def test_it_is_only_looked_at(self, web: httpx.AsyncClient) -> None:
        answer = await web.post(f"/images/{'0f' * 32}.png", content=files.good()["PNG"])
        assert (answer.status_code, answer.json()["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")
