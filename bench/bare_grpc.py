"""A grpc.aio server that answers every heartbeat at once."""

from typing import Any

import grpc
import grpc.aio
from playclock.rpc.server import OPTIONS
from playclock.v1.session_service_pb2 import (
    BatchHeartbeatRequest,
    BatchHeartbeatResponse,
    HeartbeatRequest,
    HeartbeatResponse,
    HeartbeatResult,
)


async def start_grpc(host: str) -> tuple[grpc.aio.Server, int]:
    """Serve on a free port and return it too."""
    server = grpc.aio.server(options=OPTIONS)
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "Heartbeat": grpc.unary_unary_rpc_method_handler(
            _heartbeat,
            request_deserializer=HeartbeatRequest.FromString,
            response_serializer=HeartbeatResponse.SerializeToString,
        ),
        "BatchHeartbeat": grpc.unary_unary_rpc_method_handler(
            _batch_heartbeat,
            request_deserializer=BatchHeartbeatRequest.FromString,
            response_serializer=BatchHeartbeatResponse.SerializeToString,
        ),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("playclock.v1.SessionService", handlers),))
    port = server.add_insecure_port(f"{host}:0")
    await server.start()
    return server, port


async def _heartbeat(_request: HeartbeatRequest, _context: "grpc.aio.ServicerContext[Any, Any]") -> HeartbeatResponse:
    return _response()


async def _batch_heartbeat(
    request: BatchHeartbeatRequest, _context: "grpc.aio.ServicerContext[Any, Any]"
) -> BatchHeartbeatResponse:
    calls = [(beat.game_session_id, beat.provider_user_id) for beat in request.heartbeats]
    return BatchHeartbeatResponse(results=[HeartbeatResult(response=_response()) for _ in calls])


def _response() -> HeartbeatResponse:
    return HeartbeatResponse(result=HeartbeatResponse.RESULT_OK, next_heartbeat_in=120, play_duration_sec=60)
