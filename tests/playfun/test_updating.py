"""Changing games: what is left out stays, two at once lose nothing, and versions keep others' changes."""

import asyncio
import json
from typing import Any, Final

import pytest

from .callers import DEVELOPER, bad_request, refused
from .studio import PNG, WEBP, Studio, data_uri, form

CHANGED: Final = {
    "statusCode": 409,
    "message": "The game has been changed in the meantime",
    "error": "Conflict",
}
PATHS: Final = ["/games/update/{}", "/games/{}"]


async def current(studio: Studio, game_id: str) -> dict[str, Any]:
    """Return the game as its developer sees it."""
    (game,) = [game for game in await studio.mine() if game["id"] == game_id]
    return game


@pytest.mark.parametrize("path", PATHS)
async def test_the_documented_form_changes_what_it_names(studio: Studio, path: str) -> None:
    made = await studio.registered(("twitter", "@mygame", None), ("maxSessionsPerDay", "5", None))
    said = {"name": "Better Game", "description": "More fun", "gameUrl": "https://mygame.com", "platform": "MOBILE"}
    body = form([*((name, text, None) for name, text in said.items()), ("image", WEBP, "new.webp")])
    answer = await studio.send(body, path.format(made["id"]))
    assert answer.status_code == 200, answer.text
    changed = answer.json()
    assert {name: changed[name] for name in said} == said
    assert (changed["twitter"], changed["maxSessionsPerDay"]) == ("@mygame", 5)
    assert changed["imageUrl"] != made["imageUrl"]
    assert await current(studio, made["id"]) == changed


@pytest.mark.parametrize("path", PATHS)
async def test_fields_that_are_left_out_or_null_stay(studio: Studio, path: str) -> None:
    made = await studio.registered(("telegram", "@mygame", None), ("coverImage", WEBP, "c.webp"))
    said: dict[str, object] = {
        "name": "Other",
        "telegram": None,
        "base64Image": None,
        "orgRewardsSplit": None,
        "image": {},
        "unknown": [1],
    }
    changed = await studio.developer.ask("POST", path.format(made["id"]), json=said)
    assert changed == made | {"name": "Other", "updatedAt": changed["updatedAt"]}
    texts = form([("name", "undefined", None), ("telegram", "null", None), ("maxSessionsPerDay", "", None)])
    answer = await studio.send(texts, path.format(made["id"]))
    assert answer.json() == changed


async def test_what_an_update_takes_away(studio: Studio) -> None:
    made = await studio.registered(
        ("twitter", "@mygame", None), ("coverImage", WEBP, "c.webp"), ("maxSessionsPerDay", "5", None)
    )
    said = {"twitter": "", "removeCoverImage": True, "maxSessionsPerDay": None}
    changed = (await studio.change(made["id"], said)).json()
    assert (changed["twitter"], changed["coverImage"], changed["maxSessionsPerDay"]) == (None, None, None)
    told = refused(await studio.change(made["id"], {"name": ""}))
    assert told == bad_request("Invalid request parameters: name: expected a string of 1 to 200 characters")


async def test_an_answer_that_is_sent_back_changes_nothing(studio: Studio) -> None:
    """Whoever reads a game, changes one field and sends all of it, has addresses where pictures would be."""
    made = await studio.registered(("coverImage", WEBP, "c.webp"))
    answer = await studio.change(made["id"], made)
    assert answer.json() == made


async def test_pictures_in_an_update_keep_the_document_s_rules(studio: Studio) -> None:
    made = await studio.registered()
    told = refused(await studio.change(made["id"], {"base64Image": "no image"}))
    assert told == bad_request("Invalid base64 image format")
    both = form([("base64CoverImage", data_uri(PNG), None), ("coverImage", WEBP, "c.webp")])
    changed = (await studio.send(both, f"/games/update/{made['id']}")).json()
    assert changed["coverImage"].endswith(".webp")
    assert changed["imageUrl"] == made["imageUrl"]


class TestVersions:
    async def test_an_update_of_an_old_version_is_refused_and_changes_nothing(self, studio: Studio) -> None:
        made = await studio.registered()
        await studio.settled()
        found = await studio.server.client().get(f"/games/{made['id']}")
        old = found.headers["etag"]
        first = await studio.change(made["id"], {"name": "First"}, if_match=old)
        assert first.status_code == 200
        assert first.headers["etag"] != old
        late = await studio.change(made["id"], {"description": "Late"}, if_match=old)
        assert refused(late) == CHANGED
        assert await current(studio, made["id"]) == first.json()
        for version in (first.headers["etag"], "*"):
            assert (await studio.change(made["id"], {"name": version}, if_match=version)).status_code == 200

    async def test_a_registration_tells_the_version(self, studio: Studio) -> None:
        answer = await studio.register()
        etag = answer.headers["etag"]
        assert (await studio.change(answer.json()["id"], {"name": "First"}, if_match=etag)).status_code == 200

    async def test_hiding_a_game_tells_its_new_version(self, studio: Studio) -> None:
        made = await studio.register()
        game_id = made.json()["id"]
        hidden = await studio.developer.send("POST", f"/games/toggle-visibility/{game_id}")
        late = await studio.change(game_id, {"name": "Late"}, if_match=made.headers["etag"])
        assert refused(late) == CHANGED
        assert (await studio.change(game_id, {"name": "New"}, if_match=hidden.headers["etag"])).status_code == 200

    @pytest.mark.parametrize("etag", ["1", 'W/"1"', '"0"', '"one"', '"1", "2"', "", '"' + "9" * 30 + '"'])
    async def test_what_is_no_version_is_refused(self, studio: Studio, etag: str) -> None:
        made = await studio.registered()
        told = refused(await studio.change(made["id"], {"name": "Other"}, if_match=etag))
        problem = "If-Match: expected one ETag, as an answer has told it, or *"
        assert told == bad_request(f"Invalid request parameters: {problem}")

    async def test_of_two_updates_of_a_version_at_once_one_wins_and_the_other_hears_it(self, studio: Studio) -> None:
        made = await studio.register()
        game_id, etag = made.json()["id"], made.headers["etag"]
        await studio.settled()
        answers = await asyncio.gather(
            *(studio.change(game_id, {"name": f"Name {number}"}, if_match=etag) for number in range(6))
        )
        assert sorted(answer.status_code for answer in answers) == [200, *[409] * 5]
        (won,) = [answer.json()["name"] for answer in answers if answer.status_code == 200]
        assert (await current(studio, game_id))["name"] == won

    async def test_updates_of_different_fields_at_once_lose_nothing(self, studio: Studio) -> None:
        made = await studio.registered()
        said: dict[str, Any] = {
            "name": "Other",
            "description": "Others",
            "twitter": "@others",
            "maxSessionsPerDay": 7,
            "iframable": True,
            "base64CoverImage": data_uri(WEBP, "webp"),
        }
        answers = await asyncio.gather(*(studio.change(made["id"], {name: value}) for name, value in said.items()))
        assert {answer.status_code for answer in answers} == {200}
        game = await current(studio, made["id"])
        assert game["coverImage"].endswith(".webp")
        del said["base64CoverImage"]
        assert {name: game[name] for name in said} == said


async def test_a_split_names_users_in_every_documented_form_and_who_is_named_twice_gets_both_parts(studio: Studio) -> None:
    made = await studio.registered()
    await studio.prove(made["id"])
    wallet, account = "9qdvVLY3vLhmvV7uBkLJsQKcHDjxhoUWJ9uZASYEfwwC", "0x" + "aB" * 20
    twice = {
        "sol": [f"sol:{wallet}", f"solana:{wallet}"],
        "eth": [f"eth:{account}", f"ethereum:{account.lower()}"],
        "mail": ["email:User@example.com", "email:user@example.com"],
        "handle": ["twitter:Username", "x:@username"],
    }
    split = {"did:privy:abc123": 1000, DEVELOPER: 1000} | {name: 1000 for names in twice.values() for name in names}
    held = (await studio.change(made["id"], {"orgRewardsSplit": split})).json()["orgRewardsSplit"]
    assert sorted(held.values()) == [1000, 1000, 2000, 2000, 2000, 2000]
    assert held[DEVELOPER] == 1000
    for wrong, message in (
        ({DEVELOPER: 9999}, "Total org rewards split must equal 10000 bps"),
        ({DEVELOPER: 10_001}, "Total org rewards split exceeds 10000 bps"),
        ({DEVELOPER: 0}, "Total org rewards split must equal 10000 bps"),
        ({"invalid-id": 10_000}, "Unable to resolve playerId: invalid-id"),
        ({made["id"]: 10_000}, f"Unable to resolve playerId: {made['id']}"),
    ):
        told = await studio.change(made["id"], {"name": "Half", "orgRewardsSplit": wrong})
        assert refused(told) == bad_request(message)
    assert await current(studio, made["id"]) == made | {
        "orgRewardsSplit": held,
        "ownerId": DEVELOPER,
        "ownershipValidated": True,
        "updatedAt": (await current(studio, made["id"]))["updatedAt"],
    }
    emptied = (await studio.change(made["id"], {"orgRewardsSplit": {}})).json()
    assert emptied["orgRewardsSplit"] == {DEVELOPER: 10_000}


async def test_a_split_is_overridden_until_the_owner_is_proven_and_goes_with_the_proof(studio: Studio) -> None:
    made = await studio.registered()
    split = {DEVELOPER: 4000, "email:artist@example.com": 6000}
    overridden = (await studio.change(made["id"], {"orgRewardsSplit": split})).json()
    assert overridden["orgRewardsSplit"] == {DEVELOPER: 10_000}
    await studio.prove(made["id"])
    answer = await studio.send(form([("orgRewardsSplit", json.dumps(split), None)]), f"/games/update/{made['id']}")
    held = answer.json()["orgRewardsSplit"]
    assert (held[DEVELOPER], sum(held.values()), len(held)) == (4000, 10_000, 2)
    moved = (await studio.change(made["id"], {"gameUrl": "https://elsewhere.example.com"})).json()
    assert (moved["ownershipValidated"], moved["orgRewardsSplit"]) == (False, {DEVELOPER: 10_000})
