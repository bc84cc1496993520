import hashlib
import hmac
import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run

SIGNER = ["--launcher-id", "launcher-1", "--timestamp", "1767225600", "--nonce", "nonce-0001"]
START = ["sign", "POST", "/v1/launcher/session/start", *SIGNER]
BODY = '{"pc_id": "PC-01", "internal_ip": "192.168.0.11", "hardware": {}}'
SIGNATURE = hmac.new(
    b"dev-launcher-secret",
    b"POST\n/v1/launcher/session/start\n1767225600\nnonce-0001\n" + hashlib.sha256(BODY.encode()).hexdigest().encode(),
    "sha256",
).hexdigest()


def test_the_headers_carry_the_documented_signature(run: "Run") -> None:
    result = run(*START, "--secret", "dev-launcher-secret", "--body", BODY)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == (
        f"X-Launcher-Id: launcher-1\nX-Timestamp: 1767225600\nX-Nonce: nonce-0001\nX-Signature: {SIGNATURE}\n"
    )


def test_a_signature_written_down_long_ago_still_comes_out(run: "Run") -> None:
    result = run(*START, "--secret", "dev-launcher-secret", "--json")
    assert json.loads(result.stdout)["X-Signature"] == "6a52761826549ecfcdf6c8d536c7966e4408af07fa61cf7e2634709394b7dbc2"


def test_the_secret_comes_from_a_variable_and_the_body_from_a_file_or_stdin(run: "Run", tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text(BODY)
    of_file = run(*START, "--body", "@body.json", PLAYCLOCK_LAUNCHER_SECRET="dev-launcher-secret")
    of_stdin = run(*START, "--body", "-", stdin=BODY, PLAYCLOCK_LAUNCHER_SECRET="dev-launcher-secret")
    assert of_file.stdout.endswith(f"X-Signature: {SIGNATURE}\n")
    assert of_stdin.stdout == of_file.stdout


def test_the_method_is_signed_in_capitals(run: "Run") -> None:
    result = run("sign", "post", *START[2:], "--secret", "dev-launcher-secret", "--body", BODY)
    assert SIGNATURE in result.stdout


def test_a_curl_command_sends_the_signed_bytes(run: "Run") -> None:
    body = """{"pc_id": "Kim's PC", "hardware": "$(reboot)"}"""
    result = run(*START, "--secret", "s", "--body", body, "--curl", "http://127.0.0.1:8080/")
    words = shlex.split(result.stdout)
    assert words[:5] == ["curl", "-sS", "-X", "POST", "http://127.0.0.1:8080/v1/launcher/session/start"]
    assert words[-2:] == ["--data-raw", body]
    assert words.count("-H") == 5


def test_a_curl_command_sends_a_file_as_it_is(run: "Run", tmp_path: Path) -> None:
    (tmp_path / "body.json").write_text(BODY)
    words = shlex.split(run(*START, "--secret", "s", "--body", "@body.json", "--curl", "http://127.0.0.1").stdout)
    assert words[-2:] == ["--data-binary", "@body.json"]


def test_every_signature_has_a_nonce_of_its_own(run: "Run") -> None:
    arguments = ["sign", "GET", "/", "--launcher-id", "a", "--secret", "b", "--json"]
    first, second = json.loads(run(*arguments).stdout), json.loads(run(*arguments).stdout)
    assert first["X-Nonce"] != second["X-Nonce"]
    assert len(first["X-Nonce"]) == 32


@pytest.mark.parametrize("path", ["v1/launcher/ott", "/v1/launcher/ott?x=1", "/a b", ""])
def test_a_path_that_is_not_signed_as_given_is_refused(run: "Run", path: str) -> None:
    result = run("sign", "POST", path, "--launcher-id", "a", "--secret", "b")
    assert result.returncode == 2
    assert "begins with '/' and has no query" in result.stderr


def test_a_missing_secret_is_asked_for_by_both_its_names(run: "Run") -> None:
    result = run(*START)
    assert result.returncode == 2
    assert "Missing option '--secret' (env var: 'PLAYCLOCK_LAUNCHER_SECRET')" in result.stderr


def test_a_body_that_cannot_be_read_is_named(run: "Run") -> None:
    result = run(*START, "--secret", "s", "--body", "@nowhere.json")
    assert result.returncode == 1
    assert result.stderr == "Error: the body nowhere.json cannot be read: No such file or directory\n"


def test_an_agents_body_is_signed_as_it_is(run: "Run") -> None:
    body = '{"agent_id":1,"game_id":123,"player_id":"player_123","timestamp":1640995200}'
    result = run("sign", "POST", "/api/games/list", "--scheme", "agent", "--secret", "your-api-token-here", "--body", body)
    assert result.stdout == "X-Signature: 5f9d16a39801109c441b309cacfc5cd28c9401fe93e462781fa5920f2eb14323\n"


def test_a_developers_header_is_the_documented_one(run: "Run") -> None:
    developer = "550e8400-e29b-41d4-a716-446655440000"
    arguments = ["sign", "GET", "/games/me", "--scheme", "playfun", "--secret", "test-secret"]
    result = run(*arguments, "--developer-id", developer, "--timestamp", "1700000000000")
    signature = "8772774f5745e54b92948c7665f1531fb1b05137123f1745d9db5dea5fe2159c"
    assert result.stdout == (
        f"Authorization: HMAC-SHA256 apiKey={developer}, signature={signature}, timestamp=1700000000000\n"
        "x-auth-provider: hmac\n"
    )
    assert "Missing option '--developer-id'" in run(*arguments).stderr


def test_a_message_is_signed_as_standard_webhooks_has_it(run: "Run") -> None:
    arguments = [
        "sign",
        "POST",
        "/",
        "--scheme",
        "standard_webhooks",
        "--body",
        '{"test": 2432232314}',
        "--timestamp",
        "1614265330",
    ]
    key = ["--secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
    result = run(*arguments, *key, "--message-id", "msg_p5jXN8AQM9LWM0D4loKWxJek", "--json")
    assert json.loads(result.stdout)["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert json.loads(run(*arguments, *key, "--json").stdout)["webhook-id"].startswith("msg_")
    assert "none of them a dot" in run(*arguments, *key, "--message-id", "a.b").stderr
    assert "expected base64" in run(*arguments, "--secret", "whsec_*").stderr


def test_a_missing_launcher_is_asked_for_by_both_its_names(run: "Run") -> None:
    result = run("sign", "POST", "/", "--secret", "s")
    assert result.returncode == 2
    assert "Missing option '--launcher-id' (env var: 'PLAYCLOCK_LAUNCHER_ID')" in result.stderr
