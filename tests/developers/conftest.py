"""The world with two developers in it, and what they and everybody call."""

from typing import TYPE_CHECKING

import pytest

from tests.developers.callers import Games, provision

if TYPE_CHECKING:
    from tests.conftest import World


@pytest.fixture
async def games(world: "World") -> Games:
    """Return the calls of developers whom the world knows."""
    await provision(world)
    return Games(world.engine)
