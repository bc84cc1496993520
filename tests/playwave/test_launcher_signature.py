"""The launcher's signature: what it covers, when it is too old, that it is used once, and what a stranger learns."""

import asyncio
import json

import httpx
import pytest

from .callers import END, LAUNCHER_END, LAUNCHER_HEARTBEAT, OTT, START, VERIFY, LauncherPc, signature
from .envelope import anonymous, data_of, refusal_of
from .estate import GAME, GAME_KEY, LAUNCHER, OTHER_LAUNCHER, OTHER_SECRET
from .server import Server

INVALID = (401, "INVALID_SIGNATURE")
EXPIRED = (401, "REQUEST_EXPIRED")
REPLAYED = (401, "REQUEST_REPLAYED")
BODY = json.dumps({"pc_id": "PC-7", "internal_ip": "192.168.0.17", "hardware": {}}).encode()

before_any_store = pytest.mark.parametrize("kind", ["memory"], indirect=True)
"""What is no good signature is refused without one."""


async def start(pc: LauncherPc, headers: dict[str, str], body: bytes = BODY, path: str = START) -> httpx.Response:
    return await pc.client.post(path, content=body, headers=headers)


def seconds(pc: LauncherPc, offset: int = 0) -> str:
    return str(pc.clock.now_ms() // 1000 + offset)


def signed_by_hand(pc: LauncherPc, **changes: str) -> dict[str, str]:
    """Sign a start as the design says, with one of the signed parts changed from what is sent."""
    sent = {"timestamp": seconds(pc), "nonce": "n-1"}
    parts = {"secret": pc.secret, "method": "POST", "path": START, "body": BODY.decode(), **sent} | changes
    lines = (parts["method"], parts["path"], parts["timestamp"], parts["nonce"])
    return {
        "X-Launcher-Id": LAUNCHER,
        "X-Timestamp": sent["timestamp"],
        "X-Nonce": sent["nonce"],
        "X-Signature": signature(parts["secret"], parts["body"].encode(), *lines),
    }


async def test_what_is_signed_by_hand_is_accepted(pc: LauncherPc) -> None:
    assert data_of(await start(pc, signed_by_hand(pc)))["is_pc_cafe"] is True


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("secret", OTHER_SECRET),
        ("secret", "dev-launcher-secret\n"),
        ("method", "PATCH"),
        ("method", "post"),
        ("path", OTT),
        ("path", START + "/"),
        ("path", START.upper()),
        ("path", START + "?"),
        ("timestamp", "1767225601"),
        ("nonce", "n-2"),
        ("body", BODY.decode() + " "),
        ("body", BODY.decode().replace("PC-7", "PC-8")),
        ("body", json.dumps({"internal_ip": "192.168.0.17", "pc_id": "PC-7", "hardware": {}})),
    ],
)
async def test_a_signature_over_anything_else_than_what_arrived_is_invalid(pc: LauncherPc, part: str, value: str) -> None:
    assert refusal_of(await start(pc, signed_by_hand(pc, **{part: value}))) == INVALID
    assert data_of(await start(pc, signed_by_hand(pc)))["is_pc_cafe"] is True


@before_any_store
@pytest.mark.parametrize("header", ["X-Launcher-Id", "X-Timestamp", "X-Nonce", "X-Signature"])
@pytest.mark.parametrize("value", [None, "", "x" * 300, "a b", "caf\u00e9", "\u0661"])
async def test_a_header_that_is_missing_or_malformed_is_an_invalid_signature(
    pc: LauncherPc, header: str, value: str | None
) -> None:
    headers = pc.signed("POST", START, BODY)
    if value is None:
        del headers[header]
    else:
        headers[header] = value
    sent = httpx.Headers(list(headers.items()), encoding="utf-8")
    assert refusal_of(await pc.client.post(START, content=BODY, headers=sent)) == INVALID


@before_any_store
@pytest.mark.parametrize("header", ["X-Launcher-Id", "X-Timestamp", "X-Nonce", "X-Signature"])
async def test_a_header_that_comes_twice_is_an_invalid_signature(pc: LauncherPc, header: str) -> None:
    headers = pc.signed("POST", START, BODY)
    twice = httpx.Headers([*headers.items(), (header, headers[header])])
    assert refusal_of(await pc.client.post(START, content=BODY, headers=twice)) == INVALID


@before_any_store
@pytest.mark.parametrize(
    "timestamp", ["now", "-1", "+1767225600", "1767225600.0", "1_767_225_600", "0x6955b900", "1767225600000"]
)
async def test_a_timestamp_that_is_no_number_of_seconds_is_refused_even_if_signed(pc: LauncherPc, timestamp: str) -> None:
    assert refusal_of(await start(pc, pc.signed("POST", START, BODY, timestamp=timestamp))) == INVALID


async def test_upper_case_hex_is_another_spelling_and_so_invalid(pc: LauncherPc) -> None:
    headers = pc.signed("POST", START, BODY)
    headers["X-Signature"] = headers["X-Signature"].upper()
    assert refusal_of(await start(pc, headers)) == INVALID


@pytest.mark.parametrize(
    ("offset", "answer"), [(-301, EXPIRED), (-300, None), (0, None), (300, None), (301, EXPIRED), (-(10**9), EXPIRED)]
)
async def test_the_signed_time_may_be_five_minutes_off_either_way(
    pc: LauncherPc, offset: int, answer: tuple[int, str] | None
) -> None:
    response = await start(pc, pc.signed("POST", START, BODY, timestamp=seconds(pc, offset)))
    if answer is None:
        assert data_of(response)["is_pc_cafe"] is True
    else:
        assert refusal_of(response) == answer


async def test_the_window_closes_to_the_millisecond(server: Server, pc: LauncherPc) -> None:
    headers = [pc.signed("POST", START, BODY) for _ in range(2)]
    server.clock.advance(300)
    data_of(await start(pc, headers[0]))
    server.clock.advance(ms=1)
    assert refusal_of(await start(pc, headers[1])) == EXPIRED


@pytest.mark.parametrize("offset", [-300, 0, 300])
async def test_a_request_is_carried_out_once_however_long_it_is_within_the_window(
    server: Server, pc: LauncherPc, offset: int
) -> None:
    headers = pc.signed("POST", START, BODY, timestamp=seconds(pc, offset))
    data_of(await start(pc, headers))
    assert refusal_of(await start(pc, headers)) == REPLAYED
    server.clock.advance(300 + offset)
    await server.engine.sweep()
    assert refusal_of(await start(pc, headers)) == REPLAYED
    server.clock.advance(1)
    assert refusal_of(await start(pc, headers)) == EXPIRED
    server.clock.advance(3600)
    await server.engine.sweep()
    assert refusal_of(await start(pc, headers)) == EXPIRED


async def test_a_nonce_is_used_up_for_every_call_of_its_launcher_and_for_no_other_launcher(
    server: Server, pc: LauncherPc
) -> None:
    data_of(await start(pc, pc.signed("POST", START, BODY, nonce="once")))
    body = json.dumps({"session_token": "ls_4b1d3c5e-8a34-4a6b-9f38-1f5a0d3f2b6c"}).encode()
    again = pc.signed("PATCH", LAUNCHER_HEARTBEAT, body, nonce="once")
    assert refusal_of(await pc.client.patch(LAUNCHER_HEARTBEAT, content=body, headers=again)) == REPLAYED
    other = server.pc(launcher_id=OTHER_LAUNCHER, secret=OTHER_SECRET)
    assert data_of(await start(other, other.signed("POST", START, BODY, nonce="once")))["is_pc_cafe"] is True


async def test_a_request_that_is_refused_for_its_body_uses_no_nonce_up(pc: LauncherPc) -> None:
    headers = pc.signed("POST", START, b"{}", nonce="kept")
    assert [refusal_of(await start(pc, headers, b"{}")) for _ in range(2)] == [(400, "BAD_REQUEST")] * 2
    assert data_of(await start(pc, pc.signed("POST", START, BODY, nonce="kept")))["is_pc_cafe"] is True
    assert refusal_of(await start(pc, headers, b"{}")) == REPLAYED


async def test_of_fifty_copies_at_once_one_is_carried_out(pc: LauncherPc) -> None:
    headers = pc.signed("POST", START, BODY)
    answers = await asyncio.gather(*(start(pc, headers) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 49
    assert {refusal_of(answer) for answer in answers if answer.status_code != 200} == {REPLAYED}


async def test_an_unknown_launcher_is_answered_as_a_wrong_signature_is(server: Server, pc: LauncherPc) -> None:
    stranger = server.pc(launcher_id="nobody", secret=pc.secret)
    liar = server.pc(launcher_id=LAUNCHER, secret="wrong")
    answers = [await start(each, each.signed("POST", START, BODY)) for each in (stranger, liar)]
    assert refusal_of(answers[0]) == INVALID
    assert anonymous(answers[0]) == anonymous(answers[1])


@pytest.mark.parametrize("timestamp", ["0", "1767225600"])
async def test_without_the_secret_nobody_learns_whether_time_or_nonce_were_good(pc: LauncherPc, timestamp: str) -> None:
    data_of(await start(pc, pc.signed("POST", START, BODY, nonce="known")))
    pc.secret = "guessed"
    assert refusal_of(await start(pc, pc.signed("POST", START, BODY, nonce="known", timestamp=timestamp))) == INVALID


async def test_a_launcher_that_signs_is_no_game_server_and_a_key_no_signature(server: Server, pc: LauncherPc) -> None:
    body = {"ott": "a1b2c3d4-e5f6-7890-abcd-ef1234567890", "provider_user_id": "261"}
    assert refusal_of(await pc.send("POST", VERIFY, body)) == (401, "INVALID_API_KEY")
    assert refusal_of(await pc.send("DELETE", END, {})) == (401, "INVALID_API_KEY")
    key = {"X-Api-Key": GAME_KEY}
    assert refusal_of(await server.client().post(START, content=BODY, headers=key)) == INVALID
    assert refusal_of(await server.client().post(OTT, json={"game_id": GAME}, headers=key)) == INVALID
    assert refusal_of(await server.client().request("DELETE", LAUNCHER_END, json={}, headers=key)) == INVALID


async def test_the_path_is_signed_as_it_is_sent(pc: LauncherPc) -> None:
    encoded = "/v1/launcher/session/%73tart"
    as_sent = pc.signed("POST", encoded, BODY)
    as_meant = pc.signed("POST", START, BODY)
    assert refusal_of(await start(pc, as_meant, path=encoded)) == INVALID
    assert data_of(await start(pc, as_sent, path=encoded))["is_pc_cafe"] is True
