"""What developers send of their games, as a form or as JSON, to one declared description with its pictures."""

import asyncio
from contextlib import nullcontext
from typing import Final, NamedTuple, TypeVar

import msgspec

from playclock_http import fields, strict_json
from playclock_http.incoming import MAX_BODY_BYTES, RECEIPT_SEC, Incoming
from playclock_http.multipart import Part, is_form, read_form
from playclock_http.playfun.registration_schemas import SPLIT, GameUpdate
from playclock_http.refusal import Refusal, bad_request
from playclock_http.uploads import Uploads

PICTURE_BYTES_MAX: Final = 10 * 1024 * 1024 + 1
"""How much is kept of a picture, as a file or as a text: a byte more than the engine takes, so that it says what is wrong."""
FORM_BYTES_MAX: Final = 32 * 1024 * 1024
"""How much is read of a form: so much that whoever sends too large a picture hears of it, and is not cut off."""
JSON_BYTES_MAX: Final = 16 * 1024 * 1024
"""How much is read of JSON: two pictures of 5 MB, in base64, and room for slashes that are escaped."""
HEARD_OUT_BYTES_MAX: Final = 64 * 1024 * 1024
"""How much is thrown away of a body that is refused before it is read: most clients hear an answer only when all is sent."""
UPLOAD_SEC: Final = 30.0
"""How long a large body may take: as long as the engine lets a picture take."""
TEXT_BYTES_MAX: Final = 16 * 1024
"""How long a text of a form may be: all of 4,000 characters, whatever they take."""

_MARKS_MAX: Final = 20_000
"""How many commas and brackets a large body of JSON may have: objects take memory, pictures have none of them."""
_FILES: Final = {"image": "base64Image", "coverImage": "base64CoverImage"}
"""The fields with files, and those with the same as a data URI."""
_PICTURES: Final = frozenset((*_FILES, *_FILES.values()))
_NAMES: Final = {field.encode_name: field for field in msgspec.structs.fields(GameUpdate)}
_SPLIT: Final = "orgRewardsSplit"
_TEXTS: Final = frozenset({"name", "description", "gameUrl", "platform", "twitter", "discord", "telegram", "jwksUrl"})
"""Fields that an empty text says something of."""
_PLACEHOLDERS: Final = frozenset({"null", "undefined", "[object Object]", "[object File]", "[object Blob]"})
"""What JavaScript makes of a value that is no text, where a form is to have it."""

SaidT = TypeVar("SaidT", bound=GameUpdate)


class Picture(NamedTuple):
    """A picture as it was sent: a file, or the text of a data URI."""

    data: bytes
    is_data_uri: bool


class Said(NamedTuple):
    """What is said of a game."""

    game: GameUpdate
    image: Picture | None
    cover: Picture | None


class GameForms:
    """Reads what developers send."""

    def __init__(self) -> None:
        self._uploads = Uploads()

    async def read(self, incoming: Incoming, sender: str, declared: type[SaidT]) -> Said:
        """Return what a developer, who is known, says of a game. Raises Refusal."""
        incoming.hear_out(HEARD_OUT_BYTES_MAX, RECEIPT_SEC)
        announced = incoming.announced_bytes
        is_small = announced is not None and announced <= MAX_BODY_BYTES
        async with nullcontext() if is_small else self._uploads.place(sender):
            within_sec = RECEIPT_SEC if is_small else UPLOAD_SEC
            content_type = incoming.header(b"content-type")
            if is_form(content_type):
                return await _from_form(incoming, content_type or b"", declared, within_sec)
            return await _from_json(incoming, declared, within_sec)


async def _from_form(incoming: Incoming, content_type: bytes, declared: type[SaidT], within_sec: float) -> Said:
    incoming.check_plain()
    pieces = incoming.pieces(at_most=FORM_BYTES_MAX, within_sec=within_sec)
    files: dict[str, bytes] = {}
    texts: dict[str, object] = {}
    for part in await read_form(pieces, content_type, _Room()):
        if part.name in _FILES:
            if part.data or part.file_is_named:
                files[part.name] = part.data
        elif (text := _text_of(part)) is not None:
            if part.name in texts:
                raise _twice(part.name)
            texts[part.name] = text
    if _SPLIT in texts:
        texts[_SPLIT] = _split_of(str(texts[_SPLIT]))
    return _said(fields.convert(texts, declared, strict=False), files)


async def _from_json(incoming: Incoming, declared: type[SaidT], within_sec: float) -> Said:
    body = await incoming.body(at_most=JSON_BYTES_MAX, within_sec=within_sec)
    if len(body) <= MAX_BODY_BYTES:
        return _said(incoming.decode(body, declared), {})
    if sum(body.count(mark) for mark in (b",", b"[", b"{")) > _MARKS_MAX:
        raise bad_request("body: more values than a game has")
    # Some 100 ms in all for the largest: others are answered between its steps.
    return _said(await asyncio.to_thread(incoming.decode, body, declared), {})


class _Room:
    """How much is kept of which part: of pictures once, and nothing of fields that are not known."""

    def __init__(self) -> None:
        self._pictures: set[str] = set()

    def __call__(self, name: str, is_file: bool) -> int:
        if name not in _NAMES or (name in _FILES and not is_file):
            return 0  # the published SDK sends a file's name, as a text, beside the file
        if name not in _PICTURES:
            return TEXT_BYTES_MAX
        if name in self._pictures:
            raise _twice(name)
        self._pictures.add(name)
        return PICTURE_BYTES_MAX


def _text_of(part: Part) -> str | None:
    """Return a part's text; None where it says nothing. Raises Refusal."""
    is_picture = part.name in _PICTURES
    if part.size_bytes > len(part.data) and not is_picture:
        raise bad_request(f"{part.name}: longer than {TEXT_BYTES_MAX} bytes")
    try:
        # Whatever is wrong with a picture, the engine says.
        text = part.data.decode("utf-8", "replace" if is_picture else "strict")
    except UnicodeDecodeError:
        raise bad_request(f"{part.name}: expected UTF-8") from None
    is_said = text not in _PLACEHOLDERS and (text or part.name in _TEXTS)
    return text if is_said else None


def _split_of(text: str) -> dict[str, object]:
    try:
        return strict_json.parse(text.encode())
    except Refusal:
        raise bad_request(f"{_SPLIT}: expected {SPLIT}") from None


def _said(game: GameUpdate, files: dict[str, bytes]) -> Said:
    image = _picture(files.get("image"), game.base64_image, game.image)
    return Said(game, image, _picture(files.get("coverImage"), game.base64_cover_image, game.cover_image))


def _picture(file: bytes | None, data_uri: str | None, text: object) -> Picture | None:
    """Return the picture that counts: a file before a data URI, and that before one that stands where a file would."""
    if file is not None:
        return Picture(file, is_data_uri=False)
    if not data_uri and isinstance(text, str) and text.startswith("data:"):
        data_uri = text
    return Picture(data_uri.encode()[:PICTURE_BYTES_MAX], is_data_uri=True) if data_uri else None


def _twice(name: str) -> Refusal:
    return bad_request(f"{name}: appears twice")
