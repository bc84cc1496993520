"""Settlements: what an ended session comes to, and a chain in which nothing can be changed, left out or slipped in."""

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import asdict, fields, replace
from playclock.core.session import Event
from playclock.core.settlement import FIRST_HASH, Settlement, chain_problems, hash_of, settlement_of

if TYPE_CHECKING:
    from tests.core.conftest import Tab


def test_the_settlement_has_the_figures_of_the_ended_session(tab: "type[Tab]") -> None:
    played = tab(130)
    played.beat(140_000)
    played.session = replace(played.session, client_play_duration_sec=149)
    settlement = settlement_of(played.apply(Event.END, 150_999), FIRST_HASH)
    assert replace(settlement, hash="") == Settlement(
        game_session_id="gs_00c5d1e2-0000-4000-8000-000000000000",
        game_id="game",
        account_id="cafe-1",
        cafe_id="cafe",
        provider_user_id="player",
        started_ms=played.at(0),
        ended_ms=played.at(150_999),
        end_reason="CLIENT_END",
        play_duration_sec=150,
        client_play_duration_sec=149,
        billed_sec=130,
        grace_sec=20,
        unproven_sec=0,
        amount_micros=130,
        currency="GCOIN",
        tariff="seconds",
        previous_hash=FIRST_HASH,
        hash="",
    )
    assert settlement.hash == hash_of(settlement)


def test_who_plays_for_nothing_has_one_too(tab: "type[Tab]") -> None:
    played = tab()
    settlement = settlement_of(played.apply(Event.TERMINATE, 60_000), "f" * 64)
    assert (settlement.account_id, settlement.currency, settlement.tariff, settlement.amount_micros) == ("", "", "", 0)
    assert (settlement.play_duration_sec, settlement.billed_sec, settlement.end_reason) == (60, 0, "TERMINATED")
    assert settlement.client_play_duration_sec is None
    assert settlement.previous_hash == "f" * 64


def test_silence_is_unproven_and_not_billed(tab: "type[Tab]") -> None:
    played = tab(1_000)
    played.beat(60_000)
    (ended,) = played.advance(10**9)
    settlement = settlement_of(ended, FIRST_HASH)
    assert (settlement.play_duration_sec, settlement.billed_sec, settlement.unproven_sec) == (60, 60, 240)


@pytest.mark.parametrize("event", [None, Event.END])
def test_a_session_that_lives_has_none(tab: "type[Tab]", event: Event | None) -> None:
    played = tab()
    if event is not None:
        played.session = replace(played.apply(event, 1_000), end_reason=None)
    with pytest.raises(AssertionError):
        settlement_of(played.session, FIRST_HASH)


EXAMPLE = Settlement(
    game_session_id="gs_1",
    game_id="game",
    account_id="cafe-1",
    cafe_id="cafe",
    provider_user_id='a "b" é\U0001f600',
    started_ms=1,
    ended_ms=2,
    end_reason="CLIENT_END",
    play_duration_sec=3,
    client_play_duration_sec=None,
    billed_sec=4,
    grace_sec=5,
    unproven_sec=6,
    amount_micros=7,
    currency="GCOIN",
    tariff="standard",
    previous_hash=FIRST_HASH,
    hash="",
)


def test_the_hash_is_over_json_that_anybody_can_write() -> None:
    text = (
        '{"account_id":"cafe-1","amount_micros":7,"billed_sec":4,"cafe_id":"cafe","client_play_duration_sec":null,'
        '"currency":"GCOIN","end_reason":"CLIENT_END","ended_ms":2,"game_id":"game","game_session_id":"gs_1","grace_sec":5,'
        '"play_duration_sec":3,"previous_hash":"' + "0" * 64 + '","provider_user_id":"a \\"b\\" é\U0001f600","started_ms":1,'
        '"tariff":"standard","unproven_sec":6}'
    )
    assert hash_of(EXAMPLE) == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("name", [field.name for field in fields(Settlement) if field.name != "hash"])
def test_whatever_is_changed_changes_the_hash(name: str) -> None:
    old = asdict(EXAMPLE)[name]
    changed: dict[str, Any] = {name: old + 1 if isinstance(old, int) else 0 if old is None else old + "x"}
    assert hash_of(replace(EXAMPLE, **changed)) != hash_of(EXAMPLE)


def test_the_hash_does_not_depend_on_itself() -> None:
    assert hash_of(replace(EXAMPLE, hash="f" * 64)) == hash_of(EXAMPLE)


def is_whole(chain: list[Settlement]) -> bool:
    """Check a chain as a studio does offline."""
    previous_hash = FIRST_HASH
    for settlement in chain:
        if settlement.previous_hash != previous_hash or settlement.hash != hash_of(settlement):
            return False
        previous_hash = settlement.hash
    return True


@settings(deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 200_000), min_size=2, max_size=6, unique=True), st.data())
def test_in_a_chain_nothing_is_changed_left_out_or_put_elsewhere(
    tab: "type[Tab]", ends_ms: list[int], data: st.DataObject
) -> None:
    chain: list[Settlement] = []
    for end_ms in ends_ms:
        ended = tab(1_000).apply(Event.END, end_ms)
        chain.append(settlement_of(ended, chain[-1].hash if chain else FIRST_HASH))
    assert is_whole(chain)
    index = data.draw(st.integers(0, len(chain) - 2))
    assert not is_whole(chain[:index] + chain[index + 1 :])
    assert not is_whole([*chain[:index], chain[index + 1], chain[index], *chain[index + 2 :]])
    assert not is_whole([*chain[: index + 1], chain[index], *chain[index + 1 :]])
    cheaper = replace(chain[index], amount_micros=chain[index].amount_micros - 1)
    assert not is_whole([*chain[:index], cheaper, *chain[index + 1 :]])
    forged = replace(cheaper, hash=hash_of(cheaper))
    assert not is_whole([*chain[:index], forged, *chain[index + 1 :]])


class TestChain:
    """What an auditor sees of settlements that somebody has tampered with."""

    @pytest.fixture
    def chain(self, tab: "type[Tab]") -> list[Settlement]:
        settlements: list[Settlement] = []
        previous_hash = FIRST_HASH
        for number in range(4):
            ended = replace(tab(10_000).apply(Event.END, 1_000 * (number + 1)), id=f"gs_{number}")
            settlements.append(settlement_of(ended, previous_hash))
            previous_hash = settlements[-1].hash
        return settlements

    def test_holds_as_it_was_made_and_from_its_middle(self, chain: list[Settlement]) -> None:
        assert chain_problems(chain) == []
        assert chain_problems(chain[2:]) == []
        assert chain_problems([]) == []

    def test_notices_a_change(self, chain: list[Settlement]) -> None:
        chain[1] = replace(chain[1], amount_micros=0)
        (problem,) = chain_problems(chain)
        assert "has been changed" in problem
        assert chain[1].game_session_id in problem

    def test_notices_a_change_that_was_hashed_anew(self, chain: list[Settlement]) -> None:
        changed = replace(chain[1], amount_micros=0)
        chain[1] = replace(changed, hash=hash_of(changed))
        (problem,) = chain_problems(chain)
        assert "does not follow" in problem

    @pytest.mark.parametrize("forge", [lambda chain: chain.pop(1), lambda chain: chain.insert(1, chain[2]), list.reverse])
    def test_notices_what_was_left_out_slipped_in_or_reordered(
        self, chain: list[Settlement], forge: Callable[[list[Settlement]], object]
    ) -> None:
        forge(chain)
        assert any("does not follow" in problem for problem in chain_problems(chain))

    def test_a_whole_one_begins_with_its_games_first(self, chain: list[Settlement]) -> None:
        assert chain_problems(chain, whole=True) == []
        (problem,) = chain_problems(chain[1:], whole=True)
        assert chain[1].game_session_id in problem
        assert "not the first of its game" in problem

    def test_notices_a_session_that_was_settled_twice(self, chain: list[Settlement]) -> None:
        again = replace(chain[0], previous_hash=chain[-1].hash)
        (problem,) = chain_problems([*chain, replace(again, hash=hash_of(again))])
        assert chain[0].game_session_id in problem
        assert "twice" in problem

    def test_keeps_games_apart(self, chain: list[Settlement]) -> None:
        other = replace(chain[0], game_session_id="gs_other", game_id="another", previous_hash=FIRST_HASH)
        other = replace(other, hash=hash_of(other))
        assert chain_problems([chain[0], other, *chain[1:]]) == []
