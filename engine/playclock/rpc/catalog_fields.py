"""A game's fields: messages to records and back, and what each may hold."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from playclock.core.catalog import FAILURE_LIMIT_MS, NUMBER_MAX, Game, Token
from playclock.core.fields import NAME_MAX, text_problem, url_problem
from playclock.core.ids import is_uuid
from playclock.errors import BadRequest
from playclock.rpc.messages import timestamp
from playclock.rpc.provisioning import FAILURE_POLICIES, FAILURE_POLICY_MESSAGES
from playclock.v1 import catalog_service_pb2 as pb

DESCRIPTION_MAX: Final = 4_000
PLATFORM_MAX: Final = 64
TOKENS_MAX: Final = 100
TOKEN_MAX: Final = 128
SYMBOL_MAX: Final = 32
SOCIAL_MAX: Final = 255
CAP_MAX: Final = 1 << 53
"""What a number in JSON can hold."""

_TOKEN = re.compile(rf"[\x21-\x7e]{{1,{TOKEN_MAX}}}", re.ASCII)
_OWN_IMAGE = re.compile(r"/(?!/)[A-Za-z0-9._/-]{0,200}[0-9a-f]{64}\.(?:jpg|png|gif|webp)", re.ASCII)
"""The path of an image of ours, where no setting says whose it is."""
_HANDLE = re.compile(r"@?[A-Za-z0-9_.-]{1,64}", re.ASCII)
_USD = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,6})?", re.ASCII)
_LAYOUT = str.maketrans("", "", "\r\n\t")

_RECORDS: Final[Mapping[str, tuple[str, Callable[[Any], Any]]]] = {
    "name": ("name", str),
    "description": ("description", str),
    "brand": ("brand", str),
    "image_url": ("image_url", str),
    "cover_image_url": ("cover_image_url", str),
    "play_url": ("play_url", str),
    "demo_url": ("demo_url", str),
    "platform": ("platform", str),
    "owner_id": ("owner_id", str),
    "hidden": ("is_hidden", bool),
    "admin_hidden": ("is_admin_hidden", bool),
    "tokens": ("tokens", lambda tokens: tuple(map(_token, tokens))),
    "max_score_per_session": ("max_score_per_session", int),
    "max_sessions_per_day": ("max_sessions_per_day", int),
    "max_cumulative_points_per_day": ("max_cumulative_points_per_day", int),
    "on_provider_failure": ("failure_policy", FAILURE_POLICIES.__getitem__),
    "provider_failure_limit_sec": ("failure_limit_ms", lambda seconds: seconds * 1000 or FAILURE_LIMIT_MS),
    "html_game": ("is_html", bool),
    "iframable": ("is_iframable", bool),
    "has_sdk": ("has_sdk", bool),
    "twitter": ("twitter", str),
    "discord": ("discord", str),
    "telegram": ("telegram", str),
    "jwks_url": ("jwks_url", str),
    "ownership_validated": ("is_ownership_validated", bool),
    "total_rewards_pool_value_usd": ("rewards_pool_usd", str),
    "total_rewards_allocated_usd": ("rewards_allocated_usd", str),
    "estimated_daily_rewards_usd": ("daily_rewards_usd", str),
}
"""The record's field for each of a message that can be changed, and how a value becomes the record's."""
UPDATABLE: Final = tuple(_RECORDS)


def new_game(message: pb.Game) -> Game:
    """Return the game that a request describes, without an id yet. Raises BadRequest with the path of each field."""
    _check(message, (*UPDATABLE, "number", "creator_id"))
    plain = Game(id="", number=message.number, name="", brand="", image_url="", play_url="", demo_url="")
    return changed(replace(plain, creator_id=message.creator_id), message, UPDATABLE)


def change_of(message: pb.Game, fields: Iterable[str]) -> Callable[[Game], Game]:
    """Return what changes the named fields of a game. Raises BadRequest with the path of each field."""
    named = tuple(dict.fromkeys(fields))
    unknown = [field for field in named if field not in _RECORDS]
    if unknown or not named:
        problem = f"{unknown[0][:64]!r} cannot be changed" if unknown else "is required"
        raise BadRequest({"update_mask": f"{problem}: expected some of {', '.join(UPDATABLE)}"})
    _check(message, named)
    return lambda game: changed(game, message, named)


def changed(game: Game, message: pb.Game, fields: Iterable[str]) -> Game:
    """Return the game with the fields as the message has them."""
    values: dict[str, Any] = {}
    for field in fields:
        name, value_of = _RECORDS[field]
        values[name] = value_of(getattr(message, field))
    return replace(game, **values)


def game_message(game: Game) -> pb.Game:
    """Return a game as callers see it."""
    return pb.Game(
        id=game.id,
        number=game.number,
        name=game.name,
        description=game.description,
        brand=game.brand,
        image_url=game.image_url,
        cover_image_url=game.cover_image_url,
        play_url=game.play_url,
        demo_url=game.demo_url,
        platform=game.platform,
        owner_id=game.owner_id,
        creator_id=game.creator_id,
        hidden=game.is_hidden,
        admin_hidden=game.is_admin_hidden,
        tokens=map(_token_message, game.tokens),
        max_score_per_session=game.max_score_per_session,
        max_sessions_per_day=game.max_sessions_per_day,
        max_cumulative_points_per_day=game.max_cumulative_points_per_day,
        on_provider_failure=FAILURE_POLICY_MESSAGES[game.failure_policy],
        provider_failure_limit_sec=game.failure_limit_ms // 1000,
        create_time=timestamp(game.created_ms),
        update_time=timestamp(game.updated_ms),
        delete_time=None if game.deleted_ms is None else timestamp(game.deleted_ms),
        revision=game.revision,
        html_game=game.is_html,
        iframable=game.is_iframable,
        has_sdk=game.has_sdk,
        twitter=game.twitter,
        discord=game.discord,
        telegram=game.telegram,
        jwks_url=game.jwks_url,
        org_rewards_split=game.split_in_force,
        ownership_validated=game.is_ownership_validated,
        total_rewards_pool_value_usd=game.rewards_pool_usd,
        total_rewards_allocated_usd=game.rewards_allocated_usd,
        estimated_daily_rewards_usd=game.daily_rewards_usd,
    )


def _token(message: pb.Token) -> Token:
    return Token(message.id, message.symbol, message.name, message.image_url)


def _token_message(token: Token) -> pb.Token:
    return pb.Token(id=token.id, symbol=token.symbol, name=token.name, image_url=token.image_url)


def problems_in(message: pb.Game, fields: Iterable[str]) -> dict[str, str]:
    """Return what is wrong with which of the fields."""
    found = {field: _CHECKS[field](getattr(message, field)) for field in fields if field in _CHECKS}
    return {field: problem for field, problem in found.items() if problem}


def _check(message: pb.Game, fields: Iterable[str]) -> None:
    problems = problems_in(message, fields)
    if problems:
        raise BadRequest({f"game.{field}": problem for field, problem in problems.items()})


def _name_problem(text: str) -> str | None:
    return text_problem(text, NAME_MAX)


def _text_problem(length_max: int) -> Callable[[str], str | None]:
    return lambda text: text_problem(text, length_max, required=False)


def _description_problem(text: str) -> str | None:
    if len(text) <= DESCRIPTION_MAX and text_problem(text.translate(_LAYOUT), DESCRIPTION_MAX, required=False) is None:
        return None
    return f"expected at most {DESCRIPTION_MAX} characters, none of them a control character but line breaks and tabs"


def _developer_problem(text: str) -> str | None:
    return None if not text or is_uuid(text) else "expected a lower-case UUID"


def _tokens_problem(tokens: Iterable[pb.Token]) -> str | None:
    tokens = list(tokens)
    ids = {token.id for token in tokens}
    if len(tokens) > TOKENS_MAX or len(ids) < len(tokens) or any(map(token_id_problem, ids)):
        return f"expected at most {TOKENS_MAX}, each once, of 1 to {TOKEN_MAX} visible ASCII characters"
    for token in tokens:
        problem = (
            text_problem(token.symbol, SYMBOL_MAX, required=False)
            or text_problem(token.name, NAME_MAX, required=False)
            or url_problem(token.image_url)
        )
        if problem:
            return f"of {token.id}: {problem}"
    return None


def token_id_problem(text: str) -> str | None:
    """Check a token's address."""
    return None if _TOKEN.fullmatch(text) else f"expected 1 to {TOKEN_MAX} visible ASCII characters"


def _image_problem(text: str) -> str | None:
    return None if _OWN_IMAGE.fullmatch(text) else url_problem(text)


def _social_problem(text: str) -> str | None:
    if len(text) <= SOCIAL_MAX and (not text or _HANDLE.fullmatch(text) or url_problem(text) is None):
        return None
    return f"expected an http or https URL, or a handle, of at most {SOCIAL_MAX} characters"


def _usd_problem(text: str) -> str | None:
    return (
        None if not text or _USD.fullmatch(text) else "expected a decimal with at most 12 digits before the point and 6 after"
    )


def _cap_problem(cap: int) -> str | None:
    return None if 0 <= cap <= CAP_MAX else f"expected 0 to {CAP_MAX}"


_CHECKS: Final[Mapping[str, Callable[[Any], str | None]]] = {
    "number": lambda number: None if 0 <= number <= NUMBER_MAX else f"expected 0 to {NUMBER_MAX}",
    "name": _name_problem,
    "description": _description_problem,
    "brand": _text_problem(NAME_MAX),
    "image_url": _image_problem,
    "cover_image_url": _image_problem,
    "play_url": url_problem,
    "demo_url": url_problem,
    "platform": _text_problem(PLATFORM_MAX),
    "owner_id": _developer_problem,
    "creator_id": _developer_problem,
    "tokens": _tokens_problem,
    "max_score_per_session": _cap_problem,
    "max_sessions_per_day": _cap_problem,
    "max_cumulative_points_per_day": _cap_problem,
    "on_provider_failure": lambda policy: None if policy in FAILURE_POLICIES else "is not known",
    "provider_failure_limit_sec": lambda seconds: None if seconds >= 0 else "must not be negative",
    "twitter": _social_problem,
    "discord": _social_problem,
    "telegram": _social_problem,
    "jwks_url": url_problem,
    "total_rewards_pool_value_usd": _usd_problem,
    "total_rewards_allocated_usd": _usd_problem,
    "estimated_daily_rewards_usd": _usd_problem,
}
