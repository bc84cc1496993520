"""What the simulation's operator has described: four cafes on three accounts, one of them for nothing, and their prices."""

from collections.abc import Sequence
from typing import Final

from playclock.v1 import ProvisionedAccount, ProvisionedCafe, ProvisionedGame, Provisioning, Tariff

GAMES: Final = ("3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d", "7d2f9b10-1111-4222-8333-944445555666")
SERVERS: Final = ("", "server-1", "server-2")
ACCOUNTS_OF: Final = ("rich", "poor", "empty")
OPENING_MICROS: Final = (900_000_000, 9_000_000, 0)
TARIFFS: Final = 2

_CAFES: Final = (("rich", 0), ("poor", 0), ("poor", 1), ("empty", 1), None)
"""Who pays in each cafe, and by which price."""


def address_in(cafe: int) -> str:
    """Return an address in a cafe."""
    return f"10.{cafe}.0.1"


def estate_with(tariffs: Sequence[Tariff], limit_micros: int) -> Provisioning:
    """Return the estate with these prices, and accounts that may owe so much."""
    return Provisioning(
        games=[ProvisionedGame(id=game_id, number=n + 1, name=f"Game {n}") for n, game_id in enumerate(GAMES)],
        tariffs=[_named(tariff, f"tariff-{n}") for n, tariff in enumerate(tariffs)],
        accounts=[
            ProvisionedAccount(id=account, currency="GCOIN", opening_balance_micros=micros, debt_limit_micros=limit_micros)
            for account, micros in zip(ACCOUNTS_OF, OPENING_MICROS, strict=True)
        ],
        cafes=[_cafe(n, pays) for n, pays in enumerate(_CAFES)],
    )


def _cafe(number: int, pays: tuple[str, int] | None) -> ProvisionedCafe:
    cafe = ProvisionedCafe(id=f"cafe-{number}", name=f"Cafe {number}", networks=[f"10.{number}.0.0/16"])
    if pays is not None:
        cafe.account, cafe.tariff = pays[0], f"tariff-{pays[1]}"
    return cafe


def _named(tariff: Tariff, name: str) -> Tariff:
    named = Tariff(id=name, currency="GCOIN")
    named.MergeFrom(tariff)
    return named
