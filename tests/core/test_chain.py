"""The chain of a client's reports, with proofs and keys calculated here by the documents' words."""

import hashlib
import hmac
from typing import Final

import pytest
from msgspec.structs import replace
from playclock.core.chain import (
    COMMIT_MS,
    FIRST_HASH,
    FLUSH_MS,
    Chain,
    Report,
    check_commit,
    is_repeat,
    proof_of,
    reported,
    saved,
    step_key,
)
from playclock.errors import OutOfStep, RateLimited

TOKEN: Final = "player_" + "0123456789abcdef" * 4
NOW: Final = 1_000_000


def proof(key: str, sequence: int, points: int, prev_hash: str) -> str:
    text = f"x:ann:game|{sequence}|{points}|{prev_hash}"
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def report(chain: Chain, points: int, now_ms: int) -> tuple[Chain, Report]:
    """Report points as a client does, and return where it is then, and what it sent."""
    key = step_key(TOKEN, chain)
    sent = Report(chain.sequence + 1, points, chain.hash, proof(key, chain.sequence + 1, points, chain.hash))
    return reported(chain, sent, proof=proof_of(key, "x:ann", "game", sent), now_ms=now_ms), sent


def test_reports_add_up_and_each_changes_key_and_hash() -> None:
    chain, keys, hashes = Chain(), {step_key(TOKEN, Chain())}, {FIRST_HASH}
    for number in range(1, 6):
        chain, _ = report(chain, number, NOW + number * FLUSH_MS)
        keys.add(step_key(TOKEN, chain))
        hashes.add(chain.hash)
    assert (chain.sequence, chain.total, chain.added, chain.unsaved) == (5, 15, 5, 15)
    assert len(keys) == len(hashes) == 6
    assert step_key(TOKEN[:-1] + "0", chain) not in keys, "another token's keys are others"


def test_the_last_report_again_is_a_repeat_and_nothing_else_is() -> None:
    first, sent = report(Chain(), 5, NOW)
    assert is_repeat(first, sent)
    assert not is_repeat(first, replace(sent, points=6))
    assert not is_repeat(first, replace(sent, proof="0" * 64))
    second, _ = report(first, 5, NOW + FLUSH_MS)
    assert not is_repeat(second, sent)


@pytest.mark.parametrize(
    "change",
    [{"sequence": 1}, {"sequence": 3}, {"prev_hash": FIRST_HASH}, {"points": 6}, {"proof": "0" * 64}, {"proof": "\ud800é"}],
)
def test_whatever_is_not_the_next_report_is_out_of_step(change: dict[str, object]) -> None:
    chain, _ = report(Chain(), 5, NOW)
    key = step_key(TOKEN, chain)
    good = Report(2, 5, chain.hash, proof(key, 2, 5, chain.hash))
    wrong = replace(good, **change)
    with pytest.raises(OutOfStep) as caught:
        reported(chain, wrong, proof=proof_of(key, "x:ann", "game", wrong), now_ms=NOW + FLUSH_MS)
    assert caught.value.metadata == {"sequence": "1"}
    assert reported(chain, good, proof=proof_of(key, "x:ann", "game", good), now_ms=NOW + FLUSH_MS).total == 10


def test_a_report_is_taken_once_a_second_and_saved_every_five() -> None:
    chain, _ = report(Chain(), 5, NOW)
    with pytest.raises(RateLimited) as caught:
        report(chain, 5, NOW + FLUSH_MS - 1)
    assert (caught.value.limit, caught.value.retry_after_ms) == ("flushes_per_session", 1)
    assert check_commit(chain, 1, chain.hash, NOW)
    chain = saved(chain, risk_pct=60, now_ms=NOW)
    assert (chain.unsaved, chain.total, chain.risk_pct) == (0, 5, 60)
    assert not check_commit(chain, 1, chain.hash, NOW + 1), "a repeat"
    chain, _ = report(chain, 5, NOW + FLUSH_MS)
    assert chain.unsaved == 5
    with pytest.raises(RateLimited) as caught:
        check_commit(chain, 2, chain.hash, NOW + COMMIT_MS - 1)
    assert (caught.value.limit, caught.value.retry_after_ms) == ("commits_per_session", 1)
    assert check_commit(chain, 2, chain.hash, NOW + COMMIT_MS)


@pytest.mark.parametrize(("sequence", "prev_hash"), [(0, FIRST_HASH), (2, "h"), (1, FIRST_HASH)])
def test_only_the_last_report_can_be_saved(sequence: int, prev_hash: str) -> None:
    chain, _ = report(Chain(), 5, NOW)
    with pytest.raises(OutOfStep):
        check_commit(chain, sequence, prev_hash, NOW)
