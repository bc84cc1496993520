"""Takes messages about matches to games' servers: `playclock.engine.matches.sending.Send` by the guarded client."""

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from playclock.engine.callbacks import NotPosted, Posted
from playclock.outgoing import Bounds, OutgoingClient, OutgoingError, Request, Resolve, TooLarge

PER_HOST: Final = 16
IN_ALL: Final = 128
"""How many requests are under way at once. A server that does not answer has one of them at a time."""
ANSWER_BYTES_MAX: Final = 16_384


class Courier:
    """Sends messages. One for a process; `close` it at the end."""

    def __init__(self, networks: Iterable[str] = (), *, timeout_ms: int, resolve: Resolve | None = None) -> None:
        """Take the private networks that games' servers may lie in, and how long one has to answer. Raises ValueError."""
        bounds = Bounds(deadline_ms=timeout_ms, answer_bytes_max=ANSWER_BYTES_MAX, per_host=PER_HOST, in_all=IN_ALL)
        self._client = OutgoingClient(networks, bounds=bounds, resolve=resolve)

    def close(self) -> None:
        """Let go of the resolver's threads."""
        self._client.close()

    async def __call__(self, method: Literal["PUT", "DELETE"], url: str, headers: Mapping[str, str], body: bytes) -> Posted:
        """Send a body to a URL, once, and return the answer. Raises NotPosted.

        Only the status counts, so an answer whose body is too long to be read has none.
        """
        try:
            answer = await self._client.send(Request(method=method, url=url, headers=headers, body=body))
        except OutgoingError as error:
            if isinstance(error, TooLarge) and error.status is not None:
                return Posted(status=error.status, headers={}, body=b"")
            raise NotPosted(error.reason, is_sent=error.is_sent) from error
        return Posted(status=answer.status, headers=answer.headers, body=answer.body)
