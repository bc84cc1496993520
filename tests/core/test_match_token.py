"""Match tokens: good for the seat that they were made for, until they are over, and worth nothing with a single bit changed."""

import base64

import pytest
from msgspec.structs import replace
from playclock.core import match_token as core
from playclock.core.credentials import Credential
from playclock.core.demo import read_token as read_demo
from playclock.core.match import Match, MatchState, Seat, SeatState, Terms, seat_of, with_seat, without_seat
from playclock.core.match_token import TOKEN_MAX, TOKEN_PREFIX, MatchToken, Status, make_token, read_token, verified
from playclock.core.payout import PayoutRule
from playclock.errors import MatchTokenExpired, MatchTokenNotFound, PlayerNotFound

KEY = Credential(id="key_0123456789abcdef", owner="match_client/a", created_ms=0, secret=b"the-secret-of-the-client")
OTHER_KEY = replace(KEY, id="key_1123456789abcdef", secret=b"the-secret-of-another")
USER = "0376d27d-4b0e-4286-9dd9-f9f7528689bb"
EXPIRES_MS = 1_767_229_200_000
TERMS = Terms(
    game_id="3f0e8a52-6c1b-4a53-9f0e-0d1f2a3b4c5d",
    client_id="a",
    is_synchronous=True,
    is_tournament=False,
    currency="",
    entry_fee_micros=0,
    fee_basis_points=0,
    payout=PayoutRule(),
    players_min=2,
    players_max=2,
    submissions_total=1,
    join_ms=1,
    play_ms=1,
)
SEAT = Seat(number=3, user_id=USER, team_id="t", account_id="", state=SeatState.JOINED)
MATCH = Match(id="600f369851f450dd3ecb0035", terms=TERMS, created_ms=0, seats=(SEAT,))
TOKEN = make_token(KEY, MATCH, SEAT, expires_ms=EXPIRES_MS)
SAID = MatchToken(match_id=MATCH.id, user_id=USER, seat=3, key_id=KEY.id, expires_ms=EXPIRES_MS)


def test_a_token_says_what_it_was_made_for_until_it_is_over() -> None:
    assert len(TOKEN) < TOKEN_MAX / 2
    claimed = read_token(TOKEN)
    assert verified(claimed, [KEY], now_ms=EXPIRES_MS - 1) == SAID
    assert isinstance(verified(claimed, [KEY], now_ms=EXPIRES_MS), MatchTokenExpired)


def test_one_of_another_key_or_of_none_is_as_good_as_one_that_is_over_and_made_up() -> None:
    for keys in ([OTHER_KEY], []):
        for now_ms in (0, EXPIRES_MS):
            assert isinstance(verified(read_token(TOKEN), keys, now_ms=now_ms), MatchTokenNotFound)
    assert isinstance(verified(None, [KEY], now_ms=0), MatchTokenNotFound)


def test_with_one_bit_changed_it_is_none() -> None:
    raw = base64.urlsafe_b64decode(TOKEN.removeprefix(TOKEN_PREFIX) + "==")
    for bit in range(8 * len(raw)):
        changed = (int.from_bytes(raw) ^ 1 << bit).to_bytes(len(raw))
        token = TOKEN_PREFIX + base64.urlsafe_b64encode(changed).rstrip(b"=").decode()
        assert isinstance(verified(read_token(token), [KEY], now_ms=0), MatchTokenNotFound)


def test_there_is_one_spelling_of_it() -> None:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    good = [letter for letter in letters if isinstance(verified(read_token(TOKEN[:-1] + letter), [KEY], now_ms=0), MatchToken)]
    assert good == [TOKEN[-1]]


@pytest.mark.parametrize(
    "text", ["", TOKEN_PREFIX, TOKEN_PREFIX * 2, TOKEN[1:], TOKEN.upper(), TOKEN + "=", TOKEN + "\n", TOKEN_PREFIX + "x" * 600]
)
def test_other_texts_are_no_tokens(text: str) -> None:
    assert read_token(text) is None


def test_a_demos_token_is_no_matchs_and_the_other_way_round() -> None:
    assert read_demo(TOKEN) is None
    assert read_demo("demo_" + TOKEN.removeprefix(TOKEN_PREFIX)) is None


def test_it_is_no_good_for_who_has_left_nor_for_who_came_back() -> None:
    assert core.seat_of_token(MATCH, SAID) == SEAT
    gone = without_seat(MATCH, 3)
    leaving = with_seat(MATCH, replace(SEAT, state=SeatState.LEAVING))
    back = replace(MATCH, seats=(replace(SEAT, number=4),))
    for match in (gone, leaving, back):
        assert isinstance(core.seat_of_token(match, SAID), PlayerNotFound)


@pytest.mark.parametrize("state", SeatState)
def test_only_who_is_in_for_certain_may_have_one(state: SeatState) -> None:
    match = with_seat(MATCH, replace(SEAT, state=state))
    is_in = state in (SeatState.JOINED, SeatState.PAID, SeatState.SETTLED)
    found = core.seat_for_token(match, USER)
    assert found == seat_of(match, USER) if is_in else isinstance(found, PlayerNotFound)


@pytest.mark.parametrize("state", MatchState)
def test_the_status_is_where_the_match_is_and_pending_where_a_tournament_takes_scores_already(state: MatchState) -> None:
    match = replace(MATCH, state=state)
    assert core.status_of(match) is Status[state.name]
    synchronous = replace(match, terms=replace(TERMS, is_tournament=True))
    assert core.status_of(synchronous) is Status[state.name]
    tournament = replace(match, terms=replace(TERMS, is_tournament=True, is_synchronous=False))
    is_pending = state in (MatchState.CREATED, MatchState.STARTING)
    assert core.status_of(tournament) is (Status.PENDING if is_pending else Status[state.name])
