"""What lies in an outbox reads as what was told, and nothing else does."""

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playclock.core.codec import FORMAT, UnknownFormat, encode
from playclock.core.ledger import Leg, Transfer, TransferKind
from playclock.core.match_news import MatchHappening, MatchNews
from playclock.core.outbox import Audit, OutboxEvent, decode
from playclock.core.records import Happening, SessionEvent

from tests.core.test_match_token import MATCH

if TYPE_CHECKING:
    from tests.core.conftest import Tab

TRANSFER = Transfer(
    id="gs_1/1",
    kind=TransferKind.CHARGE,
    at_ms=7,
    account_id="cafe-1",
    currency="GCOIN",
    legs=(Leg("wallet/cafe-1", -240), Leg("held/cafe-1", 240)),
    session_id="gs_1",
)
AUDIT = Audit(at_ms=7, actor="operator", action="TopUpAccount", target="cafe-1", detail="500")


@pytest.mark.parametrize("event", [TRANSFER, AUDIT, Audit(7, "operator", "TerminateSession", "gs_1")])
def test_transfers_and_audits_read_as_they_were_told(event: OutboxEvent) -> None:
    assert decode(encode(event)) == event


@pytest.mark.parametrize("happening", Happening)
def test_what_happened_to_a_session_reads_as_it_was_told(tab: "type[Tab]", happening: Happening) -> None:
    for credit in (None, 150):
        event = SessionEvent(happening, 7, tab(credit).session)
        assert decode(encode(event)) == event


def test_the_numbers_in_transfers_stay_what_they_are() -> None:
    kinds = ["OPENING", "TOP_UP", "CHARGE", "REVERSAL", "PENDING", "POST", "VOID", "EXPIRY", "BET", "BET_ROLLBACK"]
    kinds += ["PAYOUT", "MATCH_FEE"]
    assert [(kind.value, kind.name) for kind in TransferKind] == list(enumerate(kinds, start=1))


def test_each_kind_has_its_number() -> None:
    assert encode(AUDIT)[:3] == bytes([FORMAT, 0x97, 3])
    assert encode(TRANSFER)[2] == 2
    assert encode(MatchNews(MatchHappening.CREATED, 7, MATCH))[2] == 4


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        bytes([FORMAT + 1]) + encode(AUDIT)[1:],
        bytes([FORMAT]),
        bytes([FORMAT]) + b"\xc1",
        bytes([FORMAT]) + b"\x90",
        bytes([FORMAT]) + b"\x91\x63",
        bytes([FORMAT]) + b"\x95\x03\x07\xa1\xff\xa1a\xa1b",
        encode(TRANSFER)[:-1],
    ],
)
def test_anything_else_is_refused(data: bytes) -> None:
    with pytest.raises(UnknownFormat):
        decode(data)


@settings(deadline=None, derandomize=True)
@given(st.sampled_from([TRANSFER, AUDIT]), st.integers(1, 60), st.binary(max_size=8), st.integers(0, 8))
def test_damaged_bytes_read_as_an_event_or_are_refused(event: OutboxEvent, cut: int, put: bytes, taken: int) -> None:
    whole = encode(event)
    damaged = whole[:cut] + put + whole[cut + taken :]
    try:
        read = decode(damaged)
    except UnknownFormat:
        return
    assert isinstance(read, OutboxEvent)
