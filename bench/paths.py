"""Which paths are measured, with which goals, and the rounds in which all contestants of a path take turns."""

import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

import grpc.aio

from bench import inprocess
from bench.estate import Player, open_sessions
from bench.load import BATCH, BATCHES, BatchLoad, Burst, ConnectionLoad, Load
from bench.processes import Process, bare_server, playclock_server, redis_server
from bench.table import Row

METERED: Final = 1_000
IN_PROCESS: Final = ("beat", "beat_many")
SERVED: Final = ("unary", "metered", "batch", "rest")
NAMES: Final = (*IN_PROCESS, *SERVED)


class Plan(NamedTuple):
    """How much is measured."""

    sessions: int
    rounds: int
    seconds: float


class Target(NamedTuple):
    """A server and the players whose heartbeats it takes."""

    process: Process
    unbilled: Sequence[Player]
    metered: Sequence[Player]


class Targets(NamedTuple):
    """The servers under load."""

    bare: Target
    memory: Target
    sqlite: Target
    redis: Target


Opener = Callable[[Target], Awaitable[Load]]


async def measure(names: Sequence[str], plan: Plan) -> list[Row]:
    """Measure the named paths."""
    rows: list[Row] = []
    if any(name in IN_PROCESS for name in names):
        rows += await _in_process(names, plan)
    if any(name in SERVED for name in names):
        async with _serving(plan) as targets:
            for name in SERVED:
                if name in names:
                    rows += await _PATHS[name](targets, plan)
    return rows


async def _in_process(names: Sequence[str], plan: Plan) -> list[Row]:
    async with inprocess.engine_with(plan.sessions) as (engine, players):
        contestants: dict[str, Callable[[float], Awaitable[Burst]]] = {}
        if "beat" in names:
            contestants["beat"] = lambda seconds: inprocess.beat(engine, players, seconds)
        if "beat_many" in names:
            contestants["beat_many"] = lambda seconds: inprocess.beat_many(engine, players, seconds)
        bursts = await _rounds("in process", contestants, plan)
    goals = {"beat": "<= 10 CPU µs", "beat_many": ""}
    return [Row(f"in process, {name}, memory", goals[name], found) for name, found in bursts.items()]


@asynccontextmanager
async def _serving(plan: Plan) -> AsyncIterator[Targets]:
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="playclock-bench-")))
        bare = await stack.enter_async_context(bare_server())
        memory = await stack.enter_async_context(playclock_server(folder, "memory://"))
        sqlite = await stack.enter_async_context(playclock_server(folder, f"sqlite:///{folder / 'bench.db'}"))
        server = stack.enter_context(redis_server(folder / "redis"))
        redis = await stack.enter_async_context(playclock_server(folder, server.url))
        in_memory = await _target(memory, plan)
        yield Targets(in_memory._replace(process=bare), in_memory, await _target(sqlite, plan), await _target(redis, plan))


async def _target(process: Process, plan: Plan) -> Target:
    sessions = max(plan.sessions, BATCH * BATCHES)
    print(f"opening {sessions:,} unbilled and {METERED:,} metered sessions", file=sys.stderr, flush=True)
    async with grpc.aio.insecure_channel(process.grpc) as channel:
        return Target(process, *await open_sessions(channel, unbilled=sessions, metered=METERED))


async def _unary(targets: Targets, plan: Plan) -> list[Row]:
    async def load(target: Target) -> Load:
        return await ConnectionLoad.grpc(target.process, target.unbilled[: plan.sessions])

    return _rows("gRPC unary", (">= 0.85", "", ">= 0.65"), await _loads("unary", targets, plan, load))


async def _metered(targets: Targets, plan: Plan) -> list[Row]:
    async def load(target: Target) -> Load:
        return await ConnectionLoad.grpc(target.process, target.metered)

    return _rows("gRPC unary, metered", ("", "", ""), await _loads("metered", targets, plan, load))


async def _batch(targets: Targets, plan: Plan) -> list[Row]:
    async def load(target: Target) -> Load:
        return BatchLoad(target.process, target.unbilled)

    return _rows("gRPC batch", (">= 0.25", ">= 0.06", ">= 0.05"), await _loads("batch", targets, plan, load))


async def _rest(targets: Targets, plan: Plan) -> list[Row]:
    async def load(target: Target) -> Load:
        return await ConnectionLoad.rest(target.process, target.unbilled[: plan.sessions])

    return _rows("REST", (">= 0.65", ">= 0.45", ">= 0.40"), await _loads("REST", targets, plan, load))


def _rows(path: str, goals: Sequence[str], bursts: Sequence[list[Burst]]) -> list[Row]:
    """Return a row for each kind of store, beside the server that does nothing."""
    bare, *ours = bursts
    return [
        Row(f"{path}, {kind}", goal, found, bare) for kind, goal, found in zip(Targets._fields[1:], goals, ours, strict=True)
    ]


_PATHS: Final[Mapping[str, Callable[[Targets, Plan], Awaitable[list[Row]]]]] = {
    "unary": _unary,
    "metered": _metered,
    "batch": _batch,
    "rest": _rest,
}


async def _loads(name: str, targets: Targets, plan: Plan, open_load: Opener) -> list[list[Burst]]:
    """Measure a path on all servers, and return each one's bursts."""
    loads = {kind: await open_load(target) for kind, target in targets._asdict().items()}
    try:
        bursts = await _rounds(name, {kind: load.run for kind, load in loads.items()}, plan)
    finally:
        for load in loads.values():
            await load.close()
    return list(bursts.values())


async def _rounds(
    name: str, contestants: Mapping[str, Callable[[float], Awaitable[Burst]]], plan: Plan
) -> dict[str, list[Burst]]:
    """Let the contestants take turns, so that whatever else the machine does meets all of them."""
    bursts: dict[str, list[Burst]] = {kind: [] for kind in contestants}
    for run in contestants.values():
        await run(plan.seconds / 4)
    for number in range(1, plan.rounds + 1):
        for kind, run in contestants.items():
            bursts[kind].append(await run(plan.seconds))
        told = ", ".join(f"{kind} {found[-1].rate:,.0f}/s" for kind, found in bursts.items())
        print(f"{name}, round {number} of {plan.rounds}: {told}", file=sys.stderr, flush=True)
    return bursts
