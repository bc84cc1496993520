"""The field rules of the PlayWave bodies: each wrong field is named, no value is echoed."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playclock_http.fields import convert
from playclock_http.playwave.launcher_schemas import MAX_HARDWARE_BYTES, LaunchName, LaunchStart, OttOrder
from playclock_http.playwave.schemas import End, Heartbeat, Verify
from playclock_http.refusal import Refusal

UUID = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
SESSION = f"gs_{UUID}"
TOKEN = f"ls_{UUID}"
START: dict[str, object] = {"pc_id": "PC-07", "internal_ip": "192.168.0.17", "hardware": {"cpu": "x"}}

_OTT = "ott: expected a UUID in lower case"
_USER = "provider_user_id: expected a string of 1 to 128 characters without control characters"
_SESSION = "game_session_id: expected gs_ and a UUID in lower case"
_SECONDS = "play_duration_sec: expected an integer from 0 to 2147483647, or null"
_TOKEN = "session_token: expected ls_ and a UUID in lower case"


@pytest.mark.parametrize(
    ("declared", "document"),
    [
        (Verify, {"ott": UUID, "provider_user_id": "261"}),
        (Verify, {"ott": UUID, "provider_user_id": "x" * 128}),
        (Verify, {"ott": UUID, "provider_user_id": "😀" * 128}),
        (Verify, {"ott": UUID, "provider_user_id": " ", "an": ["unknown", {"field": None}]}),
        (Heartbeat, {"game_session_id": SESSION, "provider_user_id": "261"}),
        (End, {"game_session_id": SESSION}),
        (End, {"game_session_id": SESSION, "play_duration_sec": None}),
        (End, {"game_session_id": SESSION, "play_duration_sec": 0}),
        (End, {"game_session_id": SESSION, "play_duration_sec": 2**31 - 1}),
        (LaunchStart, START),
        (LaunchStart, {"pc_id": "PC-07", "internal_ip": "fd00::17"}),
        (LaunchStart, {**START, "hardware": {"a": "x" * (MAX_HARDWARE_BYTES - len('{"a":""}'))}}),
        (OttOrder, {"session_token": TOKEN, "game_id": UUID}),
        (OttOrder, {"session_token": TOKEN, "game_id": UUID, "provider_user_id": None}),
        (OttOrder, {"session_token": TOKEN, "game_id": UUID, "provider_user_id": "261"}),
        (LaunchName, {"session_token": TOKEN}),
    ],
)
def test_takes_what_the_document_allows(declared: type[msgspec.Struct], document: dict[str, object]) -> None:
    assert isinstance(convert(document, declared), declared)


@pytest.mark.parametrize(
    "spelling",
    [
        UUID.upper(),
        f"{UUID}\n",
        f" {UUID}",
        f"{{{UUID}}}",
        f"urn:uuid:{UUID}",
        UUID.replace("-", ""),
        UUID.replace("-", "_"),
        UUID[:-1],
        f"{UUID}0",
        UUID.replace("1", "\uff11"),
        UUID.replace("1", "\u0661"),
        f"gs_{UUID}",
        "",
        None,
        1,
        True,
        [UUID],
    ],
)
def test_a_uuid_has_one_spelling(spelling: object) -> None:
    assert _problem({"ott": spelling, "provider_user_id": "261"}, Verify) == _OTT
    session = f"gs_{spelling}" if isinstance(spelling, str) else spelling
    assert _problem({"game_session_id": session, "provider_user_id": "261"}, Heartbeat) == _SESSION
    assert _problem({"session_token": spelling}, LaunchName) == _TOKEN


@pytest.mark.parametrize("user", ["", "x" * 129, "a\n", "\n", "a\x00b", "\x7f", "\x85", "a\tb", None, 261, 1.5, True, {}, []])
def test_a_user_id_is_text_of_1_to_128_characters_without_controls(user: object) -> None:
    assert _problem({"ott": UUID, "provider_user_id": user}, Verify) == _USER


@pytest.mark.parametrize("seconds", [-1, 2**31, 2**63, 1.0, 1.5, "1", True, False, [], {}])
def test_seconds_are_an_integer_of_31_bits_or_null(seconds: object) -> None:
    assert _problem({"game_session_id": SESSION, "play_duration_sec": seconds}, End) == _SECONDS


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"pc_id": ""}, "pc_id: expected a string of 1 to 128 characters without control characters"),
        ({"internal_ip": 1}, "internal_ip: expected an IPv4 or IPv6 address"),
        ({"internal_ip": ""}, "internal_ip: expected an IPv4 or IPv6 address"),
        ({"internal_ip": "192.168.0.256"}, "internal_ip: expected an IPv4 or IPv6 address"),
        ({"internal_ip": "192.168.0.17/24"}, "internal_ip: expected an IPv4 or IPv6 address"),
        ({"internal_ip": "localhost"}, "internal_ip: expected an IPv4 or IPv6 address"),
        ({"internal_ip": "fe80::1%eth0"}, "internal_ip: expected an address without a zone"),
        ({"hardware": None}, "hardware: expected an object"),
        ({"hardware": []}, "hardware: expected an object"),
        ({"hardware": {"a": "x" * MAX_HARDWARE_BYTES}}, "hardware: expected at most 16384 bytes of JSON"),
    ],
)
def test_a_launch_names_its_pc_address_and_hardware(changes: dict[str, object], problem: str) -> None:
    assert _problem({**START, **changes}, LaunchStart) == problem


def test_every_wrong_field_is_named_at_once() -> None:
    assert _problem({}, Verify) == f"{_OTT}; {_USER}"
    assert _problem({"game_session_id": 1, "play_duration_sec": "x"}, End) == f"{_SESSION}; {_SECONDS}"


@given(st.text(max_size=140))
def test_a_user_id_means_the_same_here_as_in_the_sentence(user: str) -> None:
    document: dict[str, Any] = {"ott": UUID, "provider_user_id": user}
    controls = any(ord(character) < 0x20 or 0x7F <= ord(character) <= 0x9F for character in user)
    if 1 <= len(user) <= 128 and not controls:
        assert convert(document, Verify).provider_user_id == user
    else:
        assert _problem(document, Verify) == _USER


def _problem(document: dict[str, Any], declared: type[msgspec.Struct]) -> str:
    with pytest.raises(Refusal) as caught:
        convert(document, declared)
    assert caught.value.reason == "BAD_REQUEST"
    return caught.value.message
