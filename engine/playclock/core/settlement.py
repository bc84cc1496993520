"""Settlements: what an ended session comes to, and the chain that makes a game's settlements tamper-evident.

One for each ended session, made from the session's last event. Each has the hash of the one before it of the same game, so that
a studio can check offline that none was changed, left out or slipped in.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from playclock.core import session as core
from playclock.core.session import Session

FIRST_HASH: Final = "0" * 64
"""What stands for the previous hash in a game's first settlement."""


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """An ended session's figures. Final."""

    game_session_id: str
    game_id: str
    account_id: str
    """Who paid: an account, or "provider/ID" for a partner; empty where nobody did."""
    cafe_id: str
    provider_user_id: str
    started_ms: int
    ended_ms: int
    end_reason: str
    play_duration_sec: int
    client_play_duration_sec: int | None
    billed_sec: int
    grace_sec: int
    unproven_sec: int
    """Seconds between the last proof of play and the end."""
    amount_micros: int
    currency: str
    tariff: str
    """The tariff's id; empty where nobody paid."""
    previous_hash: str
    hash: str


def settlement_of(session: Session, previous_hash: str) -> Settlement:
    """Return the settlement of an ended session that follows the one with `previous_hash`."""
    assert session.ended_ms is not None
    assert session.end_reason is not None
    charge = session.charge
    unproven_ms = session.ended_ms - core.played_until_ms(session, session.ended_ms)
    open_ended = Settlement(
        game_session_id=session.id,
        game_id=session.game_id,
        account_id=core.payer(session),
        cafe_id=session.cafe_id,
        provider_user_id=session.provider_user_id,
        started_ms=session.started_ms,
        ended_ms=session.ended_ms,
        end_reason=session.end_reason.name,
        play_duration_sec=core.play_duration_sec(session, session.ended_ms),
        client_play_duration_sec=session.client_play_duration_sec,
        billed_sec=core.billed_sec(session),
        grace_sec=core.grace_sec(session, session.ended_ms),
        unproven_sec=unproven_ms // 1000,
        amount_micros=core.amount_micros(session),
        currency=core.currency(session),
        tariff=charge.tariff.id if charge else "",
        previous_hash=previous_hash,
        hash="",
    )
    return msgspec.structs.replace(open_ended, hash=hash_of(open_ended))


def hash_of(settlement: Settlement) -> str:
    """Return the SHA-256, in hex, of the settlement as JSON: all fields but `hash`, by name, without blanks (RFC 8785)."""
    fields = msgspec.structs.asdict(settlement)
    del fields["hash"]
    return hashlib.sha256(msgspec.json.encode(fields, order="deterministic")).hexdigest()


def chain_problems(settlements: Iterable[Settlement], *, whole: bool = False) -> list[str]:
    """Return what is wrong with chains of settlements, a sentence each; an empty list where all is well.

    Each game's settlements come in the order of its chain; those of other games may lie between. A chain that is looked at from
    its middle begins with whatever the first of them follows; with `whole`, it has to begin with its game's first. Says nothing
    of a chain's end: whether the newest ones are missing shows only beside a hash that somebody noted.
    """
    problems: list[str] = []
    last: dict[str, Settlement] = {}
    seen: set[str] = set()
    for settlement in settlements:
        name = f"game {settlement.game_id}: the settlement of {settlement.game_session_id}"
        if settlement.hash != hash_of(settlement):
            problems.append(f"{name} has been changed: its figures are not those that its hash was made of")
        before = last.get(settlement.game_id)
        if before is None and whole and settlement.previous_hash != FIRST_HASH:
            problems.append(f"{name} is not the first of its game: those before it are missing")
        if before is not None and settlement.previous_hash != before.hash:
            problems.append(
                f"{name} does not follow the one of {before.game_session_id}: one was left out, slipped in or moved"
            )
        if settlement.game_session_id in seen:
            problems.append(f"{name} is there twice")
        seen.add(settlement.game_session_id)
        last[settlement.game_id] = settlement
    return problems
