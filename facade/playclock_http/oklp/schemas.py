"""The bodies of the match calls. Requests are checked by these declarations, answers written and documented by them.

Here is what a field is and how large it may be; who plays in a match, and which results go together, the engine says.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

_END: Final = r"$(?!\n)"
SCORE_MIN: Final = -(2**63)
SCORE_MAX: Final = 2**63 - 1
RANKING_MAX: Final = 1_000_000
ENTRIES_MAX: Final = 128
TOKEN_MAX: Final = 512
_MATCH: Final = "600f369851f450dd3ecb0035"
_USER: Final = "0376d27d-4b0e-4286-9dd9-f9f7528689bb"
_TEAM: Final = "team_id_1"


def _text(description: str, example: str, at_most: int) -> Meta:
    expected = f"a string of 1 to {at_most} characters"
    return Meta(description=description, examples=[example], min_length=1, max_length=at_most, extra={"expected": expected})


def _entries(description: str, of: str) -> Meta:
    expected = f"a list of at most {ENTRIES_MAX} objects with {of}"
    return Meta(description=description, max_length=ENTRIES_MAX, extra={"expected": expected})


MatchId = Annotated[
    str,
    Meta(
        description="Id of the match.",
        examples=[_MATCH],
        pattern=f"^[0-9a-f]{{24}}{_END}",
        extra={"expected": "24 lower-case hex digits"},
    ),
]
UserId = Annotated[str, _text("Id of the user: a UUID.", _USER, 128)]
TeamId = Annotated[str, _text("Id of the team.", _TEAM, 128)]
Score = Annotated[
    int,
    Meta(
        description="What was reached, the more the better: an integer of 64 bits, which may be negative.",
        examples=[300],
        ge=SCORE_MIN,
        le=SCORE_MAX,
        extra={"expected": "an integer of 64 bits"},
    ),
]
MatchStatus = Annotated[
    str,
    Meta(
        description="Whether it may be played: `live`, and `pending` for tournaments that take scores while players join. "
        "Not yet: `created`, `starting`. Not any more: `finished`, `aborted`, `cancelled`.",
        examples=["live"],
        extra_json_schema={"enum": ["live", "pending", "created", "starting", "finished", "aborted", "cancelled"]},
    ),
]


class TokenToInspect(msgspec.Struct, frozen=True):
    """A token that came with a player."""

    token: Annotated[str, _text("The match token of the launch URL.", "match_abc123", TOKEN_MAX)]


class TokenInfo(msgspec.Struct, frozen=True):
    """Who plays which match by a token."""

    match_id: MatchId
    user_id: UserId
    match_status: MatchStatus
    submissions_total: Annotated[int, Meta(description="How many scores of a player are accepted in all.", examples=[1])]
    submissions_left: Annotated[int, Meta(description="How many more of this player.", examples=[1])]


class Participant(msgspec.Struct, frozen=True):
    """What a player has reached."""

    id: UserId
    score: Score


class Team(msgspec.Struct, frozen=True):
    """What a team has reached."""

    id: TeamId
    score: Score
    ranking: Annotated[
        int,
        Meta(
            description="Its place, from 1 on, the same for teams that are tied. 0 for all teams: the scores decide. Of a team "
            "that has forfeited it says nothing.",
            examples=[1],
            ge=0,
            le=RANKING_MAX,
            extra={"expected": f"an integer from 0 to {RANKING_MAX}"},
        ),
    ]
    forfeit: Annotated[
        bool, Meta(description="Whether the team has given up.", examples=[False], extra={"expected": "true or false"})
    ] = False


class Result(msgspec.Struct, frozen=True):
    """A result: of a synchronous game that of the match, of an asynchronous one a player's score, without teams."""

    match_id: MatchId
    participants: Annotated[list[Participant], _entries("What the players have reached.", "id and score")]
    teams: Annotated[
        list[Team],
        _entries(
            "All teams of the match, each once; none of an asynchronous game.", "id, score, ranking and, if need be, forfeit"
        ),
    ] = []


class Place(msgspec.Struct, frozen=True):
    """How a team came out."""

    id: TeamId
    score: Score
    ranking: Annotated[int, Meta(description="Its place, from 1 on; 0 for one that has forfeited.", examples=[1])]
    forfeit: Annotated[bool, Meta(description="Whether it has forfeited.", examples=[False])]


class AcceptedResult(msgspec.Struct, frozen=True):
    """What counts: the first result that was accepted, whoever has sent which one."""

    match_id: MatchId
    match_status: MatchStatus
    participants: Annotated[
        list[Participant], Meta(description="Of an asynchronous game: the best score of each player who has sent one.")
    ]
    teams: Annotated[list[Place], Meta(description="How the teams came out; empty until the match is over.")]
