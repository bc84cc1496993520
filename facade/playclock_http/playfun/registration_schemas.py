"""What developers say of their games: by these declarations requests are checked, in JSON and as forms, and documented."""

from typing import Annotated, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

CAP_MAX: Final = 2**53
SHARES_MAX: Final = 100
SPLIT: Final = f"a JSON object of basis points from 0 on by at most {SHARES_MAX} users"
"""What is expected of a split."""
_NAME_MAX: Final = 200
_DESCRIPTION_MAX: Final = 4000
_PLATFORM_MAX: Final = 64
_LINK_MAX: Final = 255
_URL_MAX: Final = 2048

_Name = Annotated[str, Meta(min_length=1, max_length=_NAME_MAX)]
_Description = Annotated[str, Meta(min_length=1, max_length=_DESCRIPTION_MAX)]
_GameUrl = Annotated[str, Meta(min_length=1, max_length=_URL_MAX)]
_Platform = Annotated[str, Meta(min_length=1, max_length=_PLATFORM_MAX)]
_Link = Annotated[str, Meta(max_length=_LINK_MAX)]
_Url = Annotated[str, Meta(max_length=_URL_MAX)]
_Cap = Annotated[int, Meta(ge=0, le=CAP_MAX)]
_Split = Annotated[dict[str, Annotated[int, Meta(ge=0)]], Meta(max_length=SHARES_MAX)]


def _text(description: str, at_most: int, *examples: str, at_least: int = 0) -> Meta:
    expected = f"a string of {at_least} to {at_most} characters"
    return Meta(description=description, examples=list(examples) or None, extra={"expected": expected})


def _flag(description: str) -> Meta:
    return Meta(description=description, extra={"expected": "true or false"})


def _cap(description: str) -> Meta:
    expected = f"a whole number from 0 to {CAP_MAX}, or null"
    return Meta(description=f"{description} 0 and null are no limit.", examples=[1000], extra={"expected": expected})


def _file(description: str) -> Meta:
    return Meta(
        description=f"{description} In JSON, a data URI; whatever else is there counts as not given.",
        extra={"expected": "a file or a data URI"},
    )


def _data_uri(description: str) -> Meta:
    example = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAA..."
    return Meta(description=description, examples=[example], extra={"expected": "a string"})


_NAME: Final = _text("Its name.", _NAME_MAX, "My Game", at_least=1)
_DESCRIPTION: Final = _text("What it is.", _DESCRIPTION_MAX, "Game description", at_least=1)
_GAME_URL: Final = _text("Where it is hosted: an http or https URL.", _URL_MAX, "https://mygame.com", at_least=1)
_PLATFORM: Final = _text(
    "WEB, DESKTOP, MOBILE, CONSOLE, IOS, ANDROID, STEAM, ITCH, EPIC, HTML or EXTERNAL_URL, in any case.",
    _PLATFORM_MAX,
    "WEB",
    at_least=1,
)


class GameUpdate(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is to be changed of a game. What is left out, or null, stays as it is; an empty text takes a link away."""

    name: Annotated[_Name | None, _NAME] = None
    description: Annotated[_Description | None, _DESCRIPTION] = None
    game_url: Annotated[_GameUrl | None, _GAME_URL] = None
    platform: Annotated[_Platform | None, _PLATFORM] = None
    is_html5_game: Annotated[bool | None, _flag("Whether it is an HTML5 game.")] = msgspec.field(
        default=None, name="isHTMLGame"
    )
    is_html_game: Annotated[bool | None, _flag("Another name of isHTMLGame, which counts where both are there.")] = None
    iframable: Annotated[bool | None, _flag("Whether it can be embedded in an iframe.")] = None
    image: Annotated[object, _file("Its thumbnail.")] = None
    cover_image: Annotated[object, _file("Its cover image.")] = None
    base64_image: Annotated[str | None, _data_uri("Its thumbnail, where there is no file.")] = msgspec.field(
        default=None, name="base64Image"
    )
    base64_cover_image: Annotated[str | None, _data_uri("Its cover image, where there is no file.")] = msgspec.field(
        default=None, name="base64CoverImage"
    )
    remove_cover_image: Annotated[bool | None, _flag("Whether it is to have no cover image any more.")] = None
    twitter: Annotated[
        _Link | None, _text("Its page on Twitter/X: a URL or a handle.", _LINK_MAX, "https://twitter.com/mygame")
    ] = None
    discord: Annotated[_Link | None, _text("Its Discord server: the same.", _LINK_MAX, "https://discord.gg/mygame")] = None
    telegram: Annotated[_Link | None, _text("Its Telegram group: the same.", _LINK_MAX, "@mygame")] = None
    max_score_per_session: Annotated[_Cap | UnsetType | None, _cap("Most points of a session.")] = UNSET
    max_sessions_per_day: Annotated[_Cap | UnsetType | None, _cap("Most sessions of a player in a day.")] = UNSET
    max_cumulative_points_per_day: Annotated[_Cap | UnsetType | None, _cap("Most points of a player in a day.")] = UNSET
    hidden: Annotated[bool | None, _flag("Whether it is kept out of listings.")] = None
    org_rewards_split: Annotated[
        _Split | None,
        Meta(
            description="Who gets how many basis points of its creator rewards; 10000 in all. In a form, this in JSON.",
            examples=[{"550e8400-e29b-41d4-a716-446655440000": 5000, "email:user@example.com": 5000}],
            extra={"expected": SPLIT},
        ),
    ] = None
    jwks_url: Annotated[
        _Url | None, _text("Where the keys are that its players' tokens are signed with: an http or https URL.", _URL_MAX)
    ] = None


class GameToRegister(GameUpdate, frozen=True, kw_only=True, rename="camel"):
    """A game as its developer describes it."""

    name: Annotated[_Name, _NAME]
    description: Annotated[_Description, _DESCRIPTION]
    game_url: Annotated[_GameUrl, _GAME_URL]
    platform: Annotated[_Platform, _PLATFORM]
