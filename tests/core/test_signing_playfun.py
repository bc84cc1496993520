"""Developers' signatures: the vectors of the specification, every documented form, and everything that is nearly right."""

import hashlib
import hmac
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playclock.core.signing import HttpRequest, check
from playclock.core.signing.playfun import playfun_headers, proof_of, read_authorization
from playclock.errors import EngineError, InvalidSignature

REPEATABLE = settings(deadline=None, derandomize=True)

SECRET = b"test-secret"
DEVELOPER = "550e8400-e29b-41d4-a716-446655440000"
MS = "1700000000000"
NOW_MS = 1_700_000_000_000
WINDOW_MS = 300_000
ME = "8772774f5745e54b92948c7665f1531fb1b05137123f1745d9db5dea5fe2159c"
SAVE = "214908ea4ec804b3f2e4fce53431e2b86016a1082746c9c027fe34cbb26837b8"


def sign(method: str, path: str, timestamp: str, secret: bytes = SECRET) -> str:
    return hmac.new(secret, f"{method.lower()}\n{path.lower()}\n{timestamp}".encode(), hashlib.sha256).hexdigest()


def header(signature: str, timestamp: str = MS, *, between: str = ", ") -> str:
    return "HMAC-SHA256 " + between.join((f"apiKey={DEVELOPER}", f"signature={signature}", f"timestamp={timestamp}"))


def refusal(
    authorization: str,
    *,
    method: str = "GET",
    path: str = "/games/me",
    secrets: tuple[bytes, ...] = (SECRET,),
    now_ms: int = NOW_MS,
) -> str:
    """Return the reason of the refusal; empty where there is none."""
    try:
        request = HttpRequest(method=method, path=path, headers=(("authorization", authorization),))
        check(proof_of(request), secrets, now_ms=now_ms, window_ms=WINDOW_MS)
    except EngineError as error:
        return error.reason
    return ""


def signer_of(authorization: str) -> str:
    return proof_of(HttpRequest(method="GET", path="/games/me", headers=(("authorization", authorization),))).signer


def with_one_bit_changed(whole: bytes) -> list[bytes]:
    return [(int.from_bytes(whole) ^ 1 << bit).to_bytes(len(whole)) for bit in range(8 * len(whole))]


class TestVectors:
    @pytest.mark.parametrize(
        ("method", "path", "signature"), [("GET", "/games/me", ME), ("POST", "/play/dev/batch-save-points", SAVE)]
    )
    def test_verify_and_are_what_signing_gives(self, method: str, path: str, signature: str) -> None:
        assert refusal(header(signature), method=method, path=path) == ""
        signed = playfun_headers(SECRET, developer_id=DEVELOPER, method=method, path=path, timestamp=MS)
        assert signed == {"Authorization": header(signature), "x-auth-provider": "hmac"}

    def test_with_one_bit_changed_in_what_is_signed_do_not(self) -> None:
        def lower_is_the_same(one: str, other: str) -> bool:
            return one.lower() == other.lower()

        for changed in with_one_bit_changed(b"/games/me"):
            path = changed.decode("latin-1")
            assert bool(refusal(header(ME), path=path)) is not lower_is_the_same(path, "/games/me")
        for changed in with_one_bit_changed(b"GET"):
            method = changed.decode("latin-1")
            assert bool(refusal(header(ME), method=method)) is not lower_is_the_same(method, "get")
        for changed in with_one_bit_changed(MS.encode()):
            assert refusal(header(ME, changed.decode("latin-1"))) != ""
        for changed in with_one_bit_changed(bytes.fromhex(ME)):
            assert refusal(header(changed.hex())) == "INVALID_SIGNATURE"
        for changed in with_one_bit_changed(header(ME).encode()):
            authorization = changed.decode("latin-1")
            assert refusal(authorization) != "" or signer_of(authorization) != DEVELOPER

    def test_that_case_of_method_and_path_is_not_signed_is_the_schemes(self) -> None:
        assert refusal(header(ME), method="get", path="/Games/ME") == ""


class TestHeader:
    @pytest.mark.parametrize("between", [", ", " ", ",", "  ", " , "])
    @pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
    def test_may_have_commas_or_spaces_and_any_order(self, between: str, order: tuple[int, ...]) -> None:
        fields = (f"apiKey={DEVELOPER}", f"signature={ME}", f"timestamp={MS}")
        assert refusal("HMAC-SHA256 " + between.join(fields[i] for i in order)) == ""

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "HMAC-SHA256",
            "HMAC-SHA256 ",
            "Bearer x",
            header(ME).replace("HMAC-SHA256", "hmac-sha256"),
            header(ME).replace("HMAC-SHA256", "HMAC-SHA512"),
            header(ME.upper()),
            header(ME[:-1]),
            header(ME + "0"),
            header("0x" + ME[2:]),
            header('"' + ME + '"'),
            header(ME, ""),
            header(ME, "-1"),
            header(ME, "+1700000000000"),
            header(ME, "1700000000000.0"),
            header(ME, "1_700_000_000"),
            header(ME, "1e12"),
            header(ME, "1" * 16),
            header(ME, "\uff11\uff17"),
            header(ME, "\u0661"),
            header(ME) + ",",
            header(ME) + ", x=1",
            header(ME) + f", timestamp={MS}",
            header(ME).replace("timestamp=", "signature="),
            header(ME).replace("timestamp=", "Timestamp="),
            header(ME, between=",,"),
            header(ME, between=";"),
            header(ME, between="\t"),
            header(ME, between=""),
            header(ME).replace(DEVELOPER, DEVELOPER.upper()),
            header(ME).replace(DEVELOPER, "{" + DEVELOPER + "}"),
            header(ME).replace(DEVELOPER, DEVELOPER.replace("-", "")),
            header(ME).replace(DEVELOPER, "\uff15" + DEVELOPER[1:]),
            header(ME) + "\n",
            header(ME) + " " * 600,
            "HMAC-SHA256 " + "timestamp=1 " * 10_000,
            "\ud800",
        ],
    )
    def test_in_another_form_is_refused(self, value: str) -> None:
        assert refusal(value) == "INVALID_SIGNATURE"

    def test_that_is_missing_or_there_twice_is_refused(self) -> None:
        field = ("Authorization", header(ME))
        for headers in ((), (field, field), (field, ("authorization", header(SAVE)))):
            with pytest.raises(InvalidSignature):
                proof_of(HttpRequest(method="GET", path="/games/me", headers=headers))

    @REPEATABLE
    @given(st.text(max_size=40) | st.from_regex(r"HMAC-SHA256 (apiKey|signature|timestamp)=[0-9a-f-]{1,9}[ ,]{1,3}.{0,30}"))
    def test_that_was_made_up_never_breaks_anything(self, value: str) -> None:
        try:
            fields = read_authorization(value)
        except InvalidSignature:
            return
        assert set(fields) == {"apiKey", "signature", "timestamp"}

    @pytest.mark.parametrize(
        "path", ["", "games/me", "/games/me?limit=1", "/games/me#a", "/games me", "/gam\u0131es", "/" * 2_049]
    )
    def test_with_a_path_that_is_none_is_refused(self, path: str) -> None:
        assert refusal(header(sign("GET", path, MS)), path=path) == "INVALID_SIGNATURE"


class TestTime:
    @pytest.mark.parametrize(
        ("timestamp", "reason"),
        [
            ("1700000000000", ""),
            ("1700000300000", ""),
            ("1699999700000", ""),
            ("1700000300001", "REQUEST_EXPIRED"),
            ("1699999699999", "REQUEST_EXPIRED"),
            ("1700000000", ""),
            ("01700000000", ""),
            ("1700000300", ""),
            ("1700000301", "REQUEST_EXPIRED"),
            ("1699999699", "REQUEST_EXPIRED"),
            ("99999999999", "REQUEST_EXPIRED"),
            ("100000000000", "REQUEST_EXPIRED"),
            ("0", "REQUEST_EXPIRED"),
            ("9" * 15, "REQUEST_EXPIRED"),
        ],
    )
    def test_may_be_in_seconds_or_milliseconds_and_is_signed_as_it_came(self, timestamp: str, reason: str) -> None:
        assert refusal(header(sign("GET", "/games/me", timestamp), timestamp)) == reason

    def test_is_told_to_nobody_without_the_secret(self) -> None:
        assert refusal(header(sign("GET", "/games/me", "0", b"wrong"), "0")) == "INVALID_SIGNATURE"
        assert refusal(header(ME), secrets=()) == "INVALID_SIGNATURE"
        assert refusal(header(ME), secrets=(b"new", SECRET)) == ""
