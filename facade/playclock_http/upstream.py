"""The engine as the facade reaches it: a channel, a deadline, and what the facade itself has to prove."""

import re
from dataclasses import dataclass, field
from typing import Final

import grpc.aio

Metadata = tuple[tuple[str, str | bytes], ...]

_CALLER_ADDRESS: Final = "x-caller-address"
_ADDRESS_AUTHORIZATION: Final = "x-caller-address-authorization"
_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A channel to the engine, the seconds that a call may take, and the facade's own token where the engine is remote."""

    channel: grpc.aio.Channel
    deadline_sec: float
    engine_token: str | None = field(repr=False)

    def __post_init__(self) -> None:
        """Check the values. Raises ValueError."""
        if not self.deadline_sec > 0:
            raise ValueError("deadline_sec: expected a positive number of seconds")
        if self.engine_token is not None and not _TOKEN.fullmatch(self.engine_token):
            raise ValueError("engine_token: expected visible ASCII characters")

    def handing_on(self, address: str) -> Metadata:
        """Return the metadata by which the engine learns from where a call came, and believes it.

        The facade's token stands for that alone: as the call's own, it would make an operator's of a game server's.
        """
        if not address:
            return ()
        told = (_CALLER_ADDRESS, address)
        return (told,) if self.engine_token is None else (told, (_ADDRESS_AUTHORIZATION, f"Bearer {self.engine_token}"))

    @property
    def authorization(self) -> Metadata:
        """The metadata by which a remote engine believes what this facade says of others; none in one process."""
        return () if self.engine_token is None else (("authorization", f"Bearer {self.engine_token}"),)
