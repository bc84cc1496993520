"""Registering games: every field, example and message of the document, as a form and as JSON, on every store.

What is refused before any store is asked is tested in memory alone.
"""

import json
from typing import Any, Final

import grpc.aio
import pytest
from playclock.blobs.memory import MemoryBlobs
from playclock.clock import ManualClock
from playclock.engine import Engine
from playclock.images.keeper import ImageKeeper
from playclock.rpc.inprocess import InProcessChannel
from playclock.rpc.server import Server as RpcServer
from playclock.v1 import ApplyProvisioningRequest, ProvisioningServiceStub
from playclock_http import make_app

from tests.playwave.server import Front, client_at, listening

from .callers import DEVELOPER, NOT_FOUND, RIVAL, SECRET, UNAUTHORIZED, bad_request, refused, signature
from .estate import ESTATE
from .studio import GAME, PNG, WEBP, Field, Studio, content_type, data_uri, form

UUID: Final = "660e8400-e29b-41d4-a716-446655440001"
WALLET: Final = "sol:9qdvVLY3vLhmvV7uBkLJsQKcHDjxhoUWJ9uZASYEfwwC"
ALL: Final[dict[str, Any]] = {
    "isHTMLGame": True,
    "iframable": True,
    "twitter": "https://twitter.com/mygame",
    "discord": "https://discord.gg/mygame",
    "telegram": "@mygame",
    "maxScorePerSession": 1000,
    "maxSessionsPerDay": 10,
    "maxCumulativePointsPerDay": 5000,
    "hidden": True,
    "jwksUrl": "https://mygame.com/jwks.json",
}
"""Every optional field, but for pictures and the split."""
NO_SPLIT: Final = (
    "Invalid request parameters: orgRewardsSplit: expected a JSON object of basis points from 0 on by at most 100 users"
)


def texts(said: dict[str, Any]) -> list[Field]:
    """Return fields as JavaScript's FormData makes texts of them."""
    return [(name, value if isinstance(value, str) else json.dumps(value), None) for name, value in said.items()]


async def test_the_documented_form_makes_a_game_that_everybody_finds(studio: Studio) -> None:
    made = await studio.registered()
    assert {name: made[name] for name in GAME} == GAME
    assert made["creatorId"] == DEVELOPER
    assert made["ownerId"] is None
    assert made["orgRewardsSplit"] == {DEVELOPER: 10_000}
    assert made["imageUrl"].startswith("/images/")
    assert await studio.picture(made["imageUrl"])
    await studio.settled()
    found = await studio.server.client().get(f"/games/{made['id']}")
    assert found.json()["imageUrl"] == made["imageUrl"]
    assert found.headers["etag"].strip('"').isdecimal()


async def test_every_field_in_a_form_and_in_json_means_the_same(studio: Studio) -> None:
    in_a_form = await studio.registered(*texts(ALL), ("coverImage", WEBP, "cover.webp"))
    pictures = {"base64Image": data_uri(PNG), "base64CoverImage": data_uri(WEBP, "webp")}
    in_json = await studio.developer.ask("POST", "/games", json=GAME | ALL | pictures)
    expected = GAME | ALL | {"isHtmlGame": True}
    del expected["isHTMLGame"]
    for made in (in_a_form, in_json):
        assert {name: made[name] for name in expected} == expected
    assert [in_a_form[name] for name in ("imageUrl", "coverImage")] == [in_json[name] for name in ("imageUrl", "coverImage")]
    assert in_a_form["id"] != in_json["id"]


async def test_a_signature_registers_one_game_however_often_it_comes(studio: Studio) -> None:
    signed = studio.developer.authorization("POST", "/games")
    sent = GAME | {"base64Image": data_uri(PNG)}
    made, again = [await studio.developer.ask("POST", "/games", json=sent, authorization=signed) for _ in range(2)]
    assert made == again
    other = await studio.developer.send("POST", "/games", json=sent | {"name": "Other"}, authorization=signed)
    assert refused(other) == {
        "statusCode": 409,
        "message": "The signature has been used for another request; sign each request anew",
        "error": "Conflict",
    }


class TestAsTheSdkSends:
    async def test_a_form_to_the_byte(self, studio: Studio) -> None:
        """Files twice, null as a text, objects as what JavaScript calls them, and fields that no document has."""
        body = form(
            [
                ("image", PNG, "image.png"),
                ("coverImage", WEBP, "cover.webp"),
                ("name", "My Game", None),
                ("gameCoinSymbol", "null", None),
                ("description", "Game description", None),
                ("gameUrl", "https://mygame.com", None),
                ("isHtmlGame", "true", None),
                ("iframable", "false", None),
                ("twitter", "null", None),
                ("platform", "web", None),
                ("maxScorePerSession", "null", None),
                ("maxSessionsPerDay", "10", None),
                ("hidden", "false", None),
                ("tokens", "", None),
                ("airdropConfig", "[object Object]", None),
                ("orgRewardsSplit", "[object Object]", None),
                ("tokenSplits", "[object Object]", None),
                ("image", "[object File]", None),
                ("coverImage", "[object File]", None),
            ]
        )
        answer = await studio.send(body)
        assert answer.status_code == 200, answer.text
        made = answer.json()
        assert (made["platform"], made["isHtmlGame"], made["iframable"], made["twitter"]) == ("WEB", True, False, None)
        assert (made["maxScorePerSession"], made["maxSessionsPerDay"], made["hidden"]) == (None, 10, False)
        assert made["coverImage"].endswith(".webp")
        assert made["orgRewardsSplit"] == {DEVELOPER: 10_000}

    async def test_what_says_nothing_is_missing(self, memory_studio: Studio) -> None:
        """A game called `undefined` is one that a script has no name of."""
        told = refused(await memory_studio.register(changed={"name": "undefined", "description": "null"}))
        assert told == bad_request(
            "Invalid request parameters: name: expected a string of 1 to 200 characters; "
            "description: expected a string of 1 to 4000 characters"
        )

    @pytest.mark.parametrize("text", ["null", "undefined", "[object Object]", "[object File]", "[object Blob]"])
    async def test_in_a_form_it_counts_as_not_given_and_in_json_as_what_it_is(self, memory_studio: Studio, text: str) -> None:
        assert (await memory_studio.registered(("jwksUrl", text, None)))["jwksUrl"] is None
        sent = GAME | {"base64Image": data_uri(PNG), "name": text}
        assert (await memory_studio.developer.ask("POST", "/games", json=sent))["name"] == text

    @pytest.mark.parametrize("platform", ["WEB", "desktop", "Mobile", "CONSOLE", "ios", "android", "steam", "itch", "epic"])
    async def test_platforms_of_all_sources(self, memory_studio: Studio, platform: str) -> None:
        assert (await memory_studio.registered(changed={"platform": platform}))["platform"] == platform.upper()

    async def test_the_documented_name_of_a_flag_counts_before_the_sdk_s(self, memory_studio: Studio) -> None:
        made = await memory_studio.registered(("isHtmlGame", "true", None), ("isHTMLGame", "false", None))
        assert made["isHtmlGame"] is False


class TestPictures:
    """Messages are the document's, to the letter."""

    async def test_no_image(self, studio: Studio) -> None:
        before = await studio.mine()
        assert refused(await studio.register(image=None)) == bad_request("No image provided")
        assert refused(await studio.register(("image", b"", "image.png"), image=None)) == bad_request("No image provided")
        assert refused(await studio.register(("image", b"", ""), image=None)) == bad_request("No image provided")
        assert refused(await studio.developer.send("POST", "/games", json=GAME)) == bad_request("No image provided")
        assert await studio.mine() == before

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("iVBORw0KGg", "Invalid base64 image format"),
            ("data:image/png,iVBORw0KGg", "Invalid base64 image format"),
            ("data:text/plain;base64,aGVsbG8=", "Invalid base64 image format"),
            (f"{data_uri(PNG)}=", "Invalid base64 image format"),
            ("data:image/bmp;base64,Qk0=", "Unsupported image format: bmp. Supported formats: jpeg, jpg, png, gif, webp"),
            (
                data_uri(bytes(5 * 1024 * 1024 + 1)),
                "Image file size exceeds 5MB limit. Please use a smaller image or the UPLOAD flow for larger files.",
            ),
        ],
        ids=["no-prefix", "no-separator", "no-image", "padding", "bmp", "large"],
    )
    async def test_base64_that_is_wrong(self, studio: Studio, text: str, message: str) -> None:
        before = await studio.mine()
        assert refused(await studio.register(("base64Image", text, None), image=None)) == bad_request(message)
        sent = GAME | {"base64Image": text}
        assert refused(await studio.developer.send("POST", "/games", json=sent)) == bad_request(message)
        assert await studio.mine() == before

    async def test_a_file_takes_precedence_whatever_stands_beside_it(self, studio: Studio) -> None:
        alone = await studio.registered()
        for text in (data_uri(WEBP, "webp"), "no image at all"):
            assert (await studio.registered(("base64Image", text, None)))["imageUrl"] == alone["imageUrl"]

    async def test_a_picture_is_the_same_in_every_way_that_it_comes(self, studio: Studio) -> None:
        as_file = (await studio.registered())["imageUrl"]
        answer = await studio.register(("base64Image", data_uri(PNG), None), image=None)
        in_json = await studio.developer.ask("POST", "/games", json=GAME | {"image": data_uri(PNG)})
        assert as_file == answer.json()["imageUrl"] == in_json["imageUrl"]

    async def test_a_cover_that_is_wrong_leaves_no_game(self, studio: Studio) -> None:
        before = await studio.mine()
        told = refused(await studio.register(("coverImage", b"BM no picture", "cover.bmp")))
        assert told == bad_request("Unsupported image format: bmp. Supported formats: jpeg, jpg, png, gif, webp")
        assert await studio.mine() == before


class TestSplit:
    """Examples and messages are the document's."""

    @pytest.mark.parametrize(
        ("split", "message"),
        [
            ({"user1": 6000, "user2": 3000}, "Total org rewards split must equal 10000 bps"),
            ({"user1": 6000, "user2": 5000}, "Total org rewards split exceeds 10000 bps"),
            ({"user1": 2**40}, "Total org rewards split exceeds 10000 bps"),
            ({"invalid-id": 10000}, "Unable to resolve playerId: invalid-id"),
            ({DEVELOPER: 10001, RIVAL: -1}, NO_SPLIT),
            ({f"x:player{number}": 100 for number in range(101)}, NO_SPLIT),
        ],
    )
    async def test_splits_that_are_wrong(self, studio: Studio, split: dict[str, int], message: str) -> None:
        before = await studio.mine()
        in_a_form = await studio.register(("orgRewardsSplit", json.dumps(split), None))
        assert refused(in_a_form) == bad_request(message)
        sent = GAME | {"base64Image": data_uri(PNG), "orgRewardsSplit": split}
        in_json = await studio.developer.send("POST", "/games", json=sent)
        assert refused(in_json) == refused(in_a_form)
        assert await studio.mine() == before

    @pytest.mark.parametrize("text", ["user1=10000", "[]", '{"a":5000,"a":5000}', "{" * 100, '{"a":"many"}', '{"a":0.5}'])
    async def test_what_is_no_split(self, memory_studio: Studio, text: str) -> None:
        assert refused(await memory_studio.register(("orgRewardsSplit", text, None))) == bad_request(NO_SPLIT)

    async def test_the_example_of_three_is_overridden_until_the_owner_is_proven(self, studio: Studio) -> None:
        split = {UUID: 3333, "did:privy:abc123def456": 3333, WALLET: 3334}
        made = await studio.registered(("orgRewardsSplit", json.dumps(split), None))
        assert made["orgRewardsSplit"] == {DEVELOPER: 10_000}
        assert (await studio.registered(("orgRewardsSplit", "{}", None)))["orgRewardsSplit"] == {DEVELOPER: 10_000}


class TestWho:
    async def test_strangers_and_signatures_of_others(self, studio: Studio) -> None:
        body = form([])
        client = studio.server.client()
        assert refused(await client.post("/games", content=body)) == UNAUTHORIZED
        assert refused(await client.post("/games", content=body, headers={"authorization": "Bearer x"})) == UNAUTHORIZED
        of_another_path = await studio.developer.send("POST", "/games", signed_path="/games/me", content=body)
        assert refused(of_another_path) == UNAUTHORIZED
        of_a_get = studio.developer.authorization("GET", "/games")
        assert refused(await studio.developer.send("POST", "/games", authorization=of_a_get, content=body)) == UNAUTHORIZED

    @pytest.mark.parametrize("path", ["/games/update/{}", "/games/{}"])
    async def test_only_its_developer_changes_a_game(self, studio: Studio, path: str) -> None:
        made = await studio.registered()
        address = path.format(made["id"])
        told = refused(await studio.rival.send("POST", address, json={"name": "Mine now"}))
        assert told == {
            "statusCode": 403,
            "message": "You do not have permission to perform this action",
            "error": "Forbidden",
        }
        unknown = path.format("00000000-0000-4000-8000-000000000000")
        assert refused(await studio.developer.send("POST", unknown, json={"name": "Mine"})) == NOT_FOUND
        wrong = await studio.developer.send("POST", address, signed_path="/games", json={"name": "Mine"})
        assert refused(wrong) == UNAUTHORIZED


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"platform": "TOASTER"}, "platform: expected one of "),
        ({"gameUrl": "mygame"}, "gameUrl: expected an http or https URL of at most 2048 characters"),
        ({"name": "x" * 201}, "name: expected a string of 1 to 200 characters"),
        ({"maxScorePerSession": "-1"}, "maxScorePerSession: expected a whole number from 0 to 9007199254740992, or null"),
        ({"maxScorePerSession": "9" * 40}, "maxScorePerSession: expected a whole number from 0 to 9007199254740992, or null"),
        ({"maxSessionsPerDay": "ten"}, "maxSessionsPerDay: expected a whole number from 0 to 9007199254740992, or null"),
        ({"hidden": "maybe"}, "hidden: expected true or false"),
        ({"jwksUrl": "file:///etc/passwd"}, "jwksUrl: expected an http or https URL of at most 2048 characters"),
        ({"description": "x" * 20_000}, "description: longer than 16384 bytes"),
    ],
)
async def test_a_field_that_is_wrong_is_named(memory_studio: Studio, changed: dict[str, str], problem: str) -> None:
    before = await memory_studio.mine()
    told = refused(await memory_studio.register(changed=changed))
    assert told["message"].startswith(f"Invalid request parameters: {problem}")
    assert told["statusCode"] == 400
    assert await memory_studio.mine() == before


async def test_a_facade_in_another_process_sends_pictures_on(memory_studio: Studio) -> None:
    """Over a real channel, as a facade has that is not in the engine's process."""
    token = "operator-token-of-a-facade"
    keeper, front = ImageKeeper(MemoryBlobs()), Front()
    clock = memory_studio.server.clock
    async with Engine(operator_tokens=[token], images=keeper, clock=clock, background=False) as engine:
        served = await RpcServer.start(engine)
        async with grpc.aio.insecure_channel(served.address) as channel, listening(front) as url:
            front.apps.append(make_app(channel, engine_token=token))
            provisioning = ApplyProvisioningRequest(provisioning=ESTATE)
            await ProvisioningServiceStub(InProcessChannel(engine, operator=True)).ApplyProvisioning(provisioning)
            body = form([*texts(GAME), ("image", PNG, "image.png"), ("base64CoverImage", data_uri(WEBP, "webp"), None)])
            async with client_at(url) as client:
                headers = content_type() | {"authorization": memory_studio.developer.authorization("POST", "/games")}
                answer = await client.post("/games", content=body, headers=headers)
                assert answer.status_code == 200, answer.text
                shown = await client.get(answer.json()["coverImage"])
                assert shown.headers["content-type"] == "image/webp"
                large = form([*texts(GAME), ("image", PNG + bytes(11 * 1024 * 1024), "image.png")])
                headers = content_type() | {"authorization": memory_studio.developer.authorization("POST", "/games")}
                told = refused(await client.post("/games", content=large, headers=headers))
                assert told == bad_request("Image file size exceeds 10MB limit. Please use a smaller image.")
        await served.drain(0)
    await keeper.close()


async def test_a_server_that_keeps_no_pictures_says_that_it_is_not_the_sender_s_fault() -> None:
    front, clock = Front(), ManualClock()
    async with Engine(clock=clock, background=False) as engine, listening(front) as url:
        channel = InProcessChannel(engine, operator=True)
        await ProvisioningServiceStub(channel).ApplyProvisioning(ApplyProvisioningRequest(provisioning=ESTATE))
        front.apps.append(make_app(InProcessChannel(engine)))
        timestamp = clock.now_ms()
        signed = (
            f"HMAC-SHA256 apiKey={DEVELOPER}, signature={signature(SECRET, 'POST', '/games', timestamp)}, timestamp={timestamp}"
        )
        async with client_at(url) as client:
            sent = GAME | {"base64Image": data_uri(PNG)}
            told = refused(await client.post("/games", json=sent, headers={"authorization": signed}))
    assert told == {"statusCode": 503, "message": "Service Unavailable", "error": "Service Unavailable"}
