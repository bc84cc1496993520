"""Signing keys: which signs, which count, and what a rotation does, to the millisecond."""

import pytest
from playclock.core.signing_keys import (
    AHEAD_MS,
    KEPT_MS,
    SigningKey,
    keys_in,
    published,
    record_of,
    rotated,
    signing,
)

NOW_MS = 1_000_000_000


def made(name: str) -> SigningKey:
    return SigningKey(id=name, private=name.encode(), created_ms=0, signs_from_ms=0)


def names(keys: "tuple[SigningKey, ...]") -> list[str]:
    return [key.id for key in keys]


FIRST = rotated((), made("first"), now_ms=NOW_MS, at_once=False)
SECOND = rotated(FIRST, made("second"), now_ms=NOW_MS + 5, at_once=False)
SIGNS_MS = NOW_MS + 5 + AHEAD_MS


def signer(keys: "tuple[SigningKey, ...]", now_ms: int) -> str | None:
    key = signing(keys, now_ms)
    return None if key is None else key.id


def test_without_any_nobody_signs() -> None:
    assert signing((), NOW_MS) is None
    assert published((), NOW_MS) == ()


def test_the_first_signs_at_once_and_has_no_end() -> None:
    assert (SigningKey(id="first", private=b"first", created_ms=NOW_MS, signs_from_ms=NOW_MS),) == FIRST
    assert signer(FIRST, NOW_MS) == "first"


def test_an_engine_whose_clock_is_behind_signs_with_it_too() -> None:
    assert signer(FIRST, NOW_MS - 40) == "first"


def test_a_successor_is_published_before_it_signs() -> None:
    assert names(published(SECOND, NOW_MS + 5)) == ["first", "second"]
    assert signer(SECOND, SIGNS_MS - 1) == "first"
    assert signer(SECOND, SIGNS_MS) == "second"


def test_the_one_before_counts_as_long_as_its_longest_token_lives() -> None:
    assert names(published(SECOND, SIGNS_MS + KEPT_MS - 1)) == ["first", "second"]
    assert names(published(SECOND, SIGNS_MS + KEPT_MS)) == ["second"]


def test_while_a_successor_waits_another_rotation_changes_nothing() -> None:
    assert rotated(SECOND, made("third"), now_ms=SIGNS_MS - 1, at_once=False) == SECOND


def test_an_end_that_was_set_stays_and_what_is_over_is_dropped() -> None:
    third = rotated(SECOND, made("third"), now_ms=SIGNS_MS, at_once=False)
    assert [key.ends_ms for key in third] == [SIGNS_MS + KEPT_MS, SIGNS_MS + AHEAD_MS + KEPT_MS, None]
    fourth = rotated(third, made("fourth"), now_ms=SIGNS_MS + KEPT_MS, at_once=False)
    assert names(fourth) == ["second", "third", "fourth"]


@pytest.mark.parametrize("now_ms", [NOW_MS + 6, SIGNS_MS])
def test_at_once_leaves_nothing_of_the_others(now_ms: int) -> None:
    alone = rotated(SECOND, made("third"), now_ms=now_ms, at_once=True)
    assert names(published(alone, now_ms)) == ["third"]
    assert signer(alone, now_ms) == "third"


def test_they_are_kept_in_one_record_and_never_shown() -> None:
    record = record_of(SECOND)
    assert keys_in(record) == SECOND
    assert "second" not in repr(record)
    assert repr(SECOND[1]) == "SigningKey(id='second')"
