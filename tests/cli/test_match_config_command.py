"""The developer-config.json of a match client, and what it is good for: a token from the server that it names."""

import json
from typing import TYPE_CHECKING, Any

import httpx
import jwt
import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Run

TOKEN = {"PLAYCLOCK_OPERATOR_TOKEN": "dev-operator-token"}
CLIENT = "super-game"


def ask(config: dict[str, Any]) -> httpx.Response:
    """Ask for a token as the platform documents it, with what the file says."""
    authentication = config["authentication"]
    form = {
        "client_id": authentication["client_id"],
        "client_secret": authentication["client_secret"],
        "grant_type": "client_credentials",
        "scope": "olp-report-api",
    }
    return httpx.post(authentication["token_url"], data=form)


def test_what_is_printed_gets_a_token_that_verifies(run: "Run", served: dict[str, str]) -> None:
    result = run("match-config", CLIENT, "--engine", served["grpc"], **TOKEN)
    assert result.returncode == 0, result.stderr
    config = json.loads(result.stdout)
    base = f"http://{served['http']}"
    secret = config["authentication"].pop("client_secret")
    assert config == {
        "okletsplay_url": base,
        "authentication": {
            "client_id": CLIENT,
            "public_key_url": f"{base}/auth/realms/letsbet",
            "token_url": f"{base}/auth/realms/letsbet/protocol/openid-connect/token",
        },
    }
    config["authentication"]["client_secret"] = secret
    token = ask(config).json()["access_token"]
    key = httpx.get(config["authentication"]["public_key_url"]).json()["public_key"]
    pem = f"-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----"
    claims = jwt.decode(token, pem, algorithms=["RS256"], audience="olp-report-api")  # by the host's own clock, too
    assert (claims["iss"], claims["azp"]) == (config["authentication"]["public_key_url"], CLIENT)
    listing = ("keys", "list", f"match_client/{CLIENT}", "--json", "--engine", served["grpc"])
    made = json.loads(run(*listing, **TOKEN).stdout)[0]
    assert made["label"] == "developer-config.json"
    assert run("keys", "revoke", made["id"], "--engine", served["grpc"], **TOKEN).returncode == 0
    assert ask(config).status_code == 401


def test_a_secret_that_the_client_has_already_makes_no_key(run: "Run", served: dict[str, str]) -> None:
    listing = ("keys", "list", "--all", "--json", "--engine", served["grpc"])
    before = run(*listing, **TOKEN).stdout
    result = run("match-config", CLIENT, "--secret-file", "-", "--engine", served["grpc"], stdin="dev-match-secret\n", **TOKEN)
    config = json.loads(result.stdout)
    assert config["authentication"]["client_secret"] == "dev-match-secret"
    assert ask(config).status_code == 200
    assert [key["id"] for key in json.loads(run(*listing, **TOKEN).stdout)] == [key["id"] for key in json.loads(before)]


@pytest.mark.parametrize(
    ("arguments", "stdin", "expected"),
    [
        (("nobody",), "", (1, "nobody is called that")),
        ((CLIENT, "--secret-file", "-"), "", (2, "expected a secret of 1 to 255")),
        ((CLIENT, "--secret-file", "-"), "a\nb\n", (2, "expected a secret of 1 to 255")),
        ((CLIENT, "--secret-file", "-", "--expires", "1h"), "a", (2, "are of a new key")),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    run: "Run", served: dict[str, str], arguments: tuple[str, ...], stdin: str, expected: tuple[int, str]
) -> None:
    code, sentence = expected
    result = run("match-config", *arguments, "--engine", served["grpc"], stdin=stdin, **TOKEN)
    assert (result.returncode, sentence in result.stderr) == (code, True), result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_a_repeat_shows_no_secret_and_makes_no_key(run: "Run", served: dict[str, str]) -> None:
    arguments = ("match-config", CLIENT, "--request-id", "once", "--expires", "1h", "--engine", served["grpc"])
    assert run(*arguments, **TOKEN).returncode == 0
    again = run(*arguments, **TOKEN)
    assert (again.returncode, again.stdout) == (2, "")
    assert "never shown again" in again.stderr


def test_the_signing_key_gets_a_successor(run: "Run", served: dict[str, str]) -> None:
    arguments = ("keys", "rotate-signing", "--engine", served["grpc"])
    alone = json.loads(run(*arguments, "--now", "--json", **TOKEN).stdout)
    assert len(alone) == 1
    rotated = json.loads(run(*arguments, "--json", **TOKEN).stdout)
    assert [key["id"] for key in rotated] == [alone[0]["id"], rotated[1]["id"]]
    lines = run(*arguments, **TOKEN).stdout.splitlines()
    assert lines[0].split("\t") == ["key", "created", "signs from", "ends"]
    assert [line.split("\t")[0] for line in lines[1:]] == [key["id"] for key in rotated]
    shown = httpx.get(f"http://{served['http']}/auth/realms/letsbet/protocol/openid-connect/certs").json()
    assert [key["kid"] for key in shown["keys"]] == [key["id"] for key in rotated]
