"""Random bodies for every call: always an answer in the envelope, never a 5xx."""

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .endpoints import ENDPOINTS, UUID, Endpoint
from .envelope import data_of, refusal_of
from .estate import GAME
from .server import Server

FIELDS = sorted({field for endpoint in ENDPOINTS for field in endpoint.body})
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([UUID, f"gs_{UUID}", f"ls_{UUID}", GAME, "261", "10.0.0.1"]),
    st.from_regex(r"\A(gs_|ls_)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\n?\Z"),
)
KEYS = st.one_of(st.sampled_from(FIELDS), st.text(max_size=8))
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=5)), max_leaves=12
)
BODIES = st.one_of(JSON, st.dictionaries(st.sampled_from(FIELDS), SCALARS, min_size=1))

random_bodies = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(params=ENDPOINTS, ids=lambda endpoint: endpoint.name.replace(" ", "-"))
def endpoint(request: pytest.FixtureRequest) -> Endpoint:
    found: Endpoint = request.param
    return found


async def answer_is_in_order(server: Server, endpoint: Endpoint, raw: bytes) -> None:
    """Hold the answer to the envelope, and to the codes that a body can lead to."""
    response = await endpoint.send(server, raw, endpoint.credentials(server, raw))
    if response.status_code == 200:
        assert data_of(response)
    else:
        assert refusal_of(response) in {(400, "BAD_REQUEST"), (404, "SESSION_NOT_FOUND"), (404, "GAME_NOT_FOUND")}


@random_bodies
@given(body=BODIES)
async def test_any_json_is_answered_in_the_envelope(server: Server, endpoint: Endpoint, body: object) -> None:
    await answer_is_in_order(server, endpoint, json.dumps(body).encode())


@random_bodies
@given(change=st.data())
async def test_a_good_body_with_some_bytes_changed_is_too(server: Server, endpoint: Endpoint, change: st.DataObject) -> None:
    raw = bytearray(json.dumps(endpoint.body).encode())
    for _ in range(change.draw(st.integers(1, 4))):
        at = change.draw(st.integers(0, len(raw) - 1))
        raw[at : at + change.draw(st.integers(0, 2))] = change.draw(st.binary(max_size=3))
        if not raw:
            break
    await answer_is_in_order(server, endpoint, bytes(raw))


@random_bodies
@given(raw=st.binary(max_size=200))
async def test_so_are_bytes_that_are_nothing(server: Server, endpoint: Endpoint, raw: bytes) -> None:
    await answer_is_in_order(server, endpoint, raw)
