"""Images before they are decoded: data URIs, formats by contents, and sizes that headers tell."""

import base64
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from playclock.core.images import (
    BASE64_BYTES_MAX,
    BASE64_TOO_LARGE,
    DAMAGED,
    FILE_BYTES_MAX,
    FILE_TOO_LARGE,
    INVALID_BASE64,
    NO_IMAGE,
    PROBLEMS,
    TOO_MANY_FRAMES,
    TOO_MANY_PIXELS,
    Examined,
    ImageFormat,
    ImageProblem,
    examine,
    format_of,
    format_of_name,
    name_of,
    read_data_uri,
    unsupported,
)

from tests.images import files

REPEATABLE = settings(deadline=None, derandomize=True, max_examples=100)
DIGEST = "0f" * 32
FORMATS = {"JPEG": ImageFormat.JPEG, "PNG": ImageFormat.PNG, "GIF": ImageFormat.GIF, "WEBP": ImageFormat.WEBP}


def uri(data: bytes, kind: str = "png") -> bytes:
    return f"data:image/{kind};base64,".encode() + base64.b64encode(data)


class TestDataUri:
    @pytest.mark.parametrize("kind", ["jpeg", "jpg", "png", "gif", "webp", "PNG"])
    def test_holds_its_bytes(self, kind: str) -> None:
        assert read_data_uri(uri(b"\x00\xff any bytes", kind)) == b"\x00\xff any bytes"

    @pytest.mark.parametrize("start", [b"data:image/png;base64,", b"DATA:IMAGE/PNG;BASE64,"])
    def test_its_head_has_no_case(self, start: bytes) -> None:
        assert read_data_uri(start + b"AAAA") == b"\0\0\0"

    @pytest.mark.parametrize(
        "broken",
        [
            b"iVBORw0KGgo=",
            b"image/png;base64,iVBORw0KGgo=",
            b"data:png;base64,iVBORw0KGgo=",
            b"data:text/html;base64,iVBORw0KGgo=",
            b"data:image/png,iVBORw0KGgo=",
            b"data:image/png;iVBORw0KGgo=",
            b"data:image/png;base64iVBORw0KGgo=",
            b"data:image/;base64,iVBORw0KGgo=",
            b"data:image/png;charset=utf-8;base64,iVBORw0KGgo=",
            b" data:image/png;base64,iVBORw0KGgo=",
            b"data:image/png;base64,",
            b"data:image/png;base64,iVBORw0KGg",
            b"data:image/png;base64,iVBORw0KGg\n==",
            b"data:image/png;base64, iVBORw0KGg=",
            b"data:image/png;base64,iVBORw0=KGgo",
            b"data:image/png;base64,iVBO====",
            b"data:image/png;base64,====",
            b"data:image/png;base64,iVB-_w0KGgo=",
            b"data:image/png;base64,iVB%2Bw0KGgo",
            "data:image/png;base64,iVBORw0K\uff11\uff11\uff11\uff11".encode(),
            b"data:image/" + b"a" * 32 + b";base64,AAAA",
        ],
    )
    def test_is_refused_in_the_documents_words(self, broken: bytes) -> None:
        assert read_data_uri(broken) == INVALID_BASE64
        assert INVALID_BASE64.message == "Invalid base64 image format"

    @pytest.mark.parametrize("kind", ["bmp", "BMP"])
    def test_of_another_format_is_refused_by_its_name(self, kind: str) -> None:
        refused = read_data_uri(uri(b"BM", kind))
        assert isinstance(refused, ImageProblem)
        assert refused.message == "Unsupported image format: bmp. Supported formats: jpeg, jpg, png, gif, webp"
        assert read_data_uri(uri(b"<svg>", "svg+xml")) == unsupported("svg+xml")

    def test_that_is_empty_is_no_image(self) -> None:
        assert read_data_uri(b"") == NO_IMAGE
        assert NO_IMAGE.message == "No image provided"

    @pytest.mark.parametrize("rest", [0, 1, 2])
    def test_may_hold_five_megabytes_to_the_byte(self, rest: int) -> None:
        most = b"\xff" * (BASE64_BYTES_MAX - rest)
        assert read_data_uri(uri(most)) == most
        assert read_data_uri(uri(most + b"\xff" * (rest + 1))) == BASE64_TOO_LARGE
        assert BASE64_TOO_LARGE.message == (
            "Image file size exceeds 5MB limit. Please use a smaller image or the UPLOAD flow for larger files."
        )

    @REPEATABLE
    @given(st.binary(min_size=1, max_size=200), st.sampled_from(["jpeg", "jpg", "png", "gif", "webp"]))
    def test_of_any_bytes_is_read_to_the_byte(self, data: bytes, kind: str) -> None:
        assert read_data_uri(uri(data, kind)) == data

    @REPEATABLE
    @given(st.binary(max_size=60) | st.from_regex(rb"\Adata:image/[a-z+]{0,5};?base64,?[A-Za-z0-9+/=]{0,12}\Z"))
    def test_whatever_comes_is_read_in_one_way_or_refused(self, data: bytes) -> None:
        read = read_data_uri(data)
        if isinstance(read, bytes):
            head, _, text = data.partition(b",")
            assert re.fullmatch(rb"(?i)data:image/(jpeg|jpg|png|gif|webp);base64", head)
            assert len(base64.b64encode(read)) == len(text)
            assert base64.b64decode(text, validate=True) == read
        else:
            assert read.name in PROBLEMS


class TestFormat:
    @pytest.mark.parametrize("kind", FORMATS)
    def test_is_that_of_the_contents(self, kind: str) -> None:
        assert format_of(files.good()[kind]) is FORMATS[kind]

    @pytest.mark.parametrize(
        ("data", "name"),
        [
            (files.encoded(files.picture(), "BMP"), "bmp"),
            (files.encoded(files.picture(), "TIFF"), "tiff"),
            (files.encoded(files.picture(), "ICO"), "ico"),
            (files.svg(), "svg"),
            (b"\xef\xbb\xbf \n<SVG/>", "svg"),
            (b"\0\0\0\x1cftypavif\0\0\0\0", "avif"),
            (b"<!doctype html><script>alert(1)</script>", "unknown"),
            (b"RIFF\x04\0\0\0WAVE", "unknown"),
            (b"PK\x03\x04", "unknown"),
            (b"\0", "unknown"),
        ],
    )
    def test_that_is_not_kept_is_named(self, data: bytes, name: str) -> None:
        assert examine(data) == unsupported(name)

    @pytest.mark.parametrize(("kept", "content_type"), [("jpg", "image/jpeg"), ("png", "image/png"), ("webp", "image/webp")])
    def test_has_one_name_and_one_type(self, kept: str, content_type: str) -> None:
        found = format_of_name(f"{DIGEST}.{kept}")
        assert found is not None
        assert found.content_type == content_type
        assert name_of(DIGEST, found) == f"{DIGEST}.{kept}"

    @pytest.mark.parametrize(
        "name",
        ["", DIGEST, f"{DIGEST}.", f"{DIGEST}.jpeg", f"{DIGEST}.svg", f"{DIGEST}.html", f"{DIGEST}.png.", f"{DIGEST}.png\n",
         f"{DIGEST.upper()}.png", f"{DIGEST[1:]}.png", f"../{DIGEST}.png", "\u0660" * 64 + ".png", "config.toml"],
    )  # fmt: skip
    def test_of_what_is_no_name_is_none(self, name: str) -> None:
        assert format_of_name(name) is None


class TestSizes:
    @pytest.mark.parametrize("kind", FORMATS)
    def test_agree_with_pillows(self, kind: str) -> None:
        for size in ((1, 1), (48, 32), (301, 7)):
            found = examine(files.encoded(files.picture(size=size), kind))
            assert isinstance(found, Examined)
            assert (found.measure.width, found.measure.height, found.measure.frames) == (*size, 1)
            assert found.format is FORMATS[kind]

    @pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
    def test_of_animations_count_the_frames(self, kind: str) -> None:
        found = examine(files.animated(kind, 7))
        assert isinstance(found, Examined)
        assert found.measure.frames == 7

    def test_of_a_webp_tell_whether_it_is_lossless(self) -> None:
        for is_lossless in (True, False):
            for options in ({}, {"exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}):
                found = examine(files.encoded(files.picture(), "WEBP", lossless=is_lossless, **options))
                assert isinstance(found, Examined)
                assert found.measure.is_lossless is is_lossless

    @pytest.mark.parametrize("bomb", [files.png_bomb, files.gif_bomb, files.webp_bomb, files.jpeg_bomb])
    def test_that_no_machine_has_room_for_are_refused(self, bomb: object) -> None:
        assert callable(bomb)
        data = bomb(16_000)
        assert len(data) < 200_000
        assert examine(data) == TOO_MANY_PIXELS

    def test_of_one_long_side_are_refused(self) -> None:
        assert examine(files.encoded(Image.new("1", (16_384, 1)), "PNG")) == TOO_MANY_PIXELS
        assert isinstance(examine(files.encoded(Image.new("1", (16_383, 1)), "PNG")), Examined)

    def test_of_animations_are_bounded_by_frames_and_by_all_their_pixels(self) -> None:
        assert isinstance(examine(files.animated("GIF", 500, size=(2, 2))), Examined)
        assert examine(files.animated("GIF", 501, size=(2, 2))) == TOO_MANY_FRAMES
        screen = bytearray(files.animated("GIF", 3))
        screen[6:10] = (4_000).to_bytes(2, "little") * 2
        assert examine(bytes(screen)) == TOO_MANY_FRAMES

    def test_of_files_are_bounded(self) -> None:
        data = files.good()["PNG"]
        assert isinstance(examine(data + b"\0" * (FILE_BYTES_MAX - len(data))), Examined)
        assert examine(data + b"\0" * (FILE_BYTES_MAX - len(data) + 1)) == FILE_TOO_LARGE
        assert examine(b"") == NO_IMAGE

    def test_of_a_jpeg_that_goes_over_its_pixels_without_end_are_refused(self) -> None:
        assert isinstance(examine(files.jpeg_of_many_scans(1)), Examined)
        assert examine(files.jpeg_of_many_scans(64)) == DAMAGED

    def test_of_what_follows_a_jpegs_end_do_not_count(self) -> None:
        assert isinstance(examine(files.good()["JPEG"] + b"\xff\xda" * 100), Examined)

    @pytest.mark.parametrize("kind", ["PNG", "GIF", "WEBP"])
    def test_of_what_is_cut_off_anywhere_are_not_known(self, kind: str) -> None:
        whole = files.animated(kind, 2)
        assert isinstance(examine(whole), Examined)
        for length in range(12, len(whole) - 1, 7):
            assert examine(whole[:length]) == DAMAGED

    @REPEATABLE
    @given(st.sampled_from(list(FORMATS)), st.data())
    def test_of_whatever_has_been_tampered_with_are_told_or_not(self, kind: str, data: st.DataObject) -> None:
        whole = bytearray(files.good()[kind])
        for _ in range(data.draw(st.integers(1, 4))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        found = examine(bytes(whole[: data.draw(st.integers(0, len(whole)))]))
        assert isinstance(found, Examined | ImageProblem)
