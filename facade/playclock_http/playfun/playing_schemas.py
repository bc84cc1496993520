"""The bodies of the calls of players' clients: requests are checked by these declarations, answers written by them."""

from typing import Annotated

import msgspec
from msgspec import Meta

from playclock_http.playfun.point_schemas import Digits


class OwnPoints(msgspec.Struct, frozen=True, rename="camel"):
    """What a player has in the game that the token is for."""

    points: Digits
    active_multiplier: Annotated[int, Meta(description="1: points count as they are.", examples=[1])] = 1
