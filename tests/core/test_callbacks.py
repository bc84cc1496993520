"""What an agent is asked, to the byte, and what each of its answers comes to."""

import json
from decimal import Decimal

import pytest
from playclock.core import callbacks
from playclock.core.callbacks import Heard, Word, read_answer
from playclock.core.ids import rollback_id_of
from playclock.core.signing.agent import text_to_send

from tests.core.test_wallet import BET, NOW_MS, PURSE, SESSION_ID

REQUEST_ID = "b0c7a2f4-7a52-4f0c-9b65-0c8d7a0f3f11"

COMMON = {
    "agent_id": 1,
    "session_id": SESSION_ID[3:],
    "player_id": "player_123",
    "player_username": "john_doe",
    "currency": "EUR",
    "language": "ru",
    "game_id": 123,
    "timestamp": NOW_MS // 1000,
    "request_id": REQUEST_ID,
}


def test_the_bodies_have_the_documented_fields() -> None:
    balance = callbacks.balance_body(PURSE, SESSION_ID, request_id=REQUEST_ID, now_ms=NOW_MS)
    bet = callbacks.bet_body(BET, request_id=REQUEST_ID, now_ms=NOW_MS)
    rollback = callbacks.rollback_body(BET, request_id=REQUEST_ID, now_ms=NOW_MS)

    assert json.loads(balance) == {**COMMON, "type": "getBalance"}
    assert json.loads(bet, parse_float=Decimal) == {
        **COMMON,
        "type": "makeBet",
        "transaction_id": BET.id,
        "round_id": "r1",
        "bet": Decimal("10.5"),
        "win": 3,
    }
    assert json.loads(rollback) == {
        **COMMON,
        "type": "rollback",
        "transaction_id": rollback_id_of(BET.id),
        "original_transaction_id": BET.id,
        "round_id": "r1",
    }


def test_what_is_signed_has_sorted_names_and_the_same_digits() -> None:
    text = text_to_send(callbacks.bet_body(BET, request_id=REQUEST_ID, now_ms=NOW_MS))

    assert text.startswith(b'{"agent_id":1,"bet":10.5,"currency":"EUR","game_id":123,"language":"ru"')
    assert b'"win":3}' in text


def down(error: str) -> Heard:
    return Heard(Word.DOUBT, error=error, is_down=True)


OK_BODY = b'{"content":{"balance":1000.50}}'


@pytest.mark.parametrize(
    ("status", "body", "heard"),
    [
        (200, OK_BODY, Heard(Word.YES, 1_000_500_000)),
        (200, b'{"status":"success","content":{"balance":"7.25"}}', Heard(Word.YES, 7_250_000)),
        (200, b'{"content":{"balance":0.1,"bonus":{"x":[1]}},"error":null}', Heard(Word.YES, 100_000)),
        (200, b'{"content":{}}', Heard(Word.YES)),
        (200, b'{"error":"player_blocked","message":"no"}', Heard(Word.NO, None, "player_blocked")),
        (
            402,
            b'{"error":"insufficient_funds","message":"", "content":{"balance":3}}',
            Heard(Word.NO, 3_000_000, "insufficient_funds"),
        ),
        (400, b'{"error":"RS_ERROR_NOT_ENOUGH_MONEY","balance":0.5}', Heard(Word.NO, 500_000, "RS_ERROR_NOT_ENOUGH_MONEY")),
        (403, b'{"error":"a b\\n\\u00e9<c>"}', Heard(Word.NO, None, "a_b_c_")),
        # It is not certain what was done.
        (200, b"{}", down("unreadable")),
        (200, b'{"content":[1]}', down("unreadable")),
        (200, b'{"content":{"balance":1},"content":{"balance":2}}', down("unreadable")),
        (200, b"<html>ok</html>", down("unreadable")),
        (200, b"", down("unreadable")),
        (200, b'{"content":{"balance":1},"error":12}', down("unreadable")),
        (200, b'{"error":"internal_error"}', Heard(Word.DOUBT, None, "internal_error")),
        (409, b'{"error":"DUPLICATE_TRANSACTION"}', Heard(Word.DOUBT, None, "DUPLICATE_TRANSACTION")),
        (400, b'{"message":"no"}', down("http_400")),
        (400, OK_BODY, down("http_400")),
        (201, OK_BODY, down("http_201")),
        (302, OK_BODY, down("http_302")),
        (500, b'{"error":"insufficient_funds"}', down("http_500")),
        (408, b'{"error":"x"}', down("http_408")),
        (429, b'{"error":"x"}', down("http_429")),
    ],
)
def test_what_an_answer_comes_to(status: int, body: bytes, heard: Heard) -> None:
    assert read_answer(status, {}, body) == heard


@pytest.mark.parametrize("balance", ["true", "null", "[]", "1e99", '"much"', "NaN"])
def test_a_balance_that_is_none_is_left_out(balance: str) -> None:
    heard = read_answer(200, {}, b'{"content":{"balance":%s}}' % balance.encode())

    assert heard.balance_micros is None
    assert heard.word is (Word.DOUBT if balance == "NaN" else Word.YES)


def test_an_answer_is_bounded() -> None:
    assert read_answer(200, {}, b'{"content":{"balance":1},"x":"%s"}' % (b"x" * 20_000)).word is Word.DOUBT
    assert read_answer(200, {}, b"[" * 10_000).word is Word.DOUBT
    assert len(read_answer(400, {}, b'{"error":"%s"}' % (b"x" * 2_000)).error) == callbacks.ERROR_MAX


@pytest.mark.parametrize(
    ("status", "text", "ms"),
    [
        (429, "7", 7_000),
        (503, "120", 120_000),
        (429, "999999", 3_600_000),
        (429, "Wed, 21 Oct 2015 07:28:00 GMT", 0),
        (429, "-1", 0),
        (500, "7", 0),
        (200, "7", 0),
    ],
)
def test_an_agent_may_ask_to_be_left_alone(status: int, text: str, ms: int) -> None:
    assert read_answer(status, {"retry-after": text}, OK_BODY).retry_after_ms == ms


@pytest.mark.parametrize(
    ("error", "is_unknown"),
    [
        ("transaction_not_found", True),
        ("BET_NOT_FOUND", True),
        ("unknown_bet", True),
        ("RS_ERROR_TRANSACTION_DOES_NOT_EXIST", True),
        ("player_not_found", False),
        ("not_found", False),
        ("bet_already_closed", False),
        ("", False),
    ],
)
def test_which_errors_say_that_there_is_no_such_bet(error: str, *, is_unknown: bool) -> None:
    assert callbacks.knows_no_bet(Heard(Word.NO, None, error)) is is_unknown


@pytest.mark.parametrize(
    ("error", "is_done"),
    [("already_rolled_back", True), ("BET_ALREADY_CANCELLED", True), ("bet_already_closed", False), ("rollback_failed", False)],
)
def test_which_errors_say_that_it_was_rolled_back_before(error: str, *, is_done: bool) -> None:
    assert callbacks.is_rolled_back_already(Heard(Word.DOUBT, None, error)) is is_done


@pytest.mark.parametrize(
    ("error", "is_poor"), [("insufficient_funds", True), ("NOT_ENOUGH_MONEY", True), ("player_blocked", False)]
)
def test_which_errors_say_that_the_player_has_less(error: str, *, is_poor: bool) -> None:
    assert callbacks.is_poor(Heard(Word.NO, None, error)) is is_poor
