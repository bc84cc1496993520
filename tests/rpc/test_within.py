"""A time limit around a call that may not wait at all."""

import asyncio

import pytest
from playclock.rpc.within import within


async def test_a_call_that_never_waits_needs_no_time() -> None:
    async def answer() -> int:
        return 7

    assert await within(0, answer()) == 7
    assert await within(None, answer()) == 7


async def test_a_call_that_waits_many_times_comes_to_its_end() -> None:
    async def answer() -> int:
        for _ in range(3):
            await asyncio.sleep(0)
        return await asyncio.wait_for(asyncio.sleep(0.001, 7), 5)

    assert await within(5, answer()) == 7
    assert await within(None, answer()) == 7


@pytest.mark.parametrize("steps", [0, 1, 2])
async def test_what_a_call_raises_is_raised(steps: int) -> None:
    async def answer() -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        raise ValueError(steps)

    with pytest.raises(ValueError, match=str(steps)):
        await within(5, answer())


async def test_when_the_time_is_over_the_call_is_cancelled_and_may_clean_up() -> None:
    told = []

    async def answer() -> None:
        try:
            await asyncio.Future()
        finally:
            await asyncio.sleep(0)
            told.append("cleaned up")

    with pytest.raises(TimeoutError):
        await within(0.001, answer())
    assert told == ["cleaned up"]


async def test_a_caller_who_is_cancelled_cancels_the_call() -> None:
    waits = asyncio.Event()
    told = []

    async def answer() -> None:
        waits.set()
        try:
            await asyncio.Future()
        except asyncio.CancelledError:
            told.append("cancelled")
            raise

    caller = asyncio.create_task(within(60, answer()))
    await waits.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert told == ["cancelled"]
