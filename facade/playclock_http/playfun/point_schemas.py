"""The bodies of the points calls. Requests are checked by these declarations, answers written and documented by them."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from playclock_http.playfun.ids import SESSION_ID, GameId

_END: Final = r"$(?!\n)"
_GAME: Final = "550e8400-e29b-41d4-a716-446655440000"
_OGP: Final = "660e8400-e29b-41d4-a716-446655440001"
_PLAYER: Final = "sol:9qdvVLY3vLhmvV7uBkLJsQKcHDjxhoUWJ9uZASYEfwwC"
POINTS_MAX: Final = 2**53 - 1
ENTRIES_MAX: Final = 1_000
SESSIONS_MAX: Final = 100


def _text(description: str, example: str, at_most: int = 320) -> Meta:
    expected = f"a string of 1 to {at_most} characters"
    return Meta(description=description, examples=[example], min_length=1, max_length=at_most, extra={"expected": expected})


PlayerId = Annotated[
    str,
    _text("The player: a UUID, or did:privy:, sol:, solana:, eth:, ethereum:, email:, twitter: or x: and a name.", _PLAYER),
]
Points = Annotated[
    Annotated[int, Meta(ge=0, le=POINTS_MAX)] | Annotated[str, Meta(pattern=f"^[0-9]{{1,16}}{_END}")],
    Meta(
        description="Points to add, as a number or in digits.", examples=[100], extra={"expected": "a whole number from 0 on"}
    ),
]
OgpId = Annotated[str, Meta(description="The player's UUID.", examples=[_OGP])]
Digits = Annotated[str, Meta(description="Points, in digits.", examples=["100"])]
Time = Annotated[str, Meta(description="ISO 8601, milliseconds, UTC.", examples=["2025-11-28T12:00:00.000Z"])]


class PointsEntry(msgspec.Struct, frozen=True, rename="camel"):
    """Points of one player."""

    player_id: PlayerId
    points: Points


class PointsOrder(msgspec.Struct, frozen=True, rename="camel"):
    """Points to add, all of them or none."""

    game_api_key: GameId
    points: Annotated[
        list[PointsEntry],
        Meta(
            description="Who is named twice gets both.",
            min_length=1,
            max_length=ENTRIES_MAX,
            extra={"expected": f"1 to {ENTRIES_MAX} objects with playerId and points"},
        ),
    ]


class PointsSaved(msgspec.Struct, frozen=True, rename="camel"):
    """What was saved."""

    saved_count: Annotated[int, Meta(description="How many entries.", examples=[1])]
    player_id_to_ogp_id: Annotated[dict[str, str], Meta(description="The players' UUIDs, by how the entries name them.")]


class PlayerPoints(msgspec.Struct, frozen=True, rename="camel"):
    """What a player has in a game."""

    player_id: Annotated[str, Meta(description="The player, as the request names him.", examples=[_PLAYER])]
    ogp_id: OgpId
    points: Annotated[str, Meta(description="Today's points, in digits. Days are UTC's.", examples=["100"])]
    total_points: Annotated[str, Meta(description="The points of all days, in digits.", examples=["1500"])]


class PointsAnswer(msgspec.Struct, frozen=True):
    """What a player has in a game."""

    points: list[PlayerPoints]


class Leader(msgspec.Struct, frozen=True, rename="camel"):
    """A player on a leaderboard."""

    rank: Annotated[int, Meta(description="1 for the best.", examples=[1])]
    player_id: OgpId
    points: Digits


Leaderboard = list[Leader]


class TokenToValidate(msgspec.Struct, frozen=True, rename="camel"):
    """A player's session token."""

    session_token: Annotated[str, _text("The token.", "player_abc123", 255)]


class TokenValidity(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a token is good for. All but `valid` is there only where it is."""

    valid: Annotated[bool, Meta(description="Whether it is good for anything.", examples=[True])]
    player_id: Annotated[str | None, Meta(description="The player.", examples=[_PLAYER])] = None
    game_id: Annotated[str | None, Meta(description="Id of the game.", examples=[_GAME])] = None
    ogp_id: Annotated[str | None, Meta(description="The player's UUID.", examples=[_OGP])] = None


class SessionsToEnd(msgspec.Struct, frozen=True, rename="camel"):
    """Sessions that are to end before their time."""

    game_id: GameId
    session_ids: Annotated[
        list[Annotated[str, Meta(pattern=SESSION_ID)]],
        Meta(
            description="Ids of the sessions.",
            min_length=1,
            max_length=SESSIONS_MAX,
            extra={"expected": f"1 to {SESSIONS_MAX} ids of sessions"},
        ),
    ]


class SessionsEnded(msgspec.Struct, frozen=True, rename="camel"):
    """Which sessions went on until now."""

    invalidated_count: Annotated[int, Meta(description="How many.", examples=[1])]
    session_ids: Annotated[list[str], Meta(description="Their ids.")]


class ListedSession(msgspec.Struct, frozen=True, rename="camel"):
    """A player's session that goes on."""

    id: Annotated[str, Meta(description="Its id, which says nothing of the token.", examples=[_GAME])]
    player_id: Annotated[str, Meta(description="The player.", examples=[_PLAYER])]
    ogp_id: OgpId
    game_id: Annotated[str, Meta(description="Id of the game.", examples=[_GAME])]
    created_at: Time
    expires_at: Time


class SessionList(msgspec.Struct, frozen=True, rename="camel"):
    """A page of sessions."""

    sessions: list[ListedSession]
    next_cursor: Annotated[str | None, Meta(description="Where the next page begins; null after the last.")]


class RiskySession(ListedSession, frozen=True, rename="camel"):
    """A player's session that somebody should look at."""

    risk_score: Annotated[
        float, Meta(description="How much speaks against it: above 0.5, at most 1.", examples=[0.6], gt=0.5, le=1)
    ]
    risk_reasons: Annotated[
        list[str],
        Meta(
            description="What does: SCORE_PACE (half of maxScorePerSession, four times as fast as would reach it when the "
            "token ends), SESSION_CAP and DAILY_CAP (95 % of it), SESSION_COUNT (as many sessions as may be; without a cap, "
            "20), OUTLIER (ten times the median of the day's leaders).",
            examples=[["SCORE_PACE"]],
        ),
    ]


class RiskySessionList(msgspec.Struct, frozen=True, rename="camel"):
    """A page of sessions that somebody should look at."""

    sessions: list[RiskySession]
    next_cursor: Annotated[str | None, Meta(description="Where the next page begins; null after the last.")]


class SessionToken(msgspec.Struct, frozen=True, rename="camel"):
    """A session that has begun."""

    token: Annotated[str, Meta(description="Stands for it for 30 minutes. Empty in a repeat.", examples=["player_abc123"])]
    player_id: Annotated[str, Meta(description="The player.", examples=[_PLAYER])]


class Streak(msgspec.Struct, frozen=True):
    """For how many days running a player has had points."""

    today: Annotated[bool, Meta(description="Whether today is one of them. Days are UTC's.", examples=[True])]
    streak: Annotated[int, Meta(description="How many, 0 to 30.", examples=[3])]
