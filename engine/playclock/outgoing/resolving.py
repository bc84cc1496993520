"""Names to addresses: the border to the system's resolver."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host, for a port. Raises OSError."""

THREADS_MAX: Final = 8


class SystemResolver:
    """Asks the system, in threads of its own: names whose servers do not answer must not hold up other work of the process."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="playclock-resolver")

    async def __call__(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host, in the system's order. Raises OSError."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, _ask, host, port)

    def close(self) -> None:
        """Let go of the threads; what they ask already is not waited for."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _ask(host: str, port: int) -> list[str]:
    return [str(place[0]) for *_, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
