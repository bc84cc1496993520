"""`orgRewardsSplit`, as spec has it: identifiers, sums, messages, whose split counts."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playclock.core.identifiers import parse
from playclock.core.rewards import FIELD, SHARES_MAX, TOTAL_BPS, in_force, shares_of, unresolvable
from playclock.errors import BadRequest

CREATOR: Final = "660e8400-e29b-41d4-a716-446655440001"
UUID: Final = "550e8400-e29b-41d4-a716-446655440000"
PRIVY: Final = "did:privy:abc123def456"
WALLET: Final = "sol:9qdvVLY3vLhmvV7uBkLJsQKcHDjxhoUWJ9uZASYEfwwC"


def split(wanted: dict[str, int], *, is_owner_proven: bool = True) -> dict[str, int]:
    return in_force(shares_of(wanted), creator_id=CREATOR, is_owner_proven=is_owner_proven)


def message(wanted: dict[str, int]) -> str:
    with pytest.raises(BadRequest) as caught:
        shares_of(wanted)
    assert list(caught.value.violations) == [FIELD]
    return caught.value.violations[FIELD]


def player(text: str) -> str:
    found = parse(text)
    assert found is not None
    return found.player_id


def test_the_documented_example_of_three_developers() -> None:
    assert split({UUID: 3333, PRIVY: 3333, WALLET: 3334}) == {UUID: 3333, player(PRIVY): 3333, player(WALLET): 3334}


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({UUID: 6000, PRIVY: 3000}, "Total org rewards split must equal 10000 bps"),
        ({UUID: 0}, "Total org rewards split must equal 10000 bps"),
        ({UUID: 9999}, "Total org rewards split must equal 10000 bps"),
        ({UUID: 6000, PRIVY: 5000}, "Total org rewards split exceeds 10000 bps"),
        ({UUID: 10001}, "Total org rewards split exceeds 10000 bps"),
        ({"invalid-id": 10000}, "Unable to resolve playerId: invalid-id"),
        ({UUID: 1000, "studio-user-id": 9000}, "Unable to resolve playerId: studio-user-id"),
        ({"user1": 6000, "user2": 3000}, "Total org rewards split must equal 10000 bps"),
        ({"user1": 6000, "user2": 5000}, "Total org rewards split exceeds 10000 bps"),
        ({"": 10000}, "Unable to resolve playerId: "),
        ({UUID: 20000, PRIVY: -10000}, "Invalid request parameters"),
        ({UUID: True, PRIVY: 9999}, "Invalid request parameters"),
        ({f"x:player{number}": 0 for number in range(SHARES_MAX + 1)}, "Invalid request parameters"),
    ],
)
def test_what_is_wrong_is_told_in_the_documented_words(wanted: dict[str, int], told: str) -> None:
    assert message(wanted) == told


def test_what_is_repeated_of_an_identifier_is_bounded() -> None:
    assert len(message({"x" * 10_000: 10_000})) == len("Unable to resolve playerId: ") + 320
    assert unresolvable(UUID).violations == {FIELD: f"Unable to resolve playerId: {UUID}"}


@pytest.mark.parametrize("is_owner_proven", [True, False])
def test_without_a_split_all_goes_to_the_creator(*, is_owner_proven: bool) -> None:
    assert split({}, is_owner_proven=is_owner_proven) == {CREATOR: TOTAL_BPS}


def test_as_long_as_ownership_is_not_proven_all_goes_to_the_creator() -> None:
    assert split({UUID: 6000, PRIVY: 4000}, is_owner_proven=False) == {CREATOR: TOTAL_BPS}


def test_a_split_that_is_wrong_is_refused_all_the_same() -> None:
    with pytest.raises(BadRequest):
        split({"invalid-id": 10_000}, is_owner_proven=False)


def test_who_is_named_twice_gets_both_shares() -> None:
    assert split({"twitter:Ann": 1000, "x:ann": 2000, UUID: 7000}) == {player("x:ann"): 3000, UUID: 7000}


@given(st.dictionaries(st.integers(0, 150).map(lambda number: f"x:player{number}"), st.integers(-5, 12_000), max_size=8))
def test_a_split_that_passes_gives_all_and_no_more(wanted: dict[str, int]) -> None:
    good = all(bps >= 0 for bps in wanted.values()) and (not wanted or sum(wanted.values()) == TOTAL_BPS)
    if good:
        assert sum(split(wanted).values()) == TOTAL_BPS
    else:
        message(wanted)
