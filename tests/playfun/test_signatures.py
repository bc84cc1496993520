"""Who is let in, and by what; and POST /user/hmac-signature."""

import itertools
from typing import Final

import pytest

from tests.playwave.conftest import ServerMaker
from tests.playwave.server import Server

from .callers import DEVELOPER, RIVAL, SECRET, TOO_MANY, UNAUTHORIZED, Developer, bad_request, refused
from .estate import ESTATE, GAME, add_games

HELPER: Final = "/user/hmac-signature"


def order(**changes: object) -> dict[str, object]:
    """Return the document's example with this server's key; None leaves a field out."""
    whole = {"secretKey": SECRET, "method": "GET", "path": "/user/me", "apiKey": DEVELOPER} | changes
    return {name: value for name, value in whole.items() if value is not None}


class TestAuthorization:
    @pytest.mark.parametrize("between", [", ", ",", " "])
    @pytest.mark.parametrize("unit_ms", [1, 1000])
    async def test_commas_or_spaces_milliseconds_or_seconds(self, developer: Developer, between: str, unit_ms: int) -> None:
        at = developer.server.clock.now_ms() // unit_ms
        signed = developer.authorization("GET", "/user/me", timestamp=at, between=between)
        assert await developer.ask("GET", "/user/me", authorization=signed) == {"id": DEVELOPER}

    async def test_the_header_x_auth_provider_may_be_left_out(self, developer: Developer) -> None:
        signed = developer.authorization("GET", "/user/me")
        answer = await developer.server.client().get("/user/me", headers={"Authorization": signed})
        assert answer.json() == {"id": DEVELOPER}

    async def test_the_query_is_not_signed(self, developer: Developer) -> None:
        assert await developer.ask("GET", "/user/me?limit=10") == {"id": DEVELOPER}

    async def test_whoever_cannot_prove_who_he_is_is_told_nothing_else(self, developer: Developer) -> None:
        now_ms = developer.server.clock.now_ms()
        right = developer.authorization("GET", "/user/me")
        wrong = [
            right.replace("signature=", "signature=0", 1)[:-1],
            developer.authorization("POST", "/user/me"),
            developer.authorization("GET", "/games/me"),
            developer.authorization("GET", "/user/me", timestamp=now_ms - 301_000),
            developer.authorization("GET", "/user/me", timestamp=now_ms + 301_000),
            Developer(developer.server, DEVELOPER, "wrong").authorization("GET", "/user/me"),
            Developer(developer.server, "770e8400-e29b-41d4-a716-446655440002", SECRET).authorization("GET", "/user/me"),
            right.replace("HMAC-SHA256", "Bearer"),
            right.replace("apiKey", "api_key"),
            "HMAC-SHA256 " + "x" * 5000,
            "x",
        ]
        for authorization in wrong:
            assert refused(await developer.send("GET", "/user/me", authorization=authorization)) == UNAUTHORIZED
        assert refused(await developer.server.client().get("/user/me")) == UNAUTHORIZED
        twice = [("Authorization", right), ("Authorization", right)]
        assert refused(await developer.server.client().get("/user/me", headers=twice)) == UNAUTHORIZED
        assert await developer.ask("GET", "/user/me", authorization=right) == {"id": DEVELOPER}


class TestRepeats:
    """What a signature is worth that comes again: to readers always the present, to writers the first answer."""

    async def test_a_read_is_answered_anew_however_often_its_signature_comes(self, developer: Developer) -> None:
        await add_games(developer.server)
        path = f"/play/dev/points/{GAME}/{RIVAL}"
        signed = developer.authorization("GET", path)
        for number in range(1, 4):
            body = {"gameApiKey": GAME, "points": [{"playerId": RIVAL, "points": 1}]}
            await developer.ask("POST", "/play/dev/batch-save-points", json=body)
            told = await developer.ask("GET", path, authorization=signed)
            assert told["points"][0]["points"] == str(number)
            developer.server.clock.advance(1)
        other = await developer.send("GET", f"{path}?whatever=else", authorization=signed)
        assert other.status_code == 200, "the query is not signed, and nothing of a read is remembered"

    async def test_two_processes_that_sign_the_same_in_one_millisecond_are_one_request(self, developer: Developer) -> None:
        await add_games(developer.server)
        save = "/play/dev/batch-save-points"
        at = developer.server.clock.now_ms()
        first, second = (developer.authorization("POST", save, timestamp=at) for _ in range(2))
        assert first == second
        body = {"gameApiKey": GAME, "points": [{"playerId": RIVAL, "points": 5}]}
        answers = [await developer.ask("POST", save, authorization=each, json=body) for each in (first, second)]
        assert answers[0] == answers[1]
        other = await developer.send(
            "POST", save, authorization=second, json=body | {"points": [{"playerId": RIVAL, "points": 6}]}
        )
        assert refused(other)["statusCode"] == 409
        developer.server.clock.advance(1)
        await developer.ask("POST", save, authorization=developer.authorization("POST", save, timestamp=at + 1), json=body)
        told = await developer.ask("GET", f"/play/dev/points/{GAME}/{RIVAL}")
        assert told["points"][0]["points"] == "10"


class TestHmacSignature:
    @pytest.mark.parametrize("spelling", ["secretKey", "apiSecret"])
    async def test_what_it_answers_signs_a_request(self, server: Server, spelling: str) -> None:
        body = order(**{"secretKey": None, spelling: SECRET})
        answer = await server.client().post(HELPER, json=body)
        assert answer.status_code == 200
        assert list(answer.json()) == ["data"]
        signed = answer.json()["data"]["signature"]
        scheme, *fields = signed.split(" ")
        assert scheme == "HMAC-SHA256"
        assert [field.partition("=")[0] for field in fields] == ["apiKey", "signature", "timestamp"]
        assert (await server.client().get("/user/me", headers={"Authorization": signed})).json() == {"id": DEVELOPER}

    async def test_no_two_signatures_are_the_same(self, server: Server) -> None:
        facades = len(server.engines)  # which take turns, and know nothing of each other's
        signed = [(await server.client().post(HELPER, json=order())).json()["data"]["signature"] for _ in range(3 * facades)]
        assert len(set(signed[::facades])) == 3

    async def test_it_checks_the_secret_and_never_repeats_it(self, server: Server) -> None:
        for wrong in (
            order(secretKey="guessed"),
            order(apiKey=RIVAL),
            order(apiKey="somebody"),
            order(apiKey=f"{DEVELOPER} signature=00"),
        ):
            answer = await server.client().post(HELPER, json=wrong)
            assert refused(answer) == UNAUTHORIZED
            assert str(wrong["secretKey"]) not in answer.text

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"secretKey": None}, "secretKey: is required"),
            ({"secretKey": ""}, "secretKey: expected a string of 1 to 1024 characters"),
            ({"apiSecret": 1}, "apiSecret: expected a string of 1 to 1024 characters"),
            ({"method": "G T"}, "method: expected an HTTP method: 1 to 16 letters"),
            (
                {"path": "/games?limit=1"},
                "path: expected visible ASCII of at most 2048 characters, from '/' on, without query and fragment",
            ),
            ({"apiKey": None}, "apiKey: expected a string of 1 to 64 characters"),
        ],
    )
    async def test_a_field_that_is_wrong_is_named(self, server: Server, changes: dict[str, object], problem: str) -> None:
        answer = await server.client().post(HELPER, json=order(**changes))
        assert refused(answer) == bad_request(f"Invalid request parameters: {problem}")

    async def test_what_is_no_json_is_refused(self, server: Server) -> None:
        answer = await server.client().post(HELPER, content=b"secretKey=x")
        assert refused(answer) == bad_request("Invalid request parameters: body: not JSON at character 0")

    async def test_it_is_rate_limited_and_guesses_are_too(self, make_server: ServerMaker) -> None:
        server = await make_server()
        await server.provision(ESTATE)
        quota = 60 * len(server.engines)  # replicas that no background lets tell each other
        secrets = itertools.cycle([SECRET, "guessed"])
        answers = [await server.client("127.0.0.2").post(HELPER, json=order(secretKey=next(secrets))) for _ in range(quota + 2)]
        assert [answer.status_code for answer in answers].count(429) == 2
        assert refused(answers[-1]) == TOO_MANY
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
        assert answers[0].headers["ratelimit-policy"] == '"playfun_per_address";q=60;w=60'
        assert (await server.client("127.0.0.3").post(HELPER, json=order())).status_code == 200


class TestElsewhere:
    @pytest.mark.parametrize("path", ["/user", "/user/hmac-signature/", "/games/a/b/c", "/play/dev"])
    async def test_a_path_that_nobody_serves_is_refused_in_the_envelope(self, server: Server, path: str) -> None:
        answer = await server.client().get(path)
        assert refused(answer) == {"statusCode": 404, "message": "no such path", "error": "Not Found"}

    async def test_another_method_is_told_which_there_are(self, server: Server) -> None:
        answer = await server.client().delete(HELPER)
        assert refused(answer) == {"statusCode": 405, "message": "this path takes POST", "error": "Method Not Allowed"}
        assert answer.headers["allow"] == "POST"
