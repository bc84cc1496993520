"""A pytest plugin: the fixture `playclock`, an engine in process whose clock the test moves."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playclock.testing import Playclock


@pytest.fixture
def playclock() -> "Iterator[Playclock]":
    """Run an engine in memory for one test, with a game and a cafe; see `playclock.testing.Playclock`."""
    from playclock.testing import Playclock  # noqa: PLC0415 - suites that never ask for it should not load gRPC

    kit = Playclock()
    yield kit
    kit.close()
