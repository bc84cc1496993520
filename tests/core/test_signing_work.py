"""A refused signature costs the same whoever is said to have made it: counted in HMACs. `scripts/timing` takes the time."""

import hmac
import sys
from types import FrameType
from typing import Self

import pytest
from playclock.core.signing import check, verify
from playclock.errors import InvalidSignature

from bench.timing import cases, welch


class Counted:
    """Counts calls of a built-in, as the interpreter reports them."""

    def __init__(self, *counted: object) -> None:
        self.calls = dict.fromkeys(counted, 0)

    def __enter__(self) -> Self:
        sys.setprofile(self._see)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _see(self, _frame: FrameType, event: str, argument: object) -> None:
        if event == "c_call" and argument in self.calls:
            self.calls[argument] += 1
        elif event == "call" and _frame.f_code is hmac.digest.__code__:
            self.calls[hmac.digest] += 1


@pytest.mark.parametrize("pair", cases().values(), ids=cases())
def test_both_of_a_pair_do_the_same_work(pair: tuple[tuple[object, tuple[bytes, ...]], ...]) -> None:
    done = []
    for proof, secrets in pair:
        with Counted(hmac.digest, hmac.compare_digest) as counted, pytest.raises(InvalidSignature):
            check(proof, secrets, now_ms=1_700_000_000_000, window_ms=300_000)  # type: ignore[arg-type]
        done.append(counted.calls)
    assert done[0] == done[1]
    assert min(done[0].values()) >= 2


def test_a_signature_that_is_none_is_no_less_work() -> None:
    done = []
    for signature in ("", "x" * 64, "0" * 64, "\u0660" * 64):
        with Counted(hmac.digest) as counted, pytest.raises(InvalidSignature):
            verify((b"secret",), signed=b"text", signature=signature)
        done.append(counted.calls[hmac.digest])
    assert done == [2] * 4


def test_the_t_test_sees_a_difference_and_none_where_there_is_none() -> None:
    same = [100 + i % 7 for i in range(2_000)]
    slower = [101 + i % 7 for i in range(2_000)]
    assert abs(welch(same, list(same))) < 4.5
    assert abs(welch(same, slower)) > 4.5
