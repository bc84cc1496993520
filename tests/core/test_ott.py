"""The one-time token: who may redeem it, until when, and how often a wrong caller may try."""

import msgspec
import pytest
from msgspec.structs import replace
from playclock.core import ott as otts
from playclock.core.ott import REFUSALS_MAX, Ott, Refusal

ISSUED_MS = 1_000_000
EXPIRES_MS = ISSUED_MS + 60_000


def issued(provider_user_id: str | None = None) -> Ott:
    return otts.issue("launch", "game", provider_user_id, expires_ms=EXPIRES_MS)


def refusal(
    ott: Ott, *, game_id: str | None = "game", player: str = "player", now_ms: int = ISSUED_MS, epoch: str = ""
) -> Refusal | None:
    return otts.refusal(ott, game_id=game_id, provider_user_id=player, now_ms=now_ms, epoch=epoch)


def test_an_ott_is_issued_for_a_launch_and_a_game() -> None:
    assert issued() == Ott("launch", "game", None, expires_ms=EXPIRES_MS, refusals=0, session_id=None)
    assert issued("player").provider_user_id == "player"


def test_it_can_be_redeemed_until_it_expires_to_the_millisecond() -> None:
    assert refusal(issued(), now_ms=ISSUED_MS) is None
    assert refusal(issued(), now_ms=EXPIRES_MS - 1) is None
    assert refusal(issued(), now_ms=EXPIRES_MS) is Refusal.EXPIRED
    assert refusal(issued(), now_ms=EXPIRES_MS + 10**12) is Refusal.EXPIRED


def test_it_can_be_redeemed_in_the_store_s_epoch_in_which_it_was_issued_and_in_no_other() -> None:
    ott = otts.issue("launch", "game", None, expires_ms=EXPIRES_MS, epoch="one")
    assert refusal(ott, epoch="one") is None
    assert refusal(ott, epoch="two") is Refusal.EXPIRED
    assert refusal(otts.redeem(ott, "session"), epoch="two") is Refusal.ALREADY_USED
    assert refusal(otts.count_refusal(ott), epoch="one") is None


def test_a_record_from_before_there_were_epochs_is_worth_something_only_where_there_is_one_epoch() -> None:
    old = msgspec.msgpack.encode(("launch", "game", None, EXPIRES_MS, 0, None))
    assert refusal(msgspec.msgpack.decode(old, type=Ott)) is None
    assert refusal(msgspec.msgpack.decode(old, type=Ott), epoch="one") is Refusal.EXPIRED


def test_a_clock_that_is_behind_redeems_it() -> None:
    assert refusal(issued(), now_ms=ISSUED_MS - 5_000) is None


def test_another_game_cannot_redeem_it() -> None:
    assert refusal(issued(), game_id="another") is Refusal.GAME_MISMATCH


def test_who_may_act_for_any_game_can() -> None:
    assert refusal(issued(), game_id=None) is None


def test_an_unbound_one_is_anybody_s() -> None:
    assert refusal(issued(), player="anybody") is None


def test_a_bound_one_is_its_player_s_only() -> None:
    assert refusal(issued("player"), player="player") is None
    assert refusal(issued("player"), player="another") is Refusal.USER_MISMATCH
    assert refusal(issued("player"), game_id=None, player="another") is Refusal.USER_MISMATCH


def test_one_bound_to_a_player_without_a_name_is_bound() -> None:
    assert refusal(issued(""), player="player") is Refusal.USER_MISMATCH


def test_it_is_redeemed_once() -> None:
    redeemed = otts.redeem(issued(), "gs_1")
    assert redeemed == replace(issued(), session_id="gs_1")
    assert refusal(redeemed) is Refusal.ALREADY_USED


def test_the_fifth_refusal_uses_it_up() -> None:
    assert REFUSALS_MAX == 5
    ott = issued()
    for count in range(1, 5):
        ott = otts.count_refusal(ott)
        assert ott == replace(issued(), refusals=count)
        assert refusal(ott) is None
    ott = otts.count_refusal(ott)
    assert refusal(ott) is Refusal.ALREADY_USED


@pytest.mark.parametrize(
    ("ott", "game_id", "player", "now_ms", "heard"),
    [
        (replace(issued("player"), session_id="gs_1"), "another", "another", EXPIRES_MS, Refusal.ALREADY_USED),
        (replace(issued("player"), refusals=5), "another", "another", EXPIRES_MS, Refusal.ALREADY_USED),
        (replace(issued("player"), refusals=6), "another", "another", EXPIRES_MS, Refusal.ALREADY_USED),
        (replace(issued("player"), refusals=4), "another", "another", EXPIRES_MS, Refusal.EXPIRED),
        (issued("player"), "another", "another", EXPIRES_MS - 1, Refusal.GAME_MISMATCH),
        (issued("player"), "game", "another", EXPIRES_MS - 1, Refusal.USER_MISMATCH),
        (issued("player"), "game", "player", EXPIRES_MS - 1, None),
    ],
)
def test_of_several_reasons_the_first_is_heard(ott: Ott, game_id: str, player: str, now_ms: int, heard: Refusal | None) -> None:
    assert refusal(ott, game_id=game_id, player=player, now_ms=now_ms) is heard
