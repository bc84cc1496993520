from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playclock.provisioning import load
from playclock.tomlfile import ConfigurationError
from playclock.v1.provisioning_service_pb2 import (
    Agent,
    ChargeProvider,
    Developer,
    InternalService,
    Launcher,
    MatchClient,
    PriceWindow,
    ProvisionedAccount,
    ProvisionedCafe,
    ProvisionedGame,
    Provisioning,
    Tariff,
)

EXAMPLE = Path(__file__).parent.parent / "examples" / "provisioning.toml"
GAME = '[[game]]\nid = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"\nname = "Champagne Party"\n'


@pytest.fixture
def cafes(tmp_path: Path) -> Path:
    return tmp_path / "cafes.toml"


def problems_of(path: Path, text: str, **environ: str) -> list[str]:
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        load(path, environ)
    return [problem.removeprefix(f"{path.parent}/") for problem in caught.value.problems]


def test_the_example_file_says_what_the_contract_says() -> None:
    assert load(EXAMPLE, {}).message == Provisioning(
        games=[
            ProvisionedGame(
                id="3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d",
                number=123,
                name="Champagne Party",
                brand="Mega",
                image_url="https://cdn.example.com/champagne.jpg",
                play_url="https://game.example.com/play",
                demo_url="https://game.example.com/demo",
                api_keys=["dev-game-key"],
            )
        ],
        tariffs=[
            Tariff(
                id="standard",
                currency="GCOIN",
                unit_sec=60,
                price_micros=1_000_000,
                rounding=Tariff.ROUNDING_STARTED_UNIT,
                bill_on_silence=Tariff.BILL_ON_SILENCE_LAST_HEARTBEAT,
            )
        ],
        accounts=[ProvisionedAccount(id="cafe-1", currency="GCOIN", opening_balance_micros=500_000_000)],
        cafes=[
            ProvisionedCafe(
                id="cafe-1",
                name="Seoul One",
                networks=["127.0.0.0/8", "203.0.113.0/24"],
                account="cafe-1",
                tariff="standard",
            )
        ],
        launchers=[Launcher(id="launcher-1", secret="dev-launcher-secret")],
        agents=[Agent(id=1, name="Agent One", api_token="dev-agent-token", games=[123])],
        developers=[Developer(id="550e8400-e29b-41d4-a716-446655440000", secret="dev-developer-secret")],
        match_clients=[
            MatchClient(
                client_id="super-game",
                client_secret="dev-match-secret",
                game="3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d",
                match_info_url="http://127.0.0.1:9000/match-info",
                launch_url="http://127.0.0.1:9000/play",
            )
        ],
    )


def test_the_example_s_second_price_is_one_once_its_number_signs_are_gone(cafes: Path) -> None:
    _, _, after = EXAMPLE.read_text().partition("Take the `#` away to have it.\n")
    lines, _, _ = after.partition("\n\n")
    cafes.write_text("\n".join(line.removeprefix("#") for line in lines.splitlines()))
    assert load(cafes, {}).message == Provisioning(
        tariffs=[
            Tariff(
                id="night-owl",
                currency="GCOIN",
                unit_sec=60,
                price_micros=1_000_000,
                rounding=Tariff.ROUNDING_EXACT,
                minimum_micros=5_000_000,
                free_sec=300,
                cap_micros=400_000_000,
                reserve_sec=1_800,
                bill_on_silence=Tariff.BILL_ON_SILENCE_ONE_INTERVAL,
                time_zone="Asia/Seoul",
                windows=[
                    PriceWindow(from_time="22:00", until_time="06:00", price_micros=600_000, weekdays=[5, 6]),
                    PriceWindow(from_time="09:00", until_time="12:00", price_micros=800_000),
                ],
            )
        ]
    )


TARIFF = '[[tariff]]\nid = "t"\ncurrency = "GCOIN"\nunit_sec = 60\nprice_micros = 1\n'
WINDOW = TARIFF + '[[tariff.window]]\nfrom = "22:00"\nuntil = "06:00"\nprice_micros = 2\n'
ON_TARIFF, ON_WINDOW = "cafes.toml:6: [[tariff]] #1:", "[[window]] #1:"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (TARIFF + "minimum_micros = -1", f"{ON_TARIFF} 'minimum_micros': expected 0 to 4611686018427387904, not -1"),
        (TARIFF + "minimum_micros = 3\ncap_micros = 2", f"{ON_TARIFF} 'minimum_micros': is more than cap_micros"),
        (TARIFF + "cap_micros = -1", f"{ON_TARIFF} 'cap_micros': expected 0 to 4611686018427387904, not -1"),
        (TARIFF + "free_sec = -1", f"{ON_TARIFF} 'free_sec': expected 0 to 2147483647, not -1"),
        (TARIFF + "reserve_sec = 0.5", f"{ON_TARIFF} 'reserve_sec': expected an integer, not a number"),
        (
            TARIFF + 'bill_on_silence = "never"',
            f'{ON_TARIFF} \'bill_on_silence\': expected "last_heartbeat", "one_interval" or "lease_end", not \'never\'',
        ),
        (
            TARIFF + 'time_zone = "Mars/Base"',
            f"{ON_TARIFF} 'time_zone': there is no time zone 'Mars/Base' in the IANA database",
        ),
        (
            '[[account]]\nid = "a"\ncurrency = "GCOIN"\ndebt_limit_micros = -1',
            "cafes.toml:4: [[account]] #1: 'debt_limit_micros': expected 0 to 4611686018427387904, not -1",
        ),
        (TARIFF + "free_secs = 1", f"{ON_TARIFF} unknown key 'free_secs' (did you mean 'free_sec'?)"),
        (TARIFF + 'window = "22:00"', f"{ON_TARIFF} 'window': expected tables: write [[window]] above each"),
        (TARIFF + "[[tariff.windows]]", f"{ON_TARIFF} unknown table [[windows]] (did you mean 'window'?)"),
        (
            WINDOW.replace("22:00", "24:00"),
            f'cafes.toml:7: {ON_WINDOW} \'from\': expected a time of day from "00:00" to "23:59"',
        ),
        (
            WINDOW.replace('"22:00"', "22:00:00"),
            f"cafes.toml:7: {ON_WINDOW} 'from': expected a string, not a date or time",
        ),
        *(
            (
                WINDOW.replace("06:00", time),
                f'cafes.toml:8: {ON_WINDOW} \'until\': expected a time of day from "00:00" to "24:00"',
            )
            for time in ("6:00", "06:60", "24:01", "25:00", "06:00:00", "06-00", " 06:00")
        ),
        (WINDOW.replace("06:00", "22:00"), f"cafes.toml:8: {ON_WINDOW} 'until': is the same as 'from'"),
        (WINDOW.replace('from = "22:00"\n', ""), f"cafes.toml:6: {ON_WINDOW} 'from' is missing"),
        (
            WINDOW.replace("micros = 2", "micros = -2"),
            f"cafes.toml:9: {ON_WINDOW} 'price_micros': expected 0 to {1 << 62}, not -2",
        ),
        (WINDOW + "weekdays = [1, 8]", f"cafes.toml:10: {ON_WINDOW} 'weekdays[1]': expected 1 to 7, not 8"),
        (WINDOW + "weekdays = [0]", f"cafes.toml:10: {ON_WINDOW} 'weekdays[0]': expected 1 to 7, not 0"),
        (WINDOW + "weekday = [1]", f"cafes.toml:10: {ON_WINDOW} unknown key 'weekday' (did you mean 'weekdays'?)"),
        (
            WINDOW + '[[tariff.window]]\nfrom = "00:00"\nuntil = "24:01"\nprice_micros = 1',
            'cafes.toml:12: [[window]] #2: \'until\': expected a time of day from "00:00" to "24:00"',
        ),
        (WINDOW + WINDOW.removeprefix(TARIFF) * 100, f"{ON_TARIFF} 'window': expected 100 at most"),
    ],
)
def test_a_price_that_makes_no_sense_is_refused_at_its_line(cafes: Path, text: str, problem: str) -> None:
    assert problems_of(cafes, text) == [problem]


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("tariffs[0].windows[1].from_time", ":11: [[tariff]] #1: [[window]] #2: 'from': no"),
        ("tariffs[0].windows[0].until_time", ":8: [[tariff]] #1: [[window]] #1: 'until': no"),
        ("provisioning.tariffs[0].windows[1].weekdays", ":10: [[tariff]] #1: [[window]] #2: 'weekdays': no"),
        ("tariffs[0].windows[1]", ":10: [[tariff]] #1: [[window]] #2: no"),
        ("tariffs[0].windows", ":6: [[tariff]] #1: 'window': no"),
        ("tariffs[0].cap_micros", ":1: [[tariff]] #1: 'cap_micros': no"),
    ],
)
def test_what_the_engine_says_of_a_window_leads_back_to_its_line(cafes: Path, field: str, place: str) -> None:
    cafes.write_text(WINDOW + WINDOW.removeprefix(TARIFF))
    assert load(cafes, {}).place(field, "no") == f"{cafes}{place}"


SERVICE = """[[service]]
id = "billing"
tokens = ["one", { env = "TOKEN" }]
certificates = ["billing.internal", "spiffe://example.org/billing"]
allow = [
    "SessionService/*",
    "AccountService/GetAccount",
]
"""
ON_SERVICE = "[[service]] #1:"


def test_a_service_has_tokens_certificates_and_a_list_of_what_it_may_call(cafes: Path) -> None:
    cafes.write_text(SERVICE)
    assert load(cafes, {"TOKEN": "two"}).message.services == [
        InternalService(
            id="billing",
            tokens=["one", "two"],
            certificates=["billing.internal", "spiffe://example.org/billing"],
            allow=["SessionService/*", "AccountService/GetAccount"],
        )
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (SERVICE.replace('"one"', '"two words"'), "3: ON 'tokens[0]': expected 1 to 255 visible ASCII characters"),
        (SERVICE.replace('"one"', '"two"'), "3: ON 'tokens[1]': repeats the service's token of line 3"),
        (
            SERVICE.replace("billing.internal", ""),
            "4: ON 'certificates[0]': expected 1 to 255 printable ASCII characters, no blank at either end",
        ),
        (SERVICE.replace('"SessionService/*"', "7"), "5: ON 'allow[0]': expected a string, not an integer"),
        (SERVICE[: SERVICE.index("allow")], "1: ON 'allow' is missing"),
        (SERVICE + "alow = []", "9: ON unknown key 'alow' (did you mean 'allow'?)"),
    ],
)
def test_a_service_that_makes_no_sense_is_refused_at_its_line(cafes: Path, text: str, problem: str) -> None:
    assert problems_of(cafes, text, TOKEN="two") == [f"cafes.toml:{problem.replace('ON', ON_SERVICE)}"]


def test_what_the_engine_says_of_a_value_leads_back_to_its_line(cafes: Path) -> None:
    cafes.write_text(SERVICE)
    file = load(cafes, {"TOKEN": "two"})
    assert file.place("services[0].allow[1]", "no") == f"{cafes}:5: {ON_SERVICE} 'allow[1]': no"
    assert file.place("service/billing", "no") == f"{cafes}:1: {ON_SERVICE} no"


def test_an_empty_file_describes_nothing(cafes: Path) -> None:
    cafes.write_text("")
    assert load(cafes, {}).message == Provisioning()


def test_an_unknown_key_is_named_with_file_line_and_table(cafes: Path) -> None:
    text = '[[cafe]]\nid = "a"\nname = "A"\nnetworks = []\n\n[[cafe]]\nid = "b"\nname = "B"\nnetworks = []\n'
    assert problems_of(cafes, text + 'netwroks = ["10.0.0.0/8"]\n') == [
        "cafes.toml:10: [[cafe]] #2: unknown key 'netwroks' (did you mean 'networks'?)"
    ]


def test_every_mistake_of_a_file_is_reported_at_once_in_its_order(cafes: Path) -> None:
    text = """\
title = "cafes"
[[gmae]]
[account]
id = "cafe-1"
[[game]]
id = "3F0E8A52-6C1B-4A53-9F0E-0D1F2A3B4C5D"
number = 9223372036854775808
brand = ""
image_url = "champagne.jpg"
api_keys = ["", "two words", 7, { env = "A", file = "B" }, { evn = "A" }]
[[tariff]]
id = "standard"
unit_sec = 0
price_micros = -1
rounding = "up"
[[cafe]]
id = 5
name = "A\\tB"
networks = [9, "203.0.113.7/24", "10.0.0.0/8"]
account = "cafe-1"
[[launcher]]
id = "launcher-1"
[[agent]]
id = true
name = "One"
games = [1, "two", 0]
[[developer]]
id = "550e8400-e29b-41d4-a716-44665544000ü"
secret = 1979-05-27
[[match_client]]
client_id = "super-game"
client_secret = "s"
game = "x"
match_info_url = "ftp://127.0.0.1/"
launch_url = "javascript://x"
push_retries = "often"
"""
    host_bits = "'203.0.113.7/24' has host bits set"
    secret = 'a string, { env = "NAME" } or { file = "PATH" }'
    uuid = "expected a UUID in lower case"
    launch = "expected an http or https URL, one of the game's own scheme or steam://run/ID, of at most 2048 characters"
    assert problems_of(cafes, text) == [
        "cafes.toml:1: unknown key 'title'",
        "cafes.toml:2: unknown table [[gmae]] (did you mean 'game'?)",
        "cafes.toml:3: 'account': expected tables: write [[account]] above each",
        "cafes.toml:5: [[game]] #1: 'name' is missing",
        f"cafes.toml:6: [[game]] #1: 'id': {uuid}, not '3F0E8A52-6C1B-4A53-9F0E-0D1F2A3B4C5D'",
        "cafes.toml:7: [[game]] #1: 'number': expected 1 to 9223372036854775807, not 9223372036854775808",
        "cafes.toml:8: [[game]] #1: 'brand': is empty: leave the key out instead",
        "cafes.toml:9: [[game]] #1: 'image_url': expected an http or https URL of at most 2048 characters",
        "cafes.toml:10: [[game]] #1: 'api_keys[0]': expected 1 to 512 characters",
        "cafes.toml:10: [[game]] #1: 'api_keys[1]': expected 1 to 255 visible ASCII characters",
        f"cafes.toml:10: [[game]] #1: 'api_keys[2]': expected {secret}, not an integer",
        f"cafes.toml:10: [[game]] #1: 'api_keys[3]': expected {secret}, not a table",
        f"cafes.toml:10: [[game]] #1: 'api_keys[4]': expected {secret}, not a table",
        "cafes.toml:11: [[tariff]] #1: 'currency' is missing",
        "cafes.toml:13: [[tariff]] #1: 'unit_sec': expected 1 to 2147483647, not 0",
        "cafes.toml:14: [[tariff]] #1: 'price_micros': expected 0 to 4611686018427387904, not -1",
        "cafes.toml:15: [[tariff]] #1: 'rounding': expected \"started_unit\" or \"exact\", not 'up'",
        "cafes.toml:17: [[cafe]] #1: 'id': expected a string, not an integer",
        "cafes.toml:18: [[cafe]] #1: 'name': expected 1 to 200 characters, none of them a control character",
        "cafes.toml:19: [[cafe]] #1: 'networks[0]': expected a string, not an integer",
        f"cafes.toml:19: [[cafe]] #1: 'networks[1]': {host_bits} (did you mean '203.0.113.0/24'?)",
        "cafes.toml:20: [[cafe]] #1: 'account': needs a 'tariff' beside it: without a price nothing can be billed",
        "cafes.toml:21: [[launcher]] #1: 'secret' is missing",
        "cafes.toml:24: [[agent]] #1: 'id': expected an integer, not a boolean",
        "cafes.toml:26: [[agent]] #1: 'games[1]': expected an integer, not a string",
        "cafes.toml:26: [[agent]] #1: 'games[2]': expected 1 to 9223372036854775807, not 0",
        f"cafes.toml:28: [[developer]] #1: 'id': {uuid}, not '550e8400-e29b-41d4-a716-44665544000ü'",
        f"cafes.toml:29: [[developer]] #1: 'secret': expected {secret}, not a date or time",
        f"cafes.toml:33: [[match_client]] #1: 'game': {uuid}, not 'x'",
        "cafes.toml:34: [[match_client]] #1: 'match_info_url': expected an http or https URL of at most 2048 characters",
        f"cafes.toml:35: [[match_client]] #1: 'launch_url': {launch}",
        "cafes.toml:36: [[match_client]] #1: 'push_retries': expected \"none\" or \"standard\", not 'often'",
    ]


PARTNER = """\
[[provider]]
id = "partner-1"
target = "partner.example.com:443"
token = "secret"
plaintext = false
verify_addresses = true
deadline_ms = 500
reserve_sec = 600
[[cafe]]
id = "busan"
name = "Busan"
networks = ["192.0.2.0/24"]
provider = "partner-1"
[[game]]
id = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"
name = "A"
api_keys = ["k"]
on_provider_failure = "allow_then_reconcile"
provider_failure_limit_sec = 900
"""


def test_a_partner_may_say_who_is_a_cafe_and_who_can_pay(cafes: Path) -> None:
    cafes.write_text(PARTNER)
    message = load(cafes, {}).message
    assert list(message.providers) == [
        ChargeProvider(
            id="partner-1",
            target="partner.example.com:443",
            token="secret",
            verify_addresses=True,
            deadline_ms=500,
            reserve_sec=600,
        )
    ]
    assert message.cafes[0].provider == "partner-1"
    assert message.games[0].on_provider_failure == ProvisionedGame.PROVIDER_FAILURE_ALLOW_THEN_RECONCILE
    assert message.games[0].provider_failure_limit_sec == 900


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ('target = "partner.example.com:443"', 'target = "partner"', "3: [[provider]] #1: 'target': expected HOST:PORT"),
        ('token = "secret"\n', "", "1: [[provider]] #1: 'token' is missing"),
        ("plaintext = false", "plaintext = 0", "5: [[provider]] #1: 'plaintext': expected true or false, not an integer"),
        ("deadline_ms = 500", "deadline_ms = 0", "7: [[provider]] #1: 'deadline_ms': expected 1 to 10000, not 0"),
        (
            'provider = "partner-1"',
            'account = "a"\ntariff = "t"\nprovider = "p"',
            "15: [[cafe]] #1: 'provider': pays instead of an account: leave one of the two out",
        ),
        (
            '"allow_then_reconcile"',
            '"hope"',
            '18: [[game]] #1: \'on_provider_failure\': expected "deny", "allow" or "allow_then_reconcile", not \'hope\'',
        ),
    ],
)
def test_a_partner_that_makes_no_sense_is_refused_at_its_line(cafes: Path, right: str, wrong: str, problem: str) -> None:
    assert PARTNER.count(right) == 1
    assert problems_of(cafes, PARTNER.replace(right, wrong)) == [f"cafes.toml:{problem}"]


def test_what_two_tables_may_not_share_is_refused_without_showing_secrets(cafes: Path) -> None:
    text = """\
game = [{ id = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d", name = "A", number = 1, api_keys = ["the-key"] }]
[[cafe]]
id = "a"
name = "A"
networks = ["10.0.0.0/8"]
[[cafe]]
id = "a"
name = "B"
networks = ["10.1.0.0/16", "10.0.0.0/255.0.0.0"]
[[agent]]
id = 1
name = "One"
api_token = "the-token"
[[agent]]
id = 1
name = "Two"
api_token = "the-token"
[[launcher]]
id = "1"
secret = "the-secret"
[[launcher]]
id = "1"
secret = "the-secret"
"""
    problems = problems_of(cafes, text)
    assert problems == [
        "cafes.toml:7: [[cafe]] #2: 'id': repeats the cafe of line 3",
        "cafes.toml:9: [[cafe]] #2: 'networks': repeats the network of line 5",
        "cafes.toml:15: [[agent]] #2: 'id': repeats the agent of line 11",
        "cafes.toml:17: [[agent]] #2: 'api_token': repeats the API token of line 13",
        "cafes.toml:22: [[launcher]] #2: 'id': repeats the launcher of line 19",
    ]
    cafes.write_text(GAME + 'api_keys = ["the-key", "the-key"]\n')
    with pytest.raises(ConfigurationError, match=r"'api_keys\[1\]': repeats the API key of line 4$"):
        load(cafes, {})


def test_networks_are_canonical_and_listed_once(cafes: Path) -> None:
    networks = ["10.0.0.0/255.0.0.0", "10.0.0.0/8", "192.0.2.1", "2001:DB8:0::/32"]
    cafes.write_text(f'[[cafe]]\nid = "a"\nname = "A"\nnetworks = {networks}\n')
    assert load(cafes, {}).message.cafes[0].networks == ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"]


@pytest.mark.parametrize("network", ["", "10.0.0.0/33", "fe80::1%eth0/128", "localhost", "１0.0.0.0/8", "10.0.0.0/8 "])  # noqa: RUF001
def test_what_is_no_network_is_refused(cafes: Path, network: str) -> None:
    assert problems_of(cafes, f'[[cafe]]\nid = "a"\nname = "A"\nnetworks = ["{network}"]\n') == [
        f"cafes.toml:4: [[cafe]] #1: 'networks[0]': expected a network in CIDR notation, not '{network}'"
    ]


def test_what_the_file_refers_to_may_be_in_the_store_already(cafes: Path) -> None:
    cafes.write_text(
        '[[cafe]]\nid = "a"\nname = "A"\nnetworks = []\naccount = "elsewhere"\ntariff = "elsewhere"\n'
        '[[agent]]\nid = 1\nname = "One"\ngames = [99]\n'
    )
    assert load(cafes, {}).message.cafes[0].tariff == "elsewhere"


def test_a_cafe_without_an_account_is_not_billed_whatever_its_price(cafes: Path) -> None:
    cafes.write_text('[[cafe]]\nid = "a"\nname = "A"\nnetworks = []\ntariff = "standard"\n')
    assert load(cafes, {}).message.cafes[0] == ProvisionedCafe(id="a", name="A")


def test_secrets_come_from_variables_and_from_files_beside_the_file(cafes: Path) -> None:
    (cafes.parent / "secrets").mkdir()
    (cafes.parent / "secrets" / "game.key").write_bytes(b"key-of-a-file\r\n")
    cafes.write_text(
        GAME + 'api_keys = ["plain", { env = "KEY" }, { file = "secrets/game.key" }]\n'
        '[[launcher]]\nid = "1"\nsecret = { env = "SECRET" }\n'
    )
    message = load(cafes, {"KEY": "key-of-env", "SECRET": "g ü"}).message
    assert message.games[0].api_keys == ["plain", "key-of-env", "key-of-a-file"]
    assert message.launchers[0].secret == "g ü"


def test_a_secret_that_is_not_there_is_named(cafes: Path) -> None:
    (cafes.parent / "binary").write_bytes(b"\xff")
    text = (
        GAME + 'api_keys = [{ env = "NO_KEY" }, { file = "no/key" }, { file = "binary" }, { env = "EMPTY" }, {env = "BAD"}]\n'
    )
    prefix = "cafes.toml:4: [[game]] #1: 'api_keys"
    assert problems_of(cafes, text, EMPTY="", BAD="\udcff") == [
        f"{prefix}[0]': names the environment variable NO_KEY, which is not set",
        f"{prefix}[1]': names the file 'no/key', which cannot be read: No such file or directory",
        f"{prefix}[2]': names the file 'binary', which is not UTF-8 text",
        f"{prefix}[3]': expected 1 to 512 characters",
        f"{prefix}[4]': names the environment variable BAD, which is not UTF-8 text",
    ]


@pytest.mark.parametrize("written", ['"the secret"', "[]", "12", '{ env = "KEY" }'])
def test_a_secret_never_shows_in_a_report(cafes: Path, written: str) -> None:
    text = f'{GAME}api_keys = [{written}]\n[[launcher]]\nid = "a"\nsecret = {written}\nunknown = 1\n'
    problems = "\n".join(problems_of(cafes, text, KEY="the secret"))
    assert "unknown key 'unknown'" in problems
    assert "the secret" not in problems
    assert "12" not in problems


@pytest.mark.parametrize(
    ("field", "place"),
    [
        ("cafes[1].tariff", ":10: [[cafe]] #2: 'tariff': no such tariff"),
        ("provisioning.cafes[1].tariff", ":10: [[cafe]] #2: 'tariff': no such tariff"),
        ("cafes[0].networks[1]", ":4: [[cafe]] #1: 'networks[1]': no such tariff"),
        ("cafes[1]", ":6: [[cafe]] #2: no such tariff"),
        ("cafes[1].absent", ":6: [[cafe]] #2: 'absent': no such tariff"),
        ("cafe/b", ":6: [[cafe]] #2: no such tariff"),
        ("launcher/1", ":12: [[launcher]] #1: no such tariff"),
        ("match_client/m", ":15: [[match_client]] #1: no such tariff"),
        ("cafe/of-the-store", ": cafe/of-the-store: no such tariff"),
        ("planets[1].name", ": planets[1].name: no such tariff"),
        ("provisioning", ": provisioning: no such tariff"),
    ],
)
def test_the_engines_objections_lead_back_to_the_line(cafes: Path, field: str, place: str) -> None:
    cafes.write_text(
        '[[cafe]]\nid = "a"\nname = "A"\nnetworks = ["10.0.0.0/8", "192.0.2.0/24"]\n\n'
        '[[cafe]]\nid = "b"\nname = "B"\nnetworks = []\ntariff = "gold"\n\n'
        '[[launcher]]\nid = "1"\nsecret = "s"\n'
        '[[match_client]]\nclient_id = "m"\nclient_secret = "s"\n'
        'game = "3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d"\n'
    )
    assert load(cafes, {}).place(field, "no such tariff") == f"{cafes}{place}"


TOML_VALUES = st.sampled_from(["1", "-1", "0.5", "true", '"x"', "[]", "[1]", '["x"]', "{}", "{ env = 'X' }", "nan", "07:32:00"])
TOML_KEYS = st.sampled_from(
    [
        *(
            "id",
            "name",
            "number",
            "networks",
            "secret",
            "api_keys",
            "games",
            "unit_sec",
            "rounding",
            "tariff",
            "account",
            "game",
        ),
        *("minimum_micros", "free_sec", "cap_micros", "reserve_sec", "time_zone", "window", "bill_on_silence"),
    ]
)
TABLES = st.sampled_from(["game", "tariff", "account", "cafe", "launcher", "agent", "developer", "match_client", "nonsense"])


@given(st.lists(st.tuples(TABLES, st.dictionaries(TOML_KEYS, TOML_VALUES)), max_size=4))
def test_any_toml_is_a_message_or_is_refused_line_by_line(
    tmp_path_factory: pytest.TempPathFactory, tables: list[tuple[str, dict[str, str]]]
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.toml"
    rows = [f"[[{table}]]\n" + "".join(f"{key} = {value}\n" for key, value in body.items()) for table, body in tables]
    path.write_text("".join(rows))
    try:
        message = load(path, {}).message
    except ConfigurationError as error:
        lines = [int(problem.removeprefix(f"{path}:").split(":")[0]) for problem in error.problems]
        assert lines == sorted(lines)
    else:
        assert sum(len(value) for _, value in message.ListFields()) == len(tables)
