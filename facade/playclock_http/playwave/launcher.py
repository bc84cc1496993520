"""Launcher calls: start, one-time tokens, heartbeat and end, authenticated by a signature over what arrived."""

import hashlib
import re
from typing import Final

import grpc
from google.protobuf.struct_pb2 import Struct
from playclock.v1 import auth_service_pb2, launch_service_pb2, launch_service_pb2_grpc

from playclock_http.address import TrustedProxies
from playclock_http.callers import Callers
from playclock_http.endpoint import Reply
from playclock_http.incoming import Incoming
from playclock_http.playwave.envelope import success
from playclock_http.playwave.launcher_schemas import (
    CafeAnswer,
    LaunchableGame,
    LaunchAnswer,
    LaunchEndAnswer,
    LaunchHeartbeatAnswer,
    LaunchName,
    LaunchStart,
    OttAnswer,
    OttOrder,
)
from playclock_http.refusal import Refusal
from playclock_http.upstream import Metadata, Upstream

_SIGNED_HEADERS: Final = (b"x-launcher-id", b"x-timestamp", b"x-nonce", b"x-signature")
_SIGNED_HEADER: Final = re.compile(rb"[\x21-\x7e]{1,256}")
_RESULTS: Final = {
    launch_service_pb2.HeartbeatLaunchResponse.RESULT_OK: "OK",
    launch_service_pb2.HeartbeatLaunchResponse.RESULT_SESSION_REPLACED: "SESSION_REPLACED",
}


class LauncherCalls:
    """The handlers of the launcher calls."""

    def __init__(self, upstream: Upstream, proxies: TrustedProxies) -> None:
        launches = launch_service_pb2_grpc.LaunchServiceStub(upstream.channel)
        self._start_launch = launches.StartLaunch
        self._issue_ott = launches.IssueOtt
        self._heartbeat_launch = launches.HeartbeatLaunch
        self._end_launch = launches.EndLaunch
        self._callers = Callers(upstream)
        self._deadline_sec = upstream.deadline_sec
        self._upstream = upstream
        self._proxies = proxies

    async def start(self, incoming: Incoming) -> Reply:
        """Start a launch for the cafe to which the caller's address belongs."""
        raw, metadata = await self._receive(incoming)
        try:
            body = incoming.decode(raw, LaunchStart)
        except Refusal as refusal:
            raise await self._callers.may_hear(refusal, metadata) from None
        address = self._proxies.caller(incoming.peer, incoming.forwarded)
        if not address:
            # An empty one would stand for the connection to the engine: the facade's own address would be the launcher's.
            nowhere = Refusal("NOT_PC_CAFE", "the caller has no address", status=grpc.StatusCode.PERMISSION_DENIED)
            raise await self._callers.may_hear(nowhere, metadata)
        hardware = Struct()
        hardware.update(body.hardware)
        answer = await self._start_launch(
            launch_service_pb2.StartLaunchRequest(
                pc_id=body.pc_id,
                internal_ip=body.internal_ip,
                hardware=hardware,
                external_ip=address,
            ),
            timeout=self._deadline_sec,
            metadata=metadata,
        )
        return success(
            incoming.request_id,
            LaunchAnswer(
                session_token=answer.session_token,
                is_pc_cafe=answer.is_pc_cafe,
                cafe=CafeAnswer(id=answer.cafe.id, name=answer.cafe.name),
                heartbeat_interval=answer.heartbeat_interval,
                games=[LaunchableGame(game_id=game.game_id, name=game.name, image_url=game.image_url) for game in answer.games],
            ),
        )

    async def ott(self, incoming: Incoming) -> Reply:
        """Issue a one-time token."""
        raw, metadata = await self._receive(incoming)
        try:
            body = incoming.decode(raw, OttOrder)
        except Refusal as refusal:
            raise await self._callers.may_hear(refusal, metadata) from None
        answer = await self._issue_ott(
            launch_service_pb2.IssueOttRequest(
                session_token=body.session_token, game_id=body.game_id, provider_user_id=body.provider_user_id or ""
            ),
            timeout=self._deadline_sec,
            metadata=metadata,
        )
        return success(incoming.request_id, OttAnswer(answer.ott, answer.expires_in))

    async def heartbeat(self, incoming: Incoming) -> Reply:
        """Keep a launch alive."""
        body, metadata = await self._launch_name(incoming)
        answer = await self._heartbeat_launch(
            launch_service_pb2.HeartbeatLaunchRequest(session_token=body.session_token),
            timeout=self._deadline_sec,
            metadata=metadata,
        )
        data = LaunchHeartbeatAnswer(_RESULTS[answer.result], answer.next_heartbeat_in)
        return success(incoming.request_id, data)

    async def end(self, incoming: Incoming) -> Reply:
        """End a launch, and the game session on its PC with it."""
        body, metadata = await self._launch_name(incoming)
        await self._end_launch(
            launch_service_pb2.EndLaunchRequest(session_token=body.session_token),
            timeout=self._deadline_sec,
            metadata=metadata,
        )
        return success(incoming.request_id, LaunchEndAnswer("SUCCESS"))

    async def _launch_name(self, incoming: Incoming) -> tuple[LaunchName, Metadata]:
        raw, metadata = await self._receive(incoming)
        try:
            return incoming.decode(raw, LaunchName), metadata
        except Refusal as refusal:
            raise await self._callers.may_hear(refusal, metadata) from None

    async def _receive(self, incoming: Incoming) -> tuple[bytes, Metadata]:
        """Return the body and the metadata that hands its signature on.

        Raises Refusal: INVALID_SIGNATURE where a signed header is missing or malformed, and what reading the body raises;
        without the whole body there is nothing to check a signature by.
        """
        launcher_id, timestamp, nonce, signature = _signed_headers(incoming)
        body = await incoming.body()
        credentials = auth_service_pb2.LauncherCredentials(
            launcher_id=launcher_id,
            timestamp=timestamp,
            nonce=nonce,
            signature=signature,
            http_method=incoming.method,
            http_path=incoming.path,
            body_sha256=hashlib.sha256(body).digest(),
        )
        metadata: Metadata = (
            ("x-launcher-credentials-bin", credentials.SerializeToString()),
            ("x-request-id", incoming.request_id),
            *self._upstream.authorization,
            *self._upstream.handing_on(self._proxies.caller(incoming.peer, incoming.forwarded)),
        )
        return body, metadata


def _signed_headers(incoming: Incoming) -> list[str]:
    values = []
    for name in _SIGNED_HEADERS:
        value = incoming.header(name)
        if value is None or not _SIGNED_HEADER.fullmatch(value):
            message = "a header of the signature is missing or malformed"
            raise Refusal("INVALID_SIGNATURE", message, status=grpc.StatusCode.UNAUTHENTICATED)
        values.append(value.decode("ascii"))
    return values
