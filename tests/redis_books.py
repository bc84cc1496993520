"""What must hold of a store whatever became of its servers: money is told of once, and comes to what the account has."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from playclock.core.ids import ott_key
from playclock.core.ledger import Transfer
from playclock.core.ott import Ott
from playclock.core.outbox import decode
from playclock.engine.records import OTTS
from playclock.errors import StoreAway
from playclock.stores.base import StoreUnavailable

if TYPE_CHECKING:
    from tests.conftest import World

BACK_SEC = 10.0
"""How long a store may be away that nobody has to mend."""

T = TypeVar("T")


async def check_books(world: "World", *, paid_in_micros: int) -> None:
    """See that the ledger sums to zero and to what the account has."""
    stored = await world.engine.store.events(dict.fromkeys(range(256), 0), 1_000_000)
    transfers = [event for event in (decode(each.data) for each in stored) if isinstance(event, Transfer)]
    sums: Counter[str] = Counter()
    for transfer in transfers:
        for leg in transfer.legs:
            sums[leg.ledger_account] += leg.amount_micros
    account = await world.account()
    assert max(Counter(transfer.id for transfer in transfers).values()) == 1
    assert sum(sums.values()) == 0
    assert sums["held/cafe-1"] == account.held_micros
    assert sums["wallet/cafe-1"] == account.free_micros
    assert sums["funding/GCOIN"] == -paid_in_micros


async def back(call: Callable[[], Awaitable[T]], within_sec: float = BACK_SEC) -> T:
    """Repeat a call as its caller would while the store is away, and return what it comes to."""
    async with asyncio.timeout(within_sec):
        while True:
            try:
                return await call()
            except (StoreAway, StoreUnavailable):
                await asyncio.sleep(0.02)


async def stored_ott(world: "World", ott: str) -> Ott:
    """Return an OTT as it lies in the store."""
    (record,) = await world.engine.store.get([ott_key(ott)])
    assert record is not None
    return OTTS.decode(record.data)
