"""Standard Webhooks: the vector of the specification, the published library on the other side, and what is nearly right."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playclock.core.signing import HttpRequest, check
from playclock.core.signing.webhooks import proof_of, webhook_headers, webhook_key
from playclock.errors import EngineError, InvalidSignature
from standardwebhooks import Webhook

REPEATABLE = settings(deadline=None, derandomize=True)

# The vector of the specification's own libraries.
SECRET = b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID, TIMESTAMP, BODY = "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
NOW_MS = 1_614_265_330_000


def refusal(
    *,
    message_id: str = ID,
    timestamp: str = TIMESTAMP,
    signature: str = SIGNATURE,
    body: bytes = BODY,
    secrets: tuple[bytes, ...] = (SECRET,),
    now_ms: int = NOW_MS,
) -> str:
    """Return the reason of the refusal; empty where there is none."""
    headers = (("Webhook-Id", message_id), ("Webhook-Timestamp", timestamp), ("Webhook-Signature", signature))
    try:
        proof = proof_of(HttpRequest(headers=headers, body=body))
        check(proof, [webhook_key(secret) for secret in secrets], now_ms=now_ms, window_ms=300_000)
    except EngineError as error:
        return error.reason
    return ""


def with_one_bit_changed(whole: bytes) -> list[bytes]:
    return [(int.from_bytes(whole) ^ 1 << bit).to_bytes(len(whole)) for bit in range(8 * len(whole))]


def test_the_vector_verifies_and_is_what_signing_gives() -> None:
    assert refusal() == ""
    assert webhook_headers([SECRET], message_id=ID, timestamp=TIMESTAMP, body=BODY) == {
        "webhook-id": ID,
        "webhook-timestamp": TIMESTAMP,
        "webhook-signature": SIGNATURE,
    }


def test_one_changed_bit_anywhere_is_refused() -> None:
    for body in with_one_bit_changed(BODY):
        assert refusal(body=body) == "INVALID_SIGNATURE"
    for message_id in with_one_bit_changed(ID.encode()):
        assert refusal(message_id=message_id.decode("latin-1")) == "INVALID_SIGNATURE"
    for timestamp in with_one_bit_changed(TIMESTAMP.encode()):
        assert refusal(timestamp=timestamp.decode("latin-1")) == "INVALID_SIGNATURE"
    for signature in with_one_bit_changed(SIGNATURE.encode()):
        assert refusal(signature=signature.decode("latin-1")) == "INVALID_SIGNATURE"


@REPEATABLE
@given(st.binary(min_size=1, max_size=64), st.text(st.characters(codec="utf-8"), max_size=50), st.integers(0, 2**33))
def test_the_published_library_signs_the_same(key: bytes, body: str, seconds: int) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    theirs = Webhook(secret).sign("msg_1", datetime.fromtimestamp(seconds, UTC), body)
    ours = webhook_headers([secret.encode()], message_id="msg_1", timestamp=str(seconds), body=body.encode())
    assert ours["webhook-signature"] == theirs
    assert (
        refusal(
            message_id="msg_1",
            timestamp=str(seconds),
            signature=theirs,
            body=body.encode(),
            secrets=(secret.encode(),),
            now_ms=seconds * 1000,
        )
        == ""
    )


def test_a_raw_secret_is_a_key_too() -> None:
    theirs = Webhook(b"dev-match-secret").sign(ID, datetime.fromtimestamp(int(TIMESTAMP), UTC), BODY.decode())
    assert refusal(signature=theirs, secrets=(b"dev-match-secret",)) == ""


def test_while_a_key_is_rotated_a_message_carries_both_signatures_and_a_receiver_may_know_either() -> None:
    other = b"whsec_" + base64.b64encode(b"another key of some length")
    signature = webhook_headers([other, SECRET], message_id=ID, timestamp=TIMESTAMP, body=BODY)["webhook-signature"]
    assert signature.split(" ")[1] == SIGNATURE
    for secrets in ((SECRET,), (other,), (b"third", SECRET), (other, SECRET)):
        assert refusal(signature=signature, secrets=secrets) == ""
    assert refusal(signature=signature, secrets=(b"third",)) == "INVALID_SIGNATURE"
    assert refusal(secrets=()) == "INVALID_SIGNATURE"


@pytest.mark.parametrize(
    ("signature", "reason"),
    [
        ("v1a,c2lnbmF0dXJl " + SIGNATURE, ""),
        (SIGNATURE + " v2,AAAA", ""),
        (" ".join([SIGNATURE] * 10), ""),
        (" ".join([SIGNATURE] * 11), "INVALID_SIGNATURE"),
        ("", "INVALID_SIGNATURE"),
        ("v1a,c2lnbmF0dXJl", "INVALID_SIGNATURE"),
        ("v1," + "A" * 44, "INVALID_SIGNATURE"),
        (SIGNATURE.replace("v1", "v2"), "INVALID_SIGNATURE"),
        (SIGNATURE.replace("v1", "V1"), "INVALID_SIGNATURE"),
        (SIGNATURE.replace("=", ""), "INVALID_SIGNATURE"),
        (SIGNATURE.replace("OE=", "OF="), "INVALID_SIGNATURE"),  # the same bytes in another spelling
        (SIGNATURE.replace("+", "-").replace("/", "_"), "INVALID_SIGNATURE"),
        (SIGNATURE.replace(" ", ",") + "," + SIGNATURE, "INVALID_SIGNATURE"),
        (SIGNATURE + "  " + SIGNATURE, "INVALID_SIGNATURE"),
        (SIGNATURE + "\n", "INVALID_SIGNATURE"),
        ("v1,\uff41" + SIGNATURE[4:], "INVALID_SIGNATURE"),
        ("v1", "INVALID_SIGNATURE"),
    ],
)
def test_the_list_of_signatures_is_strict(signature: str, reason: str) -> None:
    assert refusal(signature=signature) == reason


@pytest.mark.parametrize("message_id", ["", "a.b", "a b", "\u00e9", "x" * 257, "a\n"])
def test_an_id_that_could_be_taken_for_something_else_is_refused_on_both_sides(message_id: str) -> None:
    with pytest.raises(ValueError, match="none of them a dot"):
        webhook_headers([SECRET], message_id=message_id, timestamp=TIMESTAMP, body=BODY)
    assert refusal(message_id=message_id) == "INVALID_SIGNATURE"


def test_the_window_is_open_on_both_sides() -> None:
    for off_ms, reason in ((300_000, ""), (-300_000, ""), (300_001, "REQUEST_EXPIRED"), (-300_001, "REQUEST_EXPIRED")):
        assert refusal(now_ms=NOW_MS + off_ms) == reason


@pytest.mark.parametrize("secret", [b"whsec_", b"whsec_*", b"whsec_====", b"whsec_\xff", b"whsec_A"])
def test_a_secret_that_is_no_key_is_refused(secret: bytes) -> None:
    with pytest.raises(ValueError, match="expected base64"):
        webhook_key(secret)


def test_a_key_may_lack_its_padding() -> None:
    assert webhook_key(b"whsec_YWI=") == webhook_key(b"whsec_YWI") == b"ab"


def test_each_header_is_there_once() -> None:
    headers = tuple(webhook_headers([SECRET], message_id=ID, timestamp=TIMESTAMP, body=BODY).items())
    assert proof_of(HttpRequest(headers=headers, body=BODY)).once == ID
    for field in headers:
        for wrong in ((*headers, field), tuple(other for other in headers if other != field)):
            with pytest.raises(InvalidSignature):
                proof_of(HttpRequest(headers=wrong, body=BODY))
