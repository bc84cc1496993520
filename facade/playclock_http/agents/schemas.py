"""The bodies of the agent calls. Requests are checked by these declarations, answers written and documented by them.

Here is what a field is and how long it may be; what a language, a currency, an URL or an address is, the engine says.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

_INT64_MAX: Final = 2**63 - 1
_TIMESTAMP_MAX: Final = 10**18 - 1


def _text(description: str, example: str, at_most: int) -> Meta:
    expected = f"a string of 1 to {at_most} characters"
    return Meta(description=description, examples=[example], min_length=1, max_length=at_most, extra={"expected": expected})


AgentId = Annotated[
    int,
    Meta(description="Agent ID.", examples=[1], ge=1, le=_INT64_MAX, extra={"expected": "a positive integer"}),
]
Timestamp = Annotated[
    int,
    Meta(
        description="Unix timestamp of the request, in seconds. Requests of more than 300 seconds ago have expired.",
        examples=[1640995200],
        ge=0,
        le=_TIMESTAMP_MAX,
        extra={"expected": "an integer, Unix seconds"},
    ),
]
GameId = Annotated[
    int,
    Meta(description="Game ID.", examples=[123], ge=1, le=_INT64_MAX, extra={"expected": "a positive integer"}),
]
PlayerId = Annotated[str, _text("Unique player ID in the agent's system. Must be unique per player.", "player_123", 128)]
PlayerUsername = Annotated[str, _text("Player username. May be non-unique.", "john_doe", 128)]
Language = Annotated[str, _text("Language code (ru, en, etc.), as BCP 47 has them.", "ru", 35)]
Currency = Annotated[str, _text("Currency code (RUB, USD, EUR, etc.).", "RUB", 16)]
HomeUrl = Annotated[str, _text("Return URL for the player (the Home button), http or https.", "https://example.com", 2048)]
AgentSessionId = Annotated[str, _text("Agent session ID. With other contents it is refused.", "session_abc123", 128)]
Ip = Annotated[str, _text("Player IP address, IPv4 or IPv6.", "192.168.1.1", 45)]


class GameLinkOrder(msgspec.Struct, frozen=True):
    """A player who wants to play."""

    agent_id: AgentId
    timestamp: Timestamp
    game_id: GameId
    player_id: PlayerId
    player_username: PlayerUsername
    language: Language
    currency: Currency
    home_url: HomeUrl
    agent_session_id: AgentSessionId
    ip: Ip


class DemoLinkOrder(msgspec.Struct, frozen=True):
    """A player who wants to try a game."""

    agent_id: AgentId
    timestamp: Timestamp
    game_id: GameId
    player_id: PlayerId
    player_username: PlayerUsername
    language: Language
    currency: Currency
    home_url: HomeUrl
    ip: Ip


class ListOrder(msgspec.Struct, frozen=True):
    """An agent who wants to know its games."""

    agent_id: AgentId
    timestamp: Timestamp


class Link(msgspec.Struct, frozen=True):
    """Where the player goes."""

    url: Annotated[
        str,
        Meta(
            description="Unique link that launches the game.",
            examples=["https://game.example.com/play?token=abc123&gameId=123&playerId=player_123"],
        ),
    ]


class ListedGame(msgspec.Struct, frozen=True):
    """A game."""

    id: Annotated[int, Meta(description="Unique game ID.", examples=[1])]
    title: Annotated[str, Meta(description="Display title of the game.", examples=["Champagne Party"])]
    brand: Annotated[str, Meta(description="Game brand.", examples=["Mega"])]
    image_url: Annotated[
        str,
        Meta(description="Game image URL.", examples=["https://cdn.example.com/images/games/champagne_party.jpg"]),
    ]
    demo: Annotated[bool, Meta(description="Whether a demo is available.", examples=[True])]


class GameList(msgspec.Struct, frozen=True):
    """All games available to the agent."""

    games: list[ListedGame]
    total: Annotated[int, Meta(description="Total number of games in the list.", examples=[2])]
