"""Payouts: the pot is divided to the last micro-unit, and everybody gets the exact share to less than one."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playclock.core.payout import BASIS_POINTS, PayoutKind, PayoutRule, Standing, divide, fee_of, payouts, rule_problem

REPEATABLE = settings(deadline=None, derandomize=True, max_examples=200)
WINNER = PayoutRule()
PODIUM = PayoutRule(PayoutKind.PERCENTAGES, (5_000, 3_000, 2_000))
PER_RANK = PayoutRule(PayoutKind.PER_RANK, (3, 1))

RULES = st.one_of(
    st.just(WINNER),
    st.sampled_from([PODIUM, PayoutRule(PayoutKind.PERCENTAGES, (10_000,)), PayoutRule(PayoutKind.PERCENTAGES, (1, 9_999))]),
    st.lists(st.integers(0, 1_000_000), max_size=5).map(lambda rest: PayoutRule(PayoutKind.PER_RANK, (7, *rest))),
)
TEAMS = st.lists(st.tuples(st.none() | st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=8).filter(
    lambda teams: any(rank is not None for rank, _ in teams)
)


def standings_of(*teams: tuple[int | None, int]) -> list[Standing]:
    return [Standing(tuple(f"{team}.{member}" for member in range(size)), rank) for team, (rank, size) in enumerate(teams)]


def paid(rule: PayoutRule, amount: int, *ranks: int | None) -> list[int]:
    """Return what teams of one get."""
    found = payouts(rule, amount, standings_of(*((rank, 1) for rank in ranks)))
    return [found.get(f"{team}.0", 0) for team in range(len(ranks))]


@REPEATABLE
@given(RULES, st.integers(0, 1 << 62), TEAMS)
def test_shares_are_the_amount_and_nobody_is_below_zero(
    rule: PayoutRule, amount: int, teams: list[tuple[int | None, int]]
) -> None:
    standings = standings_of(*teams)
    found = payouts(rule, amount, standings)
    assert sum(found.values()) == amount
    assert all(share >= 0 for share in found.values())
    for standing in standings:
        shares = [found.get(user, 0) for user in standing.user_ids]
        assert max(shares) - min(shares) <= 1
        assert standing.rank is not None or not any(shares)


@REPEATABLE
@given(RULES, st.integers(0, 1 << 62), TEAMS)
def test_who_is_tied_gets_the_same_but_for_one(rule: PayoutRule, amount: int, teams: list[tuple[int | None, int]]) -> None:
    alone = [(rank, 1) for rank, _ in teams]
    found = payouts(rule, amount, standings_of(*alone))
    for rank in {rank for rank, _ in alone if rank is not None}:
        tied = [found[f"{team}.0"] for team, (other, _) in enumerate(alone) if other == rank]
        assert max(tied) - min(tied) <= 1


@REPEATABLE
@given(st.integers(0, 1 << 62), st.lists(st.integers(0, 1 << 40), min_size=1, max_size=20).filter(any))
def test_everybody_gets_the_exact_share_to_less_than_one(amount: int, weights: list[int]) -> None:
    shares = divide(amount, weights)
    assert sum(shares) == amount
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - Fraction(amount * weight, sum(weights))) < 1


@pytest.mark.parametrize(
    ("rule", "ranks", "expected"),
    [
        (WINNER, (2, 1), [0, 100]),
        (WINNER, (1, 1), [50, 50]),
        (WINNER, (1, 1, 1), [34, 33, 33]),
        (WINNER, (None, 7), [0, 100]),
        (PODIUM, (1, 2, 3), [50, 30, 20]),
        (PODIUM, (3, 1, 2, 4), [20, 50, 30, 0]),
        # Two that are tied take two places and share them.
        (PODIUM, (1, 1, 3), [40, 40, 20]),
        (PODIUM, (1, 2, 2), [50, 25, 25]),
        # A place that nobody takes is the others', in proportion.
        (PODIUM, (1, 2), [63, 37]),
        (PODIUM, (1, None, None), [100, 0, 0]),
        # Two of one rank each have the weight of it.
        (PER_RANK, (1, 2), [75, 25]),
        (PER_RANK, (1, 1, 3), [50, 50, 0]),
        (PER_RANK, (1, 2, 2), [60, 20, 20]),
    ],
)
def test_the_rules(rule: PayoutRule, ranks: tuple[int | None, ...], expected: list[int]) -> None:
    assert paid(rule, 100, *ranks) == expected


def test_a_team_shares_what_it_won() -> None:
    assert payouts(WINNER, 100, standings_of((1, 3), (2, 2))) == {"0.0": 34, "0.1": 33, "0.2": 33, "1.0": 0, "1.1": 0}


@pytest.mark.parametrize(
    ("pot", "points", "fee"), [(20, 1_000, 2), (19, 1_000, 1), (9, 1_000, 0), (7, BASIS_POINTS, 7), (7, 0, 0)]
)
def test_the_fee_is_rounded_down(pot: int, points: int, fee: int) -> None:
    assert fee_of(pot, points) == fee


@pytest.mark.parametrize(
    ("rule", "is_good"),
    [
        (WINNER, True),
        (PODIUM, True),
        (PER_RANK, True),
        (PayoutRule(PayoutKind.WINNER_TAKES_ALL, (1,)), False),
        (PayoutRule(PayoutKind.PERCENTAGES), False),
        (PayoutRule(PayoutKind.PERCENTAGES, (5_000, 4_999)), False),
        (PayoutRule(PayoutKind.PERCENTAGES, (0, 10_000)), False),
        (PayoutRule(PayoutKind.PERCENTAGES, (10_001, -1)), False),
        (PayoutRule(PayoutKind.PER_RANK, (1,) * 129), False),
        (PayoutRule(PayoutKind.PER_RANK, (1_000_001,)), False),
    ],
)
def test_which_rules_there_are(rule: PayoutRule, *, is_good: bool) -> None:
    assert (rule_problem(rule) is None) is is_good
