"""Images written anew: the picture stays, and nothing else of what was sent."""

import zipfile
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, ImageStat
from PIL.PngImagePlugin import PngInfo
from playclock.core.images import DAMAGED, Examined, ImageFormat, ImageProblem, examine
from playclock.images.cleaning import Cleaned, clean

from tests.images import files
from tests.images.files import SECRET_MARK, encoded, picture

KINDS = ["JPEG", "PNG", "GIF", "WEBP"]
HTML = b"<script>alert(document.domain)</script>"


def written(data: bytes) -> Cleaned:
    examined = examine(data)
    assert isinstance(examined, Examined), examined
    cleaned = clean(data, examined)
    assert isinstance(cleaned, Cleaned), cleaned
    return cleaned


def refused(data: bytes) -> ImageProblem:
    examined = examine(data)
    if isinstance(examined, ImageProblem):
        return examined
    cleaned = clean(data, examined)
    assert isinstance(cleaned, ImageProblem)
    return cleaned


def shown(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def difference(one: Image.Image, other: Image.Image) -> float:
    assert one.size == other.size
    apart = ImageChops.difference(one.convert("RGBA"), other.convert("RGBA"))
    return max(ImageStat.Stat(apart).mean)


class TestGoodOnes:
    @pytest.mark.parametrize("kind", KINDS)
    def test_look_as_before(self, kind: str) -> None:
        sent = files.good()[kind]
        cleaned = written(sent)
        assert cleaned.format.name == kind == shown(cleaned.data).format
        assert (cleaned.width, cleaned.height) == (48, 32)
        assert difference(shown(sent), shown(cleaned.data)) < (3 if kind in {"JPEG", "WEBP"} else 0.001)

    @pytest.mark.parametrize("kind", KINDS)
    def test_are_written_in_one_way_and_are_good_again(self, kind: str) -> None:
        sent = files.good()[kind]
        assert written(sent) == written(sent)
        assert isinstance(written(written(sent).data), Cleaned)

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
    def test_pngs_of_every_mode(self, mode: str) -> None:
        source = picture("RGB").convert("L").convert("I;16") if mode == "I;16" else picture(mode)
        cleaned = shown(written(encoded(source, "PNG")).data)
        if mode == "I;16":
            deep = source.point(lambda value: value * 256)
            assert difference(shown(written(encoded(deep, "PNG")).data), picture("L")) == 0
            return
        assert cleaned.mode == mode
        assert difference(cleaned, source) == 0

    def test_a_palette_keeps_its_transparency(self) -> None:
        source = picture("P")
        for kind in ("PNG", "GIF"):
            sent = encoded(source, kind, transparency=source.getpixel((0, 0)))
            assert difference(shown(written(sent).data), shown(sent)) == 0
            assert shown(written(sent).data).convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index]

    def test_a_transparent_colour_stays_transparent(self) -> None:
        sent = encoded(picture(), "PNG", transparency=(0, 0, 0))
        assert shown(written(sent).data).convert("RGBA").getpixel((0, 0)) == (0, 0, 0, 0)

    def test_a_jpeg_of_a_printer_gets_colours_that_browsers_show(self) -> None:
        sent = encoded(picture("CMYK"), "JPEG")
        cleaned = shown(written(sent).data)
        assert cleaned.mode == "RGB"
        assert difference(cleaned, shown(sent).convert("RGB")) < 3

    def test_a_grey_jpeg_stays_grey(self) -> None:
        assert shown(written(encoded(picture("L"), "JPEG")).data).mode == "L"

    def test_a_lossless_webp_stays_so_to_the_pixel(self) -> None:
        assert difference(shown(written(encoded(picture(), "WEBP", lossless=True)).data), picture()) == 0

    def test_of_a_jpeg_with_several_pictures_the_first_is_kept(self) -> None:
        sent = encoded(picture(), "MPO", save_all=True, append_images=[Image.new("RGB", (48, 32))])
        cleaned = shown(written(sent).data)
        assert cleaned.format == "JPEG"
        assert difference(cleaned, picture()) < 3


class TestAnimations:
    @pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
    def test_keep_their_frames_their_pace_and_their_end(self, kind: str) -> None:
        cleaned = shown(written(files.animated(kind, 5)).data)
        assert getattr(cleaned, "n_frames", 1) == 5
        assert cleaned.info["loop"] == 0
        for at, expected in enumerate(files.frames(5)):
            cleaned.seek(at)
            cleaned.load()
            assert cleaned.info["duration"] == 120
            assert difference(cleaned, expected) < 6

    def test_that_are_shown_once_are_shown_once(self) -> None:
        first, *others = files.frames(3)
        sent = encoded(first, "GIF", save_all=True, append_images=others, duration=50)
        assert "loop" not in shown(written(sent).data).info

    @pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
    def test_what_moves_over_a_clear_ground_leaves_no_trace(self, kind: str) -> None:
        steps = []
        for at in range(4):
            steps.append(Image.new("RGBA", (16, 8), (0, 0, 0, 0)))
            steps[-1].paste((255, 0, 0, 255), (at * 4, 0, at * 4 + 4, 8))
            steps[-1].putpixel((at * 4 + 1, 1), (0, 0, 0, 0))
        sent = shown(encoded(steps[0], kind, save_all=True, append_images=steps[1:], duration=50, disposal=2))
        cleaned = shown(written(encoded(steps[0], kind, save_all=True, append_images=steps[1:], duration=50, disposal=2)).data)
        for at in range(4):
            for image in (sent, cleaned):
                image.seek(at)
                alpha = image.convert("RGBA").getchannel("A")
                assert [alpha.getpixel((x, 4)) for x in range(2, 16, 4)] == [255 * (x == at) for x in range(4)]

    def test_a_still_picture_beside_one_is_left_out(self) -> None:
        first, *others = files.frames(4)
        sent = encoded(first, "PNG", save_all=True, append_images=others, default_image=True, duration=50)
        cleaned = shown(written(sent).data)
        assert getattr(cleaned, "n_frames", 1) == 3
        assert difference(cleaned, others[0]) == 0


class TestMetadata:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
    def test_exif_xmp_and_profile_are_gone(self, kind: str) -> None:
        exif = Image.Exif()
        exif[0x010E] = SECRET_MARK.decode()
        exif.get_ifd(0x8825)[1] = "N"
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        sent = encoded(picture(), kind, exif=exif, icc_profile=profile, xmp=b"<x:xmpmeta>" + SECRET_MARK)
        assert SECRET_MARK in sent
        assert shown(sent).info["icc_profile"] == profile
        cleaned = written(sent).data
        assert SECRET_MARK not in cleaned
        assert not shown(cleaned).getexif()
        assert not {"icc_profile", "exif", "xmp"} & shown(cleaned).info.keys()

    @pytest.mark.parametrize("kind", ["JPEG", "GIF"])
    def test_comments_are_gone(self, kind: str) -> None:
        sent = encoded(picture("P" if kind == "GIF" else "RGB"), kind, comment=SECRET_MARK)
        assert SECRET_MARK in sent
        assert SECRET_MARK not in written(sent).data

    @pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
    def test_an_animation_loses_them_too(self, kind: str) -> None:
        texts = PngInfo()
        texts.add_text("Comment", SECRET_MARK.decode())
        name, value = {"GIF": ("comment", SECRET_MARK), "PNG": ("pnginfo", texts), "WEBP": ("xmp", SECRET_MARK)}[kind]
        first, *others = files.frames(3)
        sent = encoded(first, kind, save_all=True, append_images=others, **{name: value})
        assert SECRET_MARK in sent
        assert SECRET_MARK not in written(sent).data

    def test_a_pngs_texts_and_resolution_are_gone(self) -> None:
        texts = PngInfo()
        texts.add_text("Author", SECRET_MARK.decode())
        texts.add_itxt("XML:com.adobe.xmp", SECRET_MARK.decode())
        sent = encoded(picture(), "PNG", pnginfo=texts, dpi=(300, 300))
        assert SECRET_MARK in sent
        assert shown(written(sent).data).info == {}

    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
    def test_a_picture_that_exif_turns_is_turned(self, kind: str) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        cleaned = written(encoded(picture(), kind, exif=exif))
        assert (cleaned.width, cleaned.height) == (32, 48)
        assert difference(shown(cleaned.data), picture().transpose(Image.Transpose.ROTATE_270)) < 4

    @pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
    def test_exif_that_cannot_be_read_turns_nothing(self) -> None:
        sent = encoded(picture(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\xff")
        assert (written(sent).width, written(sent).height) == (48, 32)


class TestPolyglots:
    @pytest.mark.parametrize("kind", KINDS)
    def test_what_was_appended_is_gone(self, kind: str) -> None:
        archive = BytesIO()
        with zipfile.ZipFile(archive, "w") as packed:
            packed.writestr("payload.html", HTML)
        both = files.good()[kind] + archive.getvalue()
        assert zipfile.is_zipfile(BytesIO(both))
        cleaned = written(both).data
        assert HTML not in cleaned
        assert not zipfile.is_zipfile(BytesIO(cleaned))

    def test_html_in_a_gifs_comment_is_gone(self) -> None:
        sent = encoded(picture("P"), "GIF", comment=b"*/=1;" + HTML)
        assert HTML in sent
        assert HTML not in written(sent).data

    def test_html_in_a_pngs_chunk_is_gone(self) -> None:
        texts = PngInfo()
        texts.add(b"teXt", HTML)
        sent = encoded(picture(), "PNG", pnginfo=texts)
        assert HTML in sent
        assert HTML not in written(sent).data


class TestBroken:
    @pytest.mark.parametrize("kind", KINDS)
    def test_cut_off_in_the_middle_is_refused(self, kind: str) -> None:
        whole = encoded(Image.effect_noise((64, 64), 80), kind)
        assert refused(whole[: len(whole) // 2]) == DAMAGED
        assert refused(whole[: len(whole) * 9 // 10]) == DAMAGED

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_header_alone_is_refused(self, kind: str) -> None:
        assert refused(files.good()[kind][:16]) == DAMAGED

    def test_pixels_that_do_not_inflate_are_refused(self) -> None:
        data = bytearray(files.good()["PNG"])
        start = data.index(b"IDAT") + 4
        data[start : start + 20] = b"\xff" * 20
        assert refused(bytes(data)) == DAMAGED

    @settings(deadline=None, derandomize=True, max_examples=60)
    @given(st.sampled_from(KINDS), st.booleans(), st.data())
    def test_whatever_has_been_tampered_with_is_written_anew_or_refused(
        self, kind: str, moves: bool, data: st.DataObject
    ) -> None:
        sent = bytearray(files.animated(kind, 3) if moves and kind != "JPEG" else files.good()[kind])
        for _ in range(data.draw(st.integers(1, 5))):
            sent[data.draw(st.integers(0, len(sent) - 1))] = data.draw(st.integers(0, 255))
        examined = examine(bytes(sent))
        if isinstance(examined, Examined):
            cleaned = clean(bytes(sent), examined)
            assert cleaned == DAMAGED or isinstance(cleaned, Cleaned)


def test_mislabelled_ones_are_what_they_are() -> None:
    assert written(files.good()["WEBP"]).format is ImageFormat.WEBP
