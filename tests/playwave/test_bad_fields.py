"""Fields that are missing, of another type, misspelt or out of range: 400, and the message names the field and no value."""

import json
from typing import Any, Final

import pytest

from .endpoints import ENDPOINTS, UUID, Endpoint
from .envelope import error_of, refusal_of
from .server import Server

BAD: Final = (400, "BAD_REQUEST")
MISSING: Final = object()
SECRET: Final = "hunter2"

NO_TEXT: Final[list[Any]] = [MISSING, None, 0, 1, 1.5, True, False, [], ["a"], {}, {"a": SECRET}, ""]
FULL_WIDTH: Final = UUID.translate({ord("0") + digit: 0xFF10 + digit for digit in range(10)})
ARABIC: Final = UUID.translate({ord("0") + digit: 0x0660 + digit for digit in range(10)})
NO_UUID: Final = [
    UUID.upper(),
    UUID.title(),
    FULL_WIDTH,
    ARABIC,
    f"{{{UUID}}}",
    f"urn:uuid:{UUID}",
    UUID.replace("-", ""),
    UUID.replace("-", "_"),
    f"0x{UUID[2:]}",
    f" {UUID}",
    f"{UUID} ",
    f"{UUID}\n",
    f"{UUID}\u0000",
    UUID[:-1],
    f"{UUID}0",
    f"g{UUID[1:]}",
    f"\u0430{UUID[1:]}",
    "../" * 10,
    SECRET,
]
NO_NAME: Final[list[Any]] = [*NO_TEXT, "x" * 129, "a\u0000b", "a\nb", "\r", "\u001b[2J", "\u007f", "\u0085", "\u009f"]


def _prefixed(prefix: str) -> list[Any]:
    return [
        *NO_TEXT,
        *(prefix + text for text in NO_UUID),
        UUID,
        f"{prefix.upper()}{UUID}",
        f"{prefix}{prefix}{UUID}",
        f"xx_{UUID}",
    ]


NO_DURATION: Final[list[Any]] = [
    *(True, False, -1, -(2**63), 2**31, 2**63, 1.5, 1e300, "1795", "", [], [1], {}, "\u0661", -0.5),
]
NO_ADDRESS: Final[list[Any]] = [
    *NO_TEXT,
    *("localhost", "1.2.3", "1.2.3.4.5", "256.0.0.1", "010.0.0.1", "10.0.0.1/8", " 10.0.0.1", "10.0.0.1\n", "0x7f000001"),
    *("fe80::1%eth0", "[::1]", ":::", "2130706433", "\u0661.1.1.1"),
]
NO_HARDWARE: Final[list[Any]] = [None, [], "x", 1, True, {"x": "y" * 17_000}]

WRONG: Final[dict[str, dict[str, list[Any]]]] = {
    "verify": {"ott": [*NO_TEXT, *NO_UUID, f"gs_{UUID}"], "provider_user_id": NO_NAME},
    "heartbeat": {"game_session_id": _prefixed("gs_"), "provider_user_id": NO_NAME},
    "end": {"game_session_id": _prefixed("gs_"), "play_duration_sec": NO_DURATION},
    "start": {"pc_id": NO_NAME, "internal_ip": NO_ADDRESS, "hardware": NO_HARDWARE},
    "ott": {
        "session_token": _prefixed("ls_"),
        "game_id": [*NO_TEXT, *NO_UUID],
        "provider_user_id": [value for value in NO_NAME if value is not MISSING and value is not None],
    },
    "launcher heartbeat": {"session_token": _prefixed("ls_")},
    "launcher end": {"session_token": _prefixed("ls_")},
}


before_any_store = pytest.mark.parametrize("kind", ["memory"], indirect=True)


@pytest.fixture(params=ENDPOINTS, ids=lambda endpoint: endpoint.name.replace(" ", "-"))
def endpoint(request: pytest.FixtureRequest) -> Endpoint:
    found: Endpoint = request.param
    return found


def changed(endpoint: Endpoint, field: str, value: object) -> bytes:
    body = {name: each for name, each in endpoint.body.items() if name != field}
    return json.dumps(body if value is MISSING else body | {field: value}).encode()


@before_any_store
async def test_a_wrong_field_is_a_bad_request_that_names_it_and_echoes_nothing(server: Server, endpoint: Endpoint) -> None:
    wrong = []
    for field, values in WRONG[endpoint.name].items():
        for value in values:
            raw = changed(endpoint, field, value)
            response = await endpoint.send(server, raw, endpoint.credentials(server, raw))
            answer = refusal_of(response) if response.status_code >= 400 else (200, "")
            message = error_of(response)["message"] if answer == BAD else ""
            if not message.startswith(f"{field}: expected") or SECRET in message or ";" in message:
                wrong.append((field, "missing" if value is MISSING else value, answer, message))
    assert wrong == []


@before_any_store
async def test_several_wrong_fields_are_all_named(server: Server, endpoint: Endpoint) -> None:
    raw = json.dumps(dict.fromkeys(WRONG[endpoint.name], -1)).encode()
    message = error_of(await endpoint.send(server, raw, endpoint.credentials(server, raw)))["message"]
    assert [part.partition(":")[0] for part in message.split("; ")] == list(WRONG[endpoint.name])


@before_any_store
@pytest.mark.parametrize("credentials", ["none", "wrong"])
async def test_who_has_no_credentials_hears_of_those_and_of_no_field(
    server: Server, endpoint: Endpoint, credentials: str
) -> None:
    for field in WRONG[endpoint.name]:
        raw = changed(endpoint, field, [])
        headers = {} if credentials == "none" else endpoint.wrong_credentials(raw)
        response = await endpoint.send(server, raw, headers)
        assert refusal_of(response) == endpoint.unauthenticated
        assert field not in error_of(response)["message"]


async def test_what_is_at_the_edge_of_the_right_is_no_bad_request(server: Server, endpoint: Endpoint) -> None:
    edges: dict[str, list[Any]] = {
        "ott": ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"],
        "game_session_id": ["gs_00000000-0000-0000-0000-000000000000"],
        "session_token": ["ls_ffffffff-ffff-ffff-ffff-ffffffffffff"],
        "game_id": [UUID],
        "provider_user_id": ["x", "x" * 128, "\uac8c\uc784", "\U0001f3ae" * 128, " ", "'; DROP TABLE records; --", "\u2028"],
        "pc_id": ["x", "x" * 128, "PC 7/\u2603"],
        "internal_ip": ["0.0.0.0", "255.255.255.255", "::", "fd00::1", "::ffff:10.0.0.1"],
        "hardware": [MISSING, {}, {"\u0000": "\u0000"}, {"x": "y" * 16_000}, {"n": [1.5, -1, 2**53, None, {"": ""}]}],
        "play_duration_sec": [MISSING, None, 0, 2**31 - 1],
    }
    refused = []
    for field in endpoint.body:
        for value in edges[field]:
            raw = changed(endpoint, field, value)
            response = await endpoint.send(server, raw, endpoint.credentials(server, raw))
            if response.status_code not in {200, 404}:
                refused.append((field, value, response.text))
    assert refused == []
