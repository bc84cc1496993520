"""Agents' signatures: the vectors of the specification, and everything that is nearly right."""

import hashlib
import hmac
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playclock.core.signing import HttpRequest, check
from playclock.core.signing.agent import agent_headers, proof_of, sign_agent, text_to_send
from playclock.errors import BadRequest, EngineError, InvalidSignature, RequestExpired

REPEATABLE = settings(deadline=None, derandomize=True)

TOKEN = b"your-api-token-here"
NOW_MS = 1_640_995_200_000
WINDOW_MS = 300_000
EXAMPLE = b'{"agent_id":1,"game_id":123,"player_id":"player_123","timestamp":1640995200}'
EXAMPLE_SIGNATURE = "5f9d16a39801109c441b309cacfc5cd28c9401fe93e462781fa5920f2eb14323"
LINK = (
    b'{"agent_id":1,"agent_session_id":"session_abc123","currency":"RUB","game_id":123,"home_url":"https://example.com",'
    b'"ip":"192.168.1.1","language":"ru","player_id":"player_123","player_username":"john_doe","timestamp":1640995200}'
)
LINK_PLAIN = "25448c7b9fa0832000c36a97078da7910785d2c514cab12d6125ac09b244a549"
LINK_PHP = "3d9b01ea1a323c1899bc574766abd71523f2a1a40349781460fa5c168f328c89"
# The same object as the document shows it: in its own order, indented.
LINK_AS_DOCUMENTED = b"""{
"agent_id": 1,
"timestamp": 1640995200,
"game_id": 123,
"player_id": "player_123",
"player_username": "john_doe",
"language": "ru",
"currency": "RUB",
"home_url": "https://example.com",
"agent_session_id": "session_abc123",
"ip": "192.168.1.1"
}"""


def hmac_hex(text: bytes, secret: bytes = TOKEN) -> str:
    return hmac.new(secret, text, hashlib.sha256).hexdigest()


def refusal(body: bytes, signature: str, *, secrets: tuple[bytes, ...] = (TOKEN,), now_ms: int = NOW_MS) -> str:
    """Return the reason of the refusal; empty where there is none."""
    try:
        proof = proof_of(HttpRequest(headers=(("X-Signature", signature),), body=body))
        check(proof, secrets, now_ms=now_ms, window_ms=WINDOW_MS)
    except EngineError as error:
        return error.reason
    return ""


def with_one_bit_changed(whole: bytes) -> list[bytes]:
    return [(int.from_bytes(whole) ^ 1 << bit).to_bytes(len(whole)) for bit in range(8 * len(whole))]


class TestVectors:
    @pytest.mark.parametrize(
        ("body", "signature"),
        [
            (EXAMPLE, EXAMPLE_SIGNATURE),
            (LINK, LINK_PLAIN),
            (LINK, LINK_PHP),
            (LINK.replace(b"/", b"\\/"), LINK_PHP),
            (LINK.replace(b"/", b"\\/"), LINK_PLAIN),
            (LINK_AS_DOCUMENTED, LINK_PLAIN),
            (LINK_AS_DOCUMENTED, LINK_PHP),
            (LINK_AS_DOCUMENTED, hmac_hex(LINK_AS_DOCUMENTED)),
        ],
    )
    def test_verify_however_the_body_was_sent(self, body: bytes, signature: str) -> None:
        assert refusal(body, signature) == ""

    @pytest.mark.parametrize("body", [EXAMPLE, LINK, LINK_AS_DOCUMENTED, LINK.replace(b"/", b"\\/")])
    def test_with_one_bit_changed_do_not(self, body: bytes) -> None:
        signatures = [hmac_hex(body)] if body == EXAMPLE else [LINK_PLAIN, LINK_PHP]
        for signature in signatures:
            assert refusal(body, signature) == ""
            assert [changed for changed in with_one_bit_changed(body) if not refusal(changed, signature)] == []

    def test_with_escapes_whose_case_was_changed_do_not(self) -> None:
        body = rb'{"agent_id":1,"name":"caf\u00e9","timestamp":1640995200}'
        signature = hmac_hex(body)
        assert refusal(body, signature) == ""
        assert [changed for changed in with_one_bit_changed(body) if not refusal(changed, signature)] == []

    def test_with_a_signature_of_which_one_bit_was_changed_do_not(self) -> None:
        for changed in with_one_bit_changed(bytes.fromhex(EXAMPLE_SIGNATURE)):
            assert refusal(EXAMPLE, changed.hex()) == "INVALID_SIGNATURE"

    def test_are_what_signing_gives(self) -> None:
        assert sign_agent(TOKEN, EXAMPLE) == EXAMPLE_SIGNATURE
        assert text_to_send(LINK_AS_DOCUMENTED) == LINK.replace(b"/", b"\\/")
        assert agent_headers(TOKEN, body=text_to_send(LINK_AS_DOCUMENTED)) == {"X-Signature": LINK_PHP}

    def test_what_cannot_be_written_again_for_certain_is_sent_as_it_is(self) -> None:
        assert text_to_send(b'{"1": 1}') == b'{"1": 1}'
        with pytest.raises(BadRequest):
            text_to_send(b"[]")


class TestBody:
    @REPEATABLE
    @given(
        st.dictionaries(
            st.sampled_from(["a", "b", "player_id", "home_url", "zz"]),
            st.text(st.characters(codec="utf-8", exclude_characters="\x7f"), max_size=6) | st.integers() | st.none(),
        ),
        st.randoms(use_true_random=False),
        st.booleans(),
        st.booleans(),
    )
    def test_signed_sorted_and_sent_in_any_order_and_spelling_verifies(
        self, fields: dict[str, object], random: "object", ascii_signed: bool, ascii_sent: bool
    ) -> None:
        fields = fields | {"agent_id": 7, "timestamp": 1_640_995_200}
        names = list(fields)
        random.shuffle(names)  # type: ignore[attr-defined]
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=ascii_signed)
        signed = text.replace("/", "\\/") if ascii_signed else text
        sent = json.dumps({name: fields[name] for name in names}, ensure_ascii=ascii_sent)
        assert refusal(sent.encode(), hmac_hex(signed.encode())) == ""
        other = json.dumps(fields | {"agent_id": 8})
        assert refusal(other.encode(), hmac_hex(signed.encode())) == "INVALID_SIGNATURE"

    @pytest.mark.parametrize(
        "body",
        [
            EXAMPLE.replace(b'"game_id":123', b'"game_id":123.0'),
            EXAMPLE.replace(b'"game_id":123', b'"game_id":"123"'),
            EXAMPLE.replace(b'"game_id":123', b'"game_id":1.23e2'),
            EXAMPLE.replace(b"player_id", b"Player_id"),
        ],
    )
    def test_that_means_nearly_the_same_fails(self, body: bytes) -> None:
        assert refusal(body, EXAMPLE_SIGNATURE) == "INVALID_SIGNATURE"

    @pytest.mark.parametrize(
        "body",
        [
            b'{"agent_id":1,"agent_id":1,"timestamp":1640995200}',
            b'{"agent_id":2,"agent_id":1,"timestamp":1640995200}',
            b'{"agent_id":"1","timestamp":1640995200}',
            b'{"agent_id":1.0,"timestamp":1640995200}',
            b'{"agent_id":0,"timestamp":1640995200}',
            b'{"agent_id":-1,"timestamp":1640995200}',
            b'{"agent_id":true,"timestamp":1640995200}',
            b'{"agent_id":10000000000000000000,"timestamp":1640995200}',
            b'{"timestamp":1640995200}',
            b'{"agent_id":1}',
            b'{"agent_id":1,"timestamp":"1640995200"}',
            b'{"agent_id":1,"timestamp":1640995200.0}',
            b'{"agent_id":1,"timestamp":1.6409952e9}',
            b'{"agent_id":1,"timestamp":null}',
            b'{"agent_id":1,"timestamp":1000000000000000000000}',
            b"",
            b"agent_id=1",
        ],
    )
    def test_that_names_no_signer_or_time_is_a_bad_request_even_if_signed(self, body: bytes) -> None:
        assert refusal(body, hmac_hex(body)) == "BAD_REQUEST"

    @pytest.mark.parametrize("off_sec", [301, -301, 1_640_995_200_000, -10_000_000_000])
    def test_outside_the_window_is_expired(self, off_sec: int) -> None:
        body = f'{{"agent_id":1,"timestamp":{1_640_995_200 + off_sec}}}'.encode()
        assert refusal(body, hmac_hex(body)) == RequestExpired.reason
        assert refusal(body, hmac_hex(body, b"wrong")) == InvalidSignature.reason

    @pytest.mark.parametrize("off_sec", [300, 0, -300])
    def test_within_the_window_is_not(self, off_sec: int) -> None:
        body = f'{{"agent_id":1,"timestamp":{1_640_995_200 + off_sec}}}'.encode()
        assert refusal(body, hmac_hex(body)) == ""


class TestSecrets:
    @pytest.mark.parametrize("secrets", [(TOKEN, b"old"), (b"new", TOKEN), (b"new", b"newer", TOKEN)])
    @pytest.mark.parametrize("signature", [LINK_PLAIN, LINK_PHP])
    def test_any_that_is_current_will_do(self, secrets: tuple[bytes, ...], signature: str) -> None:
        assert refusal(LINK_AS_DOCUMENTED, signature, secrets=secrets) == ""

    @pytest.mark.parametrize("secrets", [(), (b"",), (b"new", b"old")])
    def test_another_will_not(self, secrets: tuple[bytes, ...]) -> None:
        assert refusal(LINK_AS_DOCUMENTED, LINK_PLAIN, secrets=secrets) == "INVALID_SIGNATURE"

    def test_nobody_can_sign_with_what_stands_for_a_missing_one(self) -> None:
        for secrets in ((), (TOKEN,)):
            assert refusal(EXAMPLE, hmac_hex(EXAMPLE, b"nobody has this secret"), secrets=secrets) == "INVALID_SIGNATURE"
