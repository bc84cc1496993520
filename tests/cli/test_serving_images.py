"""`playclock serve` keeps images beside its store, or where it is told to, and serves them again after a restart."""

import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
from playclock.v1 import ImageServiceStub, PutImageRequest

from tests.images import files

if TYPE_CHECKING:
    from tests.cli.conftest import Run, Start

PORTS = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
OPERATOR = (("authorization", "Bearer operator-of-images"),)


def put(address: str) -> str:
    with grpc.insecure_channel(address) as channel:
        requests = iter([PutImageRequest(chunk=files.good()["PNG"])])
        return ImageServiceStub(channel).PutImage(requests, metadata=OPERATOR).image.url


def test_images_outlive_their_server(start: "Start", tmp_path: Path) -> None:
    variables = {"PLAYCLOCK_SECURITY_OPERATOR_TOKENS": "operator-of-images"}
    first = start("serve", *PORTS, "--store", "sqlite:///play.db", **variables)
    url = put(first.ready()["grpc"])
    assert url.startswith("/images/")
    first.process.terminate()
    assert first.end() == 0
    second = start("serve", *PORTS, "--store", "sqlite:///play.db", **variables).ready()
    with urllib.request.urlopen(f"http://{second['http']}{url}", timeout=10) as answer:
        assert answer.headers["content-type"] == "image/png"
        assert len(answer.read()) == int(answer.headers["content-length"])
    (kept,) = [file for file in (tmp_path / "play-blobs").rglob("*") if file.is_file()]
    assert url.endswith(kept.name)


def test_a_place_that_is_none_is_refused_at_the_start(run: "Run") -> None:
    for place, sentence in (("gs://bucket", "blobs lie in a folder"), ("/dev/null/blobs", "cannot be used: Not a directory")):
        result = run("serve", *PORTS, "--store", "memory://", "--blobs", place)
        assert result.returncode == 1
        assert sentence in result.stderr
