"""The launcher's four calls, field by field, and how a launch is lost, ended and replaced."""

import pytest
from playclock.v1.provisioning_service_pb2 import Launcher, Provisioning

from .callers import LAUNCHER_HEARTBEAT, START, GameServer, LauncherPc
from .envelope import UUID4, anonymous, data_of, refusal_of
from .estate import CHAMPAGNE, FREE, GAME, OTHER_LAUNCHER, OTHER_SECRET, OUTSIDE, RACE, RIVAL, UNKNOWN_GAME
from .server import Server

NOT_FOUND = (404, "SESSION_NOT_FOUND")
ENDED = (410, "SESSION_ENDED")
NOWHERE = "ls_4b1d3c5e-8a34-4a6b-9f38-1f5a0d3f2b6c"


async def test_a_start_is_answered_with_exactly_the_fields_of_the_table(pc: LauncherPc) -> None:
    response = await pc.start(X_Request_Id="req_1")
    assert response.status_code == 200
    assert response.content == (
        b'{"success":true,"request_id":"req_1","data":{"session_token":"%b","is_pc_cafe":true,'
        b'"cafe":{"id":"cafe-1","name":"Seoul One"},"heartbeat_interval":120,"games":['
        b'{"game_id":"3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d","name":"Champagne Party",'
        b'"image_url":"https://cdn.example.com/champagne.jpg"},'
        b'{"game_id":"9b1d3f5a-7c2e-4b6d-8f10-a2b4c6d8e0f1","name":"Zebra Race",'
        b'"image_url":"https://cdn.example.com/zebra.jpg"}]}}' % pc.token.encode()
    )
    assert pc.token.startswith("ls_")
    assert UUID4.fullmatch(pc.token[3:])


async def test_an_ott_a_heartbeat_and_an_end_are_answered_with_exactly_theirs(pc: LauncherPc) -> None:
    await pc.start()
    ott = data_of(await pc.order())
    assert ott == {"ott": ott["ott"], "expires_in": 60}
    assert list(ott) == ["ott", "expires_in"]
    assert UUID4.fullmatch(ott["ott"])
    beat = data_of(await pc.heartbeat())
    assert beat == {"result": "OK", "next_heartbeat_in": 120}
    assert list(beat) == ["result", "next_heartbeat_in"]
    assert data_of(await pc.end()) == {"result": "SUCCESS"}


async def test_in_a_cafe_that_nobody_bills_the_answer_is_the_same(server: Server) -> None:
    data = data_of(await server.pc(FREE).start())
    assert (data["is_pc_cafe"], data["cafe"]) == (True, {"id": "cafe-free", "name": "Busan Free"})
    assert data["games"] == [CHAMPAGNE, RACE]


async def test_an_address_of_no_cafe_is_403(server: Server) -> None:
    assert refusal_of(await server.pc(OUTSIDE).start()) == (403, "NOT_PC_CAFE")


async def test_every_ott_is_another_and_none_tells_the_launch_it_belongs_to(pc: LauncherPc) -> None:
    await pc.start()
    otts = [await pc.ott() for _ in range(30)]
    assert len(set(otts)) == 30
    assert len({ott[2:] for ott in otts} | {pc.token[5:]}) == 31


@pytest.mark.parametrize("hardware", [{}, {"gpu": ["a", {"b": None}], "name": "한글", "n": 1.5}])
async def test_hardware_is_any_object_and_may_be_left_out(pc: LauncherPc, hardware: dict[str, object]) -> None:
    for ip in ("10.0.0.1", "fd00::17"):
        body = {"pc_id": "PC-1", "internal_ip": ip} | ({"hardware": hardware} if hardware else {})
        assert data_of(await pc.send("POST", START, body))["is_pc_cafe"] is True


async def test_a_game_that_does_not_exist_cannot_be_launched(pc: LauncherPc) -> None:
    await pc.start()
    assert refusal_of(await pc.order(UNKNOWN_GAME)) == (404, "GAME_NOT_FOUND")


async def test_null_binds_an_ott_to_nobody(pc: LauncherPc, game: GameServer) -> None:
    await pc.start()
    response = await pc.send("POST", "/v1/launcher/ott", {"session_token": pc.token, "game_id": GAME, "provider_user_id": None})
    assert data_of(await game.verify(data_of(response)["ott"], "anybody"))["is_valid"] is True


async def test_an_ott_for_one_game_is_no_ott_for_the_other(pc: LauncherPc, game: GameServer) -> None:
    assert data_of(await game.verify(await pc.ott(RIVAL)))["reason"] == "GAME_MISMATCH"


async def test_an_unknown_launch_is_404_for_every_call(pc: LauncherPc) -> None:
    pc.token = NOWHERE
    for call in (pc.order, pc.heartbeat, pc.end):
        assert refusal_of(await call()) == NOT_FOUND


async def test_another_launchers_launch_looks_like_an_unknown_one(server: Server, pc: LauncherPc, game: GameServer) -> None:
    session = await server.join(pc)
    other = server.pc(launcher_id=OTHER_LAUNCHER, secret=OTHER_SECRET)
    for call in (other.order, other.heartbeat, other.end):
        other.token = NOWHERE
        unknown = anonymous(await call())
        other.token = pc.token
        assert anonymous(await call()) == unknown
    assert data_of(await game.heartbeat(session))["result"] == "OK"


@pytest.mark.parametrize(("silent_sec", "answer"), [(239.999, None), (240, NOT_FOUND), (3600, NOT_FOUND)])
async def test_a_launch_lives_for_four_minutes_without_a_sign(
    server: Server, pc: LauncherPc, silent_sec: float, answer: tuple[int, str] | None
) -> None:
    await pc.start()
    server.clock.advance(silent_sec)
    for call in (pc.heartbeat, pc.order, pc.end):
        response = await call()
        if answer is None:
            data_of(response)
        else:
            assert refusal_of(response) == answer


async def test_after_its_end_a_launch_is_410_and_ended_again_409(server: Server, pc: LauncherPc) -> None:
    await pc.start()
    data_of(await pc.end())
    assert refusal_of(await pc.heartbeat()) == ENDED
    assert refusal_of(await pc.order()) == ENDED
    assert refusal_of(await pc.end()) == (409, "ALREADY_ENDED")
    server.clock.advance(86_400)
    for call in (pc.heartbeat, pc.order, pc.end):
        assert refusal_of(await call()) == NOT_FOUND


async def test_a_new_start_on_the_pc_replaces_the_launch(server: Server) -> None:
    old, new = server.pc(pc_id="PC-7"), server.pc(pc_id="PC-7")
    data_of(await old.start())
    data_of(await new.start())
    assert data_of(await old.heartbeat()) == {"result": "SESSION_REPLACED", "next_heartbeat_in": 0}
    assert refusal_of(await old.order()) == ENDED
    assert refusal_of(await old.end()) == (409, "ALREADY_ENDED")
    assert data_of(await new.heartbeat())["result"] == "OK"


async def test_pcs_of_one_name_in_two_cafes_are_two_pcs(server: Server) -> None:
    seoul, busan = server.pc(pc_id="PC-7"), server.pc(FREE, pc_id="PC-7")
    data_of(await seoul.start())
    data_of(await busan.start())
    assert data_of(await seoul.heartbeat())["result"] == "OK"


async def test_the_end_of_a_launch_ends_the_session_on_its_own_pc_only(
    server: Server, pc: LauncherPc, game: GameServer
) -> None:
    here, there = await server.join(pc), await server.join()
    data_of(await pc.end())
    assert refusal_of(await game.heartbeat(here)) == ENDED
    assert data_of(await game.heartbeat(there))["result"] == "OK"


async def test_the_end_of_a_replaced_launch_does_not_end_the_session_of_the_new_one(server: Server, game: GameServer) -> None:
    old, new = server.pc(pc_id="PC-7"), server.pc(pc_id="PC-7")
    await old.start()
    session = await server.join(new)
    assert refusal_of(await old.end()) == (409, "ALREADY_ENDED")
    assert data_of(await game.heartbeat(session))["result"] == "OK"


async def test_a_heartbeat_after_the_launchers_secret_was_changed_is_refused(server: Server, pc: LauncherPc) -> None:
    await pc.start()
    await server.provision(Provisioning(launchers=[Launcher(id=pc.launcher_id, secret="rotated")]))
    assert refusal_of(await pc.send("PATCH", LAUNCHER_HEARTBEAT, {"session_token": pc.token})) == (401, "INVALID_SIGNATURE")
    pc.secret = "rotated"
    assert data_of(await pc.heartbeat())["result"] == "OK"
