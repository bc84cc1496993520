"""The platform's documented client, ported as it stands, plays whole sessions against the server."""

import pytest
from playclock.core.timers import Timers

from .callers import GameServer, LauncherPc
from .conftest import ServerMaker
from .envelope import data_of
from .estate import COIN, GAME_KEY, RIVAL_KEY
from .lua_client import Player, Script, Tasks
from .server import Server

UNKNOWN_OTT = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
VERIFIED = ("POST", "/game/session/verify", 200)
BEAT = ("PATCH", "/game/session/heartbeat", 200)


@pytest.fixture
async def script(server: Server) -> Script:
    return Script(server.client(), Tasks(server.clock), f"{server.url}/v1", GAME_KEY)


async def play(script: Script, seconds: int, *launchers: LauncherPc) -> None:
    """Let time pass in steps of a minute, at which the launchers say that they are alive."""
    for _ in range(seconds // 60):
        await script.tasks.advance(60)
        for launcher in launchers:
            data_of(await launcher.heartbeat())


async def joined(script: Script, pc: LauncherPc, user_id: int = 261) -> Player:
    player = Player(user_id, f"player-{user_id}", await pc.ott())
    await script.player_added(player)
    return player


async def test_half_an_hour_of_play_is_one_verify_fifteen_heartbeats_and_one_end(
    server: Server, script: Script, pc: LauncherPc
) -> None:
    player = await joined(script, pc)
    session = script.active_sessions[261].game_session_id
    assert script.bonuses == ["player-261"]
    await play(script, 1800, pc)
    await script.player_removing(player)
    assert script.requests == [VERIFIED, *[BEAT] * 15, ("DELETE", "/game/session/end", 200)]
    assert script.warnings == []
    assert player.kicked is None
    figures = await server.session(session)
    assert (figures.play_duration_sec, figures.client_play_duration_sec) == (1800, 1800)
    assert (figures.billed_sec, figures.amount_micros) == (1800, 30 * COIN)


async def test_a_player_whose_launcher_died_is_kicked_by_410_and_not_ended_again(script: Script, pc: LauncherPc) -> None:
    player = await joined(script, pc)
    await play(script, 360)
    assert player.kicked == "PlayWave session expired"
    assert script.warnings == ["[Playwave] Session lost for UserId 261 : HTTP_410"]
    assert script.active_sessions == {}
    await script.player_removing(player)
    assert script.requests == [VERIFIED, BEAT, ("PATCH", "/game/session/heartbeat", 410)]


async def test_a_player_of_a_game_server_that_hung_for_five_minutes_is_kicked_by_404(
    server: Server, script: Script, pc: LauncherPc
) -> None:
    player = await joined(script, pc)
    server.clock.advance(300)  # nothing runs meanwhile
    await script.tasks.advance(120)
    assert player.kicked == "PlayWave session expired"
    assert script.requests[1:] == [("PATCH", "/game/session/heartbeat", 404)]


async def test_404_at_the_end_is_ignored(server: Server, script: Script, pc: LauncherPc) -> None:
    player = await joined(script, pc)
    server.clock.advance(300)
    await script.player_removing(player)
    assert script.requests[1:] == [("DELETE", "/game/session/end", 404)]
    assert script.warnings == []


async def test_409_at_the_end_is_ignored(script: Script, pc: LauncherPc) -> None:
    player = await joined(script, pc)
    await play(script, 60, pc)
    data_of(await pc.end())
    await script.player_removing(player)
    assert script.requests[1:] == [("DELETE", "/game/session/end", 409)]
    assert script.warnings == []


async def test_used_up_credit_is_told_and_the_player_is_kicked_when_the_grace_is_over(server: Server, script: Script) -> None:
    _, address = await server.prepaid(3)
    pc = server.pc(address)
    player = await joined(script, pc)
    await play(script, 360, pc)
    assert script.warnings == [
        "[Playwave] Charge exhausted for player-261",
        "[Playwave] Session lost for UserId 261 : HTTP_410",
    ]
    assert player.kicked == "PlayWave session expired"


async def test_bind_to_close_ends_every_session(server: Server, script: Script) -> None:
    launchers = [server.pc() for _ in range(5)]
    players = [await joined(script, pc, 300 + number) for number, pc in enumerate(launchers)]
    sessions = [each.game_session_id for each in script.active_sessions.values()]
    await play(script, 180, *launchers)
    await script.bind_to_close()
    assert script.requests[-5:] == [("DELETE", "/game/session/end", 200)] * 5
    assert [(await server.session(session)).billed_sec for session in sessions] == [180] * 5
    for player in players:
        await script.player_removing(player)
    assert len(script.requests) == 15


async def test_a_client_that_does_not_know_replacement_is_harmless(
    server: Server, script: Script, game: GameServer, pc: LauncherPc
) -> None:
    player = await joined(script, pc)
    first = script.active_sessions[261].game_session_id
    second = await server.join(pc, user="262")
    await play(script, 120, pc)
    data_of(await game.heartbeat(second, "262"))
    await play(script, 120, pc)
    assert data_of(await game.end(second))["play_duration_sec"] == 240
    assert player.kicked is None
    assert script.requests[1:] == [BEAT, BEAT]
    await script.player_removing(player)
    assert script.requests[-1] == ("DELETE", "/game/session/end", 409)
    assert script.warnings == []
    assert (await server.session(first)).billed_sec == 0


@pytest.mark.parametrize("launch_data", [None, ""])
async def test_a_player_without_an_ott_makes_no_request(script: Script, launch_data: str | None) -> None:
    await script.player_added(Player(261, "player-261", launch_data))
    assert script.requests == []
    assert script.active_sessions == {}


async def test_an_ott_that_expired_is_warned_of_with_its_reason(server: Server, script: Script, pc: LauncherPc) -> None:
    player = Player(261, "player-261", await pc.ott())
    server.clock.advance(60)
    await script.player_added(player)
    assert script.warnings == ["[Playwave] Verify failed: player-261 OTT_EXPIRED"]
    assert script.bonuses == []


async def test_so_is_one_that_was_used_and_one_of_another_game(script: Script, pc: LauncherPc) -> None:
    first = await joined(script, pc)
    await script.player_added(Player(262, "player-262", first.launch_data))
    script.api_key = RIVAL_KEY
    await joined(script, pc, 263)
    assert script.warnings == [
        "[Playwave] Verify failed: player-262 OTT_ALREADY_USED",
        "[Playwave] Verify failed: player-263 GAME_MISMATCH",
    ]
    assert list(script.active_sessions) == [261]


@pytest.mark.parametrize(("key", "launch_data", "err"), [("wrong", UNKNOWN_OTT, 401), (GAME_KEY, "junk", 400)])
async def test_a_wrong_key_or_token_is_an_http_error_to_the_client(
    script: Script, key: str, launch_data: str, err: int
) -> None:
    script.api_key = key
    await script.player_added(Player(261, "player-261", launch_data))
    assert script.warnings == [f"[Playwave] Verify failed for player-261 : HTTP_{err}"]


async def lose_a_heartbeat(script: Script, pc: LauncherPc) -> Player:
    """Let the second of three heartbeats be refused, as any passing trouble does."""
    player = await joined(script, pc)
    await play(script, 180, pc)
    script.api_key = "wrong"
    await play(script, 60, pc)
    script.api_key = GAME_KEY
    await play(script, 120, pc)
    assert [status for _, _, status in script.requests[:3]] == [200, 200, 401]
    assert script.warnings[0] == "[Playwave] Heartbeat error for UserId 261 : HTTP_401"
    return player


async def test_with_the_documented_figures_the_heartbeat_after_a_lost_one_comes_when_the_lease_is_over(
    script: Script, pc: LauncherPc
) -> None:
    player = await lose_a_heartbeat(script, pc)
    assert script.requests[3:] == [("PATCH", "/game/session/heartbeat", 404)]
    assert player.kicked == "PlayWave session expired"


async def test_with_a_little_more_lease_it_makes_up_for_the_lost_one(make_server: ServerMaker) -> None:
    server = await make_server(timers=Timers(session_ttl_ms=250_000))
    script = Script(server.client(), Tasks(server.clock), f"{server.url}/v1", GAME_KEY)
    player = await lose_a_heartbeat(script, server.pc())
    assert script.requests[3:] == [BEAT]
    session = script.active_sessions[261].game_session_id
    await script.player_removing(player)
    assert player.kicked is None
    assert (await server.session(session)).billed_sec == 360
