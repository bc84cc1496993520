"""`serve` tells a game's server of a match: verified by its own libraries, with keys from our realm, at the real time."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
import pytest
from playclock.v1.match_service_pb2 import (
    CancelMatchRequest,
    CreateMatchRequest,
    GetMatchRequest,
    JoinMatchRequest,
    Match,
    MatchTerms,
    StartMatchRequest,
)
from playclock.v1.match_service_pb2_grpc import MatchServiceStub

from tests.deliveries.conftest import SECRET, GameServer, eventually

if TYPE_CHECKING:
    from tests.cli.conftest import Start

OPERATOR: Final = (("authorization", "Bearer dev-operator-token"),)
GAME: Final = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
ESTATE: Final = """\
[[game]]
id = "{game}"
name = "Champagne Party"
[[match_client]]
client_id = "told-game"
client_secret = "{secret}"
game = "{game}"
match_info_url = "{url}"
"""


@pytest.fixture
def game_server() -> Iterator[GameServer]:
    process = GameServer()
    yield process
    process.kill()


def test_a_served_match_goes_live_and_is_called_off(start: "Start", game_server: GameServer, tmp_path: Path) -> None:
    (tmp_path / "estate.toml").write_text(ESTATE.format(game=GAME, secret=SECRET, url=game_server.url))
    ports = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0")
    process = start(
        *("serve", "--store", f"sqlite:///{tmp_path / 'playclock.db'}", *ports, "--provision", str(tmp_path / "estate.toml")),
        PLAYCLOCK_SECURITY_OPERATOR_TOKENS="dev-operator-token",
        PLAYCLOCK_SECURITY_OUTGOING_NETWORKS="127.0.0.1/32",
    )
    served = process.ready()
    game_server.trust(f"http://{served['http']}/auth/realms/letsbet/protocol/openid-connect/certs", SECRET)
    with grpc.insecure_channel(served["grpc"]) as channel:
        matches = MatchServiceStub(channel)
        terms = MatchTerms(client_id="told-game", synchronous=True, join_sec=60, play_sec=60)
        match = matches.CreateMatch(CreateMatchRequest(terms=terms), metadata=OPERATOR, timeout=10).match
        for number in range(2):
            user_id = f"0000000{number}-0000-4000-8000-000000000000"
            matches.JoinMatch(JoinMatchRequest(match_id=match.match_id, user_id=user_id), metadata=OPERATOR, timeout=10)
        match = matches.StartMatch(StartMatchRequest(match_id=match.match_id), metadata=OPERATOR, timeout=10).match

        def begun() -> Match | None:
            found = matches.GetMatch(GetMatchRequest(match_id=match.match_id), metadata=OPERATOR, timeout=10).match
            return None if found.state == Match.STATE_STARTING else found

        assert eventually(begun).state == Match.STATE_LIVE
        matches.CancelMatch(CancelMatchRequest(match_id=match.match_id), metadata=OPERATOR, timeout=10)

    assert eventually(lambda: game_server.seen_of(match.match_id)[1:])[0]["method"] == "DELETE"
    assert game_server.forgeries() == []
