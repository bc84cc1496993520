"""Blob stores, all by one contract: in memory, in a folder, in S3 (moto's server, a process of its own)."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playclock.blobs.base import CHUNK_BYTES, Blobs, BlobsError, BlobsUnavailable
from playclock.blobs.folder import FolderBlobs
from playclock.blobs.urls import blobs_beside, open_blobs

from tests.blobs.s3_server import serve_s3

DEADLINE_SEC = 60
LARGE = bytes(range(256)) * (CHUNK_BYTES // 256) * 3 + b"the rest"


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve S3 on this machine, with a bucket."""
    with serve_s3(tmp_path_factory.mktemp("s3") / "log") as endpoint:
        yield endpoint


@pytest.fixture(params=["memory", "folder", "s3"])
async def blobs(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Blobs]:
    address = {"memory": "memory://", "folder": str(tmp_path / "blobs")}.get(request.param)
    if address is None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-key-of-the-tests")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret-of-the-tests")
        address = f"s3://pictures/{tmp_path.name}/games?region=us-east-1&endpoint={request.getfixturevalue('s3')}"
    opened = await open_blobs(address)
    yield opened
    await opened.close()


async def read(blobs: Blobs, name: str) -> bytes | None:
    async with blobs.reading(name) as blob:
        if blob is None:
            return None
        pieces = [piece async for piece in blob.chunks]
        assert sum(map(len, pieces)) == blob.size_bytes
        return b"".join(pieces)


class TestEveryOne:
    async def test_gives_back_what_it_was_given(self, blobs: Blobs) -> None:
        assert await read(blobs, "0f0f.png") is None
        assert await blobs.size("0f0f.png") is None
        assert await blobs.put("0f0f.png", LARGE)
        assert await read(blobs, "0f0f.png") == LARGE
        assert await blobs.size("0f0f.png") == len(LARGE)
        assert await read(blobs, "0f0f.gif") is None

    async def test_says_whether_a_blob_is_new(self, blobs: Blobs) -> None:
        assert [await blobs.put("abc", b"the same") for _ in range(3)] == [True, False, False]
        assert await read(blobs, "abc") == b"the same"

    async def test_lets_a_blob_be_gone_and_come_back(self, blobs: Blobs) -> None:
        await blobs.remove("0f0f.png")
        await blobs.put("0f0f.png", LARGE)
        await blobs.remove("0f0f.png")
        await blobs.remove("0f0f.png")
        assert (await blobs.size("0f0f.png"), await read(blobs, "0f0f.png")) == (None, None)
        assert await blobs.put("0f0f.png", LARGE)
        assert await read(blobs, "0f0f.png") == LARGE

    async def test_takes_many_of_one_name_at_once(self, blobs: Blobs) -> None:
        await asyncio.gather(*(blobs.put("abc", LARGE) for _ in range(8)))
        assert await read(blobs, "abc") == LARGE

    async def test_that_is_given_up_in_the_middle_lets_go(self, blobs: Blobs) -> None:
        await blobs.put("abc", LARGE)
        async with blobs.reading("abc") as blob:
            assert blob is not None
            assert await anext(blob.chunks)
        assert await read(blobs, "abc") == LARGE

    @pytest.mark.parametrize("name", ["", "..", "../abc", "a/b", "/etc/passwd", ".abc", "abc\0", "ABC", "a" * 129, "abc\n"])
    async def test_takes_no_path_for_a_name(self, blobs: Blobs, name: str) -> None:
        with pytest.raises(ValueError, match="no name"):
            await blobs.put(name, b"x")
        with pytest.raises(ValueError, match="no name"):
            await blobs.size(name)
        with pytest.raises(ValueError, match="no name"):
            await read(blobs, name)


class TestFolder:
    async def test_keeps_blobs_for_the_next_process_and_nothing_else(self, tmp_path: Path) -> None:
        folder = tmp_path / "deep" / "blobs"
        await (await open_blobs(str(folder))).put("abcd", LARGE)
        assert await read(await open_blobs(str(folder)), "abcd") == LARGE
        assert [file.relative_to(folder) for file in folder.rglob("*") if file.is_file()] == [Path("ab/abcd")]

    async def test_mends_a_file_that_is_too_short(self, tmp_path: Path) -> None:
        blobs = await open_blobs(str(tmp_path))
        await blobs.put("abcd", LARGE)
        (tmp_path / "ab" / "abcd").write_bytes(b"short")
        assert await blobs.put("abcd", LARGE)
        assert await read(blobs, "abcd") == LARGE

    async def test_that_cannot_be_used_is_refused_at_the_start(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(BlobsError, match="cannot be used: Not a directory"):
            await open_blobs(str(tmp_path / "file" / "blobs"))

    async def test_whose_disk_is_away_is_unavailable_and_leaves_no_half_a_file(self, tmp_path: Path) -> None:
        blobs = await FolderBlobs.open(tmp_path / "blobs")
        (tmp_path / "blobs" / "ab").symlink_to("/dev/full")
        with pytest.raises(BlobsUnavailable):
            await blobs.put("abcd", LARGE)
        with pytest.raises(BlobsUnavailable):
            await blobs.size("abcd")
        (tmp_path / "blobs" / "ab").unlink()
        assert await blobs.size("abcd") is None


class TestS3:
    async def test_that_is_away_is_unavailable(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "the-key-of-the-tests")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret-of-the-tests")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        blobs = await open_blobs(f"s3://pictures?region=us-east-1&endpoint=http://127.0.0.1:{port}")
        with pytest.raises(BlobsUnavailable):
            await blobs.size("abcd")

    @pytest.mark.parametrize(
        "address",
        [
            "",
            "gs://bucket",
            "s3://",
            "s3:///prefix",
            "s3://bucket?endpoint=",
            "s3://bucket?endpoint=ftp://host",
            "s3://bucket?secret=hush-hush-hush",
            "s3://bucket?region=a&region=b",
            "s3://bucket#fragment",
            "s3://key:hush-hush-hush@bucket",
            "s3://bucket?endpoint=https://key:hush-hush-hush@host",
            "s3://bucket?endpoint",
            "s3://[bucket",
        ],
    )
    async def test_whose_address_is_none_is_refused_without_repeating_it(self, address: str) -> None:
        with pytest.raises(BlobsError) as refused:
            await open_blobs(address)
        assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("store", "blobs"),
    [
        ("memory://", "memory://"),
        ("sqlite:///play.db", "play-blobs"),
        ("sqlite:////var/lib/play.db", "/var/lib/play-blobs"),
        ("redis://host:6379/0", None),
    ],
)
def test_blobs_lie_beside_the_store(store: str, blobs: str | None) -> None:
    assert blobs_beside(store) == blobs
