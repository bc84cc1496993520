"""LaunchService: messages to the engine and back."""

from typing import Final

from playclock.core.answers import Result
from playclock.core.estate import parse_address
from playclock.core.fields import HARDWARE_BYTES_MAX, PC_ID_MAX, USER_ID_MAX, text_problem
from playclock.core.gamelist import Query, Sort
from playclock.core.ids import is_uuid
from playclock.engine import Engine, Role
from playclock.errors import PermissionDenied
from playclock.rpc.call import Call, address_of
from playclock.rpc.fields import check
from playclock.v1.launch_service_pb2 import (
    Cafe,
    EndLaunchRequest,
    EndLaunchResponse,
    HeartbeatLaunchRequest,
    HeartbeatLaunchResponse,
    IssueOttRequest,
    IssueOttResponse,
    LaunchableGame,
    StartLaunchRequest,
    StartLaunchResponse,
)

LAUNCHABLE_MAX: Final = 1_000
"""A thousand games with names and addresses as long as they may be fit into a message."""

_LAUNCHABLE: Final = Query(sort=Sort.NAME)
_RESULTS: Final = {
    Result.OK: HeartbeatLaunchResponse.RESULT_OK,
    Result.SESSION_REPLACED: HeartbeatLaunchResponse.RESULT_SESSION_REPLACED,
}


class LaunchServicer:
    """Translates for the launcher."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._interval_sec = -(-engine.timers.heartbeat_interval_ms // 1000)

    async def StartLaunch(self, request: StartLaunchRequest, call: Call) -> StartLaunchResponse:
        """Start a launch."""
        hardware = request.hardware.SerializeToString() if request.HasField("hardware") else b""
        check(
            pc_id=text_problem(request.pc_id, PC_ID_MAX),
            internal_ip=_address_problem(request.internal_ip, required=call.caller.role is Role.LAUNCHER),
            external_ip=_address_problem(request.external_ip),
            hardware=f"at most {HARDWARE_BYTES_MAX} bytes" if len(hardware) > HARDWARE_BYTES_MAX else None,
        )
        if request.external_ip and not call.trusted:
            raise PermissionDenied("only callers inside the trust boundary may name an address", role=call.caller.role.value)
        started = await self._engine.launches.start(
            call.caller,
            pc_id=request.pc_id,
            internal_ip=request.internal_ip,
            external_ip=request.external_ip or _peer_address(call),
            hardware=hardware,
        )
        page = self._engine.context.catalog.page(_LAUNCHABLE, limit=LAUNCHABLE_MAX)
        return StartLaunchResponse(
            session_token=started.launch.id,
            is_pc_cafe=True,
            cafe=Cafe(id=started.cafe.id, name=started.cafe.name),
            heartbeat_interval=self._interval_sec,
            games=[LaunchableGame(game_id=game.id, name=game.name, image_url=game.image_url) for game in page.games],
        )

    async def HeartbeatLaunch(self, request: HeartbeatLaunchRequest, call: Call) -> HeartbeatLaunchResponse:
        """Keep a launch alive."""
        result = await self._engine.launches.heartbeat(call.caller, request.session_token)
        wait_sec = self._interval_sec if result is Result.OK else 0
        return HeartbeatLaunchResponse(result=_RESULTS[result], next_heartbeat_in=wait_sec)

    async def EndLaunch(self, request: EndLaunchRequest, call: Call) -> EndLaunchResponse:
        """End a launch."""
        session_id = await self._engine.launches.end(call.caller, request.session_token)
        return EndLaunchResponse(game_session_id=session_id or "")

    async def IssueOtt(self, request: IssueOttRequest, call: Call) -> IssueOttResponse:
        """Issue an OTT."""
        check(
            game_id=None if is_uuid(request.game_id) else "expected a lower-case UUID",
            provider_user_id=text_problem(request.provider_user_id, USER_ID_MAX, required=False),
        )
        ott = await self._engine.launches.issue_ott(
            call.caller, request.session_token, game_id=request.game_id, provider_user_id=request.provider_user_id or None
        )
        return IssueOttResponse(ott=ott, expires_in=-(-self._engine.timers.ott_ttl_ms // 1000))


def _peer_address(call: Call) -> str:
    """Return the connection's other end. It says nothing of a launcher, whose signature somebody else handed on."""
    return "" if call.caller.role is Role.LAUNCHER else address_of(call.peer())


def _address_problem(text: str, *, required: bool = False) -> str | None:
    if not text:
        return "is required" if required else None
    return "expected an IPv4 or IPv6 address" if parse_address(text) is None else None
