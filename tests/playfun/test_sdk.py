"""play.fun's published server SDK, unchanged, against a server of ours: every call that it has."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio

from tests.images import files

from . import sdk
from .callers import DEVELOPER, SECRET
from .studio import PNG, Studio

CALLS: Final = Path(__file__).parent / "sdk_calls.mjs"
COVER: Final = files.encoded(files.picture(size=(64, 16)), "PNG")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def known(memory_studio: Studio) -> str:
    """Register a game, whose id the SDK is given."""
    game_id: str = (await memory_studio.registered())["id"]
    return game_id


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def told(memory_studio: Studio, known: str) -> dict[str, Any]:
    """Return what came of each call of the SDK."""
    session = await memory_studio.developer.ask("GET", f"/play/session-token?gameId={known}&playerId=did:privy:ann")
    # What is signed for the SDK is signed at the server's time, and must not be what was signed here.
    memory_studio.server.clock.advance(60)
    module = await asyncio.to_thread(sdk.module)
    pictures = [base64.b64encode(picture).decode() for picture in (PNG, COVER)]
    arguments = (module.as_uri(), memory_studio.server.url, DEVELOPER, SECRET, *pictures, known, session["token"])
    process = await asyncio.create_subprocess_exec(
        sdk.NODE, CALLS, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        printed, complaints = await process.communicate()
    assert (process.returncode, complaints) == (0, b"")
    found: dict[str, Any] = json.loads(printed)
    return found


async def test_it_registers_with_files_and_in_base64(memory_studio: Studio, told: dict[str, Any]) -> None:
    made, in_base64 = told["registered"], told["inBase64"]
    expected = {"name": "Game of the SDK", "platform": "WEB", "isHtmlGame": True, "iframable": False, "twitter": None}
    expected |= {"maxScorePerSession": None, "maxSessionsPerDay": 10, "creatorId": DEVELOPER}
    for game in (made, in_base64):
        assert {name: game[name] for name in expected} == expected
    assert made["imageUrl"] == in_base64["imageUrl"] != made["coverImage"]
    assert in_base64["coverImage"] is None
    assert told["createdAtIsDate"] is True
    assert await memory_studio.picture(made["coverImage"])


def test_it_hears_of_a_refusal_as_the_server_said_it(told: dict[str, Any]) -> None:
    refusal = told["withoutImage"]
    assert refusal["status"] == 400
    assert json.loads(refusal["message"]) == {"statusCode": 400, "message": "No image provided", "error": "Bad Request"}
    assert told["byTokenId"]["status"] == 404


def test_it_updates_and_finds_games(told: dict[str, Any], known: str) -> None:
    updated = told["updated"]
    changes = {"platform": "IOS", "description": "New", "coverImage": None, "maxSessionsPerDay": None}
    assert updated == told["registered"] | changes | {"updatedAt": updated["updatedAt"]}
    assert told["byId"]["description"] == "New"
    assert [game["id"] for game in told["byIds"]] == [updated["id"], known]
    assert told["byTokenIds"] == {"TokenMint123": {"games": [], "total": 0}}


def test_it_saves_and_reads_points(told: dict[str, Any]) -> None:
    assert told["saved"]["savedCount"] == 1
    assert told["savedBatch"]["savedCount"] == 2
    ids = told["savedBatch"]["playerIdToOgpId"]
    assert sorted(ids) == ["did:privy:ann", "did:privy:ben"]  # an object, so in any order
    (points,) = told["points"]["points"]
    assert (points["playerId"], points["points"]) == ("did:privy:ann", "25")
    leaders = [(leader["playerId"], leader["points"]) for leader in told["leaderboard"]]
    assert leaders == [(ids["did:privy:ann"], "25"), (ids["did:privy:ben"], "7")]


def test_it_knows_players_by_their_tokens_and_its_own_user(told: dict[str, Any], known: str) -> None:
    good = told["goodToken"]
    assert (good["valid"], good["playerId"], good["gameId"]) == (True, "did:privy:ann", known)
    assert told["badToken"] == {"valid": False}
    assert told["me"] == told["user"] == {"id": DEVELOPER}
    assert json.loads(told["otherUser"]["message"]) == {"statusCode": 404, "message": "User not found", "error": "Not Found"}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("list", "Only GET requests are supported for paginated fetches"),
        ("mine", "Only GET requests are supported for paginated fetches"),
        ("claimed", "Not implemented"),
    ],
)
def test_what_it_refuses_itself_never_reaches_a_server(told: dict[str, Any], call: str, message: str) -> None:
    assert told[call] == {"status": None, "message": message}
