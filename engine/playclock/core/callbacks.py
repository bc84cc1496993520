"""What is said to an agent's server about its players' money, and what its answers mean.

Source: FAR Games, "Callbacks". One URL per agent; the kind is a field of the body. What the document leaves open (errors,
rollback, repeats) is decided here, and docs/decisions.md says why.
"""

import re
from enum import Enum
from typing import Final

import msgspec

from playclock.core.decimals import decimal_of, micros_of
from playclock.core.ids import rollback_id_of
from playclock.core.signing.canonical_json import Members, NotCanonical, Number, read
from playclock.core.wallet import Bet, Purse

OK: Final = 200
ERROR_MAX: Final = 64
RETRY_AFTER_MAX_SEC: Final = 3_600
"""How long an agent may ask to be left alone."""

_REFUSING: Final = range(400, 500)
_NOT_HEARD: Final = frozenset({408, 425, 429})
"""What something before the agent's books says: whether those have seen the request is not known."""
_SAYS_WHEN: Final = frozenset({429, 503})
_CODE: Final = re.compile(r"[^A-Za-z0-9_.-]+", re.ASCII)
_DOUBTFUL: Final = ("internal", "server", "timeout", "unavailable", "duplicate", "already", "unknown")
"""Parts of errors that leave open whether a bet counts. "Duplicate", though sent once: somebody between repeated it."""
_POOR: Final = ("insufficient", "not_enough")
_SECONDS: Final = re.compile(r"[0-9]{1,9}", re.ASCII)


class Kind(Enum):
    """What an agent is asked."""

    GET_BALANCE = "getBalance"
    MAKE_BET = "makeBet"
    ROLLBACK = "rollback"


class Word(Enum):
    """What an answer comes to."""

    YES = "yes"
    NO = "no"
    """For certain: nothing was done."""
    DOUBT = "doubt"
    """Nobody can say whether anything was done."""


class Heard(msgspec.Struct, frozen=True):
    """An agent's answer, or that there is none."""

    word: Word
    balance_micros: int | None = None
    error: str = ""
    """Its code, as far as it is one: at most 64 letters, digits and `_.-`."""
    retry_after_ms: int = 0
    """How long the agent asks to be left alone."""
    is_down: bool = False
    """Whether it was no answer of the agent's books at all."""


def balance_body(purse: Purse, session_id: str, *, request_id: str, now_ms: int) -> bytes:
    """Return the body that asks what a player has."""
    return _body(Kind.GET_BALANCE, purse, session_id, request_id, now_ms)


def bet_body(bet: Bet, *, request_id: str, now_ms: int) -> bytes:
    """Return the body that makes a bet."""
    return _body(
        Kind.MAKE_BET,
        bet.purse,
        bet.session_id,
        request_id,
        now_ms,
        transaction_id=bet.id,
        round_id=bet.round_id,
        bet=msgspec.Raw(decimal_of(bet.bet_micros).encode()),
        win=msgspec.Raw(decimal_of(bet.win_micros).encode()),
    )


def rollback_body(bet: Bet, *, request_id: str, now_ms: int) -> bytes:
    """Return the body that takes a bet back. Its transaction id is the same each time."""
    return _body(
        Kind.ROLLBACK,
        bet.purse,
        bet.session_id,
        request_id,
        now_ms,
        transaction_id=rollback_id_of(bet.id),
        original_transaction_id=bet.id,
        round_id=bet.round_id,
    )


def read_answer(status: int, headers: dict[str, str], body: bytes) -> Heard:
    """Return what an agent's answer comes to. Whatever it is, it is none of the caller's to see but its error's code."""
    retry_after_ms = _retry_after_ms(status, headers)
    if status in _NOT_HEARD or (status != OK and status not in _REFUSING):
        return Heard(Word.DOUBT, error=f"http_{status}", retry_after_ms=retry_after_ms, is_down=True)
    try:
        fields = dict(read(body))
    except NotCanonical:
        return Heard(Word.DOUBT, error="unreadable", is_down=True)
    content = fields.get("content")
    balance_micros = _balance(dict(content)) if isinstance(content, Members) else _balance(fields)
    error = fields.get("error")
    if isinstance(error, str) and not isinstance(error, Number) and error:
        code = _CODE.sub("_", error)[:ERROR_MAX]
        is_doubtful = any(part in code.lower() for part in _DOUBTFUL)
        return Heard(Word.DOUBT if is_doubtful else Word.NO, balance_micros, code)
    if status != OK or error not in (None, "", False) or not isinstance(content, Members):
        return Heard(Word.DOUBT, error="unreadable" if status == OK else f"http_{status}", is_down=True)
    return Heard(Word.YES, balance_micros)


def is_poor(heard: Heard) -> bool:
    """Whether a refusal says that the player has less than that."""
    return any(part in heard.error.lower() for part in _POOR)


def knows_no_bet(heard: Heard) -> bool:
    """Whether a rollback was refused because there is no such bet."""
    code = heard.error.lower()
    is_of_bet = "transaction" in code or "bet" in code
    return is_of_bet and ("not_found" in code or "unknown" in code or "not_exist" in code)


def is_rolled_back_already(heard: Heard) -> bool:
    """Whether a rollback was refused because it was done before."""
    code = heard.error.lower()
    return "already" in code and any(part in code for part in ("rolled_back", "rolledback", "rollback", "cancel"))


def _body(kind: Kind, purse: Purse, session_id: str, request_id: str, now_ms: int, **more: object) -> bytes:
    fields = {
        "type": kind.value,
        "agent_id": purse.agent_id,
        "session_id": session_id.removeprefix("gs_"),
        "player_id": purse.player_id,
        "player_username": purse.username,
        "currency": purse.currency,
        "language": purse.language,
        "game_id": purse.game_number,
        "timestamp": now_ms // 1000,
        "request_id": request_id,
        **more,
    }
    return msgspec.json.encode(fields)


def _balance(fields: dict[str, object]) -> int | None:
    balance = fields.get("balance")
    return micros_of(balance) if isinstance(balance, str) else None


def _retry_after_ms(status: int, headers: dict[str, str]) -> int:
    text = headers.get("retry-after", "")
    if status not in _SAYS_WHEN or not _SECONDS.fullmatch(text):
        return 0
    return 1000 * min(int(text), RETRY_AFTER_MAX_SEC)
