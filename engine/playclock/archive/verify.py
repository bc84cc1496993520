"""Checks settlements against their chain, offline and without an archive."""

from collections.abc import Iterable

from playclock.core.settlement import FIRST_HASH, Settlement, hash_of


def verify_chain(settlements: Iterable[Settlement]) -> list[str]:
    """Return what is wrong with settlements, given from each game's first on in the order of their archiving.

    Says nothing of a chain's end: whether the newest ones are missing shows only beside a hash that somebody noted.
    """
    problems = []
    last: dict[str, Settlement] = {}
    seen: set[str] = set()
    for settlement in settlements:
        game_id, session_id = settlement.game_id, settlement.game_session_id
        before = last.get(game_id)
        expected = FIRST_HASH if before is None else before.hash
        if settlement.hash != hash_of(settlement):
            problems.append(
                f"game {game_id}: the settlement of {session_id} does not have the figures that its hash was made of"
            )
        if settlement.previous_hash != expected:
            place = "the first" if before is None else f"the one of {before.game_session_id}"
            problems.append(
                f"game {game_id}: the settlement of {session_id} does not follow {place}: one was left out, slipped in or moved"
                if before is not None
                else f"game {game_id}: the settlement of {session_id} is not the first of its game: those before it are missing"
            )
        if session_id in seen:
            problems.append(f"game {game_id}: there are two settlements of {session_id}")
        seen.add(session_id)
        last[game_id] = settlement
    return problems
