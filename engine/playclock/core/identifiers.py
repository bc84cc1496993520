"""Players as play.fun names them: one UUID for each, however somebody's wallet, mail or handle is spelled.

https://docs.play.fun/build-on-play.fun/api-endpoints/games.md, "User Identifiers".
"""

import re
from typing import Final

import msgspec

from playclock.core.ids import is_uuid, player_id_of

IDENTIFIER_MAX: Final = 320
"""How long an identifier may be: no mail address is longer."""
SOLANA_BYTES: Final = 32
SEEN_AGAIN_MS: Final = 30 * 86_400_000
"""After how long it is noted that a player was named again."""
REMEMBERED_MS: Final = 400 * 86_400_000
"""For how long a player is known whom nobody names."""

_DIGITS: Final = {digit: value for value, digit in enumerate("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")}
_PRIVY = re.compile(r"did:privy:[A-Za-z0-9_-]{1,64}", re.ASCII)
_SOLANA = re.compile(r"(?:sol|solana):([1-9A-HJ-NP-Za-km-z]{32,44})", re.ASCII)
_ETHEREUM = re.compile(r"(?:eth|ethereum):0x([0-9A-Fa-f]{40})", re.ASCII)
_HANDLE = re.compile(r"(?:twitter|x):@?([A-Za-z0-9_]{1,15})", re.ASCII)
_LABEL: Final = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# As HTML has addresses, with a dot in the domain: https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address
_MAIL = re.compile(rf"email:([A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})+)", re.ASCII)


class Identifier(msgspec.Struct, frozen=True, gc=False):
    """Who somebody is."""

    canonical: str
    """The one spelling of all that name the same: "sol:…", "eth:0x…", "email:…", "twitter:…", "did:privy:…" or a UUID."""
    player_id: str
    """The player's UUID."""

    @property
    def is_player_id(self) -> bool:
        """Whether the player was named by the UUID itself."""
        return self.canonical == self.player_id


class KnownPlayer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A player who was named at some time."""

    canonical: str
    seen_ms: int
    """When somebody named the player last, a month off at most."""


def parse(text: str) -> Identifier | None:
    """Return whom a text names; None where it names nobody in any of the documented forms."""
    if len(text) > IDENTIFIER_MAX:
        return None
    if is_uuid(text.lower()) and text.isascii():
        return Identifier(text.lower(), text.lower())
    canonical = _canonical(text)
    return None if canonical is None else Identifier(canonical, player_id_of(canonical))


def is_worth_noting(player: KnownPlayer | None, now_ms: int) -> bool:
    """Whether it has to be written that a player is named now."""
    return player is None or now_ms - player.seen_ms >= SEEN_AGAIN_MS


def _canonical(text: str) -> str | None:
    if match := _SOLANA.fullmatch(text):
        return f"sol:{match[1]}" if _base58_bytes(match[1]) == SOLANA_BYTES else None
    if match := _ETHEREUM.fullmatch(text):
        return f"eth:0x{match[1].lower()}"
    if match := _MAIL.fullmatch(text):
        return f"email:{match[1].lower()}"
    if match := _HANDLE.fullmatch(text):
        return f"twitter:{match[1].lower()}"
    return text if _PRIVY.fullmatch(text) else None


def _base58_bytes(text: str) -> int:
    """Return how many bytes a base58 text stands for."""
    number = 0
    for digit in text:
        number = number * 58 + _DIGITS[digit]
    return len(text) - len(text.lstrip("1")) + (number.bit_length() + 7) // 8
