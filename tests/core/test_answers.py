"""Answers that are kept for a repeat read as what they were."""

import msgspec
import pytest
from playclock.core.answers import Beat, Opened, Refused, Result
from playclock.core.ott import Refusal


@pytest.mark.parametrize(
    "answer", [Opened("gs_1", is_pc_cafe=True, next_heartbeat_sec=120), *(Refused(refusal) for refusal in Refusal)]
)
def test_an_answer_to_an_opening_reads_as_it_was_given(answer: Opened | Refused) -> None:
    decoder = msgspec.msgpack.Decoder(Opened | Refused)
    assert decoder.decode(msgspec.msgpack.encode(answer)) == answer


def test_a_beat_without_grace_has_none_left() -> None:
    assert Beat(Result.OK, 120, 7) == Beat(Result.OK, next_heartbeat_sec=120, play_duration_sec=7, grace_remaining_sec=0)
