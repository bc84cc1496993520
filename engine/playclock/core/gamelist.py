"""Games in the orders in which they are listed, page by page, and searched.

Each order is kept sorted, so that a page of all games costs what is on it and not what is before it. Of the games that fulfil
a condition, few are sorted for each page, and many are picked from the order as it is walked: from the place where the page
before ended, or from the nearer end.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import IntEnum
from itertools import compress, islice
from typing import Final

import msgspec

from playclock.core.catalog import Game
from playclock.core.selection import KEPT_MAX, Condition, Contains, DevelopedBy, Numbered, OwnedBy, Selections
from playclock.core.shelf import Shelf
from playclock.core.slotset import flags_of, slots_of

SORTED_COST: Final = 20
"""Sorting a game takes as long as walking over so many."""
MANY_MIN: Final = 16
MANY_SHARE: Final = 50
"""Where more games than one in so many change at once, all are sorted anew, which is quicker then."""


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
    owner_id: str = ""
    """The developer whose games they are; empty for any."""
    developer_id: str = ""
    """The developer who owns or created them, but for those that an operator hides; empty for any."""
    numbered: Numbered | None = None
    """Those that they are among; None for any."""
    with_hidden: bool = False

    def conditions(self) -> list[Condition]:
        """Return what the games have to fulfil, beyond being shown."""
        found: list[Condition] = [] if self.numbered is None else [self.numbered]
        if self.owner_id:
            found.append(OwnedBy(self.owner_id))
        if self.developer_id:
            found.append(DevelopedBy(self.developer_id))
        if self.text:
            found.append(Contains(self.text.casefold()))
        return found


class Page(msgspec.Struct, frozen=True):
    """Some games, how many there are in all, and where the next page begins: after the last one of these."""

    games: Sequence[Game]
    total: int
    last: Place | None
    """None where no more follow."""


class Window(msgspec.Struct, frozen=True):
    """Which part of a list is asked for: so many, so many after the place, or after the beginning."""

    offset: int
    limit: int
    after: Place | None
    is_descending: bool


class Order:
    """Slots of games by one key."""

    def __init__(self, shelf: Shelf, key: Callable[[Game], str | int]) -> None:
        self.slots = array("I")
        self._shelf = shelf
        self._key = key

    def place(self, slot: int) -> Place:
        """Return where the game of a slot stands."""
        game = self._shelf.game(slot)
        return self._key(game), game.id

    def add(self, slot: int) -> None:
        """Put in a slot that is not there."""
        self.slots.insert(bisect_left(self.slots, self.place(slot), key=self.place), slot)

    def remove(self, slot: int) -> None:
        """Take out a slot that is there, as long as its game is what it was."""
        del self.slots[bisect_left(self.slots, self.place(slot), key=self.place)]

    def sorted(self, by_id: Sequence[int]) -> list[int]:
        """Return slots, which come in the order of their games' ids, in this order."""
        key, games = self._key, self._shelf.games
        keys = {slot: key(game) for slot in by_id if (game := games[slot]) is not None}
        return sorted(by_id, key=keys.__getitem__)

    def cut(self, slots: Sequence[int], window: Window) -> tuple[list[int], bool]:
        """Return the part of some slots that are in this order, and whether it is the last."""
        start, end = self._ends(slots, window)
        first, last = min(end, start + window.offset), min(end, start + window.offset + window.limit)
        if window.is_descending:
            first, last = start + end - last, start + end - first
        chosen = list(slots[first:last])
        return chosen[::-1] if window.is_descending else chosen, not chosen or end - start <= window.offset + window.limit

    def pick(self, bits: int, window: Window) -> tuple[list[int], bool]:
        """Return the part of the slots that are in a set, and whether it is the last."""
        total = bits.bit_count()
        if window.limit == 0 or (window.after is None and window.offset >= total):
            return [], True
        flags = flags_of(bits, self._shelf.size)
        if window.after is None and 2 * window.offset > total:
            # It is nearer to the end.
            last = min(total, window.offset + window.limit)
            walked = _walk(self.slots, flags, backwards=not window.is_descending)
            return list(islice(walked, total - last, total - window.offset))[::-1], last == total
        start, end = self._ends(self.slots, window)
        walked = _walk(self.slots[start:end], flags, backwards=window.is_descending)
        chosen = list(islice(walked, window.offset, window.offset + window.limit + 1))
        return chosen[: window.limit], len(chosen) <= window.limit

    def _ends(self, slots: Sequence[int], window: Window) -> tuple[int, int]:
        """Return between which indexes what follows the place is."""
        if window.after is None:
            return 0, len(slots)
        if window.is_descending:
            return 0, bisect_left(slots, window.after, key=self.place)
        return bisect_right(slots, window.after, key=self.place), len(slots)


class GameList:
    """The same games in every order."""

    def __init__(self, shelf: Shelf | None = None, kept_max: int = KEPT_MAX) -> None:
        self._shelf = Shelf() if shelf is None else shelf
        self._listed = {sort: Order(self._shelf, key) for sort, key in KEYS.items()}
        self._visible = {sort: Order(self._shelf, key) for sort, key in KEYS.items()}
        self._selections = Selections(self._shelf, kept_max)

    def __len__(self) -> int:
        return len(self._shelf)

    def change(self, games: Collection[Game], gone: Collection[str]) -> None:
        """Put in games, new or changed, and take out those of some ids: no game is among both."""
        changed = len(games) + len(gone)
        if changed > max(MANY_MIN, len(self._shelf) // MANY_SHARE):
            self._change_many(games, gone)
            return
        for game_id in gone:
            for slot in self._shelf.slots([game_id]):
                self._leave(slot)
                self._shelf.remove(game_id)
                self._selections.change(slot)
        for game in games:
            for slot in self._shelf.slots([game.id]):
                self._leave(slot)
            slot = self._shelf.put(game)
            self._enter(slot)
            self._selections.change(slot)

    def prepare(self, query: Query, named: Collection[str] | None) -> Iterator[None]:
        """Find what a page needs, a step at a time. Others may change games between two steps."""
        if not self._are_few(named):
            yield from self._selections.prepare(query.conditions())

    def page(self, query: Query, window: Window, named: Collection[str] | None) -> Page:
        """Return a part of the games that are asked for; all of those are among the named ones, where some are."""
        order = (self._listed if query.with_hidden else self._visible)[query.sort]
        if named is not None and self._are_few(named):
            few = self._chosen(query, named)
        elif not query.conditions():
            return self._page(order, *order.cut(order.slots, window), len(order.slots))
        else:
            bits = self._shelf.bits(with_hidden=query.with_hidden)
            for condition in query.conditions():
                bits &= self._selections.found(condition)
            total = bits.bit_count()
            walked = min(len(order.slots), (window.offset + window.limit) * len(order.slots) // max(1, total))
            if total * SORTED_COST >= walked:
                return self._page(order, *order.pick(bits, window), total)
            few = slots_of(bits)
        few.sort(key=order.place)
        return self._page(order, *order.cut(few, window), len(few))

    def _page(self, order: Order, slots: Sequence[int], is_last: bool, total: int) -> Page:
        last = None if is_last else order.place(slots[-1])
        return Page([self._shelf.game(slot) for slot in slots], total, last)

    def _are_few(self, named: Collection[str] | None) -> bool:
        return named is not None and are_few(len(named), len(self._shelf))

    def _chosen(self, query: Query, named: Collection[str]) -> list[int]:
        shelf, conditions = self._shelf, query.conditions()
        return [
            slot
            for slot in shelf.slots(named)
            if (query.with_hidden or shelf.game(slot).is_visible)
            and all(condition.holds(shelf.game(slot), shelf.texts[slot]) for condition in conditions)
        ]

    def _enter(self, slot: int) -> None:
        for sort in Sort:
            self._listed[sort].add(slot)
            if self._shelf.game(slot).is_visible:
                self._visible[sort].add(slot)

    def _leave(self, slot: int) -> None:
        for sort in Sort:
            self._listed[sort].remove(slot)
            if self._shelf.game(slot).is_visible:
                self._visible[sort].remove(slot)

    def _change_many(self, games: Collection[Game], gone: Collection[str]) -> None:
        shelf = self._shelf
        for game_id in gone:
            if shelf.slots([game_id]):
                shelf.remove(game_id)
        for game in games:
            shelf.put(game)
        by_id = sorted(slots_of(shelf.bits(with_hidden=True)), key=lambda slot: shelf.game(slot).id)
        is_visible = flags_of(shelf.bits(with_hidden=False), shelf.size)
        for sort, order in self._listed.items():
            order.slots = array("I", order.sorted(by_id))
            self._visible[sort].slots = array("I", _walk(order.slots, is_visible, backwards=False))
        self._selections.clear()


def are_few(count: int, games: int) -> bool:
    """Whether so many of all games are quicker looked at one by one: a thousand of 250,000, or twenty of a hundred."""
    return count * count < 4 * games


def _walk(slots: "array[int]", flags: bytes, *, backwards: bool) -> Iterator[int]:
    """Walk over the slots whose flag is set."""
    if backwards:
        return compress(reversed(slots), map(flags.__getitem__, reversed(slots)))
    return compress(slots, map(flags.__getitem__, slots))
