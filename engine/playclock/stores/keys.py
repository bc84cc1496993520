"""Which partition a key lies in, and whether a commit keeps to its own."""

from collections.abc import Sequence
from typing import Final

from playclock.stores.base import PARTITIONS, Commit

PREFIXES: Final = {partition: f"{partition:02x}" for partition in range(PARTITIONS)}
"""The first two characters of every key of a partition."""


def check_keys(commits: Sequence[Commit]) -> None:
    """Raise ValueError for a commit that reaches beyond its partition or names a key twice.

    Stores call this before they touch anything, so that a call with such a commit has done nothing at all.
    """
    for commit in commits:
        prefix = PREFIXES.get(commit.partition)
        if prefix is None:
            raise ValueError(f"there is no partition {commit.partition}")
        puts = commit.puts
        for put in puts:
            if put.key[:2] != prefix:
                raise ValueError(f"key {put.key!r} does not lie in partition {prefix}")
        # Both puts would be checked against the same version, and one of them would be lost without a word.
        if len(puts) > 1 and len({put.key for put in puts}) != len(puts):
            raise ValueError("a commit names a key twice")
