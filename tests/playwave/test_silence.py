"""Heartbeats in time, late and not at all: the game server's and the launcher's. Decided by time, never by a sweep."""

import pytest

from .callers import GameServer, LauncherPc
from .envelope import anonymous, data_of, refusal_of
from .estate import COIN, OPENING
from .server import Server

NOT_FOUND = (404, "SESSION_NOT_FOUND")
ENDED = (410, "SESSION_ENDED")
UNKNOWN = "gs_550e8400-e29b-41d4-a716-446655440000"


@pytest.fixture(params=[False, True], ids=["unswept", "swept"])
def swept(request: pytest.FixtureRequest) -> bool:
    """Tell whether the sweeper comes before the call: the answers must be the same."""
    return bool(request.param)


async def silence(server: Server, seconds: float, *, swept: bool, launcher: LauncherPc | None = None) -> None:
    """Let the game server be silent, and keep a launcher alive meanwhile if one is given."""
    while launcher is not None and seconds > 0:
        data_of(await launcher.heartbeat())
        step = min(seconds, 120)
        server.clock.advance(step)
        seconds -= step
    server.clock.advance(seconds)
    if swept:
        await server.engine.sweep()


async def test_a_late_heartbeat_inside_the_lease_is_accepted_and_bills_the_whole_gap(
    server: Server, game: GameServer, pc: LauncherPc, swept: bool
) -> None:
    session = await server.join(pc)
    await silence(server, 239.999, swept=swept, launcher=pc)
    assert data_of(await game.heartbeat(session)) == {"result": "OK", "next_heartbeat_in": 120, "play_duration_sec": 239}
    assert (await server.account()).balance_micros == OPENING - 4 * COIN


async def test_after_four_silent_minutes_the_session_is_not_found(
    server: Server, game: GameServer, pc: LauncherPc, swept: bool
) -> None:
    session = await server.join(pc)
    await silence(server, 240, swept=swept, launcher=pc)
    assert refusal_of(await game.heartbeat(session)) == NOT_FOUND
    assert refusal_of(await game.end(session)) == NOT_FOUND
    assert (await server.account()).balance_micros == OPENING


async def test_silence_answers_as_if_the_session_had_never_been(
    server: Server, game: GameServer, pc: LauncherPc, swept: bool
) -> None:
    session = await server.join(pc)
    await silence(server, 241, swept=swept, launcher=pc)
    assert anonymous(await game.heartbeat(session)) == anonymous(await game.heartbeat(UNKNOWN))
    assert anonymous(await game.end(session, 200)) == anonymous(await game.end(UNKNOWN, 200))


async def test_a_heartbeat_renews_the_lease_for_four_minutes_from_its_arrival(
    server: Server, game: GameServer, pc: LauncherPc, swept: bool
) -> None:
    session = await server.join(pc)
    await silence(server, 230, swept=swept, launcher=pc)
    data_of(await game.heartbeat(session))
    await silence(server, 239.999, swept=swept, launcher=pc)
    assert data_of(await game.heartbeat(session))["play_duration_sec"] == 469
    await silence(server, 240, swept=swept, launcher=pc)
    assert refusal_of(await game.heartbeat(session)) == NOT_FOUND


async def test_a_session_that_fell_silent_is_not_woken_by_heartbeats_nor_billed_for_them(
    server: Server, game: GameServer, pc: LauncherPc, swept: bool
) -> None:
    session = await server.join(pc)
    server.clock.advance(120)
    data_of(await game.heartbeat(session))
    await silence(server, 240, swept=swept, launcher=pc)
    for _ in range(3):
        assert refusal_of(await game.heartbeat(session)) == NOT_FOUND
        server.clock.advance(60)
    figures = await server.session(session)
    assert (figures.play_duration_sec, figures.billed_sec, figures.amount_micros) == (120, 120, 2 * COIN)
    assert (await server.account()).held_micros == 0


async def test_where_only_the_launcher_fell_silent_the_game_server_hears_that_the_session_ended(
    server: Server, game: GameServer, pc: LauncherPc, swept: bool
) -> None:
    session = await server.join(pc)
    server.clock.advance(120)
    data_of(await game.heartbeat(session))
    await silence(server, 120, swept=swept)
    assert refusal_of(await game.heartbeat(session)) == ENDED
    refused = await game.end(session)
    assert refusal_of(refused) == (409, "ALREADY_ENDED")
    assert refused.json()["error"]["settlement"] == {
        "end_reason": "LAUNCHER_TIMEOUT",
        "play_duration_sec": 120,
        "client_play_duration_sec": None,
        "billed_sec": 120,
        "grace_sec": 0,
        "amount_micros": 2 * COIN,
    }


async def test_a_launcher_is_dead_after_four_minutes_to_the_millisecond(
    server: Server, game: GameServer, pc: LauncherPc, swept: bool
) -> None:
    session = await server.join(pc)
    server.clock.advance(120)
    data_of(await game.heartbeat(session))
    await silence(server, 119.999, swept=swept)
    assert data_of(await game.heartbeat(session))["result"] == "OK"
    await silence(server, 0.001, swept=swept)
    assert refusal_of(await game.heartbeat(session)) == ENDED


async def test_where_both_fell_silent_the_session_is_not_found(
    server: Server, game: GameServer, pc: LauncherPc, swept: bool
) -> None:
    session = await server.join(pc)
    server.clock.advance(120)
    data_of(await game.heartbeat(session))
    await silence(server, 239.999, swept=swept)
    assert refusal_of(await game.heartbeat(session)) == ENDED
    assert refusal_of(await game.end(session)) == (409, "ALREADY_ENDED")
    await silence(server, 0.001, swept=swept)
    assert refusal_of(await game.heartbeat(session)) == NOT_FOUND
    assert refusal_of(await game.end(session)) == NOT_FOUND


async def test_every_call_of_the_launcher_is_a_sign_of_life(server: Server, game: GameServer, pc: LauncherPc) -> None:
    session = await server.join(pc)
    for call in (pc.heartbeat, pc.order, pc.start, pc.heartbeat):
        server.clock.advance(200)
        data_of(await call())
        data_of(await game.heartbeat(session))
    assert data_of(await game.heartbeat(session))["play_duration_sec"] == 800


async def test_the_order_of_heartbeats_and_ends_at_one_moment_never_changes_the_bill(
    server: Server, game: GameServer, pc: LauncherPc
) -> None:
    bills = []
    for order in ("hhee", "hehe", "ehhe", "eheh", "eehh", "heeh"):
        session = await server.join(pc)
        server.clock.advance(100)
        answers = [await (game.heartbeat(session) if call == "h" else game.end(session, 99)) for call in order]
        ends = [answer for answer, call in zip(answers, order, strict=True) if call == "e"]
        assert [end.status_code for end in ends] == [200, 409]
        figures = await server.session(session)
        bills.append((figures.billed_sec, figures.amount_micros, figures.client_play_duration_sec))
    assert set(bills) == {(100, 2 * COIN, 99)}


async def test_next_heartbeat_in_is_a_hundred_and_twenty_seconds_unless_set_otherwise(server: Server, game: GameServer) -> None:
    data = data_of(await game.heartbeat(await server.join()))
    assert data["next_heartbeat_in"] == 120
    assert [type(data[field]) for field in data] == [str, int, int]
