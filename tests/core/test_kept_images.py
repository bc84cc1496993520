"""Which images stay, for how long, and who may have one that is being removed."""

from typing import Final

import pytest
from playclock.core.images import name_in
from playclock.core.kept_images import (
    GRACE_MS,
    REMOVAL_BEGIN_MS,
    REMOVAL_MS,
    ImageState,
    KeptImage,
    brought,
    looked_at,
    may_begin,
    removed,
    spared,
)

NOW: Final = 1_000_000
KEPT: Final = KeptImage("ann", ImageState.KEPT, NOW)
GOING: Final = KeptImage("ann", ImageState.GOING, NOW + REMOVAL_MS)
NAME: Final = "0123456789abcdef" * 4 + ".png"


def test_an_image_that_was_brought_stays_for_a_day() -> None:
    first = brought(None, "ann", NOW)
    assert first == KeptImage("ann", ImageState.KEPT, NOW + GRACE_MS)
    assert brought(first, "ben", NOW + 5) == KeptImage("ann", ImageState.KEPT, NOW + 5 + GRACE_MS)
    assert brought(removed(KEPT, NOW), "ben", NOW) == KeptImage("ben", ImageState.KEPT, NOW + GRACE_MS)


def test_one_that_is_being_removed_can_be_brought_when_the_time_for_that_is_over() -> None:
    assert brought(GOING, "ben", GOING.until_ms - 1) is None
    again = brought(GOING, "ben", GOING.until_ms)
    assert again == KeptImage("ann", ImageState.KEPT, GOING.until_ms + GRACE_MS)


@pytest.mark.parametrize(
    ("known", "is_named", "now_ms", "after"),
    [
        (KEPT, False, NOW - 1, KEPT),
        (KEPT, False, NOW, GOING),
        (KEPT, True, NOW, KeptImage("ann", ImageState.KEPT, NOW + GRACE_MS, True)),
        # No game names it any more: a day from now on, for a developer who goes back to it.
        (KeptImage("ann", ImageState.KEPT, NOW, True), False, NOW, KeptImage("ann", ImageState.KEPT, NOW + GRACE_MS, False)),
        (GOING, False, GOING.until_ms - 1, GOING),
        (GOING, False, GOING.until_ms, KeptImage("ann", ImageState.GOING, GOING.until_ms + REMOVAL_MS)),
        (GOING, True, GOING.until_ms, KeptImage("ann", ImageState.KEPT, GOING.until_ms + GRACE_MS, True)),
        (removed(KEPT, NOW), False, NOW + 1, removed(KEPT, NOW)),
    ],
)
def test_what_a_look_finds(known: KeptImage, *, is_named: bool, now_ms: int, after: KeptImage) -> None:
    assert looked_at(known, is_named=is_named, now_ms=now_ms) == after


def test_a_removal_begins_only_where_nobody_was_held_up() -> None:
    assert may_begin(GOING, NOW)
    assert may_begin(GOING, NOW + REMOVAL_BEGIN_MS - 1)
    assert not may_begin(GOING, NOW + REMOVAL_BEGIN_MS)
    assert not may_begin(KEPT, NOW)


def test_one_that_a_game_names_after_all_is_spared() -> None:
    assert spared(GOING, NOW) == KeptImage("ann", ImageState.KEPT, NOW + GRACE_MS, True)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (f"/images/{NAME}", NAME),
        (f"https://cdn.example.com/a/{NAME}?v=1", NAME),
        (NAME, NAME),
        (f"/images/{NAME}x", None),
        (f"/images/f{NAME}", None),
        (f"/images/{NAME[:-4]}.svg", None),
        (f"/images/{NAME.upper()}", None),
        ("", None),
        ("https://example.com/image.png", None),
    ],
)
def test_which_image_of_ours_an_address_names(url: str, name: str | None) -> None:
    assert name_in(url) == name
