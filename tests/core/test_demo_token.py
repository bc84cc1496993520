"""Demo tokens: good as they were made, and worth nothing with a single bit changed."""

import base64

import msgspec
import pytest
from msgspec.structs import replace
from playclock.core.credentials import Credential
from playclock.core.demo import TOKEN_MAX, TOKEN_PREFIX, Demo, is_valid, make_token, read_token
from playclock.core.fields import URL_MAX, USER_ID_MAX
from playclock.core.language import LANGUAGE_MAX
from playclock.core.player import Player
from playclock.core.signing.mac import mac

PLAYER = Player(
    player_id="player_123",
    username="john_doe",
    language="ru",
    currency="RUB",
    home_url="https://example.com",
    ip="192.168.1.1",
)
EXPIRES_MS = 1_767_229_200_000
DEMO = Demo(agent_id=1, game_id="3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d", player=PLAYER, expires_ms=EXPIRES_MS)
KEY = Credential(id="key_1", owner="agent/1", created_ms=0, secret=b"the-token-of-the-agent")
OTHER_KEY = replace(KEY, id="key_2", secret=b"the-token-of-the-other-agent")
TOKEN = make_token(KEY.secret, DEMO)
TOKENS = [make_token(KEY.secret, replace(DEMO, player=replace(PLAYER, username="x" * length))) for length in (1, 2, 3)]
"""Of lengths that leave no, two and four spare bits in the last character of base64."""


def is_good(token: str, *keys: Credential, now_ms: int = EXPIRES_MS - 1) -> bool:
    claimed = read_token(token)
    return claimed is not None and is_valid(claimed, keys or (KEY,), now_ms=now_ms)


def test_a_token_says_what_it_was_made_for_and_is_good_until_it_is_over() -> None:
    claimed = read_token(TOKEN)
    assert claimed is not None
    assert claimed.said == DEMO
    assert is_good(TOKEN)
    assert is_good(TOKEN, now_ms=0)
    assert not is_good(TOKEN, now_ms=EXPIRES_MS)


def test_it_is_good_under_each_of_the_agents_keys_and_no_other() -> None:
    assert is_good(TOKEN, OTHER_KEY, KEY)
    assert not is_good(TOKEN, OTHER_KEY)
    claimed = read_token(TOKEN)
    assert claimed is not None
    assert not is_valid(claimed, (), now_ms=0)


@pytest.mark.parametrize("token", TOKENS)
def test_with_one_bit_of_what_it_says_or_of_its_mac_changed_it_is_not(token: str) -> None:
    raw = base64.urlsafe_b64decode(token.removeprefix(TOKEN_PREFIX) + "==")
    for bit in range(8 * len(raw)):
        changed = (int.from_bytes(raw) ^ 1 << bit).to_bytes(len(raw))
        assert not is_good(TOKEN_PREFIX + base64.urlsafe_b64encode(changed).rstrip(b"=").decode())


@pytest.mark.parametrize("token", TOKENS)
def test_with_one_bit_of_its_text_changed_it_is_not_either(token: str) -> None:
    assert is_good(token)
    text = token.encode()
    for bit in range(8 * len(text)):
        changed = (int.from_bytes(text) ^ 1 << bit).to_bytes(len(text)).decode("latin-1")
        assert not is_good(changed), changed


@pytest.mark.parametrize("token", TOKENS)
def test_with_another_last_character_it_is_not_either(token: str) -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    assert [letter for letter in letters if is_good(token[:-1] + letter)] == [token[-1]]


@pytest.mark.parametrize(
    "text",
    [
        "",
        TOKEN_PREFIX,
        TOKEN.removeprefix(TOKEN_PREFIX),
        TOKEN_PREFIX + TOKEN,
        TOKEN + "=",
        TOKEN + "==",
        TOKEN + "A",
        TOKEN + "\n",
        " " + TOKEN,
        TOKEN[:-1],
        TOKEN.upper(),
        TOKEN_PREFIX + "é",
        TOKEN_PREFIX + "A",
        TOKEN_PREFIX + "A" * 42,
        TOKEN_PREFIX + "A" * TOKEN_MAX,
        "6291bd38-1a61-4966-a37b-b1939013d449",
    ],
)
def test_no_other_text_is_a_token(text: str) -> None:
    assert not is_good(text)


def test_a_mac_over_something_else_under_the_same_key_makes_no_token() -> None:
    payload = msgspec.msgpack.encode(DEMO)
    raw = payload + mac(KEY.secret, payload)
    assert not is_good(TOKEN_PREFIX + base64.urlsafe_b64encode(raw).rstrip(b"=").decode())


def test_the_longest_that_can_be_asked_for_fits() -> None:
    wide = "\U0001f600"
    player = Player(
        player_id=wide * USER_ID_MAX,
        username=wide * USER_ID_MAX,
        language="x" * LANGUAGE_MAX,
        currency="X" * 16,
        home_url=wide * URL_MAX,
        ip="f" * 45,
    )
    longest = make_token(KEY.secret, replace(DEMO, agent_id=(1 << 63) - 1, player=player))
    assert len(longest) <= TOKEN_MAX
    assert is_good(longest)
