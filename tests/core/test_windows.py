"""How windows add up, whoever counts in them and whenever they tell each other; and what counts as one caller."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playclock.core.limits import Quota, added, home_of, is_open
from playclock.core.records import Window

SPAN_MS = 60_000
STEPS = st.lists(st.tuples(st.integers(0, 90_000), st.integers(1, 5)), max_size=30)
"""After how many milliseconds how much is counted."""


def counted(steps: Sequence[tuple[int, int]]) -> list[tuple[int, Window]]:
    """Count, and return each time with the window then."""
    window, now_ms, found = None, 1_000_000, []
    for wait_ms, number in steps:
        now_ms += wait_ms
        window = added(window, number, now_ms=now_ms, until_ms=now_ms + SPAN_MS)
        found.append((now_ms, window))
    return found


@given(STEPS)
def test_a_window_holds_what_was_counted_since_its_first_count_and_no_more(steps: list[tuple[int, int]]) -> None:
    happened: list[tuple[int, int]] = []
    for (now_ms, window), (_, number) in zip(counted(steps), steps, strict=True):
        happened.append((now_ms, number))
        began_ms = window.until_ms - SPAN_MS
        assert is_open(window, now_ms)
        assert window.count == sum(number for at_ms, number in happened if at_ms >= began_ms)
        assert began_ms in {at_ms for at_ms, _ in happened}


@given(STEPS)
def test_nothing_that_is_counted_makes_a_window_longer(steps: list[tuple[int, int]]) -> None:
    windows = counted(steps)
    for (_, before), (now_ms, after) in pairwise(windows):
        assert after.until_ms == (before.until_ms if now_ms < before.until_ms else now_ms + SPAN_MS)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=10))
def test_the_order_in_which_processes_tell_makes_no_difference(numbers: list[int]) -> None:
    def told(order: Sequence[int]) -> Window | None:
        window = None
        for number in order:
            window = added(window, number, now_ms=10, until_ms=SPAN_MS)
        return window

    assert told(numbers) == told(numbers[::-1]) == Window(sum(numbers), SPAN_MS)


def test_a_window_is_over_at_its_time_and_not_before() -> None:
    assert is_open(Window(1, 10), 9)
    assert not is_open(Window(1, 10), 10)


@pytest.mark.parametrize(("calls", "share"), [(1, 1), (9, 1), (60, 6), (600, 60)])
def test_others_hear_of_each_tenth_of_a_quota(calls: int, share: int) -> None:
    assert Quota(calls, 60).share == share


@pytest.mark.parametrize(
    ("address", "home"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("", ""),
        ("unix:/socket", ""),
    ],
)
def test_one_customer_of_a_provider_counts_as_one(address: str, home: str) -> None:
    assert home_of(address) == home
