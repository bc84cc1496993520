"""`scripts/timing`: whether the time that a signature's check takes tells anything (failure-mode 26).

Welch's t-test between classes of refused requests, 10^5 samples of each, taken in turns at random so that both meet the same
machine, and with the slowest twentieth of all left out: what a scheduler adds is in the tail. |t| below 4.5 is taken for no
difference (the threshold of TVLA, Goodwill et al. 2011). A machine that is busy otherwise makes t larger, never smaller.
"""

import argparse
import gc
import hmac
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence

from playclock.core.signing import HttpRequest, Proof, check
from playclock.core.signing.agent import proof_of as agent_proof
from playclock.core.signing.launcher import launcher_headers
from playclock.core.signing.launcher import proof_of as launcher_proof
from playclock.core.signing.playfun import playfun_headers
from playclock.core.signing.playfun import proof_of as playfun_proof
from playclock.errors import InvalidSignature

T_MAX = 4.5
KEPT = 0.95
SECRET, OLD = b"a secret of some thirty-two bytes", b"the secret before, as long as it is"
NOW_MS = 1_700_000_000_000
DEVELOPER = "550e8400-e29b-41d4-a716-446655440000"

Case = tuple[Proof, tuple[bytes, ...]]


def cases() -> dict[str, tuple[Case, Case]]:
    """Return what is compared: two refused requests that differ in nothing but what nobody may learn."""
    proofs = {"launcher": _launcher(), "agent": _agent(), "play.fun": _playfun()}
    found: dict[str, tuple[Case, Case]] = {}
    for name, proof in proofs.items():
        right = hmac.digest(SECRET, proof.text, "sha256")
        wrong, wrong_late = _with(proof, _flipped(right, 0)), _with(proof, _flipped(right, 31))
        found[f"{name}: unknown signer, wrong signature"] = ((wrong, ()), (wrong, (SECRET,)))
        found[f"{name}: one secret, two secrets"] = ((wrong, (SECRET,)), (wrong, (SECRET, OLD)))
        found[f"{name}: wrong in the first byte, in the last"] = ((wrong, (SECRET,)), (wrong_late, (SECRET,)))
    return found


def welch(one: Sequence[int], other: Sequence[int]) -> float:
    """Return Welch's t of two samples, without the slowest twentieth of both together."""
    limit = sorted((*one, *other))[int(KEPT * (len(one) + len(other)))]
    a, b = [x for x in one if x < limit], [x for x in other if x < limit]
    error = (statistics.variance(a) / len(a) + statistics.variance(b) / len(b)) ** 0.5
    return (statistics.fmean(a) - statistics.fmean(b)) / error if error else 0.0


def sample(pair: tuple[Case, Case], count: int, chance: random.Random) -> tuple[list[int], list[int]]:
    """Return the nanoseconds of `count` checks of each case, in random order."""
    times: tuple[list[int], list[int]] = ([], [])
    order = [0, 1] * count
    chance.shuffle(order)
    for which in order:
        proof, secrets = pair[which]
        times[which].append(_time(lambda proof=proof, secrets=secrets: _refuse(proof, secrets)))  # type: ignore[misc]
    return times


def main() -> int:
    """Print t for every pair; 1 where one of them is too large."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=100_000, help="of each class")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance, failed = random.Random(arguments.seed), False
    gc.disable()
    for name, pair in cases().items():
        one, other = sample(pair, arguments.samples, chance)
        t = welch(one, other)
        failed |= abs(t) >= T_MAX
        verdict = "" if abs(t) < T_MAX else "  TOO LARGE"
        medians = f"{statistics.median(one):.0f} and {statistics.median(other):.0f} ns"
        print(f"{name:52} t = {t:+6.2f}  medians {medians}{verdict}", flush=True)
    return int(failed)


def _time(call: Callable[[], None]) -> int:
    began_ns = time.perf_counter_ns()
    call()
    return time.perf_counter_ns() - began_ns


def _refuse(proof: Proof, secrets: tuple[bytes, ...]) -> None:
    try:
        check(proof, secrets, now_ms=NOW_MS, window_ms=300_000)
    except InvalidSignature:
        return
    raise AssertionError("believed")


def _with(proof: Proof, mac: bytes) -> Proof:
    return Proof(
        signer=proof.signer, signed_ms=proof.signed_ms, macs=(mac,), text=proof.text, other_texts=proof.other_texts, once=""
    )


def _flipped(mac: bytes, byte: int) -> bytes:
    return mac[:byte] + bytes([mac[byte] ^ 1]) + mac[byte + 1 :]


def _launcher() -> Proof:
    headers = launcher_headers(
        SECRET, launcher_id="l", method="POST", path="/v1/launcher/ott", timestamp="1700000000", nonce="n", body=b"{}"
    )
    return launcher_proof(HttpRequest(method="POST", path="/v1/launcher/ott", headers=tuple(headers.items()), body=b"{}"))


def _agent() -> Proof:
    body = b'{"timestamp": 1700000000, "agent_id": 1, "home_url": "https://example.com"}'
    return agent_proof(HttpRequest(headers=(("X-Signature", "0" * 64),), body=body))


def _playfun() -> Proof:
    headers = playfun_headers(SECRET, developer_id=DEVELOPER, method="GET", path="/games/me", timestamp="1700000000000")
    return playfun_proof(HttpRequest(method="GET", path="/games/me", headers=tuple(headers.items())))


if __name__ == "__main__":
    sys.exit(main())
