"""Games in the orders in which they are listed, page by page, and searched.

Each order is kept sorted, so that a page costs what is on it and not what is before it. A search looks at the name and the
description of every game: that is the one thing here whose cost grows with the number of games.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Final

import msgspec

from playclock.core.catalog import Game

FEW: Final = 8
"""Games that a filter names are looked up one by one where they are less than one in so many."""


class Sort(IntEnum):
    """What games are listed by. Equal ones are listed by their ids."""

    NAME = 1
    CREATED = 2
    NUMBER = 3
    REWARDS_POOL = 4
    REWARDS_ALLOCATED = 5
    DAILY_REWARDS = 6


Place = tuple[str | int, str]
"""Where a game stands in an order: what it is sorted by, and its id."""

KEYS: Final[Mapping[Sort, Callable[[Game], str | int]]] = {
    Sort.NAME: lambda game: game.name.casefold(),
    Sort.CREATED: lambda game: game.created_ms,
    Sort.NUMBER: lambda game: game.number,
    Sort.REWARDS_POOL: lambda game: usd_micros(game.rewards_pool_usd),
    Sort.REWARDS_ALLOCATED: lambda game: usd_micros(game.rewards_allocated_usd),
    Sort.DAILY_REWARDS: lambda game: usd_micros(game.daily_rewards_usd),
}


def usd_micros(text: str) -> int:
    """Return an amount of US dollars, of at most six digits after the point, in millionths."""
    whole, _, part = text.partition(".")
    return int(f"{whole}{part:0<6}") if text else 0


class Query(msgspec.Struct, frozen=True, kw_only=True):
    """Which games are asked for, and in which order."""

    text: str = ""
    """What the name or the description has to contain, in either case."""
    sort: Sort = Sort.NAME
    is_descending: bool = False
    games: frozenset[str] | None = None
    """The ids of those that are asked for; None for all."""
    with_hidden: bool = False


class Page(msgspec.Struct, frozen=True):
    """Some games, how many there are in all, and where the next page begins: after the last one of these."""

    games: Sequence[Game]
    total: int
    last: Place | None
    """None where no more follow."""


class Order:
    """Games by one key. The three lists have a game's place, its record and its text at the same index."""

    def __init__(self, key: Callable[[Game], str | int], entries: Iterable[tuple[Game, str]]) -> None:
        self._key = key
        entries = sorted(entries, key=lambda entry: self._place(entry[0]))
        self._games = [game for game, _ in entries]
        self._places = [self._place(game) for game in self._games]
        self._texts = [text for _, text in entries]

    def add(self, game: Game, text: str) -> None:
        """Put in a game that is not there."""
        place = self._place(game)
        index = bisect_left(self._places, place)
        self._places.insert(index, place)
        self._games.insert(index, game)
        self._texts.insert(index, text)

    def remove(self, game: Game) -> None:
        """Take out a game that is there."""
        index = self._index(game)
        del self._places[index], self._games[index], self._texts[index]

    def page(self, query: Query, known: Mapping[str, Game], *, offset: int, limit: int, after: Place | None) -> Page:
        """Return at most `limit` of the games that are asked for, `offset` of them after the place, or after the beginning."""
        hits = self._hits(query, known)
        total = len(hits)
        if after is not None and query.is_descending:
            hits = hits[: bisect_left(hits, bisect_left(self._places, after))]
        elif after is not None:
            hits = hits[bisect_left(hits, bisect_right(self._places, after)) :]
        if query.is_descending:
            end = max(0, len(hits) - offset)
            chosen = hits[max(0, end - limit) : end][::-1]
        else:
            chosen = hits[offset : offset + limit]
        is_last = not chosen or len(hits) <= offset + limit
        return Page([self._games[index] for index in chosen], total, None if is_last else self._places[chosen[-1]])

    def _hits(self, query: Query, known: Mapping[str, Game]) -> Sequence[int]:
        """Return the indexes of the games that are asked for, rising."""
        texts, text = self._texts, query.text.casefold()
        if query.games is None:
            return [index for index, each in enumerate(texts) if text in each] if text else range(len(texts))
        wanted = query.games
        if len(wanted) * FEW < len(texts):
            found = (known.get(game_id) for game_id in wanted)
            indexes: Iterable[int] = sorted(self._index(game) for game in found if game is not None and self._has(game))
        else:
            indexes = [index for index, (_, game_id) in enumerate(self._places) if game_id in wanted]
        return [index for index in indexes if text in texts[index]] if text else list(indexes)

    def _place(self, game: Game) -> Place:
        return self._key(game), game.id

    def _index(self, game: Game) -> int:
        return bisect_left(self._places, self._place(game))

    def _has(self, game: Game) -> bool:
        index = self._index(game)
        return index < len(self._games) and self._games[index].id == game.id


class Orders:
    """The same games in every order."""

    def __init__(self, games: Iterable[Game] = ()) -> None:
        entries = [(game, text_of(game)) for game in games]
        self._orders = {sort: Order(key, entries) for sort, key in KEYS.items()}

    def __getitem__(self, sort: Sort) -> Order:
        return self._orders[sort]

    def add(self, game: Game) -> None:
        """Put in a game that is not there."""
        text = text_of(game)
        for order in self._orders.values():
            order.add(game, text)

    def remove(self, game: Game) -> None:
        """Take out a game that is there."""
        for order in self._orders.values():
            order.remove(game)


def text_of(game: Game) -> str:
    """Return what a game is searched by. No text that is searched for has a line break in it."""
    return f"{game.name}\n{game.description}".casefold()
