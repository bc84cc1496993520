"""A time limit that costs nothing where a call does not wait.

A timer is a tenth of a heartbeat in process, and on memory no heartbeat ever waits. So a call takes its first step without
one, and only a call that then has to wait goes on under it.
"""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


async def within(timeout_sec: float | None, coroutine: Coroutine[Any, Any, T]) -> T:
    """Return what the coroutine returns; cancel it when the time is over. Raises TimeoutError and what it raises."""
    try:
        awaited = coroutine.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    async with asyncio.timeout(timeout_sec):
        return await _Begun(coroutine, awaited)


class _Begun(Generic[T]):
    """A coroutine that has taken its first step and waits for `awaited`."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], awaited: object) -> None:
        self._coroutine = coroutine
        self._awaited = awaited

    def __await__(self) -> Generator[Any, None, T]:
        """Go on from there, as `await` does: every step and every exception is passed through."""
        awaited = self._awaited
        try:
            while True:
                try:
                    yield awaited
                except BaseException as error:  # noqa: BLE001 - cancellation too is the coroutine's to deal with
                    awaited = self._coroutine.throw(error)
                else:
                    awaited = self._coroutine.send(None)
        except StopIteration as end:
            result: T = end.value
            return result
