"""The engine's view of a store: decoded records, remembered with their versions.

What is decided on an old copy meets a conflict at the commit, which hands back the current records, and is decided again. So
a remembered record may only be trusted without a commit where it can no longer change.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

from playclock.core.accounts import TopUp
from playclock.core.charge import Account
from playclock.core.codec import Codec
from playclock.core.delivery import Delivery
from playclock.core.escrow import Payout
from playclock.core.identifiers import KnownPlayer
from playclock.core.ids import kind_of
from playclock.core.kept_images import ImageUse, KeptImage
from playclock.core.launch import Launch, Seat
from playclock.core.match import Match
from playclock.core.ott import Ott
from playclock.core.ownership import OwnershipClaim
from playclock.core.points import Leaders, PlayerPoints, PlayerSession
from playclock.core.records import Answer, Claim, KeyUses, Nonce, Pulse, ServerSessions, Silenced, Window
from playclock.core.session import Session
from playclock.core.transfers import TwoPhase
from playclock.core.wallet import Bet, BetPage, Book, Round
from playclock.errors import StoreAway
from playclock.stores.base import ABSENT, Commit, Conflict, Record, Store, StoreUnavailable

CACHE_MAX: Final = 1_000_000
"""How many records are remembered with their version. What is over is not remembered, so that it takes
players to fill it: each has a session, a launch and a seat."""

SESSIONS: Final = Codec(Session)
LAUNCHES: Final = Codec(Launch)
SEATS: Final = Codec(Seat)
OTTS: Final = Codec(Ott)
ACCOUNTS: Final = Codec(Account)
ANSWERS: Final = Codec(Answer)
CLAIMS: Final = Codec(Claim)
NONCES: Final = Codec(Nonce)
SERVERS: Final = Codec(ServerSessions)
PULSES: Final = Codec(Pulse)
KEY_USES: Final = Codec(KeyUses)
TOP_UPS: Final = Codec(TopUp)
TRANSFERS: Final = Codec(TwoPhase)
WINDOWS: Final = Codec(Window)
BETS: Final = Codec(Bet)
BOOKS: Final = Codec(Book)
BET_PAGES: Final = Codec(BetPage)
ROUNDS: Final = Codec(Round)
OWNERSHIP_CLAIMS: Final = Codec(OwnershipClaim)
MATCHES: Final = Codec(Match)
PAYOUTS: Final = Codec(Payout)
DELIVERIES: Final = Codec(Delivery)
SILENCED: Final = Codec(Silenced)
PLAYERS: Final = Codec(KnownPlayer)
POINTS: Final = Codec(PlayerPoints)
LEADERS: Final = Codec(Leaders)
PLAYER_SESSIONS: Final = Codec(PlayerSession)
KEPT_IMAGES: Final = Codec(KeptImage)
IMAGE_USES: Final = Codec(ImageUse)

_CODECS: Final[Mapping[str, Codec[Any]]] = {
    "session": SESSIONS,
    "launch": LAUNCHES,
    "seat": SEATS,
    "ott": OTTS,
    "account": ACCOUNTS,
    "answer": ANSWERS,
    "claim": CLAIMS,
    "nonce": NONCES,
    "signature": NONCES,
    "server": SERVERS,
    "pulse": PULSES,
    "keyuses": KEY_USES,
    "topup": TOP_UPS,
    "transfer": TRANSFERS,
    "limit": WINDOWS,
    "bet": BETS,
    "book": BOOKS,
    "betpage": BET_PAGES,
    "round": ROUNDS,
    "ownershipclaim": OWNERSHIP_CLAIMS,
    "match": MATCHES,
    "payout": PAYOUTS,
    "delivery": DELIVERIES,
    "silenced": SILENCED,
    "player": PLAYERS,
    "points": POINTS,
    "leaders": LEADERS,
    "playersession": PLAYER_SESSIONS,
    "image": KEPT_IMAGES,
    "imageuse": IMAGE_USES,
}

T = TypeVar("T")
Versioned = tuple[int, Any]
"""A record with its version; (ABSENT, None) where there is none."""


class Records:
    """Reads and commits, and remembers what it read and committed."""

    def __init__(self, store: Store, *, cache_max: int = CACHE_MAX) -> None:
        self.store = store
        self.conflicts = 0
        """How many commits met another version and were handed back what is there now."""
        self.unavailable = 0
        """How many calls the store could not be reached for."""
        self._cache: OrderedDict[str, Versioned] = OrderedDict()
        self._cache_max = cache_max

    def cached(self, key: str) -> Versioned | None:
        """Return what is remembered of a record."""
        return self._cache.get(key)

    def remember(self, key: str, version: int, value: Any) -> None:  # noqa: ANN401 - a record of any kind
        """Remember a record that was read or committed."""
        cache = self._cache
        cache[key] = (version, value)
        if len(cache) > self._cache_max:
            cache.popitem(last=False)

    def forget(self, key: str) -> None:
        """Forget a record that is not there any more."""
        self._cache.pop(key, None)

    async def load(self, keys: Sequence[str], *, fresh: bool = False) -> list[Versioned]:
        """Return each record with its version, from memory where it is there and `fresh` is not asked for."""
        found = {} if fresh else {key: self._cache[key] for key in keys if key in self._cache}
        missing = [key for key in keys if key not in found]
        if missing:
            try:
                for key, record in zip(missing, await self.store.get(missing), strict=True):
                    found[key] = self._take_in(key, record)
            except StoreUnavailable as error:
                raise self.away() from error
        return [found[key] for key in keys]

    async def epoch(self, partition: int) -> str:
        """Return the partition's epoch in the store."""
        try:
            return await self.store.epoch(partition)
        except StoreUnavailable as error:
            raise self.away() from error

    async def commit(self, commits: Sequence[Commit]) -> list[Conflict | None]:
        """Commit, and take in what conflicts hand back. The caller remembers what it committed."""
        try:
            conflicts = await self.store.commit(commits)
        except StoreUnavailable as error:
            raise self.away() from error
        for conflict in conflicts:
            if conflict is not None:
                self.conflicts += 1
                for key, record in conflict.current.items():
                    self._take_in(key, record)
        return conflicts

    def away(self) -> StoreAway:
        """Count a call that the store could not be reached for, and return what its caller is told."""
        self.unavailable += 1
        return StoreAway("the store cannot be reached")

    def _take_in(self, key: str, record: Record | None) -> Versioned:
        if record is None:
            self.forget(key)
            return (ABSENT, None)
        value = _CODECS[kind_of(key)].decode(record.data)
        self.remember(key, record.version, value)
        return (record.version, value)
