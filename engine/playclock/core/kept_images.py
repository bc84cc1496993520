"""Which images stay: those that a game names, and every other one for a day.

An image is noted before it is stored, and is marked before it is removed. So whoever brings it again while it is being removed
is told to try later, and an image that was taken in lies there.
"""

from enum import IntEnum
from typing import Final

import msgspec
from msgspec.structs import replace

GRACE_MS: Final = 86_400_000
"""How long an image stays that no game names: long enough to register a game, and to go back to the former image."""
REMOVAL_MS: Final = 120_000
"""How long removing an image may take. Until then nobody else may have it."""
REMOVAL_BEGIN_MS: Final = 60_000
"""How long after the mark the removal may begin. The rest of the time is for the place where images lie."""
IMAGES_PER_DEVELOPER: Final = 1_000
"""How many images of a developer are kept at once, unless the settings say otherwise."""


class ImageState(IntEnum):
    """Where an image is on its way."""

    KEPT = 1
    GOING = 2
    """Being removed."""
    GONE = 3


class KeptImage(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is known of an image that is kept."""

    developer_id: str
    """For whom it counts: the developer who brought it first; empty for an operator's."""
    state: ImageState
    until_ms: int
    """When it is looked at next; where it is being removed, until when that may take."""
    is_named: bool = False
    """Whether a game named it when it was looked at last."""


class ImageUse(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What images are kept for a developer."""

    number: int


def brought(known: KeptImage | None, developer_id: str, now_ms: int) -> KeptImage | None:
    """Return an image after somebody has brought it; None while it is being removed. A day from now it is looked at."""
    if known is None or known.state is ImageState.GONE:
        return KeptImage(developer_id, ImageState.KEPT, now_ms + GRACE_MS)
    if known.state is ImageState.GOING and now_ms < known.until_ms:
        return None
    return replace(known, state=ImageState.KEPT, until_ms=now_ms + GRACE_MS)


def looked_at(known: KeptImage, *, is_named: bool, now_ms: int) -> KeptImage:
    """Return an image after it was looked at: one that no game named a day ago either is to be removed.

    A removal that was begun and never finished is begun again.
    """
    if known.state is ImageState.GONE or now_ms < known.until_ms:
        return known
    if is_named or known.is_named:
        return replace(known, state=ImageState.KEPT, until_ms=now_ms + GRACE_MS, is_named=is_named)
    return replace(known, state=ImageState.GOING, until_ms=now_ms + REMOVAL_MS)


def may_begin(known: KeptImage, now_ms: int) -> bool:
    """Whether the removal of an image may begin: not where whoever marked it has been held up since."""
    return known.state is ImageState.GOING and now_ms < known.until_ms - REMOVAL_MS + REMOVAL_BEGIN_MS


def removed(known: KeptImage, now_ms: int) -> KeptImage:
    """Return an image after its removal."""
    return replace(known, state=ImageState.GONE, until_ms=now_ms)


def spared(known: KeptImage, now_ms: int) -> KeptImage:
    """Return an image whose removal was not begun, because a game names it after all."""
    return replace(known, state=ImageState.KEPT, until_ms=now_ms + GRACE_MS, is_named=True)
