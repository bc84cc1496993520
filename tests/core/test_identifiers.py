"""Players' identifiers: every documented form, one canonical spelling of each, one UUID, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playclock.core.identifiers import SEEN_AGAIN_MS, KnownPlayer, is_worth_noting, parse
from playclock.core.ids import is_uuid

UUID = "550e8400-e29b-41d4-a716-446655440000"
WALLET = "9qdvVLY3vLhmvV7uBkLJsQKcHDjxhoUWJ9uZASYEfwwC"
ADDRESS = "0x52908400098527886E0F7030069857D2E4169EE7"
BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def base58(data: bytes) -> str:
    """Write bytes as Bitcoin and Solana do."""
    number, text = int.from_bytes(data), ""
    while number:
        number, digit = divmod(number, 58)
        text = BASE58[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        (UUID, UUID),
        (UUID.upper(), UUID),
        ("did:privy:abc123def456", "did:privy:abc123def456"),
        (f"sol:{WALLET}", f"sol:{WALLET}"),
        (f"solana:{WALLET}", f"sol:{WALLET}"),
        ("sol:" + "1" * 32, "sol:" + "1" * 32),
        (f"eth:{ADDRESS}", f"eth:{ADDRESS.lower()}"),
        (f"ethereum:{ADDRESS.lower()}", f"eth:{ADDRESS.lower()}"),
        ("email:User@Example.com", "email:user@example.com"),
        ("email:a+b@sub.example.co.kr", "email:a+b@sub.example.co.kr"),
        ("twitter:UserName", "twitter:username"),
        ("x:username", "twitter:username"),
        ("x:@username", "twitter:username"),
    ],
)
def test_each_documented_form_has_one_canonical_spelling(text: str, canonical: str) -> None:
    found = parse(text)
    assert found is not None
    assert found.canonical == canonical
    assert parse(canonical) == found
    assert is_uuid(found.player_id)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "invalid-id",
        "studio-user-id",
        UUID[:-1],
        "{" + UUID + "}",
        UUID.replace("5", "\uff15"),
        UUID.replace("e29b", "\u212a29b"),
        UUID + "\n",
        " " + UUID,
        "sol:",
        f"SOL:{WALLET}",
        f"sol: {WALLET}",
        "sol:" + WALLET.replace("9", "0", 1),
        "sol:" + "1" * 31 + "zz",
        "sol:" + "1" * 33,
        "sol:" + "1" * 44,
        "sol:" + "z" * 44,
        "sol:" + "2" * 32,
        "eth:123",
        f"eth:{ADDRESS[2:]}",
        f"eth:{ADDRESS}0",
        f"eth:{ADDRESS[:-1]}",
        f"eth:{ADDRESS[:-1]}g",
        "email:",
        "email:user",
        "email:user@example",
        "email:@example.com",
        "email:user@-example.com",
        "email:user@example..com",
        "email:us er@example.com",
        "email:user@ex\u00e4mple.com",
        "email:" + "a" * 65 + "@example.com",
        "email:a@" + "b" * 64 + ".com",
        "email:a@" + ".".join(["b" * 60] * 6),
        "twitter:",
        "twitter:@@a",
        "twitter:has space",
        "twitter:" + "a" * 16,
        "x:\u00e9",
        "did:privy:",
        "did:privy:a b",
        "did:web:example.com",
        "did:privy:" + "a" * 65,
    ],
)
def test_nothing_else_names_anybody(text: str) -> None:
    assert parse(text) is None


def test_a_uuid_is_the_player_it_names_and_others_have_one_that_follows_from_them() -> None:
    named = parse(UUID)
    assert named is not None
    assert (named.player_id, named.is_player_id) == (UUID, True)
    wallet = parse(f"sol:{WALLET}")
    assert wallet is not None
    assert not wallet.is_player_id
    # Written out, for it must be the same in every store and every version.
    assert wallet.player_id == "648f6cfe-f32b-4772-84db-e7cb03e6a9e2"
    assert len({parse(text).player_id for text in ("email:a@b.cc", "twitter:a", "did:privy:a", f"eth:{ADDRESS}")}) == 4  # type: ignore[union-attr]


@given(st.binary(min_size=30, max_size=34))
def test_a_solana_address_is_32_bytes_whatever_they_are(data: bytes) -> None:
    assert (parse(f"sol:{base58(data)}") is not None) == (len(data) == 32)


@given(st.text(max_size=400))
def test_no_text_is_too_odd_to_be_looked_at(text: str) -> None:
    for prefix in ("", "sol:", "eth:", "email:", "x:", "did:privy:"):
        found = parse(prefix + text)
        assert found is None or parse(found.canonical) == found


def test_that_a_player_was_named_again_is_noted_once_a_month() -> None:
    player = KnownPlayer("twitter:a", 1_000)
    assert is_worth_noting(None, 1_000)
    assert not is_worth_noting(player, 1_000 + SEEN_AGAIN_MS - 1)
    assert is_worth_noting(player, 1_000 + SEEN_AGAIN_MS)
