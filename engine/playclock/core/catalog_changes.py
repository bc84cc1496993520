"""Changes of the catalogue: what is written, what may not be, and how those who follow learn which games to read."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core.catalog import Game
from playclock.core.catalog_index import Catalog

REVISION_KEY: Final = "00:catalog:revision"
"""Where it lies which games were changed last. Its version is the catalogue's revision."""
RING_MAX: Final = 1_000
"""How many changes of games are listed for those who follow. Who is further behind reads all games."""
BUCKETS: Final = 256
"""How many lists of games there are: by the first two hex digits of a game's id."""


class Bucket(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The ids of the games whose ids begin alike, deleted ones too."""

    ids: tuple[str, ...]


class Change(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which games one commit wrote."""

    revision: int
    ids: tuple[str, ...]


class Ring(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The last changes, oldest first, without a gap. Whoever knows `since` or a later revision need only read their games."""

    since: int
    changes: tuple[Change, ...]


class Edit(msgspec.Struct, frozen=True):
    """Games as they are to be written, as it was decided on one revision of the catalogue."""

    revision: int
    games: Sequence[Game]


def bucket_key(number: int) -> str:
    """Return the key of a list of games."""
    return f"00:gamebucket:{number:02x}"


def bucket_of(game_id: str) -> int:
    """Return which list a game is on."""
    return int(game_id[:2], 16)


def extended(ring: Ring, change: Change) -> Ring:
    """Return the ring with one more change, and without the oldest where that makes too many."""
    changes, room, since = [change], RING_MAX - len(change.ids), change.revision
    if room < 0:
        return Ring(since, ())
    for earlier in reversed(ring.changes):
        room -= len(earlier.ids)
        if room < 0:
            break
        changes.append(earlier)
    else:
        return Ring(ring.since, (*reversed(changes),))
    return Ring(changes[-1].revision - 1, (*reversed(changes),))


def changed_since(ring: Ring, revision: int) -> list[str] | None:
    """Return which games were changed after a revision; None where the ring does not reach back to it."""
    if revision < ring.since:
        return None
    return list(dict.fromkeys(game_id for change in ring.changes if change.revision > revision for game_id in change.ids))


def described(catalog: Catalog, wanted: Game) -> Game:
    """Return the game as an operator's file describes it: what no file says stays as it is known."""
    known = catalog.known(wanted.id)
    if known is None:
        return wanted
    return replace(
        known,
        number=wanted.number or known.number,
        name=wanted.name,
        brand=wanted.brand,
        image_url=wanted.image_url,
        play_url=wanted.play_url,
        demo_url=wanted.demo_url,
        failure_policy=wanted.failure_policy,
        failure_limit_ms=wanted.failure_limit_ms,
    )


def edit(catalog: Catalog, games: Iterable[Game], now_ms: int) -> Edit:
    """Return how the games are written now: each with its times, its next revision and a number of its own."""
    games = list(games)
    taken = {game.number for game in games}
    free = (number for number in catalog.free_numbers() if number not in taken)
    written = []
    for game in games:
        known = catalog.known(game.id)
        written.append(
            replace(
                game,
                number=game.number or next(free),
                created_ms=now_ms if known is None else known.created_ms,
                updated_ms=now_ms,
                revision=(known or game).revision + 1,
            )
        )
    return Edit(catalog.revision, written)


def problems(catalog: Catalog, games: Sequence[Game]) -> dict[str, str]:
    """Return what keeps games from being written together, as a map from the game to a sentence. Empty where nothing does."""
    found: dict[str, str] = {}
    numbers: dict[int, str] = {}
    ours = {game.id: game for game in games}
    for game in games:
        problem = _problem(catalog, game, numbers, ours)
        if problem is not None:
            found[f"game/{game.id}"] = problem
        numbers.setdefault(game.number, game.id)
    return found


def _problem(catalog: Catalog, game: Game, numbers: Mapping[int, str], ours: Mapping[str, Game]) -> str | None:
    if game.id in catalog.tombstones:
        return "was deleted: its id is never given again"
    if game.number:
        holder = numbers.get(game.number, catalog.holder_of(game.number))
        if holder not in (None, game.id) and (holder not in ours or ours[holder].number == game.number):
            return f"number {game.number} is another game's too"
    return None
