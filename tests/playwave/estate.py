"""The estate of these tests: the provisioning example of the design, a second game with keys of its own, and an unbilled cafe.

Every launcher here calls over loopback, where Linux lets a client take any address of 127.0.0.0/8. So the cafe in which a PC
stands is chosen by the address that its launcher calls from.
"""

from typing import Final

from playclock.v1.provisioning_service_pb2 import (
    Agent,
    Developer,
    Launcher,
    MatchClient,
    ProvisionedAccount,
    ProvisionedCafe,
    ProvisionedGame,
    Provisioning,
    Tariff,
)

GAME: Final = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
GAME_KEY: Final = "dev-game-key"
SPARE_KEY: Final = "dev-game-key-2"
"""A second key of the same game: keys are per game and per environment."""
RIVAL: Final = "9b1d3f5a-7c2e-4b6d-8f10-a2b4c6d8e0f1"
RIVAL_KEY: Final = "rival-game-key"
UNKNOWN_GAME: Final = "00000000-0000-4000-8000-000000000000"

LAUNCHER: Final = "launcher-1"
SECRET: Final = "dev-launcher-secret"
OTHER_LAUNCHER: Final = "launcher-2"
OTHER_SECRET: Final = "other-launcher-secret"

SEOUL: Final = "127.0.0.1"
"""An address in cafe-1, which pays a G-coin for each minute that has begun."""
OUTSIDE: Final = "127.9.0.1"
"""An address in no cafe."""
FREE: Final = "127.1.0.1"
"""An address in the cafe that nobody bills."""

ACCOUNT: Final = "cafe-1"
COIN: Final = 1_000_000
OPENING: Final = 500 * COIN

CHAMPAGNE: Final = {
    "game_id": GAME,
    "name": "Champagne Party",
    "image_url": "https://cdn.example.com/champagne.jpg",
}
RACE: Final = {"game_id": RIVAL, "name": "Zebra Race", "image_url": "https://cdn.example.com/zebra.jpg"}

ESTATE: Final = Provisioning(
    games=[
        ProvisionedGame(
            id=GAME,
            number=123,
            name="Champagne Party",
            brand="Mega",
            image_url=CHAMPAGNE["image_url"],
            play_url="https://game.example.com/play",
            demo_url="https://game.example.com/demo",
            api_keys=[GAME_KEY, SPARE_KEY],
        ),
        ProvisionedGame(id=RIVAL, number=124, name="Zebra Race", image_url=RACE["image_url"], api_keys=[RIVAL_KEY]),
    ],
    tariffs=[Tariff(id="standard", currency="GCOIN", unit_sec=60, price_micros=COIN, rounding=Tariff.ROUNDING_STARTED_UNIT)],
    accounts=[ProvisionedAccount(id=ACCOUNT, currency="GCOIN", opening_balance_micros=OPENING)],
    cafes=[
        ProvisionedCafe(
            id="cafe-1",
            name="Seoul One",
            networks=["127.0.0.0/16", "203.0.113.0/24", "2001:db8:1::/48"],
            account=ACCOUNT,
            tariff="standard",
        ),
        ProvisionedCafe(id="cafe-free", name="Busan Free", networks=["127.1.0.0/16", "198.51.100.0/24"]),
    ],
    launchers=[Launcher(id=LAUNCHER, secret=SECRET), Launcher(id=OTHER_LAUNCHER, secret=OTHER_SECRET)],
    agents=[Agent(id=1, name="Agent One", api_token="dev-agent-token", games=[123])],
    developers=[Developer(id="550e8400-e29b-41d4-a716-446655440000", secret="dev-developer-secret")],
    match_clients=[
        MatchClient(
            client_id="super-game",
            client_secret="dev-match-secret",
            game=GAME,
            match_info_url="http://127.0.0.1:9000/match-info",
        )
    ],
)


def prepaid_cafe(number: int, coins: int) -> Provisioning:
    """Return a cafe with an account of its own, whose PCs call from 127.2.NUMBER.1."""
    name = f"prepaid-{number}"
    return Provisioning(
        accounts=[ProvisionedAccount(id=name, currency="GCOIN", opening_balance_micros=coins * COIN)],
        cafes=[
            ProvisionedCafe(id=name, name=name, networks=[f"127.2.{number}.0/24"], account=name, tariff="standard"),
        ],
    )
