"""Tests a synchronous client alone, without any engine: grpcio-testing shows what it sends and answers in its place."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import grpc
import grpc_testing
from playclock.v1 import HeartbeatRequest, HeartbeatResponse, SessionServiceStub
from playclock.v1.session_service_pb2 import DESCRIPTOR

SERVICE = DESCRIPTOR.services_by_name["SessionService"]
HEARTBEAT = SERVICE.methods_by_name["Heartbeat"]


def beat_or_kick(sessions: SessionServiceStub, session_id: str, user_id: str, kick: Callable[[str], None]) -> None:
    """Send a heartbeat; kick the player when the session is over. The client under test."""
    try:
        sessions.Heartbeat(HeartbeatRequest(game_session_id=session_id, provider_user_id=user_id))
    except grpc.RpcError as error:
        if error.code() in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION):
            kick(user_id)


def _run(code: grpc.StatusCode) -> tuple[HeartbeatRequest, list[str]]:
    kicked: list[str] = []
    channel = grpc_testing.channel([SERVICE], grpc_testing.strict_real_time())
    with ThreadPoolExecutor(1) as client:
        done = client.submit(beat_or_kick, SessionServiceStub(channel), "gs_1", "player-1", kicked.append)
        _, request, call = channel.take_unary_unary(HEARTBEAT)
        call.send_initial_metadata(())
        call.terminate(HeartbeatResponse(), (), code, "")
        done.result(timeout=10)
    return request, kicked


def test_a_session_that_is_gone_kicks_the_player() -> None:
    request, kicked = _run(grpc.StatusCode.NOT_FOUND)
    assert request.game_session_id == "gs_1"
    assert kicked == ["player-1"]


def test_a_server_that_is_away_kicks_nobody() -> None:
    assert _run(grpc.StatusCode.UNAVAILABLE)[1] == []
