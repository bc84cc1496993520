"""Tests a program against a real engine, with the pytest fixture `playclock`: `pytest examples/test_with_the_fixture.py`."""

import grpc
import pytest
from playclock.testing import Playclock
from playclock.v1 import HeartbeatRequest


def test_a_player_who_is_silent_for_four_minutes_is_out(playclock: Playclock) -> None:
    session_id = playclock.join("player-1")
    beat = HeartbeatRequest(game_session_id=session_id, provider_user_id="player-1")

    playclock.clock.advance(239)
    assert playclock.sessions.Heartbeat(beat).play_duration_sec == 239

    playclock.clock.advance(240)
    with pytest.raises(grpc.RpcError) as refused:
        playclock.sessions.Heartbeat(beat)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
