"""kill -9 of a server whose cafe a partner pays for: whatever it was about to ask, the partner is told once in the end."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
import grpc.aio
from playclock.v1 import (
    EndSessionRequest,
    GetSessionRequest,
    HeartbeatRequest,
    IssueOttRequest,
    LaunchServiceStub,
    ListSessionsRequest,
    OpenSessionRequest,
    Session,
    SessionServiceStub,
    StartLaunchRequest,
)

from tests.cli.conftest import Process

if TYPE_CHECKING:
    from playclock.v1.session_service_pb2_grpc import SessionServiceAsyncStub

    from tests.partner.conftest import Partner

CYCLES: Final = 6
WORKERS: Final = 8
CONFIRMED_SEC: Final = 30
OPERATOR: Final = (("authorization", "Bearer the-operator"),)
GAME: Final = (("x-api-key", "the-key"),)
GAME_ID: Final = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"

ESTATE: Final = """
[[provider]]
id = "partner-1"
target = "{target}"
token = "the-token-of-the-partner"
plaintext = true
[[cafe]]
id = "seoul"
name = "Seoul"
networks = ["127.0.0.0/8"]
provider = "partner-1"
[[game]]
id = "{game_id}"
name = "G"
api_keys = ["the-key"]
"""


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Process, grpc.aio.Channel]]:
    """Serve on one file, and kill the server without warning in the end."""
    process = Process(
        folder,
        *("serve", "--store", f"sqlite:///{folder / 'play.db'}", "--archive", "none"),
        *("--provision", str(folder / "estate.toml"), "--grpc", "127.0.0.1:0", "--http", "127.0.0.1:0"),
        PLAYCLOCK_SECURITY_OPERATOR_TOKENS="the-operator",
    )
    try:
        async with grpc.aio.insecure_channel(process.ready()["grpc"]) as channel:
            yield process, channel
    finally:
        process.close()


async def play(channel: grpc.aio.Channel, pc: str, dice: random.Random) -> None:
    """Open, beat and end sessions on a PC until the server is gone."""
    launches, sessions = LaunchServiceStub(channel), SessionServiceStub(channel)
    with suppress(grpc.aio.AioRpcError):
        while True:
            start = StartLaunchRequest(pc_id=pc, external_ip="")
            launch = await launches.StartLaunch(start, metadata=OPERATOR)
            issue = IssueOttRequest(session_token=launch.session_token, game_id=GAME_ID)
            ott = (await launches.IssueOtt(issue, metadata=OPERATOR)).ott
            opened = await sessions.OpenSession(OpenSessionRequest(ott=ott, provider_user_id="p"), metadata=GAME)
            for _ in range(dice.randrange(3)):
                beat = HeartbeatRequest(game_session_id=opened.game_session_id, provider_user_id="p")
                await sessions.Heartbeat(beat, metadata=GAME)
            if dice.random() < 0.7:
                await sessions.EndSession(EndSessionRequest(game_session_id=opened.game_session_id), metadata=GAME)


async def test_the_partner_hears_of_every_end_once(partner: "Partner", tmp_path: Path) -> None:
    (tmp_path / "estate.toml").write_text(ESTATE.format(target=partner.target, game_id=GAME_ID))
    dice = random.Random(20_261_121)
    for _ in range(CYCLES):
        async with serving(tmp_path) as (process, channel):
            players = [asyncio.ensure_future(play(channel, f"pc-{number}", dice)) for number in range(WORKERS)]
            await asyncio.sleep(dice.uniform(0.3, 0.8))  # real time: the server's own clock runs
            process.process.kill()
            await asyncio.wait_for(asyncio.gather(*players), 30)
    async with serving(tmp_path) as (_, channel):
        sessions = SessionServiceStub(channel)
        live = await sessions.ListSessions(ListSessionsRequest(page_size=1_000), metadata=OPERATOR)
        for session in live.sessions:
            await sessions.EndSession(EndSessionRequest(game_session_id=session.game_session_id), metadata=GAME)
        for session in live.sessions:
            await _confirmed(sessions, session.game_session_id)
        charges = await partner.charges()
        told = {charge["game_session_id"] for charge in charges} - {""}
        ended = [await _confirmed(sessions, session_id) for session_id in told]
    assert len(ended) > CYCLES * 3, "a load worth the name"
    assert {session.game_session_id for session in live.sessions} <= told
    # What was granted to a session that was never opened has cost nothing.
    assert not any(charge["used_ms"] for charge in charges if not charge["game_session_id"])
    closed = {charge["game_session_id"]: charge for charge in await partner.charges()}
    for session in ended:
        charge = closed[session.game_session_id]
        assert charge["is_closed"]
        assert session.amount_micros == charge["used_ms"] * 1_000_000 // 60_000
        assert session.billed_sec == charge["used_ms"] // 1000


async def _confirmed(sessions: "SessionServiceAsyncStub", session_id: str) -> Session:
    """Wait until a session's end is confirmed; the server asks again after seconds of its own clock."""
    async with asyncio.timeout(CONFIRMED_SEC):
        while True:
            answer = await sessions.GetSession(GetSessionRequest(game_session_id=session_id), metadata=OPERATOR)
            if answer.session.state == Session.STATE_ENDED:
                return answer.session
            await asyncio.sleep(0.1)
