"""Many at once: a token is redeemed once, a session ends once, and a wallet is never overdrawn."""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from .callers import END, HEARTBEAT, VERIFY, LauncherPc
from .estate import ACCOUNT, COIN, GAME_KEY, OPENING
from .server import Server

Answer = tuple[int, dict[str, Any]]


class Crowd:
    """Open connections on which everybody calls at the same moment. An HTTP client's pool would let them queue."""

    def __init__(self, connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
        self._connections = connections

    async def call(self, method: str, path: str, bodies: list[dict[str, object]]) -> list[Answer]:
        """Send each body on a connection of its own, all of them before any answer is read; return the answers."""
        used = self._connections[: len(bodies)]
        for (_, writer), body in zip(used, bodies, strict=True):
            raw = json.dumps(body)
            writer.write(
                f"{method} {path} HTTP/1.1\r\nHost: test\r\nX-Api-Key: {GAME_KEY}\r\n"
                f"Content-Length: {len(raw)}\r\n\r\n{raw}".encode()
            )
        return await asyncio.gather(*(_read(reader) for reader, _ in used))


async def _read(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    length = next(int(line.partition(":")[2]) for line in head if line.lower().startswith("content-length:"))
    return int(head[0].split()[1]), json.loads(await reader.readexactly(length))


@contextlib.asynccontextmanager
async def crowd(server: Server, size: int) -> AsyncIterator[Crowd]:
    """Open connections, and use each of them once, so that the call that counts finds them all warm."""
    where = urlsplit(server.url)
    connections = [await asyncio.open_connection(where.hostname, where.port) for _ in range(size)]
    crowd = Crowd(connections)
    unknown: dict[str, object] = {"game_session_id": "gs_550e8400-e29b-41d4-a716-446655440000", "provider_user_id": "261"}
    assert {status for status, _ in await crowd.call("PATCH", HEARTBEAT, [unknown] * size)} == {404}
    yield crowd
    for _, writer in connections:
        writer.close()
    await asyncio.gather(*(writer.wait_closed() for _, writer in connections))


def reasons(answers: list[Answer]) -> Counter[str]:
    """Count the answers of a verify by what they say."""
    assert {status for status, _ in answers} == {200}
    return Counter(body["data"].get("reason", "VALID") for _, body in answers)


async def test_of_a_thousand_verifies_of_one_token_one_is_valid(server: Server, pc: LauncherPc) -> None:
    async with crowd(server, 1000) as callers:
        answers = await callers.call("POST", VERIFY, [{"ott": await pc.ott(), "provider_user_id": "261"}] * 1000)
    assert reasons(answers) == {"VALID": 1, "OTT_ALREADY_USED": 999}
    account = await server.account()
    assert (account.balance_micros, account.held_micros) == (OPENING, 4 * COIN)


async def test_of_a_hundred_ends_one_succeeds_and_the_others_hear_its_figures(server: Server) -> None:
    session = await server.join()
    server.clock.advance(61)
    async with crowd(server, 100) as callers:
        bodies: list[dict[str, object]] = [{"game_session_id": session, "play_duration_sec": told} for told in range(100)]
        answers = await callers.call("DELETE", END, bodies)
    [won] = [body["data"] for status, body in answers if status == 200]
    lost = [body["error"] for status, body in answers if status == 409]
    assert len(lost) == 99
    figures = {name: won[name] for name in ("play_duration_sec", "client_play_duration_sec")}
    assert figures["play_duration_sec"] == 61
    assert {error["code"] for error in lost} == {"ALREADY_ENDED"}
    figures |= {"end_reason": "CLIENT_END", "billed_sec": 61, "grace_sec": 0, "amount_micros": 2 * COIN}
    assert [error["settlement"] for error in lost] == [figures] * 99
    account = await server.account()
    assert (account.balance_micros, account.held_micros) == (OPENING - 2 * COIN, 0)


async def test_fifty_players_at_once_on_credit_for_three_are_three(server: Server) -> None:
    account_id, address = await server.prepaid(12)
    otts = [await server.pc(address).ott() for _ in range(50)]
    async with crowd(server, 50) as callers:
        answers = await callers.call("POST", VERIFY, [{"ott": ott, "provider_user_id": "261"} for ott in otts])
    assert reasons(answers) == {"VALID": 3, "NOT_CHARGEABLE": 47}
    account = await server.account(account_id)
    assert (account.balance_micros, account.held_micros) == (12 * COIN, 12 * COIN)


async def test_tokens_of_one_pc_at_once_are_sessions_that_replace_each_other(server: Server, pc: LauncherPc) -> None:
    otts = [await pc.ott() for _ in range(30)]
    async with crowd(server, 30) as callers:
        opened = await callers.call("POST", VERIFY, [{"ott": ott, "provider_user_id": "261"} for ott in otts])
        assert reasons(opened) == {"VALID": 30}
        sessions = [body["data"]["game_session_id"] for _, body in opened]
        bodies: list[dict[str, object]] = [{"game_session_id": each, "provider_user_id": "261"} for each in sessions]
        beats = await callers.call("PATCH", HEARTBEAT, bodies)
    assert Counter(body["data"]["result"] for _, body in beats) == {"OK": 1, "SESSION_REPLACED": 29}
    assert (await server.account(ACCOUNT)).held_micros == 4 * COIN


async def test_heartbeats_and_ends_at_once_leave_one_end_and_a_bill_that_no_order_changes(server: Server) -> None:
    session = await server.join()
    server.clock.advance(119)
    beat: dict[str, object] = {"game_session_id": session, "provider_user_id": "261"}
    async with crowd(server, 50) as beating, crowd(server, 20) as ending:
        beats, ends = await asyncio.gather(
            beating.call("PATCH", HEARTBEAT, [beat] * 50), ending.call("DELETE", END, [{"game_session_id": session}] * 20)
        )
    assert {status for status, _ in beats} <= {200, 410}
    assert Counter(status for status, _ in ends) == {200: 1, 409: 19}
    figures = await server.session(session)
    assert (figures.billed_sec, figures.amount_micros) == (119, 2 * COIN)
    account = await server.account()
    assert (account.balance_micros, account.held_micros) == (OPENING - 2 * COIN, 0)


async def test_heartbeats_at_the_end_of_the_lease_never_hear_ok_and_then_that_it_is_over(server: Server) -> None:
    session = await server.join()
    beat: dict[str, object] = {"game_session_id": session, "provider_user_id": "261"}
    server.clock.advance(239.999)
    async with crowd(server, 40) as callers:
        in_time, swept = await asyncio.gather(callers.call("PATCH", HEARTBEAT, [beat] * 40), server.engine.sweep())
        assert {status for status, _ in in_time} == {200}
        assert swept >= 0
        server.clock.advance(240)
        too_late, _ = await asyncio.gather(callers.call("PATCH", HEARTBEAT, [beat] * 40), server.engine.sweep())
    assert {status for status, _ in too_late} == {404}
