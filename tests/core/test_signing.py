"""Signatures: against a vector worked out here by hand, and against everything that is nearly right."""

import hashlib
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playclock.core.signing import NONCE, check_window, launcher_text, sign_launcher, verify
from playclock.errors import InvalidSignature, RequestExpired

REPEATABLE = settings(deadline=None, derandomize=True)

SECRET = b"dev-launcher-secret"
BODY = b'{"pc_id": "PC-07"}'
METHOD, PATH, TIMESTAMP, NONCE_SENT = "POST", "/v1/launcher/ott", "1700000000", "n-1"
# printf '%s' '{"pc_id": "PC-07"}' | sha256sum
SIGNED = b"POST\n/v1/launcher/ott\n1700000000\nn-1\neea11526b0843af25a1291468789fc7d3b436a65ec995a3576f2f6c79356134d"
# openssl dgst -sha256 -hmac dev-launcher-secret, over those lines
SIGNATURE = "dede877bffda90e5f9d2f686e7a38487cf19033ca6f3935c04cade4006eaabfe"
WINDOW_MS = 300_000
NOW_MS = 1_700_000_000_000


def sign(changed: dict[str, str], *, secret: bytes = SECRET) -> str:
    fields = {"method": METHOD, "path": PATH, "timestamp": TIMESTAMP, "nonce": NONCE_SENT} | changed
    return sign_launcher(
        secret,
        method=fields["method"],
        path=fields["path"],
        timestamp=fields["timestamp"],
        nonce=fields["nonce"],
        body_sha256=hashlib.sha256(BODY).digest(),
    )


def with_one_bit_changed(whole: bytes) -> list[bytes]:
    return [(int.from_bytes(whole) ^ 1 << bit).to_bytes(len(whole)) for bit in range(8 * len(whole))]


def accepts(signature: str, *, secrets: tuple[bytes, ...] = (SECRET,), signed: bytes = SIGNED) -> bool:
    try:
        verify(secrets, signed=signed, signature=signature)
    except InvalidSignature:
        return False
    return True


class TestSignature:
    def test_is_over_five_lines(self) -> None:
        text = launcher_text(
            method=METHOD, path=PATH, timestamp=TIMESTAMP, nonce=NONCE_SENT, body_sha256=hashlib.sha256(BODY).digest()
        )
        assert text == SIGNED

    def test_is_the_lower_case_hex_of_an_hmac_sha256(self) -> None:
        assert hmac.new(SECRET, SIGNED, hashlib.sha256).hexdigest() == SIGNATURE
        assert sign({}) == SIGNATURE

    def test_verifies(self) -> None:
        assert accepts(SIGNATURE)

    def test_over_text_with_one_bit_changed_fails(self) -> None:
        assert not any(accepts(SIGNATURE, signed=changed) for changed in with_one_bit_changed(SIGNED))

    def test_over_a_body_with_one_bit_changed_fails(self) -> None:
        for body in with_one_bit_changed(BODY):
            digest = hashlib.sha256(body).digest()
            signed = launcher_text(method=METHOD, path=PATH, timestamp=TIMESTAMP, nonce=NONCE_SENT, body_sha256=digest)
            assert not accepts(SIGNATURE, signed=signed)

    @pytest.mark.parametrize(
        "changed",
        [
            {"method": "PATCH"},
            {"method": "post"},
            {"path": "/v1/launcher/ott/"},
            {"path": "/v1/launcher//ott"},
            {"path": "/v1/launcher/ott?a=1"},
            {"path": "/v1/launcher/%6Ftt"},
            {"timestamp": "1700000001"},
            {"timestamp": "01700000000"},
            {"nonce": "n-2"},
            {"nonce": ""},
        ],
    )
    def test_of_another_request_fails(self, changed: dict[str, str]) -> None:
        assert sign(changed) != SIGNATURE
        assert not accepts(sign(changed))

    def test_with_one_bit_changed_fails(self) -> None:
        assert not any(accepts(changed.hex()) for changed in with_one_bit_changed(bytes.fromhex(SIGNATURE)))

    def test_by_a_secret_with_one_bit_changed_fails(self) -> None:
        assert not any(accepts(SIGNATURE, secrets=(changed,)) for changed in with_one_bit_changed(SECRET))

    @pytest.mark.parametrize(
        "signature",
        [
            "",
            SIGNATURE.upper(),
            SIGNATURE[:-1],
            SIGNATURE + "0",
            SIGNATURE + "\n",
            " " + SIGNATURE,
            "0x" + SIGNATURE,
            "sha256=" + SIGNATURE,
            "é" * 64,
            "\uff10" * 64,
            "\ud800",
            "\0" * 64,
            "0" * 100_000,
        ],
    )
    def test_in_another_spelling_fails_and_breaks_nothing(self, signature: str) -> None:
        assert not accepts(signature)

    @REPEATABLE
    @given(st.text())
    def test_that_was_guessed_fails_and_breaks_nothing(self, signature: str) -> None:
        assert not accepts(signature)

    def test_over_text_that_no_encoding_has_can_still_be_checked(self) -> None:
        signed = launcher_text(method="POST", path="/\ud800", timestamp="", nonce="é", body_sha256=b"")
        assert signed == b"POST\n/\xed\xa0\x80\n\n\xc3\xa9\n"
        assert not accepts(SIGNATURE, signed=signed)


class TestSecrets:
    @pytest.mark.parametrize("secrets", [(SECRET, b"old"), (b"new", SECRET), (b"new", SECRET, b"old"), (SECRET, SECRET)])
    def test_any_that_is_current_will_do(self, secrets: tuple[bytes, ...]) -> None:
        assert accepts(SIGNATURE, secrets=secrets)

    @pytest.mark.parametrize("secrets", [(b"new",), (b"new", b"old"), (b"",), (SECRET + b"\0x",)])
    def test_another_will_not(self, secrets: tuple[bytes, ...]) -> None:
        assert not accepts(SIGNATURE, secrets=secrets)

    def test_a_caller_that_nobody_knows_has_none_that_could_be_guessed(self) -> None:
        assert not accepts(SIGNATURE, secrets=())
        # Whatever stands in for the missing secret, who signs with it is refused as well.
        assert not accepts(sign({}, secret=b"nobody has this secret"), secrets=())

    def test_the_failure_says_nothing_about_what_was_wrong(self) -> None:
        for secrets in ((), (b"another",)):
            with pytest.raises(InvalidSignature) as caught:
                verify(secrets, signed=SIGNED, signature=SIGNATURE)
            assert caught.value.message == "no current secret made this signature"
            assert caught.value.metadata == {}


class TestWindow:
    @pytest.mark.parametrize("off_sec", [0, 1, -1, 299, -299, 300, -300])
    def test_holds_what_was_signed_up_to_its_edge_on_either_side(self, off_sec: int) -> None:
        timestamp = 1_700_000_000 + off_sec
        assert check_window(str(timestamp), now_ms=NOW_MS, window_ms=WINDOW_MS) == timestamp * 1_000

    @pytest.mark.parametrize("off_sec", [301, -301, 10**6, -(10**6), -1_700_000_000])
    def test_holds_nothing_beyond(self, off_sec: int) -> None:
        with pytest.raises(RequestExpired) as caught:
            check_window(str(1_700_000_000 + off_sec), now_ms=NOW_MS, window_ms=WINDOW_MS)
        assert caught.value.metadata == {"window_sec": "300"}

    @pytest.mark.parametrize(("now_off_ms", "inside"), [(300_000, True), (300_001, False), (-300_000, True), (-300_001, False)])
    def test_ends_to_the_millisecond(self, now_off_ms: int, inside: bool) -> None:
        if inside:
            assert check_window(TIMESTAMP, now_ms=NOW_MS + now_off_ms, window_ms=WINDOW_MS) == NOW_MS
        else:
            with pytest.raises(RequestExpired):
                check_window(TIMESTAMP, now_ms=NOW_MS + now_off_ms, window_ms=WINDOW_MS)

    @pytest.mark.parametrize(
        "timestamp",
        [
            "",
            " ",
            "\uff11\uff17\uff10\uff10",
            "\u0661\u0667\u0660\u0660",
            "1_700",
            "+1",
            " 1",
            "1 ",
            "1\n",
            "-1",
            "1e9",
            "1.0",
            "0x1",
            "1700000000.5",
            "NaN",
            "inf",
            "1" * 12,
            "1" * 5_000,
            "\0",
            "\ud800",
        ],
    )
    def test_what_is_no_number_of_seconds_is_a_wrong_signature(self, timestamp: str) -> None:
        with pytest.raises(InvalidSignature):
            check_window(timestamp, now_ms=NOW_MS, window_ms=WINDOW_MS)

    @pytest.mark.parametrize(
        ("timestamp", "signed_ms"), [("0", 0), ("1", 1_000), ("01", 1_000), ("99999999999", 99_999_999_999_000)]
    )
    def test_takes_up_to_eleven_digits(self, timestamp: str, signed_ms: int) -> None:
        assert check_window(timestamp, now_ms=signed_ms, window_ms=0) == signed_ms

    def test_milliseconds_are_far_from_now(self) -> None:
        with pytest.raises(InvalidSignature):
            check_window(str(NOW_MS), now_ms=NOW_MS, window_ms=WINDOW_MS)


class TestNonce:
    @pytest.mark.parametrize("nonce", ["a", "!", "~", "0" * 128, "9f1c2b7e-4f0e-4a53-9f0e-0d1f2a3b4c5d"])
    def test_is_visible_ascii(self, nonce: str) -> None:
        assert NONCE.fullmatch(nonce)

    @pytest.mark.parametrize("nonce", ["", " ", "a b", "a\n", "\t", "\x7f", "é", "\uff11", "0" * 129, "\0"])
    def test_is_nothing_else(self, nonce: str) -> None:
        assert not NONCE.fullmatch(nonce)
