"""The interface to a partner's charge authority: who says that an address is a PC cafe's, and that it can pay.

The engine's own answers lie in the estate's networks and in the ledger. A partner gives its answers over the network, and may
not give any: every method raises AuthorityAway then.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec

from playclock.core.estate import Provider


class PartnerCafe(msgspec.Struct, frozen=True, gc=False):
    """A cafe as a partner names it."""

    id: str
    name: str


class Charged(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What is played, where and by whom."""

    charge_id: str
    cafe_id: str
    pc_id: str
    game_id: str
    provider_user_id: str
    session_id: str = ""
    started_ms: int | None = None


class Closed(msgspec.Struct, frozen=True, gc=False):
    """What a session cost, as the partner tells it."""

    amount_micros: int
    currency: str


class Authority(Protocol):
    """A partner who can be asked. All times are totals since a charge's start."""

    async def verify_address(self, address: str) -> PartnerCafe | None:
        """Return the cafe to which an address belongs; None where it belongs to none."""

    async def open(self, charged: Charged, *, wanted_ms: int) -> int:
        """Return how much time is granted to a session that is about to be opened."""

    async def renew(self, charged: Charged, *, used_ms: int, wanted_ms: int) -> int:
        """Tell how much time was used, and return how much is granted in all."""

    async def close(self, charged: Charged, *, used_ms: int, ended_ms: int, end_reason: str) -> Closed:
        """Tell how much time was used in all. Whoever gets an answer need not ask again."""

    async def shut(self) -> None:
        """Let go of the connection."""


Connect = Callable[[Provider], Authority]
"""Makes the authority of a partner."""
