"""The catalogue: the games that all dialects share, and the index in which each process keeps them.

There may be a hundred thousand games, so each lies in the store by itself. What is in memory is one `Catalog`, which is changed
in place, and on the event loop only: whoever has to wait for the store in between may find other games in it afterwards.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from playclock.core.grants import FailurePolicy

FAILURE_LIMIT_MS: Final = 3_600_000
"""How long a session may go on without its partner's word, where nothing else is said."""
NUMBER_MAX: Final = 2**31 - 1

REVISION_KEY: Final = "00:catalog:revision"
"""Where it lies which games were changed last. Its version is the catalogue's revision."""
RING_MAX: Final = 1_000
"""How many changes of games are listed for those who follow. Who is further behind reads all games."""
BUCKETS: Final = 256
"""How many lists of games there are: by the first two hex digits of a game's id."""


class Game(msgspec.Struct, frozen=True, array_like=True, gc=False, kw_only=True):
    """A game. Of its servers' keys only the SHA-256 is kept, and each becomes a credential when the game is applied."""

    id: str
    number: int
    """What the agent API calls it by: positive, and never another game's, not even after a deletion."""
    name: str
    brand: str
    image_url: str
    play_url: str
    demo_url: str
    api_key_hashes: tuple[bytes, ...] = ()
    failure_policy: FailurePolicy = FailurePolicy.DENY
    """What becomes of its sessions while the partner that pays for them does not answer."""
    failure_limit_ms: int = FAILURE_LIMIT_MS
    """How long one of its sessions may go on in all without the partner's word."""
    description: str = ""
    cover_image_url: str = ""
    platform: str = ""
    owner_id: str = ""
    """The developer whose game it is; empty for nobody's."""
    creator_id: str = ""
    """The developer who created it, whoever owns it now."""
    is_hidden: bool = False
    """Whether its owner keeps it out of lists."""
    is_admin_hidden: bool = False
    """Whether an operator keeps it from everybody: nothing new opens."""
    token_ids: tuple[str, ...] = ()
    """The tokens that are associated with it, each with no other game."""
    max_score_per_session: int = 0
    """The caps on points; 0 for none."""
    max_sessions_per_day: int = 0
    max_cumulative_points_per_day: int = 0
    created_ms: int = 0
    updated_ms: int = 0
    deleted_ms: int | None = None
    """When it was deleted: its id and number are never given again, sessions that run go on, and nothing new opens."""
    revision: int = 0
    """How many changes it has seen: the version of its record."""

    @property
    def is_visible(self) -> bool:
        """Whether it is shown to everybody."""
        return not self.is_hidden and not self.is_admin_hidden and self.deleted_ms is None


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


def game_key(game_id: str) -> str:
    """Return the key of a game's record."""
    return f"00:game:{game_id}"


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


class Catalog:
    """All games at one revision, with what every call looks up."""

    def __init__(self, games: Iterable[Game] = (), revision: int = 0) -> None:
        self.revision = revision
        self.games: dict[str, Game] = {}
        """The games that were not deleted, by their ids."""
        self.tombstones: dict[str, Game] = {}
        """Those that were."""
        self._by_number: dict[int, str] = {}
        self._by_token: dict[str, str] = {}
        self._number_max = 0
        self.take(games, revision)

    def take(self, games: Iterable[Game], revision: int) -> None:
        """Take in games as the store has them at a revision. One that is known as it was later stays as it is known."""
        for game in games:
            known = self.known(game.id)
            if known is None or known.revision <= game.revision:
                self._forget(known)
                self._learn(game)
        self.revision = max(self.revision, revision)

    def __contains__(self, game_id: object) -> bool:
        """Whether there is or was a game of that id."""
        return game_id in self.games or game_id in self.tombstones

    def known(self, game_id: str) -> Game | None:
        """Return a game, deleted or not."""
        return self.games.get(game_id) or self.tombstones.get(game_id)

    def open_to_players(self, game_id: str) -> Game | None:
        """Return a game in which something new may begin: one that is neither deleted nor hidden by an operator."""
        game = self.games.get(game_id)
        return None if game is None or game.is_admin_hidden else game

    def is_closed(self, game_id: str) -> bool:
        """Whether nothing new may begin in a game that is known: another process may know more games."""
        return game_id in self and self.open_to_players(game_id) is None

    def by_number(self, number: int) -> Game | None:
        """Return the game of that number, unless it was deleted."""
        return self.games.get(self._by_number.get(number, ""))

    def by_token(self, token_id: str) -> Game | None:
        """Return the game that the token is associated with, unless it was deleted."""
        return self.games.get(self._by_token.get(token_id, ""))

    def holder_of(self, number: int) -> str | None:
        """Return the id of the game that has or had the number."""
        return self._by_number.get(number)

    def free_numbers(self) -> Iterator[int]:
        """Yield numbers that no game has or had: upwards from the highest, then what is left below."""
        yield from range(self._number_max + 1, NUMBER_MAX + 1)
        yield from (number for number in range(1, self._number_max) if number not in self._by_number)

    def _learn(self, game: Game) -> None:
        (self.games if game.deleted_ms is None else self.tombstones)[game.id] = game
        if game.number:
            self._by_number[game.number] = game.id
            self._number_max = max(self._number_max, game.number)
        if game.deleted_ms is None:
            self._by_token.update(dict.fromkeys(game.token_ids, game.id))

    def _forget(self, game: Game | None) -> None:
        if game is None:
            return
        self.games.pop(game.id, None)
        self.tombstones.pop(game.id, None)
        if self._by_number.get(game.number) == game.id:
            del self._by_number[game.number]
        for token in game.token_ids:
            if self._by_token.get(token) == game.id:
                del self._by_token[token]


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
    tokens: dict[str, str] = {}
    ours = {game.id: game for game in games}
    for game in games:
        problem = _problem(catalog, game, numbers, tokens, ours)
        if problem is not None:
            found[f"game/{game.id}"] = problem
        numbers.setdefault(game.number, game.id)
        tokens.update((token, game.id) for token in game.token_ids if token not in tokens)
    return found


def _problem(
    catalog: Catalog, game: Game, numbers: Mapping[int, str], tokens: Mapping[str, str], ours: Mapping[str, Game]
) -> str | None:
    if game.id in catalog.tombstones:
        return "was deleted: its id is never given again"
    if game.number:
        holder = numbers.get(game.number, catalog.holder_of(game.number))
        if holder not in (None, game.id) and (holder not in ours or ours[holder].number == game.number):
            return f"number {game.number} is another game's too"
    for token in game.token_ids:
        other = catalog.by_token(token)
        holder = tokens.get(token, None if other is None else other.id)
        if holder is not None and holder != game.id and token in ours.get(holder, other or game).token_ids:
            return f"the token {token} is another game's too"
    return None
