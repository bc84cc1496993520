"""Verification: the four documented reasons, the token's single use and its minute, and what a refusal leaves behind."""

import pytest
from playclock.core.charge import Account
from playclock.core.codec import encode
from playclock.core.ids import account_key
from playclock.stores.base import Commit, Put
from playclock.v1.launch_service_pb2 import IssueOttRequest
from playclock.v1.launch_service_pb2_grpc import LaunchServiceStub

from .callers import GameServer, LauncherPc
from .envelope import data_of, refusal_of
from .estate import COIN, GAME, RIVAL, RIVAL_KEY, SPARE_KEY
from .server import Server

EXPIRED = {"is_valid": False, "reason": "OTT_EXPIRED"}
USED = {"is_valid": False, "reason": "OTT_ALREADY_USED"}
MISMATCH = {"is_valid": False, "reason": "GAME_MISMATCH"}
NOT_CHARGEABLE = {"is_valid": False, "reason": "NOT_CHARGEABLE"}


async def test_a_success_has_the_three_documented_fields_and_says_pc_cafe(game: GameServer, pc: LauncherPc) -> None:
    data = data_of(await game.verify(await pc.ott()))
    assert list(data) == ["is_valid", "game_session_id", "is_pc_cafe"]
    assert data["is_valid"] is True
    assert data["is_pc_cafe"] is True
    assert isinstance(data["game_session_id"], str)


async def test_the_documents_own_example_is_an_ott_that_has_expired(game: GameServer) -> None:
    assert data_of(await game.verify("a1b2c3d4-e5f6-7890-abcd-ef1234567890")) == EXPIRED


@pytest.mark.parametrize(("after_ms", "reason"), [(59_999, None), (60_000, "OTT_EXPIRED"), (60_001, "OTT_EXPIRED")])
async def test_an_ott_lives_for_sixty_seconds_to_the_millisecond(
    server: Server, game: GameServer, pc: LauncherPc, after_ms: int, reason: str | None
) -> None:
    ott = await pc.ott()
    server.clock.advance(ms=after_ms)
    assert data_of(await game.verify(ott)).get("reason") == reason


async def test_a_second_verify_is_refused_with_the_same_user_key_and_token(game: GameServer, pc: LauncherPc) -> None:
    ott = await pc.ott()
    await game.join(ott)
    assert data_of(await game.verify(ott)) == USED


async def test_a_used_ott_stays_used_after_its_minute_its_session_and_for_a_day(
    server: Server, game: GameServer, pc: LauncherPc
) -> None:
    ott = await pc.ott()
    session = await game.join(ott)
    server.clock.advance(60)
    assert data_of(await game.verify(ott)) == USED
    await game.end(session)
    server.clock.advance(86_399)
    await server.engine.sweep()
    assert data_of(await game.verify(ott)) == USED
    server.clock.advance(2)
    assert data_of(await game.verify(ott)) == EXPIRED


async def test_another_games_key_is_a_mismatch_that_does_not_burn_the_token(server: Server, pc: LauncherPc) -> None:
    ott = await pc.ott()
    assert data_of(await server.game(RIVAL_KEY).verify(ott)) == MISMATCH
    assert data_of(await server.game().verify(ott))["is_valid"] is True


async def test_any_key_of_the_tokens_game_will_do(server: Server, pc: LauncherPc) -> None:
    assert data_of(await server.game(SPARE_KEY).verify(await pc.ott()))["is_valid"] is True
    assert data_of(await server.game(RIVAL_KEY).verify(await pc.ott(RIVAL)))["is_valid"] is True


async def test_five_refusals_burn_the_token_and_four_do_not(server: Server, pc: LauncherPc) -> None:
    rival, game = server.game(RIVAL_KEY), server.game()
    kept, burnt = await pc.ott(), await pc.ott()
    assert [data_of(await rival.verify(kept)) for _ in range(4)] == [MISMATCH] * 4
    assert data_of(await game.verify(kept))["is_valid"] is True
    assert [data_of(await rival.verify(burnt)) for _ in range(5)] == [MISMATCH] * 5
    assert data_of(await rival.verify(burnt)) == USED
    assert data_of(await game.verify(burnt)) == USED


async def test_a_refused_verify_neither_ends_nor_bills_what_is_played_on_the_pc(server: Server, pc: LauncherPc) -> None:
    session = await server.join(pc)
    before = await server.account()
    assert data_of(await server.game(RIVAL_KEY).verify(await pc.ott())) == MISMATCH
    assert await server.account() == before
    assert data_of(await server.game().heartbeat(session))["result"] == "OK"


@pytest.mark.parametrize(("coins", "chargeable"), [(0, False), (1, False), (2, True)])
async def test_opening_needs_the_credit_of_one_heartbeat_interval(
    server: Server, game: GameServer, coins: int, chargeable: bool
) -> None:
    account_id, address = await server.prepaid(coins)
    data = data_of(await game.verify(await server.pc(address).ott()))
    assert data["is_valid"] is chargeable
    if not chargeable:
        assert data == NOT_CHARGEABLE
        assert (await server.account(account_id)).held_micros == 0


async def test_a_top_up_within_the_minute_makes_a_refused_token_good(server: Server, game: GameServer) -> None:
    account_id, address = await server.prepaid(0)
    ott = await server.pc(address).ott()
    assert data_of(await game.verify(ott)) == NOT_CHARGEABLE
    (record,) = await server.store.get([account_key(account_id)])
    assert record is not None
    # Another replica books the top-up: this one's memory of the account is old.
    topped = Account(account_id, "GCOIN", balance_micros=10 * COIN, held_micros=0)
    put = Put(key=account_key(account_id), expect=record.version, data=encode(topped))
    assert await server.store.commit([Commit(partition=int(account_key(account_id)[:2], 16), puts=[put])]) == [None]
    assert data_of(await game.verify(ott))["is_valid"] is True
    assert (await server.account(account_id)).held_micros == 4 * COIN


async def test_a_session_that_replaces_another_may_use_the_credit_that_this_one_held(server: Server, game: GameServer) -> None:
    _, address = await server.prepaid(4)
    pc = server.pc(address)
    first = await game.join(await pc.ott())
    second = data_of(await game.verify(await pc.ott()))
    assert second["is_valid"] is True
    assert data_of(await game.heartbeat(first))["result"] == "SESSION_REPLACED"


async def test_where_the_new_session_cannot_be_paid_the_old_one_on_the_pc_goes_on(server: Server, game: GameServer) -> None:
    _, address = await server.prepaid(2)
    pc = server.pc(address)
    session = await game.join(await pc.ott())
    server.clock.advance(61)  # two coins are billed by now: nothing would be left for another session
    assert data_of(await game.verify(await pc.ott())) == NOT_CHARGEABLE
    assert data_of(await game.heartbeat(session))["result"] == "OK"


async def test_an_ott_of_a_launch_that_has_ended_has_expired(game: GameServer, pc: LauncherPc) -> None:
    ott = await pc.ott()
    data_of(await pc.end())
    assert data_of(await game.verify(ott)) == EXPIRED


async def test_a_token_bound_to_a_user_is_a_mismatch_for_others_and_good_for_the_right_one(
    game: GameServer, pc: LauncherPc
) -> None:
    ott = await pc.ott(user="261")
    assert data_of(await game.verify(ott, "262")) == MISMATCH
    assert data_of(await game.verify(ott, "261"))["is_valid"] is True
    assert data_of(await game.verify(ott, "262")) == USED


async def test_tokens_and_session_ids_never_stand_in_for_each_other(server: Server, game: GameServer, pc: LauncherPc) -> None:
    ott = await pc.ott()
    session = await game.join(await pc.ott())
    assert data_of(await game.verify(session.removeprefix("gs_"))) == EXPIRED
    assert data_of(await game.verify(pc.token.removeprefix("ls_"))) == EXPIRED
    assert refusal_of(await game.heartbeat(f"gs_{ott}")) == (404, "SESSION_NOT_FOUND")
    assert refusal_of(await game.end(f"gs_{pc.token[3:]}")) == (404, "SESSION_NOT_FOUND")
    assert refusal_of(await game.end(pc.token)) == (400, "BAD_REQUEST")
    stub = LaunchServiceStub(server.operator)
    assert await stub.IssueOtt(IssueOttRequest(session_token=pc.token, game_id=GAME))
    assert data_of(await game.heartbeat(session))["result"] == "OK"
    assert data_of(await game.verify(ott))["is_valid"] is True
