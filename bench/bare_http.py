"""A Starlette app that parses a heartbeat and answers it at once, with msgspec both ways."""

from typing import Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class _Heartbeat(msgspec.Struct):
    game_session_id: str
    provider_user_id: str


class _Answer(msgspec.Struct):
    result: str
    next_heartbeat_in: int
    play_duration_sec: int


class _Success(msgspec.Struct):
    success: bool
    request_id: str
    data: _Answer


_DECODER: Final = msgspec.json.Decoder(_Heartbeat)
_ENCODER: Final = msgspec.json.Encoder()


async def _heartbeat(request: Request) -> Response:
    _DECODER.decode(await request.body())
    answer = _Success(True, "req_0123456789abcdef0123456789abcdef", _Answer("OK", 120, 60))
    return Response(_ENCODER.encode(answer), media_type="application/json")


app: Final = Starlette(routes=[Route("/v1/game/session/heartbeat", _heartbeat, methods=["PATCH"])])
