"""What a player's client has reported in a session: a chain, of which each link proves that its sender knows the one before.

https://docs.play.fun: a flush has the HMAC-SHA256, by the key of its step, of the player, the game, its number, its points and
the hash before. Keys and hashes are the server's choice. Here both follow from the token and from what was reported, so nothing
secret has to be kept, and a repeat can be told from another report by its hash.
"""

import hashlib
import hmac
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.errors import OutOfStep, RateLimited

FIRST_HASH: Final = "0" * 64
FLUSH_MS: Final = 1_000
"""How long after one report the next is taken."""
COMMIT_MS: Final = 5_000
"""The same for saving what was reported."""


class Chain(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How far a client has come."""

    sequence: int = 0
    """The number of the last report."""
    hash: str = FIRST_HASH
    total: int = 0
    """All points that were reported."""
    added: int = 0
    """Those of the last report."""
    unsaved: int = 0
    """Those that were not saved yet."""
    reported_ms: int = 0
    saved_sequence: int = 0
    """Up to which report points are saved."""
    saved_ms: int = 0
    risk_pct: int = 0
    """What spoke against the session when they were."""


class Report(msgspec.Struct, frozen=True, gc=False):
    """Points that a client reports."""

    sequence: int
    points: int
    prev_hash: str
    proof: str


def step_key(token: str, chain: Chain) -> str:
    """Return the key of a client's next report."""
    return hmac.new(token.encode(), f"step|{chain.sequence}|{chain.hash}".encode(), hashlib.sha256).hexdigest()


def proof_of(key: str, player: str, game_id: str, report: Report) -> str:
    """Return what proves a report."""
    text = f"{player}:{game_id}|{report.sequence}|{report.points}|{report.prev_hash}"
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def is_repeat(chain: Chain, report: Report) -> bool:
    """Whether a report is the last one again, to the letter."""
    return chain.sequence == report.sequence and hmac.compare_digest(chain.hash, _next_hash(report))


def reported(chain: Chain, report: Report, *, proof: str, now_ms: int) -> Chain:
    """Return the chain with a report that is no repeat. `proof` is what would prove it.

    Raises OutOfStep, also for a wrong proof: its key may be an old one. RateLimited.
    """
    if report.sequence != chain.sequence + 1 or report.prev_hash != chain.hash:
        raise out_of_step(chain)
    if not hmac.compare_digest(proof.encode(), report.proof.encode("utf-8", "surrogatepass")):
        raise OutOfStep("the proof is not this report's: ask for the session's state", sequence=chain.sequence)
    _check_pace("flushes_per_session", chain.reported_ms, FLUSH_MS, now_ms)
    return replace(
        chain,
        sequence=report.sequence,
        hash=_next_hash(report),
        total=chain.total + report.points,
        added=report.points,
        unsaved=chain.unsaved + report.points,
        reported_ms=now_ms,
    )


def check_commit(chain: Chain, sequence: int, prev_hash: str, now_ms: int) -> bool:
    """Return whether there is something to save; False for a repeat. Raises OutOfStep, RateLimited."""
    if sequence != chain.sequence or prev_hash != chain.hash:
        raise out_of_step(chain)
    if chain.saved_ms and chain.saved_sequence == sequence:
        return False
    _check_pace("commits_per_session", chain.saved_ms, COMMIT_MS, now_ms)
    return True


def saved(chain: Chain, *, risk_pct: int, now_ms: int) -> Chain:
    """Return the chain after all that was reported is saved."""
    return replace(chain, unsaved=0, saved_sequence=chain.sequence, saved_ms=now_ms, risk_pct=risk_pct)


def out_of_step(chain: Chain) -> OutOfStep:
    """Return what is told to a client that has not heard of the last report, or has forgotten it."""
    return OutOfStep(f"the last report was number {chain.sequence}: ask for the session's state", sequence=chain.sequence)


def _next_hash(report: Report) -> str:
    text = f"{report.prev_hash}|{report.sequence}|{report.points}|{report.proof}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _check_pace(limit: str, last_ms: int, pause_ms: int, now_ms: int) -> None:
    wait_ms = last_ms + pause_ms - now_ms
    if last_ms and wait_ms > 0:
        raise RateLimited(limit=limit, quota=1, window_sec=pause_ms // 1000, retry_after_ms=wait_ms)
