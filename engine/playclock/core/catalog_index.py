"""The index in which each process keeps all games.

It is changed in place, and on the event loop only: whoever has to wait for the store in between may find other games in it
afterwards.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

from playclock.core.catalog import NUMBER_MAX, Game
from playclock.core.gamelist import GameList, Page, Place, Query, Window, are_few
from playclock.core.images import name_in


class Catalog:
    """All games at one revision, with what every call looks up."""

    def __init__(self, games: Iterable[Game] = (), revision: int = 0, listed: GameList | None = None) -> None:
        self.revision = revision
        self.games: dict[str, Game] = {}
        """The games that were not deleted, by their ids."""
        self.tombstones: dict[str, Game] = {}
        """Those that were."""
        self._by_number: dict[int, str] = {}
        self._by_token: dict[str, set[str]] = {}
        self._by_owner: dict[str, set[str]] = {}
        self._by_creator: dict[str, set[str]] = {}
        self._image_uses: dict[str, int] = {}
        self._number_max = 0
        self._list = GameList() if listed is None else listed
        self.take(games, revision)

    def take(self, games: Iterable[Game], revision: int) -> None:
        """Take in games as the store has them at a revision. One that is known as it was later stays as it is known."""
        changed: dict[str, Game] = {}
        for game in games:
            known = self.known(game.id)
            if known is None or known.revision <= game.revision:
                self._forget(known)
                self._learn(game)
                changed[game.id] = game
        listed = [game for game in changed.values() if game.deleted_ms is None]
        self._list.change(listed, [game.id for game in changed.values() if game.deleted_ms is not None])
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

    def with_token(self, token_id: str) -> list[Game]:
        """Return the games that the token is associated with, unless they were deleted, in the order of their creation."""
        found = (self.games[game_id] for game_id in self._by_token.get(token_id, ()))
        return sorted(found, key=lambda game: (game.created_ms, game.id))

    def holder_of(self, number: int) -> str | None:
        """Return the id of the game that has or had the number."""
        return self._by_number.get(number)

    def free_numbers(self) -> Iterator[int]:
        """Yield numbers that no game has or had: upwards from the highest, then what is left below."""
        yield from range(self._number_max + 1, NUMBER_MAX + 1)
        yield from (number for number in range(1, self._number_max) if number not in self._by_number)

    def names_image(self, name: str) -> bool:
        """Whether a game that was not deleted names an image of ours, as its own or as one of a token's."""
        return name in self._image_uses

    def developed_by(self, developer_id: str) -> frozenset[str]:
        """Return the ids of the games that a developer owns or created, but for those that an operator hides."""
        ids = self._by_owner.get(developer_id, set()) | self._by_creator.get(developer_id, set())
        return frozenset(game_id for game_id in ids if self.open_to_players(game_id) is not None)

    def prepare(self, query: Query) -> Iterator[None]:
        """Find what a page needs, a step of about a millisecond at a time. Others may change games between two steps.

        Whoever asks for a page without it, or after games were changed, gets the same page in one long step.
        """
        return self._list.prepare(query, self._among(query))

    def page(self, query: Query, *, offset: int = 0, limit: int, after: Place | None = None) -> Page:
        """Return at most `limit` of the games that are asked for, `offset` of them after the place, or after the beginning."""
        window = Window(offset, limit, after, query.is_descending)
        return self._list.page(query, window, self._among(query))

    def _among(self, query: Query) -> AbstractSet[str] | None:
        """Return ids among which those of all games are that are asked for; None where they would have to be looked for."""
        found: list[AbstractSet[str]] = []
        if query.owner_id:
            found.append(self._by_owner.get(query.owner_id, set()))
        if query.developer_id:
            owned, created = (names.get(query.developer_id, set()) for names in (self._by_owner, self._by_creator))
            if are_few(len(owned) + len(created), len(self.games)):
                found.append(owned | created)
        if query.numbered is not None and are_few(len(query.numbered.numbers), len(self.games)):
            ids = map(self._by_number.get, query.numbered.numbers)
            found.append({game_id for game_id in ids if game_id is not None})
        return min(found, key=len, default=None)

    def _learn(self, game: Game) -> None:
        (self.games if game.deleted_ms is None else self.tombstones)[game.id] = game
        if game.number:
            self._by_number[game.number] = game.id
            self._number_max = max(self._number_max, game.number)
        if game.deleted_ms is not None:
            return
        for names, name in self._named(game):
            names.setdefault(name, set()).add(game.id)
        for name in _images_of(game):
            self._image_uses[name] = self._image_uses.get(name, 0) + 1

    def _forget(self, game: Game | None) -> None:
        if game is None:
            return
        for names, name in self._named(game):
            ids = names.get(name, set())
            ids.discard(game.id)
            if not ids:
                names.pop(name, None)
        for name in _images_of(game) if game.deleted_ms is None else ():
            left = self._image_uses.pop(name) - 1
            if left:
                self._image_uses[name] = left
        self.games.pop(game.id, None)
        self.tombstones.pop(game.id, None)
        if self._by_number.get(game.number) == game.id:
            del self._by_number[game.number]

    def _named(self, game: Game) -> Iterator[tuple[dict[str, set[str]], str]]:
        """Yield where a game is noted, and under which name."""
        if game.owner_id:
            yield self._by_owner, game.owner_id
        if game.creator_id:
            yield self._by_creator, game.creator_id
        yield from ((self._by_token, token.id) for token in game.tokens)


def _images_of(game: Game) -> Iterator[str]:
    """Yield the names of images of ours that a game names, each as often as it does."""
    for url in (game.image_url, game.cover_image_url, *(token.image_url for token in game.tokens)):
        if (name := name_in(url)) is not None:
            yield name
