"""What must hold of a store after whoever played there was killed: all that was answered is there, and the money adds up."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from playclock.core.ids import ott_key, session_key
from playclock.core.records import Happening
from playclock.core.session import State, is_live

from simulation.soak.answers import Answers
from simulation.soak.books import Books

OPENING_MICROS: Final = 10**15
"""What the loader's account begins with."""


def tokens(answered: Answers, books: Books) -> Iterator[str]:
    """See that every token that was handed out is known."""
    for ott in answered.otts:
        if ott_key(ott) not in books.otts:
            yield f"an OTT was handed out that is not there: {ott}"


def opened(answered: Answers, books: Books) -> Iterator[str]:
    """See that every session whose opening was answered is there, and that its token leads to it."""
    for session_id, ott in answered.opened.items():
        session, token = books.sessions.get(session_key(session_id)), books.otts.get(ott_key(ott))
        if session is None or session.id != session_id:
            yield f"{session_id} was opened and is not there"
        if token is None or token.session_id != session_id:
            yield f"{session_id} was opened, and its OTT does not know it"


def ended(answered: Answers, books: Books) -> Iterator[str]:
    """See that every end stands as it was answered."""
    for session_id, answer in answered.ended.items():
        session = books.sessions.get(session_key(session_id))
        stands = None if session is None else (session.state, session.ended_ms, session.client_play_duration_sec)
        if stands != (State.ENDED, answer["ended_ms"], answer["counted_sec"]):
            yield f"{session_id} was ended as {answer}, and now is {stands}"


def pairs(_: Answers, books: Books) -> Iterator[str]:
    """See that there is one session for each token that was used, and none beside."""
    used = Counter(ott.session_id for ott in books.otts.values() if ott.session_id is not None)
    for session_id in used.keys() | {session.id for session in books.sessions.values()}:
        if used[session_id] != 1 or session_key(session_id) not in books.sessions:
            yield f"{session_id} has {used[session_id]} used OTTs"


def seats(_: Answers, books: Books) -> Iterator[str]:
    """See that one PC has one live session at most."""
    living = Counter((session.cafe_id, session.pc_id) for session in books.sessions.values() if is_live(session))
    yield from (f"{count} sessions live on {seat}" for seat, count in living.items() if count > 1)


def reservations(_: Answers, books: Books) -> Iterator[str]:
    """See that the account lost what was billed, and holds the shares of the living and nothing else."""
    charges = [session.charge for session in books.sessions.values() if session.charge is not None]
    billed, held = sum(charge.billed_micros for charge in charges), sum(charge.held_micros for charge in charges)
    if books.account.balance_micros != OPENING_MICROS - billed:
        yield f"{billed} was billed, and the account has {books.account.balance_micros}"
    if books.account.held_micros != held:
        yield f"sessions hold {held}, and of the account {books.account.held_micros} is held"
    for session in books.sessions.values():
        if session.charge is not None and bool(session.charge.held_micros) is not is_live(session):
            yield f"{session.id} is {session.state.name} and holds {session.charge.held_micros}"


def stories(_: Answers, books: Books) -> Iterator[str]:
    """See that each session was told of once, and each end once."""
    expected = Counter((session.id, Happening.OPENED) for session in books.sessions.values())
    expected.update((session.id, Happening.ENDED) for session in books.sessions.values() if session.state is State.ENDED)
    for told in expected.keys() | books.told.keys():
        if books.told[told] != expected[told]:
            yield f"{told} was told {books.told[told]} times, not {expected[told]}"


def conservation(_: Answers, books: Books) -> Iterator[str]:
    """See that the ledger sums to zero and to what the account has, with no transfer in it twice."""
    sums: Counter[str] = Counter()
    for transfer in books.transfers:
        for leg in transfer.legs:
            sums[leg.ledger_account] += leg.amount_micros
    told = (sum(sums.values()), sums["held/cafe-1"], sums["wallet/cafe-1"])
    if told != (0, books.account.held_micros, books.account.free_micros):
        yield f"the ledger comes to {told}, the account is {books.account}"
    for id_, count in Counter(transfer.id for transfer in books.transfers).items():
        if count > 1:
            yield f"transfer {id_} was told {count} times"


CHECKS: Final[tuple[Callable[[Answers, Books], Iterator[str]], ...]] = (
    tokens,
    opened,
    ended,
    pairs,
    seats,
    reservations,
    stories,
    conservation,
)


def violations(answered: Answers, books: Books) -> list[str]:
    """Return what does not hold, a sentence each."""
    return [f"{check.__name__}: {found}" for check in CHECKS for found in check(answered, books)]
