"""What lies in an outbox reads as what was put there, and as nothing else."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playclock.core.codec import UnknownFormat, encode
from playclock.core.ledger import Leg, Transfer, TransferKind
from playclock.core.outbox import Audit, OutboxEvent, decode
from playclock.core.records import Happening, SessionEvent

if TYPE_CHECKING:
    from tests.core.conftest import Tab


def test_each_kind_reads_as_itself(tab: "type[Tab]") -> None:
    events: list[OutboxEvent] = [
        SessionEvent(Happening.OPENED, 1, tab(150).session),
        Transfer("t", TransferKind.CHARGE, 2, "a", "GCOIN", (Leg("wallet/a", -1), Leg("held/a", 1)), "gs_1"),
        Audit(3, "operator/", "TopUpAccount", "a"),
    ]
    assert [decode(encode(event)) for event in events] == events


@given(data=st.binary(max_size=200))
def test_garbage_is_an_unknown_format(data: bytes) -> None:
    with pytest.raises(UnknownFormat):
        decode(data)


def test_another_format_is_refused() -> None:
    with pytest.raises(UnknownFormat):
        decode(b"\x02" + encode(Audit(3, "a", "b", "c"))[1:])
