"""A process that plays and is killed, again and again."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from simulation.soak.lives import Loader

StartLoader = Callable[..., Loader]


@pytest.fixture(scope="session")
def start_loader() -> Iterator[StartLoader]:
    """Start processes that play on a file, and fill an archive if one is named."""
    loaders: list[Loader] = []

    def start_loader(path: Path | str, *arguments: str) -> Loader:
        loaders.append(Loader(path, *arguments))
        return loaders[-1]

    yield start_loader
    for player in loaders:
        player.abandon()
