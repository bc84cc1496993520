"""Runs a session engine inside a program without an event loop: it has a thread of its own, and calls wait."""

import playclock
from playclock.testing import CAFE_IP, ESTATE, GAME_ID
from playclock.v1 import (
    ApplyProvisioningRequest,
    IssueOttRequest,
    LaunchServiceStub,
    OpenSessionRequest,
    ProvisioningServiceStub,
    SessionServiceStub,
    StartLaunchRequest,
)


def main() -> bool:
    with playclock.BlockingEngine() as engine:
        channel = engine.channel(operator=True)
        ProvisioningServiceStub(channel).ApplyProvisioning(ApplyProvisioningRequest(provisioning=ESTATE))
        launches, sessions = LaunchServiceStub(channel), SessionServiceStub(channel)
        launch = launches.StartLaunch(StartLaunchRequest(pc_id="pc-1", external_ip=CAFE_IP))
        ott = launches.IssueOtt(IssueOttRequest(session_token=launch.session_token, game_id=GAME_ID)).ott
        first = sessions.OpenSession(OpenSessionRequest(ott=ott, provider_user_id="player-1"))
        second = sessions.OpenSession(OpenSessionRequest(ott=ott, provider_user_id="player-2"))
        print(f"first: {first.is_valid}, second: {second.is_valid}")
        return first.is_valid and not second.is_valid


if __name__ == "__main__":
    main()
