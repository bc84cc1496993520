"""Both ports of a real server, misused on real sockets, while others use them well."""

import threading
from collections.abc import Iterator

import pytest

from simulation.abuse.attacks import MIB, bomb, flood_body, hold, issue, ping_flood, rapid_reset, trickle
from simulation.abuse.guests import Guest
from simulation.abuse.http2 import ENHANCE_YOUR_CALM, RST_STREAM
from simulation.abuse.victim import Victim, victim

RESETS = 10_000
STREAMS_MAX = 1_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Victim]:
    with victim(tmp_path_factory.mktemp("victim")) as server:
        yield server


def test_calls_that_are_given_up_at_once_disturb_nobody_and_leave_no_half_state(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with victim(tmp_path_factory.mktemp("reset")) as server:
        otts = issue(server.grpc, 100)
        with Guest.over_grpc(server.grpc) as guest:
            guest.more(5)
            cpu_sec = server.cpu_sec()
            rapid_reset(server.grpc, RESETS, otts)
            assert guest.more(20).longest < 5
        assert server.cpu_sec() - cpu_sec < 10
        assert server.violations() == []


def test_who_pings_for_nothing_is_cut_off(server: Victim) -> None:
    with Guest.over_grpc(server.grpc) as guest:
        stranger = ping_flood(server.grpc, 2_000)
        assert stranger.is_closed
        assert stranger.goaway == (ENHANCE_YOUR_CALM, b"too_many_pings")
        guest.more(5)


def test_calls_beyond_the_limit_of_a_connection_are_refused_at_once(server: Victim) -> None:
    stranger = hold(server.grpc, STREAMS_MAX + 44)
    assert stranger.seen[RST_STREAM] == 44
    with Guest.over_grpc(server.grpc) as guest:
        guest.more(5)


def test_a_message_that_inflates_is_refused_before_it_fills_the_memory(server: Victim) -> None:
    peak = server.peak_bytes()
    stranger = bomb(server.grpc, 512 * MIB)
    assert stranger.answers[1]["grpc-status"] == "8"  # RESOURCE_EXHAUSTED
    assert server.peak_bytes() - peak < 64 * MIB


def test_a_body_of_brackets_without_end_is_refused_before_it_fills_the_memory(server: Victim) -> None:
    peak = server.peak_bytes()
    line, taken = flood_body(server.http, 300 * MIB)
    assert line in (b"HTTP/1.1 400 Bad Request", b"")  # the rest of what is sent may meet a closed door
    assert taken < 16 * MIB
    assert server.peak_bytes() - peak < 32 * MIB


def test_five_hundred_that_trickle_are_closed_in_time_while_others_are_answered(server: Victim) -> None:
    came = []
    trickling = threading.Thread(target=lambda: came.append(trickle(server.http, 500, give_up_sec=30)))
    with Guest.over_http(server.http) as rest, Guest.over_grpc(server.grpc) as rpc:
        trickling.start()
        while trickling.is_alive():
            assert rest.more(20).longest < 5
            assert rpc.more(20).longest < 5
        trickling.join()
    ((closed, shortest, longest),) = came
    assert closed == 500
    assert 9 < shortest < longest < 20
