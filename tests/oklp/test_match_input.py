"""What match clients and strangers may send that is wrong: always an error of the dialect, and a match that is as it was."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playclock.v1 import Match

from tests.openid import bent, forgeries, read
from tests.playwave.server import Front, Server

from .arena import ESTATE, ROOTS, Arena, error_of, participants, teams, user

MATCH: Final = "600f369851f450dd3ecb0035"
MISSING: Final = object()
WHOLE: Final[dict[str, Any]] = {"match_id": MATCH, "participants": participants(1, 2), "teams": teams((1, 1), (2, 2))}
BAD_INTEGERS: Final = [None, True, "1", 1.5, [], {}, MISSING]
INVALID: Final = (400, "invalid_request")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shared(front: tuple[Front, str]) -> AsyncIterator[Arena]:
    """Serve all tests of this file: no store sees any of what they send, but for matches of their own."""
    server = Server(*front, "memory://")
    await server.start()
    await server.provision()
    await server.provision(ESTATE)
    yield Arena(server)
    await server.close()


@pytest.fixture
def arena(shared: Arena) -> Arena:
    """Return it a minute later, when guesses are forgotten."""
    shared.server.clock.advance(60)
    return shared


def changed(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """Return a whole report with one thing in it changed, or left out."""
    body: dict[str, Any] = json.loads(json.dumps(WHOLE))
    at: Any = body
    for step in path[:-1]:
        at = at[step]
    if value is MISSING:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return body


def named(path: tuple[str | int, ...], value: object) -> str:
    """Return what the sentence calls the thing that is wrong: of an object with nothing in it, its id."""
    first, *rest = [*path, 0, "id"] if value == [{}] else path
    return f"{first}[{rest[0]}].{rest[1]}" if rest else f"{first}"


class TestFields:
    @pytest.mark.parametrize(
        ("path", "values"),
        [
            (("match_id",), [None, 1, "", "x", MATCH.upper(), MATCH[1:], f"{MATCH}0", f"{MATCH}\n", [MATCH], MISSING]),
            (("participants",), [None, {}, "x", [None], [1], [[]], [{}], participants(*range(129)), MISSING]),
            (("participants", 0, "id"), [None, 1, "", "x" * 129, [], MISSING]),
            (("participants", 0, "score"), [*BAD_INTEGERS, 2**63, -(2**63) - 1, 2**64]),
            (("teams",), [None, {}, "x", [None], [1], [[]], [{}], teams(*[(1, 1)] * 129)]),
            (("teams", 1, "id"), [None, 1, "", "x" * 129, [], MISSING]),
            (("teams", 1, "score"), [*BAD_INTEGERS, 2**63, -(2**63) - 1]),
            (("teams", 1, "ranking"), [*BAD_INTEGERS, -1, 1_000_001, 2**63]),
            (("teams", 1, "forfeit"), [None, 0, 1, "true", []]),
        ],
        ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
    )
    async def test_each_field_of_a_result_is_named_and_no_value_is_echoed(
        self, arena: Arena, path: tuple[str | int, ...], values: list[object]
    ) -> None:
        for value in values:
            response = await arena.finish(changed(path, value))
            assert error_of(response) == INVALID, value
            told = response.json()["error_description"]
            is_no_number = isinstance(value, int) and not -(2**63) <= value < 2**64
            assert told.startswith("body: " if is_no_number else f"{named(path, value)}: expected "), (value, told)

    async def test_so_is_the_token(self, arena: Arena) -> None:
        for token in (None, 1, "", "x" * 513, [], {}, MISSING):
            response = await arena.post("token-info", {} if token is MISSING else {"token": token})
            assert error_of(response) == INVALID
            assert response.json()["error_description"] == "token: expected a string of 1 to 512 characters"

    async def test_what_is_no_match_token_is_not_there(self, arena: Arena) -> None:
        for token in ("x", "match_", "match_" + "A" * 200, "\x00", "🎮", "../..", "x" * 512):
            assert error_of(await arena.token_info(token)) == (404, "match_token_not_found")

    async def test_what_is_no_object_in_json_is_refused(self, arena: Arena) -> None:
        twice, surrogate = b'{"token":"a","token":"a"}', b'{"token":"\\ud800"}'
        for body in (b"", b"null", b"[]", b'"x"', b"{", b"\xff", b"[" * 40_000, b" " * 70_000, twice, surrogate):
            for call in ("token-info", "finish"):
                response = await arena.post(call, body, Content_Type="application/json")
                assert error_of(response) == INVALID
                assert response.json()["error_description"].startswith("body: ")

    async def test_a_compressed_body_is_refused(self, arena: Arena) -> None:
        response = await arena.post("finish", WHOLE, Content_Encoding="gzip")
        assert error_of(response) == INVALID


FIELDS: Final = ["match_id", "participants", "teams", "id", "score", "ranking", "forfeit", "token"]
SCALARS: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([MATCH, user(0), user(1), "LIVE"]),
)
JSON: Final[st.SearchStrategy[Any]] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(st.sampled_from(FIELDS), st.text(max_size=8)), inner, max_size=5)
    ),
    max_leaves=12,
)
ENTRIES: Final = st.lists(
    st.fixed_dictionaries(
        {"id": st.sampled_from([user(0), user(1), "x"]), "score": st.integers(-(2**64), 2**64)},
        optional={"ranking": st.integers(-2, 3), "forfeit": st.one_of(st.booleans(), st.none())},
    ),
    max_size=3,
)
BODIES: Final = st.one_of(
    JSON, st.fixed_dictionaries({"participants": st.one_of(ENTRIES, JSON)}, optional={"teams": st.one_of(ENTRIES, JSON)})
)

random_bodies = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


class TestRandomBodies:
    @random_bodies
    @given(body=BODIES, call=st.sampled_from(["finish", "token-info"]), root=st.sampled_from(ROOTS))
    async def test_are_answered_in_the_dialect_and_cost_nobody_anything(
        self, arena: Arena, body: object, call: str, root: str
    ) -> None:
        match = await arena.live(entry_fee_micros=0)
        if isinstance(body, dict) and body.get("match_id", MATCH) == MATCH:
            body = {**body, "match_id": match.match_id}
        response = await arena.post(call, json.dumps(body).encode(), root=root)
        found = await arena.get(match)
        if response.status_code == 200:
            assert response.json()["match_id"] == match.match_id
            assert found.state in (Match.STATE_FINISHED, Match.STATE_ABORTED)
        else:
            assert error_of(response) in {INVALID, (404, "match_not_found"), (404, "match_token_not_found")}
            assert found == match


class TestAccessTokens:
    async def test_no_forged_or_bent_token_is_let_in(self, arena: Arena) -> None:
        token = await arena.token()
        public = (await arena.server.client().get("/auth/realms/letsbet")).json()["public_key"]
        forged = forgeries(token, base64.b64decode(public)).values()
        bad = [*(each for each in forged if each == each.strip()), *bent(token)[::6]]  # HTTP strips blanks
        for number, each in enumerate(bad):
            arena.server.clock.advance(2)  # so that it is no guess too many
            response = await arena.post(("finish", "token-info")[number % 2], {"token": "x"}, authorization=f"Bearer {each}")
            assert error_of(response) == (401, "invalid_token"), each
            assert 'Bearer realm="playclock"' in response.headers["www-authenticate"]
            assert each not in response.text

    @pytest.mark.parametrize(
        "claims",
        [
            {"iss": "http://127.0.0.1:8080/auth/realms/other"},
            {"scope": "openid"},
            {"aud": "arena"},
            {"typ": "Push"},
            {"exp": 1},
            {"azp": "elsewhere"},
            {"key_id": "key_0"},
        ],
        ids=str,
    )
    async def test_a_token_of_ours_for_something_else_is_not_good(self, arena: Arena, claims: dict[str, Any]) -> None:
        openid = arena.server.engine.openid
        said = read(await arena.token())[1]
        assert (await arena.post("token-info", {}, authorization=f"Bearer {await openid._signed(said)}")).status_code == 400
        response = await arena.post("token-info", {}, authorization=f"Bearer {await openid._signed(said | claims)}")
        assert error_of(response) == (401, "invalid_token")
        assert 'error="invalid_token"' in response.headers["www-authenticate"]

    async def test_neither_is_the_token_of_a_push(self, arena: Arena) -> None:
        push = await arena.server.engine.openid.push_token("arena")
        assert error_of(await arena.post("finish", WHOLE, authorization=f"Bearer {push}")) == (401, "invalid_token")

    async def test_a_token_is_over_when_its_time_is(self, arena: Arena) -> None:
        shown = f"Bearer {await Arena(arena.server).token()}"  # a new one
        arena.server.clock.advance(299)
        assert (await arena.post("token-info", {"token": "x"}, authorization=shown)).status_code == 404
        arena.server.clock.advance(1)
        assert (await arena.post("token-info", {"token": "x"}, authorization=shown)).status_code == 401

    async def test_a_token_in_the_body_or_the_query_is_none(self, arena: Arena) -> None:
        token = await arena.token()
        client = arena.server.client()
        for root in ROOTS:
            response = await client.post(f"{root}/finish?access_token={token}", json={**WHOLE, "access_token": token})
            assert error_of(response) == (401, "invalid_token")

    async def test_who_guesses_hears_429_after_a_while_and_the_client_goes_on(self, arena: Arena) -> None:
        await arena.token()
        wrong = f"Bearer {(await arena.token())[:-8]}AAAAAAAA"
        heard = [error_of(await arena.post("finish", WHOLE, authorization=wrong)) for _ in range(61)]
        assert heard == [(401, "invalid_token")] * 60 + [(429, "temporarily_unavailable")]
        response = await arena.post("finish", WHOLE, authorization=wrong)
        assert int(response.headers["retry-after"]) > 0
        assert response.headers["ratelimit-policy"].endswith(";q=60;w=60")
        assert (await arena.finish(WHOLE)).status_code == 404
