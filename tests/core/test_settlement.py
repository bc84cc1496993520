"""Settlements: an ended session's figures, and the hash that ties them to the one before."""

import hashlib
import json
from typing import TYPE_CHECKING

import msgspec
import pytest
from playclock.core.session import Event
from playclock.core.settlement import FIRST_HASH, Settlement, hash_of, settlement_of

if TYPE_CHECKING:
    from tests.core.conftest import Tab


def test_it_has_the_session_s_figures(tab: "type[Tab]") -> None:
    played = tab(10_000)
    played.beat(100_000)
    ended = played.apply(Event.END, 150_000)
    settlement = settlement_of(ended, FIRST_HASH)
    assert ended.charge is not None
    assert (settlement.game_session_id, settlement.game_id, settlement.account_id) == (ended.id, ended.game_id, "cafe-1")
    assert (settlement.started_ms, settlement.ended_ms) == (played.at(0), played.at(150_000))
    assert (settlement.play_duration_sec, settlement.billed_sec, settlement.grace_sec) == (150, 150, 0)
    assert settlement.unproven_sec == 0
    assert settlement.amount_micros == ended.charge.billed_micros
    assert settlement.end_reason == "CLIENT_END"
    assert settlement.previous_hash == FIRST_HASH


def test_silence_shows_as_unproven_time(tab: "type[Tab]") -> None:
    played = tab(10_000)
    played.beat(100_000)
    ended = played.apply(Event.LEASE_OUT, 340_000)
    settlement = settlement_of(ended, FIRST_HASH)
    assert (settlement.play_duration_sec, settlement.billed_sec, settlement.unproven_sec) == (100, 100, 240)
    assert settlement.end_reason == "HEARTBEAT_TIMEOUT"


def test_a_session_that_nobody_pays_for_has_one_too(tab: "type[Tab]") -> None:
    settlement = settlement_of(tab().apply(Event.END, 5_000), FIRST_HASH)
    assert (settlement.account_id, settlement.tariff, settlement.currency, settlement.amount_micros) == ("", "", "", 0)


def test_the_hash_can_be_made_by_anybody_from_the_json(tab: "type[Tab]") -> None:
    settlement = settlement_of(tab(10_000).apply(Event.END, 5_000), "ab" * 32)
    fields = json.loads(msgspec.json.encode(settlement))
    given = fields.pop("hash")
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert given == hashlib.sha256(text.encode()).hexdigest()


FIELDS = [field.name for field in msgspec.structs.fields(Settlement) if field.name != "hash"]


@pytest.mark.parametrize("field", FIELDS)
def test_a_changed_field_changes_the_hash(tab: "type[Tab]", field: str) -> None:
    settlement = settlement_of(tab(10_000).apply(Event.END, 5_000), FIRST_HASH)
    value = getattr(settlement, field)
    other: object = f"{value}x" if isinstance(value, str) else (value or 0) + 1
    assert hash_of(msgspec.structs.replace(settlement, **{field: other})) != settlement.hash


def test_the_chain_makes_equal_settlements_different(tab: "type[Tab]") -> None:
    ended = tab(10_000).apply(Event.END, 5_000)
    first = settlement_of(ended, FIRST_HASH)
    assert settlement_of(ended, first.hash).hash != first.hash
