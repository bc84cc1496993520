"""What an access token has to say so that it counts: each claim by itself."""

import msgspec
import pytest
from msgspec.structs import replace
from playclock.core.openid import AccessClaims, OpenIdRules, access_claims, counts, issuer, push_claims

NOW_MS = 1_700_000_000_999
RULES = OpenIdRules(base_url="https://play.example.com")
CLAIMS = msgspec.convert(access_claims(RULES, client_id="c", key_id="k", jti="j", now_ms=NOW_MS), AccessClaims)


def test_says_who_for_what_and_until_when() -> None:
    assert access_claims(RULES, client_id="c", key_id="k", jti="j", now_ms=NOW_MS) == {
        "iss": "https://play.example.com/auth/realms/letsbet",
        "sub": "c",
        "aud": "olp-report-api",
        "typ": "Bearer",
        "azp": "c",
        "client_id": "c",
        "scope": "olp-report-api",
        "key_id": "k",
        "jti": "j",
        "iat": 1_700_000_000,
        "exp": 1_700_000_300,
    }


def test_counts_until_its_last_millisecond() -> None:
    assert counts(CLAIMS, RULES, 1_700_000_299_999)
    assert not counts(CLAIMS, RULES, 1_700_000_300_000)


@pytest.mark.parametrize(
    "claims",
    [
        replace(CLAIMS, iss="https://play.example.com/auth/realms/other"),
        replace(CLAIMS, iss="https://else.example.com/auth/realms/letsbet"),
        replace(CLAIMS, aud="c"),
        replace(CLAIMS, typ="Push"),
        replace(CLAIMS, scope=""),
        replace(CLAIMS, scope="olp-report-apis"),
    ],
)
def test_another_claim_and_it_does_not_count(claims: AccessClaims) -> None:
    assert not counts(claims, RULES, NOW_MS)


def test_a_scope_may_stand_among_others() -> None:
    assert counts(replace(CLAIMS, scope="openid olp-report-api"), RULES, NOW_MS)


def test_what_playclock_calls_with_is_no_access_token() -> None:
    pushed = push_claims(RULES, client_id="olp-report-api", jti="j", now_ms=NOW_MS)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(pushed, AccessClaims)
    assert not counts(
        msgspec.convert({**pushed, "azp": "c", "scope": "olp-report-api", "key_id": "k"}, AccessClaims), RULES, NOW_MS
    )


def test_without_a_setting_the_realm_is_where_serve_answers_by_default() -> None:
    assert issuer(OpenIdRules()) == "http://127.0.0.1:8080/auth/realms/letsbet"
