"""A world with players' accounts and match clients, and a look at all that must hold of their money."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import pytest
from msgspec.structs import replace
from playclock.core.ids import make_uuid
from playclock.core.ledger import Transfer
from playclock.core.match import Match, Terms
from playclock.core.outbox import decode
from playclock.core.payout import PayoutRule
from playclock.core.results import Report, UserScore
from playclock.engine import OPERATOR, Caller, Engine, Role
from playclock.stores.base import Store
from playclock.v1 import MatchClient, ProvisionedAccount, ProvisionedGame, Provisioning

from tests.conftest import World

OPENING: Final = 1_000
PLAYERS: Final = 4
CLIENT: Final = Caller(Role.MATCH_CLIENT, "super-game")
PUSHED: Final = Caller(Role.MATCH_CLIENT, "told-game")
OTHER: Final = Caller(Role.MATCH_CLIENT, "other-game")
TERMS: Final = Terms(
    game_id=World.GAME_ID,
    client_id=CLIENT.id,
    is_synchronous=True,
    is_tournament=False,
    currency="GCOIN",
    entry_fee_micros=100,
    fee_basis_points=1_000,
    payout=PayoutRule(),
    players_min=2,
    players_max=4,
    submissions_total=1,
    join_ms=3_600_000,
    play_ms=600_000,
)


def user(number: int) -> str:
    return make_uuid(number, bytes([number]) * 16)


def scores(*reached: int) -> Report:
    """Return what the players, in their order, have reached."""
    return Report(participants=tuple(UserScore(user(number), score) for number, score in enumerate(reached)))


class Arena:
    """Matches as one engine sees them, a line each."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.matches = engine.matches

    async def provision(self) -> None:
        estate = Provisioning(
            games=[ProvisionedGame(id=World.GAME_ID, number=123, name="A", play_url="https://game.example.com/play?x=1")],
            accounts=[
                ProvisionedAccount(id=f"p{number}", currency="GCOIN", opening_balance_micros=OPENING)
                for number in range(PLAYERS)
            ],
            match_clients=[
                MatchClient(client_id=CLIENT.id, client_secret="the-secret-of-the-client", game=World.GAME_ID),
                MatchClient(
                    client_id=PUSHED.id,
                    client_secret="the-secret-of-another",
                    game=World.GAME_ID,
                    match_info_url="http://127.0.0.1:9/match-info",
                ),
            ],
        )
        await World(self.engine).provision(estate)

    async def create(self, request_id: str = "", **terms: Any) -> Match:  # noqa: ANN401
        return await self.matches.create(OPERATOR, replace(TERMS, **terms), request_id=request_id)

    async def join(self, match: Match, *numbers: int) -> Match:
        for number in numbers:
            match = await self.matches.join(OPERATOR, match.id, user_id=user(number), account_id=f"p{number}")
        return match

    async def live(self, players: int = 2, **terms: Any) -> Match:  # noqa: ANN401
        match = await self.join(await self.create(**terms), *range(players))
        return await self.matches.start(OPERATOR, match.id)

    async def balances(self) -> list[int]:
        """Return what the players have, none of it held."""
        accounts = [await self.engine.accounts.get(f"p{number}") for number in range(PLAYERS)]
        assert [account.held_micros for account in accounts] == [0] * PLAYERS
        assert all(account.pending == () for account in accounts)
        return [account.balance_micros for account in accounts]


async def ledger(store: Store) -> Counter[str]:
    """Return what is in each account of the ledger, after a look at what must hold of it."""
    sums, ids = Counter[str](), list[str]()
    for stored in await store.events(dict.fromkeys(await store.heads(), 0), 1_000_000):
        event = decode(stored.data)
        if isinstance(event, Transfer):
            ids.append(event.id)
            for leg in event.legs:
                sums[leg.ledger_account] += leg.amount_micros
    assert len(ids) == len(set(ids))
    assert sum(sums.values()) == 0
    return sums


async def check(arena: Arena, matches: Sequence[Match], *, kept: int) -> list[int]:
    """See that all the money is with players or is the fee, and nothing is in escrow; return what the players have."""
    sums, balances = await ledger(arena.engine.store), await arena.balances()
    assert [sums[f"escrow/{match.id}"] for match in matches] == [0] * len(matches)
    assert sums[f"revenue/{World.GAME_ID}"] == kept
    assert sum(balances) + kept == PLAYERS * OPENING
    assert min(balances) >= 0
    assert [sums[f"wallet/p{number}"] for number in range(PLAYERS)] == balances
    return balances


@pytest.fixture
async def arena(engine: Engine) -> Arena:
    arena = Arena(engine)
    await arena.provision()
    return arena
