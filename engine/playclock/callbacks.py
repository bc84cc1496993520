"""Takes agents' callbacks to their servers: `playclock.engine.callbacks.Post` by the guarded client."""

from collections.abc import Iterable, Mapping
from typing import Final

from playclock.engine.callbacks import NotPosted, Posted
from playclock.outgoing import Bounds, OutgoingClient, OutgoingError, Request

PER_HOST: Final = 64
IN_ALL: Final = 512
"""More at once than other requests that go out may be: players wait for each."""
ANSWER_BYTES_MAX: Final = 16_384


class Poster:
    """Sends callbacks. One for a process; `close` it at the end."""

    def __init__(self, networks: Iterable[str] = (), *, timeout_ms: int) -> None:
        """Take the private networks that agents' servers may lie in, and how long one has to answer. Raises ValueError."""
        bounds = Bounds(deadline_ms=timeout_ms, answer_bytes_max=ANSWER_BYTES_MAX, per_host=PER_HOST, in_all=IN_ALL)
        self._client = OutgoingClient(networks, bounds=bounds)

    def close(self) -> None:
        """Let go of the resolver's threads."""
        self._client.close()

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Posted:
        """Send a body to a URL, once, and return the answer. Raises NotPosted."""
        try:
            answer = await self._client.send(Request(url=url, headers=headers, body=body))
        except OutgoingError as error:
            raise NotPosted(error.reason, is_sent=error.is_sent) from error
        return Posted(status=answer.status, headers=answer.headers, body=answer.body)
