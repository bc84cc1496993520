"""What an agent may tell of a player."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from playclock.core.language import language_problem
from playclock.core.player import Player, agent_session_id_problem, attributes_of, player_problems, read_attributes

PLAYER = Player(
    player_id="player_123",
    username="john_doe",
    language="ru",
    currency="RUB",
    home_url="https://example.com",
    ip="192.168.1.1",
)
CURRENCIES = frozenset({"RUB", "USD", "GCOIN"})
REQUIRED = "is required"
TEXT_128 = "expected 1 to 128 characters, none of them a control character"
LANGUAGE = "expected a well-formed language tag (BCP 47), such as en or pt-BR"
CURRENCY = "expected a currency's code of ISO 4217, or one that the settings add"
ADDRESS = "expected an IPv4 or IPv6 address"
HOME = "expected an http or https URL of at most 2048 characters, without user and password"


def test_the_documents_player_is_good() -> None:
    assert set(player_problems(PLAYER, CURRENCIES).values()) == {None}


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("player_id", "p" * 128, None),
        ("player_id", "é/&?#", None),
        ("player_id", "", REQUIRED),
        ("player_id", "p" * 129, TEXT_128),
        ("player_id", "a\nb", TEXT_128),
        ("username", "John Doe 😀", None),
        ("username", "", REQUIRED),
        ("username", "u" * 129, TEXT_128),
        ("username", "a\x00", TEXT_128),
        ("language", "pt-BR", None),
        ("language", "", REQUIRED),
        ("language", "russian language", LANGUAGE),
        ("currency", "GCOIN", None),
        ("currency", "", REQUIRED),
        ("currency", "rub", CURRENCY),
        ("currency", "EUR", CURRENCY),
        ("home_url", "http://example.com/lobby", None),
        ("home_url", "", REQUIRED),
        ("home_url", "javascript:alert(1)", HOME),
        ("ip", "2001:db8::1", None),
        ("ip", "::ffff:192.0.2.1", None),
        ("ip", "", REQUIRED),
        ("ip", "192.168.1", ADDRESS),
        ("ip", "192.168.1.256", ADDRESS),
        ("ip", "192.168.001.1", ADDRESS),
        ("ip", "192.168.1.1/24", ADDRESS),
        ("ip", " 192.168.1.1", ADDRESS),
        ("ip", "fe80::1%eth0", ADDRESS),
        ("ip", "example.com", ADDRESS),
        ("ip", "1" * 10_000, ADDRESS),
    ],
)
def test_each_field(field: str, value: str, problem: str | None) -> None:
    named = {"username": "player_username"}.get(field, field)
    found = player_problems(replace(PLAYER, **{field: value}), CURRENCIES)
    assert {name: told for name, told in found.items() if told} == ({} if problem is None else {named: problem})


@pytest.mark.parametrize(
    ("text", "problem"),
    [("session_abc123", None), ("s" * 128, None), ("", REQUIRED), ("s" * 129, TEXT_128), ("a\tb", TEXT_128)],
)
def test_the_agents_session_id(text: str, problem: str | None) -> None:
    assert agent_session_id_problem(text) == problem


WELL_FORMED = """
de fr ja i-enochian zh-Hant zh-Hans sr-Cyrl sr-Latn zh-cmn-Hans-CN cmn-Hans-CN zh-yue-HK yue-HK zh-Hans-CN sr-Latn-RS
sl-rozaj sl-rozaj-biske sl-nedis de-CH-1901 sl-IT-nedis hy-Latn-IT-arevela de-DE en-US es-419 de-CH-x-phonebk
az-Arab-x-AZE-derbend x-whatever qaa-Qaaa-QM-x-southern de-Qaaa sr-Latn-QM sr-Qaaa-RS en-US-u-islamcal
zh-CN-a-myext-x-private en-a-myext-b-another art-lojban cel-gaulish no-bok no-nyn zh-guoyu zh-hakka zh-min zh-min-nan
zh-xiang en-GB-oed i-default i-klingon sgn-BE-FR sgn-CH-DE RU pt-br EN-latn-us
"""


class TestLanguages:
    # Examples of RFC 5646, appendix A, and each grandfathered tag of section 2.1 that fits the grammar or is named in it.
    @pytest.mark.parametrize(
        "tag",
        WELL_FORMED.split(),
    )
    def test_well_formed(self, tag: str) -> None:
        assert language_problem(tag) is None

    # Of the same appendix what is not, and what is commonly sent instead.
    @pytest.mark.parametrize(
        "tag",
        [
            "a-DE",
            "de-419-DE",
            "de_DE",
            "en-",
            "-en",
            "en--US",
            "e",
            "abcdefghi",
            "en-US-",
            "ru-RU.UTF-8",
            "en US",
            "*",
            "x",
            "x-",
            "en-a",
            "en-x",
            "i-unknown",
            "12",
            "\u0440\u0443",
            "en\n",
            "zh-abc-def-ghi-jkl",
            "en-" + "-".join(["abcde"] * 6),
        ],
    )
    def test_not_well_formed(self, tag: str) -> None:
        assert language_problem(tag) == LANGUAGE


@settings(deadline=None, derandomize=True)
@given(st.integers(1, 1 << 62), st.text(max_size=8), st.lists(st.text(max_size=8), min_size=6, max_size=6))
def test_attributes_are_read_as_they_were_written(agent_id: int, agent_session_id: str, fields: list[str]) -> None:
    texts = [text.encode("utf-8", "replace").decode() for text in (agent_session_id, *fields)]
    session_id, player_id, username, language, currency, home_url, ip = texts
    player = Player(player_id=player_id, username=username, language=language, currency=currency, home_url=home_url, ip=ip)
    assert read_attributes(attributes_of(agent_id, session_id, player)) == {
        "agent_id": str(agent_id),
        "agent_session_id": session_id,
        "player_username": username,
        "language": language,
        "currency": currency,
        "home_url": home_url,
        "ip": ip,
    }


def test_a_session_of_which_nobody_told_anything_has_none() -> None:
    assert read_attributes(b"") == {}
