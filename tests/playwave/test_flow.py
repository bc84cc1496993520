"""The five phases of the platform's architecture page, in its order, and the figures of the guide's examples."""

import hashlib
import hmac
import json

import httpx

from .callers import GameServer, LauncherPc
from .envelope import SESSION_ID, UUID4, data_of, refusal_of
from .estate import CHAMPAGNE, COIN, GAME, OPENING, RACE
from .server import Server


def launcher_headers(server: Server, method: str, path: str, body: bytes, nonce: str) -> dict[str, str]:
    """Sign by hand, so that the contract is written out once more where nothing else is tested."""
    timestamp = str(server.clock.now_ms() // 1000)
    text = f"{method}\n{path}\n{timestamp}\n{nonce}\n{hashlib.sha256(body).hexdigest()}"
    return {
        "X-Launcher-Id": "launcher-1",
        "X-Timestamp": timestamp,
        "X-Nonce": nonce,
        "X-Signature": hmac.new(b"dev-launcher-secret", text.encode("ascii"), hashlib.sha256).hexdigest(),
    }


async def start_by_hand(server: Server) -> httpx.Response:
    """Phase 1: internal IP and hardware, signed; the server takes the external IP from the connection."""
    body = json.dumps({"pc_id": "PC-07", "internal_ip": "192.168.0.17", "hardware": {"gpu": "RTX"}}).encode()
    headers = launcher_headers(server, "POST", "/v1/launcher/session/start", body, "phase-1")
    return await server.client().post("/v1/launcher/session/start", content=body, headers=headers)


async def test_phase_1_a_signed_start_from_a_cafe_is_answered_with_a_session_token_and_the_games(server: Server) -> None:
    data = data_of(await start_by_hand(server))
    assert data["is_pc_cafe"] is True
    assert data["cafe"] == {"id": "cafe-1", "name": "Seoul One"}
    assert data["games"] == [CHAMPAGNE, RACE]
    assert UUID4.fullmatch(data["session_token"].removeprefix("ls_"))


async def test_phase_2_the_ott_is_a_uuid_v4_for_one_minute(server: Server) -> None:
    token = data_of(await start_by_hand(server))["session_token"]
    body = json.dumps({"session_token": token, "game_id": GAME}).encode()
    headers = launcher_headers(server, "POST", "/v1/launcher/ott", body, "phase-2")
    data = data_of(await server.client().post("/v1/launcher/ott", content=body, headers=headers))
    assert list(data) == ["ott", "expires_in"]
    assert UUID4.fullmatch(data["ott"])
    assert data["expires_in"] == 60


async def test_phase_3_verification_returns_session_and_cafe_status_and_starts_billing(
    server: Server, game: GameServer, pc: LauncherPc
) -> None:
    data = data_of(await game.verify(await pc.ott()))
    assert SESSION_ID.fullmatch(data["game_session_id"])
    assert data == {"is_valid": True, "game_session_id": data["game_session_id"], "is_pc_cafe": True}
    account = await server.account()
    assert (account.balance_micros, account.held_micros) == (OPENING, 4 * COIN)
    server.clock.advance(90)
    data_of(await game.end(data["game_session_id"]))
    account = await server.account()
    assert (account.balance_micros, account.held_micros) == (OPENING - 2 * COIN, 0)


async def test_phase_4_heartbeats_every_two_minutes_renew_the_billing_and_count_play_time(
    server: Server, game: GameServer, pc: LauncherPc
) -> None:
    session = await server.join(pc)
    for minutes in range(2, 32, 2):
        server.clock.advance(120)
        data_of(await pc.heartbeat())
        assert data_of(await game.heartbeat(session)) == {
            "result": "OK",
            "next_heartbeat_in": 120,
            "play_duration_sec": minutes * 60,
        }
        account = await server.account()
        assert (account.balance_micros, account.held_micros) == (OPENING - minutes * COIN, 4 * COIN)


async def test_phase_4_four_minutes_without_a_heartbeat_terminate_the_session(
    server: Server, game: GameServer, pc: LauncherPc
) -> None:
    session = await server.join(pc)
    server.clock.advance(120)
    await pc.heartbeat()
    server.clock.advance(120)
    await pc.heartbeat()
    assert refusal_of(await game.heartbeat(session)) == (404, "SESSION_NOT_FOUND")


async def test_phase_5_the_end_stops_the_billing_and_records_the_final_play_time(
    server: Server, game: GameServer, pc: LauncherPc
) -> None:
    session = await server.join(pc)
    for _ in range(15):
        server.clock.advance(120)
        await pc.heartbeat()
        await game.heartbeat(session)
    assert data_of(await game.end(session, 1795)) == {
        "result": "SUCCESS",
        "play_duration_sec": 1800,
        "client_play_duration_sec": 1795,
    }
    server.clock.advance(3600)
    figures = await server.session(session)
    assert (figures.play_duration_sec, figures.client_play_duration_sec) == (1800, 1795)
    assert (figures.billed_sec, figures.amount_micros) == (1800, 30 * COIN)
    assert (await server.account()).balance_micros == OPENING - 30 * COIN


async def test_phase_5_after_an_abnormal_exit_the_timeout_cleans_up_and_bills_to_the_last_heartbeat(
    server: Server, game: GameServer, pc: LauncherPc
) -> None:
    session = await server.join(pc)
    server.clock.advance(120)
    await pc.heartbeat()
    await game.heartbeat(session)
    server.clock.advance(240)
    assert await server.engine.sweep() > 0
    figures = await server.session(session)
    assert (figures.billed_sec, figures.amount_micros) == (120, 2 * COIN)
    account = await server.account()
    assert (account.balance_micros, account.held_micros) == (OPENING - 2 * COIN, 0)
