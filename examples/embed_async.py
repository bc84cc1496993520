"""Runs a session engine inside an asyncio program: no socket, no file, the same stubs as over the network."""

import asyncio

import playclock
from playclock.testing import CAFE_IP, ESTATE, GAME_ID
from playclock.v1 import (
    ApplyProvisioningRequest,
    EndSessionRequest,
    HeartbeatRequest,
    IssueOttRequest,
    LaunchServiceStub,
    OpenSessionRequest,
    ProvisioningServiceStub,
    SessionServiceStub,
    StartLaunchRequest,
)


async def main() -> int:
    clock = playclock.ManualClock()
    async with playclock.Engine(clock=clock) as engine:
        channel = playclock.InProcessChannel(engine, operator=True)
        await ProvisioningServiceStub(channel).ApplyProvisioning(ApplyProvisioningRequest(provisioning=ESTATE))

        launches, sessions = LaunchServiceStub(channel), SessionServiceStub(channel)
        launch = await launches.StartLaunch(StartLaunchRequest(pc_id="pc-1", external_ip=CAFE_IP))
        ott = (await launches.IssueOtt(IssueOttRequest(session_token=launch.session_token, game_id=GAME_ID))).ott

        session = await sessions.OpenSession(OpenSessionRequest(ott=ott, provider_user_id="player-1"))
        clock.advance(120)
        beat = HeartbeatRequest(game_session_id=session.game_session_id, provider_user_id="player-1")
        print(f"played {(await sessions.Heartbeat(beat)).play_duration_sec} s")
        clock.advance(30)
        ended = await sessions.EndSession(EndSessionRequest(game_session_id=session.game_session_id))
        print(f"ended after {ended.play_duration_sec} s, billed {ended.session.amount_micros / 1_000_000:g} GCOIN")
        return ended.play_duration_sec


if __name__ == "__main__":
    asyncio.run(main())
