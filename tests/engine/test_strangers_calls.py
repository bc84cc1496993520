"""What a stranger's call tells of a session: nothing, and nothing by the round trips to the store of which its time is made."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import pytest
from playclock.clock import ManualClock
from playclock.core.answers import Refused
from playclock.core.ids import make_uuid, partition_in
from playclock.core.ott import Refusal
from playclock.engine.heartbeats import HeartbeatCall
from playclock.errors import EngineError, SessionNotFound
from playclock.stores.base import Commit, Conflict, Record, Store

from tests.conftest import FaultInjectingStore

if TYPE_CHECKING:
    from tests.conftest import World, WorldMaker

UNKNOWN = bytes(16)


class CountingStore(FaultInjectingStore):
    """A store that notes what it was asked for."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.asked: list[tuple[str, int]] = []

    async def get(self, keys: Sequence[str]) -> list[Record | None]:
        self.asked.append(("get", len(keys)))
        return await super().get(keys)

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        self.asked.append(("commit", len(commits)))
        return await super().commit(commits)


@pytest.fixture(params=["memory"])
def store_kind(request: pytest.FixtureRequest) -> str:
    """Return the one kind of store that is needed: what is counted lies above it."""
    return str(request.param)


@pytest.fixture
def counting(store: Store) -> CountingStore:
    return CountingStore(store)


@pytest.fixture
async def world(counting: CountingStore, make_world: "WorldMaker") -> "World":
    world = await make_world(counting)
    await world.provision()
    return world


async def tried(world: "World", call: str, session: str, *, user: str, stranger: bool) -> EngineError:
    """Call with another game's key, or as the game with another player, and return the refusal."""
    caller = world.OTHER_GAME if stranger else world.GAME
    if call == "batch":
        own = await world.engine.heartbeats.beat_many(caller, [HeartbeatCall(session, user)])
        assert isinstance(own[0], EngineError)
        return own[0]
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "beat": lambda: world.beat(session, caller=caller, user=user),
        "end": lambda: world.end(session, caller=caller),
        "get": lambda: world.get(session, caller=caller),
    }
    with pytest.raises(SessionNotFound) as caught:
        await calls[call]()
    return caught.value


@pytest.mark.parametrize(
    "state", ["just opened", "forgotten by this process", "ended", "expired", "exhausted", "of a free cafe"]
)
@pytest.mark.parametrize(
    ("call", "stranger"),
    [("beat", True), ("beat", False), ("batch", True), ("batch", False), ("end", True), ("get", True)],
)
async def test_a_stranger_costs_the_store_what_an_unknown_session_does(
    world: "World",
    counting: CountingStore,
    make_world: "WorldMaker",
    clock: ManualClock,
    *,
    state: str,
    call: str,
    stranger: bool,
) -> None:
    session = await world.open(at=world.FREE if state == "of a free cafe" else world.PAYING)
    if state == "forgotten by this process":
        world = await make_world(counting)
    elif state == "ended":
        await world.end(session)
    elif state == "expired":
        clock.advance(240)
    elif state == "exhausted":
        await world.provision_poor(3_000_000)
        session = await world.open(at=world.POOR)
        clock.advance(200)
    unknown = "gs_" + make_uuid(partition_in(session), UNKNOWN)
    before = await world.stored(session)
    cost, refusals = [], []
    for asked in (session, unknown, session, unknown):
        counting.asked.clear()
        refusals.append(await tried(world, call, asked, user="somebody else", stranger=stranger))
        cost.append(list(counting.asked))
    assert cost[1:] == cost[:-1]
    assert cost[0] == [("get", 1)]
    assert len({(type(each), each.message, repr(each)) for each in refusals}) == 1
    assert await world.stored(session) == before


async def test_a_wrong_games_key_leaves_the_ott_as_it_was_but_for_the_count(world: "World") -> None:
    ott = await world.ott()
    for _ in range(4):
        assert await world.redeem(ott, caller=world.OTHER_GAME) == Refused(Refusal.GAME_MISMATCH)
    assert not isinstance(await world.redeem(ott), Refused)


async def test_a_heartbeat_of_the_game_itself_asks_the_store_no_more_than_before(
    world: "World", counting: CountingStore
) -> None:
    session = await world.open(at=world.FREE)
    counting.asked.clear()
    await world.beat(session)
    assert counting.asked == [("commit", 1)]
