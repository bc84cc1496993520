"""The estate: which cafe an address belongs to, whose key it is, and what does not fit together."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core import estate as core
from playclock.core.catalog import Game
from playclock.core.estate import (
    AccountPlan,
    Agent,
    Cafe,
    Developer,
    Estate,
    Launcher,
    MatchClient,
    Resource,
    hash_key,
    parse_address,
    parse_network,
    problems,
    resource_key,
)
from playclock.core.ids import kind_of, partition_of
from playclock.core.tariff import Rounding, Tariff

REPEATABLE = settings(deadline=None, derandomize=True)

GAME = Game(
    id="3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d",
    number=123,
    name="Champagne Party",
    brand="Mega",
    image_url="",
    play_url="",
    demo_url="",
    api_key_hashes=(hash_key("dev-game-key"),),
)
OTHER_GAME = replace(GAME, id="00000000-6c1b-4a53-9f0e-0d1f2a3b4c5d", number=124, api_key_hashes=(hash_key("another"),))
GAMES = {GAME.id, OTHER_GAME.id}
TARIFF = Tariff("standard", "GCOIN", unit_ms=60_000, price_micros=1, rounding=Rounding.EXACT)
PLAN = AccountPlan(id="cafe-1", currency="GCOIN", opening_balance_micros=500)
LAUNCHER = Launcher(id="launcher-1", secrets=(b"secret",))
AGENT = Agent(id=1, name="Agent One", secrets=(), games=(123,))
DEVELOPER = Developer(id="550e8400-e29b-41d4-a716-446655440000", secrets=(b"secret",))
CLIENT = MatchClient(id="super-game", secrets=(b"secret",), game_id=GAME.id, match_info_url="")


def cafe(name: str, *networks: str, account_id: str | None = None, tariff_id: str | None = None) -> Cafe:
    return Cafe(id=name, name=name, networks=networks, account_id=account_id, tariff_id=tariff_id)


def name_at(address: str, *cafes: Cafe) -> str | None:
    found = Estate(cafes).cafe_at(address)
    return None if found is None else found.id


class TestCafeAt:
    SEOUL = cafe("seoul", "203.0.113.0/24", "10.0.0.0/8", "2001:db8::/32")
    ROOM = cafe("room", "203.0.113.128/25", "10.1.0.0/16", "2001:db8:1::/48")
    DESK = cafe("desk", "203.0.113.129/32", "2001:db8:1::5/128")

    @pytest.mark.parametrize(
        ("address", "name"),
        [
            ("203.0.113.0", "seoul"),
            ("203.0.113.127", "seoul"),
            ("203.0.113.128", "room"),
            ("203.0.113.129", "desk"),
            ("203.0.113.130", "room"),
            ("203.0.113.255", "room"),
            ("203.0.114.0", None),
            ("203.0.112.255", None),
            ("10.0.255.255", "seoul"),
            ("10.1.0.0", "room"),
            ("10.1.255.255", "room"),
            ("10.2.0.0", "seoul"),
            ("11.0.0.0", None),
            ("2001:db8::1", "seoul"),
            ("2001:db8:1::1", "room"),
            ("2001:db8:1::5", "desk"),
            ("2001:0DB8:0001:0:0::0005", "desk"),
            ("2001:db8:2::", "seoul"),
            ("2001:db9::", None),
            # An IPv4 address in IPv6 clothes.
            ("::ffff:203.0.113.129", "desk"),
            ("::ffff:cb00:7181", "desk"),
            ("::ffff:192.0.2.1", None),
            # The same bits in the other family are another address.
            ("::203.0.113.129", None),
            ("::10.0.0.1", None),
        ],
    )
    def test_the_narrowest_network_wins(self, address: str, name: str | None) -> None:
        assert name_at(address, self.SEOUL, self.ROOM, self.DESK) == name
        assert name_at(address, self.DESK, self.ROOM, self.SEOUL) == name

    def test_a_network_for_all_addresses_is_the_last_resort(self) -> None:
        cafes = (cafe("four", "0.0.0.0/0"), cafe("six", "::/0"), self.SEOUL)
        assert name_at("192.0.2.1", *cafes) == "four"
        assert name_at("2001:db9::", *cafes) == "six"
        assert name_at("10.0.0.1", *cafes) == "seoul"

    @pytest.mark.parametrize(
        "junk",
        [
            "",
            " ",
            "10.0.0.1 ",
            "10.0.0.1\n",
            "10.0.0.01",
            "10.0.0",
            "10.0.0.256",
            "10.0.0.1/32",
            "10.0.0.1:80",
            "[::1]",
            "167772161",
            "0x0a000001",
            "\uff11\uff10.0.0.1",
            "\u0661\u0660.0.0.1",
            "localhost",
            "unix:/tmp/socket",
            "\ud800",
            "1" * 100_000,
        ],
    )
    def test_what_is_no_address_belongs_to_no_cafe(self, junk: str) -> None:
        assert name_at(junk, cafe("all", "0.0.0.0/0", "::/0")) is None

    def test_without_cafes_there_is_none(self) -> None:
        assert name_at("10.0.0.1") is None

    @REPEATABLE
    @given(
        st.lists(st.tuples(st.integers(0, 255), st.integers(24, 32)), max_size=8, unique=True),
        st.integers(0, 255),
    )
    def test_it_is_what_a_search_through_all_networks_finds(self, drawn: list[tuple[int, int]], last: int) -> None:
        networks = {network for octet, length in drawn if (network := parse_network(f"10.0.0.{octet}/{length}"))}
        address = parse_address(f"10.0.0.{last}")
        holding = [network for network in networks if address in network]
        expected = max(holding, key=lambda network: network.prefixlen, default=None)
        found = name_at(f"10.0.0.{last}", *(cafe(str(network), str(network)) for network in networks))
        assert found == (None if expected is None else str(expected))


class TestParsing:
    def test_an_address_is_parsed_strictly_and_mapped_ones_are_ipv4(self) -> None:
        assert str(parse_address("::ffff:10.0.0.1")) == "10.0.0.1"
        assert str(parse_address("2001:DB8::")) == "2001:db8::"
        assert parse_address("10.0.0.0/8") is None

    @pytest.mark.parametrize("text", ["10.0.0.0/8", "10.0.0.1/32", "::/0", "2001:db8::/32"])
    def test_a_network_is_written_in_cidr_notation(self, text: str) -> None:
        assert str(parse_network(text)) == text

    @pytest.mark.parametrize("text", ["", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/-1", "2001:db8::1/32", "*", "10.0.0.0-9"])
    def test_anything_else_is_none(self, text: str) -> None:
        assert parse_network(text) is None


class TestLookUps:
    def test_every_kind_is_found_by_its_id(self) -> None:
        seoul = cafe("seoul")
        estate = Estate([GAME, TARIFF, PLAN, seoul, LAUNCHER, AGENT, DEVELOPER, CLIENT], revision=7)
        assert estate.revision == 7
        assert estate.tariffs == {"standard": TARIFF}
        assert estate.plans == {"cafe-1": PLAN}
        assert estate.cafes == {"seoul": seoul}
        assert estate.launchers == {"launcher-1": LAUNCHER}
        assert estate.match_clients == {CLIENT.id: CLIENT}
        assert len(estate.resources) == 8

    def test_an_empty_estate_has_nothing(self) -> None:
        assert Estate().resources == {}
        assert Estate().revision == 0

    def test_a_game_is_found_by_the_hash_of_any_of_its_keys(self) -> None:
        two_keys = replace(GAME, api_key_hashes=(hash_key("old"), hash_key("new")))
        estate = Estate([two_keys, OTHER_GAME])
        found = {key: estate.credential_of("game", key, 0) for key in ("old", "new", "another", "unknown")}
        owners = {key: credential and credential.owner for key, credential in found.items()}
        assert owners == {
            "old": f"game/{GAME.id}",
            "new": f"game/{GAME.id}",
            "another": f"game/{OTHER_GAME.id}",
            "unknown": None,
        }

    def test_of_a_key_only_the_hash_is_kept(self) -> None:
        assert hash_key("dev-game-key") == hashlib.sha256(b"dev-game-key").digest()

    @pytest.mark.parametrize("key", ["", "\ud800", "é", "\0"])
    def test_any_text_can_be_looked_up_as_a_key(self, key: str) -> None:
        assert Estate([GAME]).credential_of("game", key, 0) is None

    @pytest.mark.parametrize(
        ("resource", "key"),
        [
            (GAME, f"00:game:{GAME.id}"),
            (TARIFF, "00:tariff:standard"),
            (PLAN, "00:plan:cafe-1"),
            (cafe("seoul"), "00:cafe:seoul"),
            (LAUNCHER, "00:launcher:launcher-1"),
            (AGENT, "00:agent:1"),
            (DEVELOPER, f"00:developer:{DEVELOPER.id}"),
            (CLIENT, "00:matchclient:super-game"),
        ],
    )
    def test_every_kind_has_keys_of_its_own(self, resource: Resource, key: str) -> None:
        assert resource_key(resource) == key
        assert core.KINDS[kind_of(key)] is type(resource)

    def test_no_resource_lies_where_the_list_of_them_lies(self) -> None:
        assert kind_of(core.DIRECTORY_KEY) not in core.KINDS

    def test_what_happens_in_a_cafe_lies_with_the_account_that_pays(self) -> None:
        assert cafe("seoul").partition == partition_of("cafe", "seoul")
        paying = cafe("seoul", account_id="cafe-1", tariff_id="standard")
        assert paying.partition == partition_of("account", "cafe-1") != cafe("seoul").partition


class TestProblems:
    def test_an_estate_that_fits_together_has_none(self) -> None:
        seoul = cafe("seoul", "10.0.0.0/8", "10.0.0.0/8", account_id="cafe-1", tariff_id="standard")
        busan = cafe("busan", "10.0.0.0/16")
        assert problems(Estate([GAME, OTHER_GAME, TARIFF, PLAN, seoul, busan, LAUNCHER, AGENT, DEVELOPER, CLIENT]), GAMES) == {}
        assert problems(Estate(), GAMES) == {}

    @pytest.mark.parametrize(
        ("resources", "owner", "sentence"),
        [
            (
                [GAME, replace(OTHER_GAME, api_key_hashes=(hash_key("own"), hash_key("dev-game-key")))],
                f"game/{OTHER_GAME.id}",
                "one of its api_keys is another game's too",
            ),
            (
                [cafe("seoul", "10.0.0.0/8", "10.1.0.0/16"), cafe("busan", "10.1.0.0/16")],
                "cafe/busan",
                "the network 10.1.0.0/16 is another cafe's too",
            ),
            ([PLAN, cafe("seoul", account_id="cafe-1")], "cafe/seoul", "account and tariff go together"),
            ([TARIFF, cafe("seoul", tariff_id="standard")], "cafe/seoul", "account and tariff go together"),
            (
                [TARIFF, cafe("seoul", account_id="cafe-1", tariff_id="standard")],
                "cafe/seoul",
                "there is no account cafe-1",
            ),
            (
                [PLAN, cafe("seoul", account_id="cafe-1", tariff_id="standard")],
                "cafe/seoul",
                "there is no tariff standard",
            ),
            (
                [PLAN, replace(TARIFF, currency="KRW"), cafe("seoul", account_id="cafe-1", tariff_id="standard")],
                "cafe/seoul",
                "account cafe-1 is in GCOIN, tariff standard in KRW",
            ),
            ([replace(CLIENT, game_id="none")], "match_client/super-game", "there is no game none"),
        ],
    )
    def test_each_is_told_of_the_resource_that_has_it(self, resources: list[Resource], owner: str, sentence: str) -> None:
        assert problems(Estate(resources), GAMES) == {owner: sentence}

    def test_all_of_them_are_told(self) -> None:
        found = problems(Estate([cafe("seoul", account_id="cafe-1"), cafe("busan", tariff_id="standard"), CLIENT]), ())
        assert set(found) == {"cafe/seoul", "cafe/busan", "match_client/super-game"}
