"""Who gets what of a match's pot. Integers only: millionths of a currency, to the last one.

Whatever the rule, it comes to weights, and the pot is divided by the largest remainder (Hamilton's method): everybody gets the
exact share to less than one micro-unit, and all shares together are the pot.
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from itertools import groupby
from math import lcm
from typing import Final

import msgspec

BASIS_POINTS: Final = 10_000
"""A whole, in basis points."""
WEIGHTS_MAX: Final = 128
WEIGHT_MAX: Final = 1_000_000


class PayoutKind(IntEnum):
    """By what rule a pot is divided."""

    WINNER_TAKES_ALL = 1
    PERCENTAGES = 2
    """Basis points by place, all together the whole. Teams that are tied share the places that they take together."""
    PER_RANK = 3
    """Weights by rank. Teams that are tied each have the whole weight of their rank; the pot is divided in proportion."""


class PayoutRule(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How the pot of a match is divided."""

    kind: PayoutKind = PayoutKind.WINNER_TAKES_ALL
    weights: tuple[int, ...] = ()
    """From the first place or rank on; those beyond get nothing."""


class Standing(msgspec.Struct, frozen=True):
    """How a team came out, and who is in it. Lower ranks are better; without a rank it has forfeited."""

    user_ids: tuple[str, ...]
    rank: int | None


def rule_problem(rule: PayoutRule) -> str | None:
    """Say what is wrong with a rule, or None."""
    if rule.kind is PayoutKind.WINNER_TAKES_ALL:
        return "expected no weights: the winner takes all" if rule.weights else None
    if not 1 <= len(rule.weights) <= WEIGHTS_MAX:
        return f"expected 1 to {WEIGHTS_MAX} weights"
    if not all(0 <= weight <= WEIGHT_MAX for weight in rule.weights) or rule.weights[0] == 0:
        return f"expected weights of 0 to {WEIGHT_MAX}, the first of them above 0"
    if rule.kind is PayoutKind.PERCENTAGES and sum(rule.weights) != BASIS_POINTS:
        return f"expected basis points that are {BASIS_POINTS} together"
    return None


def fee_of(pot_micros: int, fee_basis_points: int) -> int:
    """Return what is kept of a pot, rounded down: what cannot be divided is the players'."""
    return pot_micros * fee_basis_points // BASIS_POINTS


def divide(amount: int, weights: Sequence[int]) -> list[int]:
    """Divide an amount in proportion to weights that are not all 0. Of equal remainders the first ones get one more."""
    whole = sum(weights)
    assert whole > 0, "somebody gets it"
    shares = [amount * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda index: (-(amount * weights[index] % whole), index))
    for index in by_remainder[: amount - sum(shares)]:
        shares[index] += 1
    return shares


def payouts(rule: PayoutRule, amount_micros: int, standings: Sequence[Standing]) -> Mapping[str, int]:
    """Return what each user gets of an amount. At least one team has not forfeited; a team's members share evenly.

    Ranks count in their order alone: after two that are tied for the first comes the third, whatever its number.
    """
    ranked = sorted((standing for standing in standings if standing.rank is not None), key=lambda each: each.rank or 0)
    groups = [list(group) for _, group in groupby(ranked, key=lambda each: each.rank)]
    weights = rule.weights or (BASIS_POINTS,)
    # A team's weight is its group's by the size of the group, a member's is that by the size of the team: all of them whole.
    scale = lcm(*(len(group) * len(team.user_ids) for group in groups for team in group))
    users: list[str] = []
    shares: list[int] = []
    place = 0
    for group in groups:
        taken = sum(weights[place : place + len(group)])
        if rule.kind is PayoutKind.PER_RANK:
            taken = (weights[place] if place < len(weights) else 0) * len(group)
        for team in group:
            users += team.user_ids
            shares += [taken * scale // (len(group) * len(team.user_ids))] * len(team.user_ids)
        place += len(group)
    return dict(zip(users, divide(amount_micros, shares), strict=True))
