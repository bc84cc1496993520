"""Where a simulation happens: one store, two replicas on it, and a clock that stands until it is moved."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from random import Random
from typing import Final, Self
from unittest.mock import patch

from playclock.clock import ManualClock
from playclock.core.codec import encode
from playclock.core.outage import Outage
from playclock.core.records import Pulse
from playclock.core.timers import Timers
from playclock.engine import Engine
from playclock.engine.pulse import PULSE_KEY
from playclock.engine.records import PULSES
from playclock.rpc.inprocess import InProcessChannel
from playclock.stores.base import ABSENT, UNMOVED, Commit, Put, Record, Store
from playclock.stores.urls import open_store
from playclock.v1 import AccountServiceStub, LaunchServiceStub, ProvisioningServiceStub, SessionServiceStub

REPLICAS: Final = 2


class Replica:
    """An engine, and what calls it: as an operator, in process."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        channel = InProcessChannel(engine, operator=True)
        self.accounts = AccountServiceStub(channel)
        self.launches = LaunchServiceStub(channel)
        self.provisioning = ProvisioningServiceStub(channel)
        self.sessions = SessionServiceStub(channel)


class Place:
    """A store and its replicas. All that chance decides depends on the seed alone, so that a run can be repeated."""

    def __init__(self, url: str, clock: ManualClock, timers: Timers, *, seed: int = 0) -> None:
        self.clock = clock
        self.timers = timers
        self.replicas: list[Replica] = []
        self._url = url
        self._seed = seed
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the store once for each replica, as processes would. What is in memory belongs to one object."""
        self._stack.enter_context(patch("playclock.engine.context.secrets.token_bytes", Random(self._seed).randbytes))
        stores: list[Store] = []
        for _ in range(REPLICAS):
            if not stores or not self._url.startswith("memory:"):
                stores.append(await open_store(self._url))
                self._stack.push_async_callback(stores[-1].close)
            self.replicas.append(await self._begin(stores[-1]))
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        """Close the stores."""
        await self._stack.aclose()

    @property
    def store(self) -> Store:
        """The store, as the first replica has it."""
        return self.replicas[0].engine.store

    @property
    def now_ms(self) -> int:
        """The time."""
        return self.clock.now_ms()

    async def live(self, ms: int) -> None:
        """Let time go by in which the service says every second that it lives. Only the last of these signs is written."""
        for replica in self.replicas:
            await replica.engine.catch_up()
        self.clock.advance(ms=ms)
        record, pulse = await self._pulse()
        put = Put(
            key=PULSE_KEY,
            expect=record.version if record else ABSENT,
            data=encode(Pulse(self.now_ms, pulse.outages)),
            due_ms=UNMOVED,
        )
        assert await self.store.commit([Commit(partition=0, puts=(put,))]) == [None]
        for replica in self.replicas:
            await replica.engine._pulse.beat()
            await replica.engine.estate.refresh()

    def be_away(self, ms: int) -> None:
        """Let time go by in which no process runs: whoever is called first finds out."""
        self.clock.advance(ms=ms)

    async def restart(self, number: int) -> None:
        """Stop a replica, and start another one that remembers nothing."""
        self.replicas[number] = await self._begin(self.replicas[number].engine.store)

    async def stranger(self) -> Replica:
        """Return a replica that remembers nothing and leaves no trace of having been there.

        Whether the service was away, the first replica finds out before it comes.
        """
        await self.replicas[0].engine.catch_up()
        replica = Replica(Engine(self.store, clock=self.clock, timers=self.timers))
        replica.engine.context.outages = tuple(await self.outages())
        return replica

    async def outages(self) -> Sequence[Outage]:
        """Return the outages that have been noted."""
        return (await self._pulse())[1].outages

    async def _begin(self, store: Store) -> Replica:
        engine = await self._stack.enter_async_context(Engine(store, clock=self.clock, timers=self.timers))
        # What an engine does by itself in the background, the simulation does when it lets time go by.
        await engine._pulse.beat()
        return Replica(engine)

    async def _pulse(self) -> tuple[Record | None, Pulse]:
        (record,) = await self.store.get([PULSE_KEY])
        return record, Pulse(self.now_ms) if record is None else PULSES.decode(record.data)
