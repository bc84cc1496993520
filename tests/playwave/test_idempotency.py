"""Idempotency-Key: a retry after a lost answer gets the first answer, and nothing happens twice."""

import asyncio

import pytest

from .callers import VERIFY, GameServer, LauncherPc
from .envelope import data_of, refusal_of
from .estate import COIN, GAME_KEY, OPENING, RIVAL_KEY, SPARE_KEY
from .server import Server

REUSED = (422, "REQUEST_ID_REUSED")


async def test_a_retry_with_the_same_key_and_body_gets_the_same_session(
    server: Server, game: GameServer, pc: LauncherPc
) -> None:
    ott = await pc.ott()
    first = data_of(await game.verify(ott, Idempotency_Key="join-1"))
    assert first["is_valid"] is True
    server.clock.advance(30)
    assert [data_of(await game.verify(ott, Idempotency_Key="join-1")) for _ in range(3)] == [first] * 3
    assert (await server.account()).held_micros == 4 * COIN


async def test_without_the_header_a_retry_is_a_second_use(game: GameServer, pc: LauncherPc) -> None:
    ott = await pc.ott()
    data_of(await game.verify(ott, Idempotency_Key="join-1"))
    assert data_of(await game.verify(ott)) == {"is_valid": False, "reason": "OTT_ALREADY_USED"}


async def test_another_key_is_a_second_use_too(game: GameServer, pc: LauncherPc) -> None:
    ott = await pc.ott()
    data_of(await game.verify(ott, Idempotency_Key="join-1"))
    assert data_of(await game.verify(ott, Idempotency_Key="join-2"))["reason"] == "OTT_ALREADY_USED"


async def test_the_same_key_with_another_body_is_422_and_redeems_nothing(
    server: Server, game: GameServer, pc: LauncherPc
) -> None:
    first, second = await pc.ott(), await server.pc().ott()
    data_of(await game.verify(first, Idempotency_Key="join-1"))
    assert refusal_of(await game.verify(second, Idempotency_Key="join-1")) == REUSED
    assert refusal_of(await game.verify(first, "262", Idempotency_Key="join-1")) == REUSED
    assert data_of(await game.verify(second))["is_valid"] is True


async def test_a_refusal_is_a_first_answer_like_any_other(server: Server, game: GameServer, pc: LauncherPc) -> None:
    ott = await pc.ott()
    server.clock.advance(60)
    expired = {"is_valid": False, "reason": "OTT_EXPIRED"}
    assert data_of(await game.verify(ott, Idempotency_Key="late")) == expired
    assert data_of(await game.verify(ott, Idempotency_Key="late")) == expired


async def test_a_repeated_refusal_counts_once_against_the_token(server: Server, game: GameServer, pc: LauncherPc) -> None:
    ott, rival = await pc.ott(), server.game(RIVAL_KEY)
    for _ in range(9):
        assert data_of(await rival.verify(ott, Idempotency_Key="try"))["reason"] == "GAME_MISMATCH"
    assert data_of(await game.verify(ott))["is_valid"] is True


async def test_one_games_keys_are_nobody_elses(server: Server, game: GameServer, pc: LauncherPc) -> None:
    ott = await pc.ott()
    first = data_of(await game.verify(ott, Idempotency_Key="join-1"))
    assert data_of(await server.game(RIVAL_KEY).verify(ott, Idempotency_Key="join-1")) == {
        "is_valid": False,
        "reason": "OTT_ALREADY_USED",
    }
    assert data_of(await server.game(SPARE_KEY).verify(ott, Idempotency_Key="join-1")) == first


async def test_the_same_body_may_be_written_in_another_way(game: GameServer, pc: LauncherPc) -> None:
    ott = await pc.ott()
    first = data_of(await game.verify(ott, Idempotency_Key="join-1"))
    rewritten = f'{{"provider_user_id" : "\\u0032\\u0036\\u0031",\n "ott" : "{ott}"}}'.encode()
    headers = {"X-Api-Key": GAME_KEY, "Idempotency-Key": "join-1"}
    assert data_of(await game.client.post(VERIFY, content=rewritten, headers=headers)) == first


async def test_a_malformed_body_claims_no_key(game: GameServer, pc: LauncherPc) -> None:
    assert refusal_of(await game.verify("no-uuid", Idempotency_Key="join-1")) == (400, "BAD_REQUEST")
    assert data_of(await game.verify(await pc.ott(), Idempotency_Key="join-1"))["is_valid"] is True


@pytest.mark.parametrize("key", ["k", "join 1/7", "~!@#$%^&*()", "x" * 255, "8e03978e-40d5-43e8-bc93-6894a57f9324"])
async def test_any_printable_ascii_is_a_key(game: GameServer, pc: LauncherPc, key: str) -> None:
    ott = await pc.ott()
    first = data_of(await game.verify(ott, Idempotency_Key=key))
    assert first["is_valid"] is True
    assert data_of(await game.verify(ott, Idempotency_Key=key)) == first


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_what_is_no_key_is_refused_and_redeems_nothing(game: GameServer, pc: LauncherPc, key: str) -> None:
    ott = await pc.ott()
    assert refusal_of(await game.verify(ott, Idempotency_Key=key)) == (400, "BAD_REQUEST")
    assert data_of(await game.verify(ott))["is_valid"] is True


async def test_a_hundred_retries_at_once_open_one_session(server: Server, game: GameServer, pc: LauncherPc) -> None:
    ott = await pc.ott()
    answers = await asyncio.gather(*(game.verify(ott, Idempotency_Key="join-1") for _ in range(100)))
    sessions = {data_of(answer)["game_session_id"] for answer in answers}
    assert len(sessions) == 1
    account = await server.account()
    assert (account.balance_micros, account.held_micros) == (OPENING, 4 * COIN)


async def test_of_many_bodies_at_once_under_one_key_one_is_carried_out(game: GameServer, pc: LauncherPc) -> None:
    otts = [await pc.ott() for _ in range(20)]
    answers = await asyncio.gather(*(game.verify(ott, Idempotency_Key="join-1") for ott in otts * 5))
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [422] * 95
    assert len({data_of(answer)["game_session_id"] for answer in answers if answer.status_code == 200}) == 1
