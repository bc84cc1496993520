"""Which games fulfil a condition: found in steps, and kept in step with every change from the first step on.

A selection is one bit for each game, so those of the last conditions that were asked for can be kept: a page after the first,
and a text that many search for, cost next to nothing. Because of the steps nobody's search keeps others waiting for longer than
one of them.
"""

from collections import OrderedDict
from collections.abc import Generator, Iterable, Iterator, Sequence
from itertools import repeat
from operator import contains
from typing import Final, Protocol

import msgspec

from playclock.core.catalog import Game
from playclock.core.shelf import Shelf
from playclock.core.slotset import SlotSet, bits_of, slots_of

KEPT_MAX: Final = 256
"""How many selections are kept: with 100,000 games each takes 12.5 kB."""
PIECES_MAX: Final = 2
"""How many of a text's words are looked up; then the games that have them are looked at."""
DENSE: Final = 2
"""Where more than one text in so many is wanted, all are looked at, which is quicker than picking them."""
WORDS_SHARE: Final = 12
"""Looking at so many games takes as long as looking up a word."""
PIECES_SHARE: Final = 64
"""The same where games are to be looked at anyhow."""


class Condition(Protocol):
    """What a game must fulfil. Equal conditions are fulfilled by the same games."""

    def holds(self, game: Game, text: str) -> bool:
        """Whether a game with that text fulfils it."""

    def find(self, shelf: Shelf) -> Iterator[int]:
        """Yield, step by step, games that fulfil it as bits of their slots.

        Others may change games between two steps: those that they change then are their business.
        """


class Contains(msgspec.Struct, frozen=True):
    """Has that in its name or description."""

    text: str
    """Not empty, and folded as the games' texts are."""

    def holds(self, game: Game, text: str) -> bool:  # noqa: ARG002
        """Whether a game fulfils it."""
        return self.text in text

    def find(self, shelf: Shelf) -> Iterator[int]:
        """Yield games that fulfil it."""
        pieces = self.text.split()
        candidates = shelf.bits(with_hidden=True)
        if pieces == [self.text]:
            # What has no blank in it is in a text where it is in one of its words.
            sure = shelf.words.common(self.text)
            yield sure
            candidates &= ~sure
            words = yield from _words(shelf, self.text, candidates.bit_count() // WORDS_SHARE)
            if words is not None:
                yield from _with_words(shelf, words)
                return
        else:
            for needle in _needles(self.text, pieces):
                candidates = yield from _maybe(shelf, needle, candidates)
        block = (1 << shelf.step) - 1
        for start in range(0, candidates.bit_length(), shelf.step):
            wanted = candidates >> start & block
            if wanted:
                yield self._among(wanted, shelf.texts[start : start + shelf.step]) << start

    def _among(self, wanted: int, texts: Sequence[str]) -> int:
        """Return the wanted ones of some texts that have it, and perhaps others that have it."""
        if wanted.bit_count() * DENSE > len(texts):
            return bits_of(bytes(map(contains, texts, repeat(self.text))))
        flags = bytearray(len(texts))
        for slot in slots_of(wanted):
            flags[slot] = self.text in texts[slot]
        return bits_of(flags)


class OwnedBy(msgspec.Struct, frozen=True):
    """Is a developer's."""

    owner_id: str

    def holds(self, game: Game, text: str) -> bool:  # noqa: ARG002
        """Whether a game fulfils it."""
        return game.owner_id == self.owner_id

    def find(self, shelf: Shelf) -> Iterator[int]:
        """Yield games that fulfil it."""
        wanted = self.owner_id
        for start, games in _steps(shelf):
            yield bits_of(bytes([game is not None and game.owner_id == wanted for game in games])) << start


class DevelopedBy(msgspec.Struct, frozen=True):
    """Is owned by a developer or was created by him, and no operator hides it."""

    developer_id: str

    def holds(self, game: Game, text: str) -> bool:  # noqa: ARG002
        """Whether a game fulfils it."""
        return self.developer_id in (game.owner_id, game.creator_id) and not game.is_admin_hidden

    def find(self, shelf: Shelf) -> Iterator[int]:
        """Yield games that fulfil it."""
        wanted = self.developer_id
        for start, games in _steps(shelf):
            flags = [
                game is not None and wanted in (game.owner_id, game.creator_id) and not game.is_admin_hidden for game in games
            ]
            yield bits_of(bytes(flags)) << start


class Numbered(msgspec.Struct, frozen=True, eq=False):
    """Has one of some numbers. It equals itself alone: comparing a hundred thousand numbers would take long."""

    numbers: frozenset[int]

    def holds(self, game: Game, text: str) -> bool:  # noqa: ARG002
        """Whether a game fulfils it."""
        return game.number in self.numbers

    def find(self, shelf: Shelf) -> Iterator[int]:
        """Yield games that fulfil it."""
        wanted = self.numbers
        for start, games in _steps(shelf):
            yield bits_of(bytes([game is not None and game.number in wanted for game in games])) << start


class Selection:
    """The games that fulfil a condition."""

    def __init__(self, condition: Condition, shelf: Shelf) -> None:
        self.condition = condition
        self.is_ready = False
        self._shelf = shelf
        self._found = SlotSet()
        self._steps = condition.find(shelf)

    @property
    def bits(self) -> int:
        """The slots of the games, once it is ready."""
        return self._found.bits

    def step(self) -> None:
        """Do a part of what it takes to find them."""
        bits = next(self._steps, None)
        if bits is None:
            self.is_ready = True
        elif bits:
            self._found.merge(bits)

    def change(self, slot: int) -> None:
        """Look at a slot whose game was put in, changed or taken out."""
        game = self._shelf.games[slot]
        if game is not None and self.condition.holds(game, self._shelf.texts[slot]):
            self._found.add(slot)
        else:
            self._found.discard(slot)


class Selections:
    """Those that were asked for last."""

    def __init__(self, shelf: Shelf, kept_max: int = KEPT_MAX) -> None:
        self._shelf = shelf
        self._kept_max = kept_max
        self._kept: OrderedDict[Condition, Selection] = OrderedDict()

    def get(self, condition: Condition) -> Selection:
        """Return the selection of a condition, which may have just begun."""
        selection = self._kept.get(condition)
        if selection is None:
            self._kept[condition] = selection = Selection(condition, self._shelf)
            if len(self._kept) > self._kept_max:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(condition)
        return selection

    def found(self, condition: Condition) -> int:
        """Return the slots of the games that fulfil a condition, as bits."""
        selection = self.get(condition)
        while not selection.is_ready:
            selection.step()
        return selection.bits

    def prepare(self, conditions: Iterable[Condition]) -> Iterator[None]:
        """Find what fulfils conditions, a step at a time; others may change games in between."""
        for condition in conditions:
            selection = self.get(condition)
            while not selection.is_ready and self._kept.get(condition) is selection:
                selection.step()
                yield

    def change(self, slot: int) -> None:
        """Look at a slot whose game was put in, changed or taken out."""
        for selection in self._kept.values():
            selection.change(slot)

    def clear(self) -> None:
        """Forget all, which is quicker than looking at many changes."""
        self._kept.clear()


def _steps(shelf: Shelf) -> Iterator[tuple[int, Sequence[Game | None]]]:
    """Yield every slot, some at a time: the first one, and the games."""
    for start in range(0, shelf.size, shelf.step):
        yield start, shelf.games[start : start + shelf.step]


def _words(shelf: Shelf, needle: str, words_max: int) -> Generator[int, None, list[str] | None]:
    """Return the words that the needle is part of; None where there are more than so many."""
    search = shelf.words.search(needle, max(1, words_max))
    while True:
        try:
            next(search)
        except StopIteration as end:
            words: list[str] | None = end.value
            return words
        yield 0


def _with_words(shelf: Shelf, words: Iterable[str]) -> Iterator[int]:
    """Yield the games that have one of the words."""
    bits, flags, looked = 0, bytearray(shelf.size), 0
    for word in words:
        slots = shelf.words.slots(word)
        if isinstance(slots, SlotSet):
            bits |= slots.bits
        elif isinstance(slots, int):
            flags[slots] = 1
        elif slots is not None:
            for slot in slots:
                flags[slot] = 1
            looked += len(slots)
        looked += 1
        if looked >= shelf.step:
            yield bits | bits_of(flags)
            bits, flags, looked = 0, bytearray(shelf.size), 0
    yield bits | bits_of(flags)


def _needles(text: str, pieces: list[str]) -> list[str]:
    """Return the longest words of a text that has blanks, with a line break where a word begins or ends."""
    bound = [f"\n{piece}\n" for piece in pieces]
    if bound and text.startswith(pieces[0]):
        bound[0] = bound[0][1:]
    if bound and text.endswith(pieces[-1]):
        bound[-1] = bound[-1][:-1]
    return sorted(set(bound), key=lambda needle: (-len(needle), needle))[:PIECES_MAX]


def _maybe(shelf: Shelf, needle: str, candidates: int) -> Generator[int, None, int]:
    """Return the candidates that may have a word with the needle in it."""
    count = candidates.bit_count()
    if (candidates & shelf.words.common(needle)).bit_count() * 2 > count:
        return candidates
    words = yield from _words(shelf, needle, count // PIECES_SHARE)
    if words is None or shelf.words.weight(words) > count:
        return candidates
    bits = 0
    for found in _with_words(shelf, words):
        bits |= found
        yield 0
    return candidates & bits
