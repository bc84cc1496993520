import json
import re
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from playclock.core.delivery import DeliveryRules
from playclock.core.limits import LimitRules, Quota
from playclock.core.links import LinkRules
from playclock.core.match import MatchRules
from playclock.core.openid import OpenIdRules
from playclock.core.timers import Timers
from playclock.core.wallet import WalletRules
from playclock.settings import LIMIT_BOUNDS, Security, Settings, load
from playclock.tomlfile import ConfigurationError

EXAMPLE = Path(__file__).parent.parent / "examples" / "settings.toml"
HOST_BITS = "'10.0.0.1/8' has host bits set (did you mean '10.0.0.0/8'?)"


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    return tmp_path / "settings.toml"


def problems_of(path: Path | None, **environ: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(path, environ)
    return [problem.replace(f"{path}:", "") for problem in caught.value.problems]


def test_without_a_file_and_variables_the_documented_defaults_hold() -> None:
    assert load(None, {}) == Settings(timers=Timers(), security=Security())


def test_the_example_file_has_the_defaults_and_development_values() -> None:
    assert load(EXAMPLE, {}) == Settings(
        timers=Timers(),
        security=Security(trusted_proxies=("127.0.0.1/32",), operator_tokens=("dev-operator-token",)),
    )


class TestOpenId:
    def test_the_file_and_the_variables(self, settings_file: Path) -> None:
        settings_file.write_text('[openid]\nbase_url = "https://play.example.com/a"\nrealm = "r"\ntoken_life = 60\n')
        rules = OpenIdRules(base_url="https://play.example.com/a", realm="r", token_life_ms=60_000)
        assert load(settings_file, {}).openid == rules
        environ = {"PLAYCLOCK_OPENID_BASE_URL": "http://[::1]:8080", "PLAYCLOCK_OPENID_TOKEN_LIFE": "3600"}
        rules = OpenIdRules(base_url="http://[::1]:8080", realm="r", token_life_ms=3_600_000)
        assert load(settings_file, environ).openid == rules

    @pytest.mark.parametrize(
        ("key", "value"),
        [
            ("base_url", "https://play.example.com/"),
            ("base_url", "ftp://play.example.com"),
            ("base_url", "https://user:password@play.example.com"),
            ("base_url", "https://play.example.com?a"),
            ("base_url", "https://play.example.com:port"),
            ("base_url", "https://"),
            ("realm", "a/b"),
            ("token_life", 59),
            ("token_life", 3_601),
            ("token_life", 1.5),
        ],
    )
    def test_what_makes_no_sense_is_named(self, settings_file: Path, key: str, value: object) -> None:
        settings_file.write_text(f"[openid]\n{key} = {json.dumps(value)}\n")
        (problem,) = problems_of(settings_file)
        assert problem.startswith(f"2: [openid]: '{key}'"), problem
        (problem,) = problems_of(None, **{f"PLAYCLOCK_OPENID_{key.upper()}": str(value)})
        assert problem.startswith(f"PLAYCLOCK_OPENID_{key.upper()}: expected "), problem


def test_durations_are_seconds_with_fractions(settings_file: Path) -> None:
    settings_file.write_text("[timers]\nott_ttl = 0.25\nsession_max = 7200\n")
    timers = load(settings_file, {}).timers
    assert timers == Timers(ott_ttl_ms=250, session_max_ms=7_200_000)


def test_the_wallet_has_its_times(settings_file: Path) -> None:
    settings_file.write_text("[wallet]\ntimeout = 1.5\nrollback_pause_max = 60\n")
    settings = load(settings_file, {"PLAYCLOCK_WALLET_UNKNOWN_AFTER": "7", "PLAYCLOCK_WALLET_ROLLBACK_PAUSE_MAX": "30"})

    assert settings.wallet == WalletRules(timeout_ms=1_500, rollback_pause_max_ms=30_000, unknown_after_ms=7_000)
    assert problems_of(None, PLAYCLOCK_WALLET_TIMEOUT="x")[0].startswith("PLAYCLOCK_WALLET_TIMEOUT: expected")
    assert problems_of(None, PLAYCLOCK_WALLET_TIMEOUTS="1") == [
        "unknown setting PLAYCLOCK_WALLET_TIMEOUTS (did you mean 'PLAYCLOCK_WALLET_TIMEOUT'?)"
    ]


def test_matches_have_their_times(settings_file: Path) -> None:
    settings_file.write_text("[matches]\nstarting = 60\nretry = 0.5\nretention = 7200\nlisted = 3600\ntoken_ttl = 30\n")
    settings = load(settings_file, {"PLAYCLOCK_MATCHES_TOKEN_TTL": "90"})
    assert settings.matches == MatchRules(
        starting_ms=60_000, retry_ms=500, retention_ms=7_200_000, listed_ms=3_600_000, token_ttl_ms=90_000
    )
    settings_file.write_text("[matches]\ntoken_ttl = 0\n")
    assert problems_of(settings_file)[0].startswith("2: [matches]: 'token_ttl': expected a number of seconds")
    assert problems_of(None, PLAYCLOCK_MATCHES_RETRY="-1")[0].startswith("PLAYCLOCK_MATCHES_RETRY: expected")
    assert problems_of(None, PLAYCLOCK_MATCHES_TOKEN="1") == [
        "unknown setting PLAYCLOCK_MATCHES_TOKEN (did you mean 'PLAYCLOCK_MATCHES_TOKEN_TTL'?)"
    ]


def test_deliveries_have_their_times(settings_file: Path) -> None:
    settings_file.write_text("[deliveries]\ntimeout = 2.5\nretention = 60\n")
    settings = load(settings_file, {"PLAYCLOCK_DELIVERIES_RETENTION": "90"})
    assert settings.deliveries == DeliveryRules(timeout_ms=2_500, retention_ms=90_000)
    settings_file.write_text("[deliveries]\nlease = 60\n")
    assert "'lease'" in problems_of(settings_file)[0]


def test_a_variable_counts_before_the_file(settings_file: Path) -> None:
    settings_file.write_text('[timers]\ngrace = 10\n[security]\noperator_tokens = ["of-the-file"]\n')
    settings = load(
        settings_file,
        {
            "PLAYCLOCK_TIMERS_GRACE": "1.5",
            "PLAYCLOCK_SECURITY_OPERATOR_TOKENS": "one, two",
            "PLAYCLOCK_SECURITY_TRUSTED_PROXIES": "10.0.0.0/8,::1",
            "PLAYCLOCK_SECURITY_CONNECTIONS_PER_ADDRESS": "50",
            "PLAYCLOCK_SECURITY_OUTGOING_NETWORKS": "192.168.7.0/24, fd00::/8",
        },
    )
    assert settings.timers.grace_ms == 1500
    assert settings.security.operator_tokens == ("one", "two")
    assert settings.security.trusted_proxies == ("10.0.0.0/8", "::1/128")
    assert settings.security.connections_per_address == 50
    assert settings.security.outgoing_networks == ("192.168.7.0/24", "fd00::/8")


def test_private_networks_that_requests_may_go_out_to_come_from_the_file(settings_file: Path) -> None:
    assert load(None, {}).security.outgoing_networks == ()
    settings_file.write_text('[security]\noutgoing_networks = ["10.0.0.0/8", "127.0.0.1/32", "10.0.0.0/8"]\n')
    assert load(settings_file, {}).security.outgoing_networks == ("10.0.0.0/8", "127.0.0.1/32")
    settings_file.write_text('[security]\noutgoing_networks = ["10.0.0.1/8"]\n')
    assert problems_of(settings_file) == [f"2: [security]: 'outgoing_networks[0]': {HOST_BITS}"]


@pytest.mark.parametrize(
    ("text", "quota"),
    [
        ("60/minute", Quota(60, 60)),
        ("100 per 5 minutes", Quota(100, 300)),
        ("1/second", Quota(1, 1)),
        ("7/day", Quota(7, 86_400)),
        ("none", None),
        ("0", None),
    ],
)
def test_limits_are_texts_in_the_file_and_in_variables(settings_file: Path, text: str, quota: Quota | None) -> None:
    settings_file.write_text(f'[limits]\ncalls_per_key = "{text}"\n')
    assert load(settings_file, {}).limits == LimitRules(calls_per_key=quota)
    assert load(settings_file, {"PLAYCLOCK_LIMITS_CALLS_PER_KEY": "5/hour"}).limits.calls_per_key == Quota(5, 3600)
    assert load(None, {"PLAYCLOCK_LIMITS_CALLS_PER_KEY": text}).limits == LimitRules(calls_per_key=quota)


@pytest.mark.parametrize("text", ["0/minute", "-1/minute", "\u0666\u0660/minute", "60", "60/fortnight", "9999999999/minute"])
def test_a_variable_that_is_no_limit_is_refused_by_name(text: str) -> None:
    (problem,) = problems_of(None, PLAYCLOCK_LIMITS_CALLS_PER_KEY=text)
    assert problem == f"PLAYCLOCK_LIMITS_CALLS_PER_KEY: expected {LIMIT_BOUNDS}, not {text!r}"


def test_an_empty_variable_counts_as_absent() -> None:
    assert load(None, {"PLAYCLOCK_TIMERS_GRACE": ""}).timers.grace_ms == 120_000


def test_operator_tokens_come_from_variables_and_files(settings_file: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("from-a-file\n")
    settings_file.write_text('[security]\noperator_tokens = [{ env = "TOKEN" }, { file = "token" }]\n')
    assert load(settings_file, {"TOKEN": "from-env"}).security.operator_tokens == ("from-env", "from-a-file")


def test_names_in_operators_certificates_come_from_the_file_and_from_a_variable(settings_file: Path) -> None:
    settings_file.write_text('[security]\noperator_certificates = ["alice.internal", "spiffe://example.org/bob"]\n')
    assert load(settings_file, {}).security.operator_certificates == ("alice.internal", "spiffe://example.org/bob")
    environ = {"PLAYCLOCK_SECURITY_OPERATOR_CERTIFICATES": "carol, Dave Smith"}
    assert load(settings_file, environ).security.operator_certificates == ("carol", "Dave Smith")
    bounds = "expected 1 to 255 printable ASCII characters, no blank at either end"
    settings_file.write_text('[security]\noperator_certificates = ["alice", ""]\n')
    assert problems_of(settings_file) == [f"2: [security]: 'operator_certificates[1]': {bounds}"]
    with pytest.raises(ConfigurationError, match=f"PLAYCLOCK_SECURITY_OPERATOR_CERTIFICATES: {bounds}"):
        load(None, {"PLAYCLOCK_SECURITY_OPERATOR_CERTIFICATES": "caf\u00e9"})


def test_tokens_do_not_show_in_a_representation() -> None:
    assert "dev-operator-token" not in repr(load(EXAMPLE, {}))


def test_every_mistake_is_reported_with_its_line(settings_file: Path) -> None:
    settings_file.write_text("""\
[timers]
ott_tlt = 60
grace = 0
session_ttl = "240"
launcher_ttl = true
signature_window = nan
[security]
trusted_proxies = ["10.0.0.1/8", "nowhere"]
operator_tokens = [7]
connections_per_address = 0
[limits]
calls_per_kye = "none"
calls_per_key = "often"
playfun_per_address = 60
refused_otts_per_key = "60/minute; 1/second"
refused_otts_per_address = "2 per 2 days"
[[extra]]
""")
    secret = 'a string, { env = "NAME" } or { file = "PATH" }'
    assert problems_of(settings_file) == [
        "2: [timers]: unknown key 'ott_tlt' (did you mean 'ott_ttl'?)",
        "3: [timers]: 'grace': expected a number of seconds from 0.001 to 31622400, not 0",
        "4: [timers]: 'session_ttl': expected a number of seconds, not a string",
        "5: [timers]: 'launcher_ttl': expected a number of seconds, not a boolean",
        "6: [timers]: 'signature_window': expected a number of seconds from 0.001 to 31622400, not nan",
        f"8: [security]: 'trusted_proxies[0]': {HOST_BITS}",
        "8: [security]: 'trusted_proxies[1]': expected a network in CIDR notation, not 'nowhere'",
        f"9: [security]: 'operator_tokens[0]': expected {secret}, not an integer",
        "10: [security]: 'connections_per_address': expected 1 to 65536, not 0",
        "12: [limits]: unknown key 'calls_per_kye' (did you mean 'calls_per_key'?)",
        f"13: [limits]: 'calls_per_key': expected {LIMIT_BOUNDS}, not 'often'",
        "14: [limits]: 'playfun_per_address': expected a string, not an integer",
        f"15: [limits]: 'refused_otts_per_key': expected {LIMIT_BOUNDS}, not '60/minute; 1/second'",
        f"16: [limits]: 'refused_otts_per_address': expected {LIMIT_BOUNDS}, not '2 per 2 days'",
        "17: unknown table [[extra]]",
    ]


@pytest.mark.parametrize("written", ["[[timers]]\ngrace = 1", "timers = 5"])
def test_a_section_that_is_no_table_is_refused(settings_file: Path, written: str) -> None:
    settings_file.write_text(written)
    assert problems_of(settings_file) == ["1: 'timers': expected a table: write [timers] above its keys"]


def test_a_lease_shorter_than_the_heartbeat_interval_is_refused(settings_file: Path) -> None:
    settings_file.write_text("# short\n[timers]\nsession_ttl = 60\n")
    (problem,) = problems_of(settings_file)
    assert problem == (
        "3: [timers]: session_ttl (60 s) must not be shorter than heartbeat_interval (120 s): "
        "every session would end between two heartbeats"
    )


def test_a_lease_made_too_short_by_a_variable_is_refused_too() -> None:
    (problem,) = problems_of(None, PLAYCLOCK_TIMERS_HEARTBEAT_INTERVAL="300")
    assert problem.startswith("session_ttl (240 s) must not be shorter than heartbeat_interval (300 s)")


def test_points_that_would_be_forgotten_before_a_streak_is_over_are_refused(settings_file: Path) -> None:
    settings_file.write_text("[timers]\npoints_retention = 86400\n")
    (problem,) = problems_of(settings_file)
    assert problem == "2: [timers]: points_retention (86400 s) must not be shorter than 2678400 s: a streak is of 30 days"
    (problem,) = problems_of(None, PLAYCLOCK_TIMERS_POINTS_RETENTION="2678399")
    assert problem.startswith("points_retention (2678399 s) must not")


def test_wrong_variables_are_named_all_at_once() -> None:
    assert problems_of(
        None,
        PLAYCLOCK_TIMERS_OTT_TLT="1",
        PLAYCLOCK_TIMERS_GRACE="-1",
        PLAYCLOCK_TIMERS_OTT_TTL="１",  # noqa: RUF001 a full-width digit, which int() takes
        PLAYCLOCK_SECURITY_TRUSTED_PROXIES="10.0.0.1/8",
        PLAYCLOCK_SECURITY_OUTGOING_NETWORKS="inside",
        PLAYCLOCK_SECURITY_OPERATOR_TOKENS="gültig",
        PLAYCLOCK_SECURITY_CONNECTIONS_PER_ADDRESS="many",
    ) == [
        "unknown setting PLAYCLOCK_TIMERS_OTT_TLT (did you mean 'PLAYCLOCK_TIMERS_OTT_TTL'?)",
        "PLAYCLOCK_TIMERS_GRACE: expected a number of seconds from 0.001 to 31622400, not '-1'",
        "PLAYCLOCK_TIMERS_OTT_TTL: expected a number of seconds from 0.001 to 31622400, not '１'",  # noqa: RUF001
        "PLAYCLOCK_SECURITY_TRUSTED_PROXIES: '10.0.0.1/8' has host bits set (did you mean '10.0.0.0/8'?)",
        "PLAYCLOCK_SECURITY_OUTGOING_NETWORKS: expected a network in CIDR notation, not 'inside'",
        "PLAYCLOCK_SECURITY_OPERATOR_TOKENS: expected tokens of 1 to 255 visible ASCII characters, separated by commas",
        "PLAYCLOCK_SECURITY_CONNECTIONS_PER_ADDRESS: expected 1 to 65536, not 'many'",
    ]


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"^nowhere\.toml: cannot be read: No such file or directory$"):
        load(Path("nowhere.toml"), {})


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"[timers]\ngrace = \n", "2: not valid TOML: Invalid value"),
        (b'[timers]\ngrace = "1\n', "2: not valid TOML: Illegal character"),
        (b"a = " + b"9" * 5000, " not valid TOML: Exceeds the limit"),
        (b'[timers]\n\ngrace = """1\n', "4: not valid TOML: Unterminated string"),
    ],
)
def test_what_is_no_toml_is_refused_with_its_line(settings_file: Path, content: bytes, problem: str) -> None:
    settings_file.write_bytes(content)
    (found,) = problems_of(settings_file)
    assert found.startswith(problem)


def test_a_file_that_is_not_utf8_is_refused(settings_file: Path) -> None:
    settings_file.write_bytes(b"# caf\xe9")
    with pytest.raises(ConfigurationError, match=r"settings\.toml: is not UTF-8 text \(byte 6\)"):
        load(settings_file, {})


def test_a_byte_order_mark_is_taken_for_what_it_is(settings_file: Path) -> None:
    settings_file.write_bytes(b"\xef\xbb\xbf[timers]\ngrace = 5\n")
    assert load(settings_file, {}).timers.grace_ms == 5000


@given(st.integers(min_value=1, max_value=366 * 86_400_000))
def test_every_duration_survives_the_way_through_a_variable(milliseconds: int) -> None:
    text = f"{milliseconds // 1000}.{milliseconds % 1000:03}"
    assert load(None, {"PLAYCLOCK_TIMERS_GRACE": text}).timers.grace_ms == milliseconds


@given(st.text())
def test_a_variable_that_is_no_number_is_refused_by_name(text: str) -> None:
    assume(not re.fullmatch(r"[0-9]*(\.[0-9]*)?", text, re.ASCII))
    (problem,) = problems_of(None, PLAYCLOCK_TIMERS_GRACE=text)
    assert problem.startswith("PLAYCLOCK_TIMERS_GRACE: expected")


class TestLinks:
    def test_balances_are_whole_units_and_currencies_come_beside_iso_4217s(self, settings_file: Path) -> None:
        settings_file.write_text('[links]\ndemo_balance = 250\ncurrencies = ["GCOIN", "USDT"]\n')
        rules = load(settings_file, {}).links
        assert rules == LinkRules(demo_balance_micros=250_000_000, currencies=("GCOIN", "USDT"))

    def test_a_variable_counts_before_the_file(self, settings_file: Path) -> None:
        settings_file.write_text('[links]\ndemo_balance = 250\ncurrencies = ["GCOIN"]\n')
        environ = {"PLAYCLOCK_LINKS_DEMO_BALANCE": "0", "PLAYCLOCK_LINKS_CURRENCIES": "BTC, USDT"}
        assert load(settings_file, environ).links == LinkRules(demo_balance_micros=0, currencies=("BTC", "USDT"))
        assert load(None, {"PLAYCLOCK_TIMERS_LINK_TTL": "10", "PLAYCLOCK_TIMERS_DEMO_TTL": "20"}).timers == Timers(
            link_ttl_ms=10_000, demo_ttl_ms=20_000
        )

    @pytest.mark.parametrize("balance", ["-1", "100000001", "1.5", "a lot"])
    def test_a_balance_has_bounds(self, settings_file: Path, balance: str) -> None:
        (problem,) = problems_of(None, PLAYCLOCK_LINKS_DEMO_BALANCE=balance)
        assert problem == f"PLAYCLOCK_LINKS_DEMO_BALANCE: expected 0 to 100000000, not {balance!r}"
        settings_file.write_text(f"[links]\ndemo_balance = {balance if balance != 'a lot' else '[]'}\n")
        (problem,) = problems_of(settings_file)
        assert problem.startswith("2: [links]: 'demo_balance': expected ")

    def test_currencies_are_codes(self, settings_file: Path) -> None:
        sentence = "expected 2 to 16 of A-Z 0-9 _ with a letter first"
        assert problems_of(None, PLAYCLOCK_LINKS_CURRENCIES="GCOIN,usdt") == [f"PLAYCLOCK_LINKS_CURRENCIES: 'usdt': {sentence}"]
        settings_file.write_text('[links]\ncurrencies = ["usdt"]\n')
        (problem,) = problems_of(settings_file)
        assert problem.startswith("2: [links]: 'currencies[0]': ")
        assert problem.endswith(sentence)


@pytest.mark.parametrize(
    "url", ["https://cdn.example.com/images", "http://127.0.0.1:8080", "/pictures/of-games", "https://h/a/"]
)
def test_where_images_are_served_is_told_by_file_and_variable(settings_file: Path, url: str) -> None:
    assert load(None, {}).playfun.images_url == "/images"
    settings_file.write_text(f'[playfun]\nimages_url = "{url}"\n')
    assert load(settings_file, {}).playfun.images_url == url.rstrip("/")
    assert load(settings_file, {"PLAYCLOCK_PLAYFUN_IMAGES_URL": "/other"}).playfun.images_url == "/other"


def test_how_many_images_a_developer_may_have_is_told_by_file_and_variable(settings_file: Path) -> None:
    assert load(None, {}).playfun.images_per_developer == 1_000
    settings_file.write_text("[playfun]\nimages_per_developer = 5\n")
    assert load(settings_file, {}).playfun.images_per_developer == 5
    variable = "PLAYCLOCK_PLAYFUN_IMAGES_PER_DEVELOPER"
    assert load(settings_file, {variable: "0"}).playfun.images_per_developer == 0
    for text in ("-1", "1000001", "many"):
        (problem,) = problems_of(None, **{variable: text})
        assert problem == f"{variable}: expected 0 to 1000000, not {text!r}"
    settings_file.write_text("[playfun]\nimages_per_developer = 1000001\n")
    (problem,) = problems_of(settings_file)
    assert problem.startswith("2: [playfun]: 'images_per_developer': ")


@pytest.mark.parametrize(
    "url", ["ftp://host/images", "//host/images", "images", "https://", "https://h/?q", "https://k:s@h/", "/a b"]
)
def test_what_is_no_place_of_images_is_refused(settings_file: Path, url: str) -> None:
    settings_file.write_text(f'[playfun]\nimages_url = "{url}"\n')
    (problem,) = problems_of(settings_file)
    assert problem.startswith("2: [playfun]: 'images_url': expected a URL")
    (problem,) = problems_of(None, PLAYCLOCK_PLAYFUN_IMAGES_URL=url)
    assert problem.startswith("PLAYCLOCK_PLAYFUN_IMAGES_URL: expected a URL")
