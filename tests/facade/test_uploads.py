"""Places for large bodies: so many, of each caller fewer, and given back however a body ends."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from playclock_http.refusal import Refusal
from playclock_http.uploads import Uploads


async def test_there_are_so_many_places_and_of_each_caller_fewer() -> None:
    uploads = Uploads(3, 2, wait_sec=0.01)
    async with AsyncExitStack() as held:
        for caller in ("ann", "ann", "ben"):
            await held.enter_async_context(uploads.place(caller))
        for caller in ("ann", "ben", "cat"):
            with pytest.raises(Refusal) as caught:
                async with uploads.place(caller):
                    pass
            assert (caught.value.reason, caught.value.retry_after_sec) == ("TOO_MANY_UPLOADS", 1)
    # Who was refused has left nothing behind: neither of the caller's own places nor of all.
    async with uploads.place("ann"), uploads.place("cat"), uploads.place("cat"):
        pass


async def test_who_waits_gets_the_place_of_whoever_fails() -> None:
    uploads = Uploads(1, 1)
    waits = asyncio.Event()

    async def second() -> str:
        waits.set()
        async with uploads.place("ben"):
            return "ben has it"

    async def first() -> None:
        async with uploads.place("ann"):
            await waits.wait()
            raise ValueError("broken")

    broken, waiting = asyncio.create_task(first()), asyncio.create_task(second())
    with pytest.raises(ValueError, match="broken"):
        await broken
    assert await waiting == "ben has it"
