"""The games that lists are made of, each in a slot: a small number that is its own as long as it is there."""

from collections.abc import Iterable, Sequence
from typing import Final

from playclock.core.catalog import Game
from playclock.core.slotset import SlotSet
from playclock.core.vocabulary import Vocabulary

STEP: Final = 4_096
"""How many games one step of a search looks at: a millisecond, with descriptions of a hundred characters."""


class Shelf:
    """Games in slots, with the texts that they are searched by."""

    def __init__(self, words: Vocabulary | None = None, step: int = STEP) -> None:
        self.step = step
        """How many games are looked at in one step of a search."""
        self.words = Vocabulary() if words is None else words
        self._slots: dict[str, int] = {}
        self._games: list[Game | None] = []
        self._texts: list[str] = []
        self._free: list[int] = []
        self._taken = SlotSet()
        self._visible = SlotSet()

    def __len__(self) -> int:
        return len(self._slots)

    @property
    def size(self) -> int:
        """All slots are below this."""
        return len(self._games)

    @property
    def games(self) -> Sequence[Game | None]:
        """The games by their slots; None where a slot is free."""
        return self._games

    @property
    def texts(self) -> Sequence[str]:
        """What the games are searched by, by their slots; empty where a slot is free."""
        return self._texts

    def game(self, slot: int) -> Game:
        """Return the game of a slot that has one."""
        game = self._games[slot]
        assert game is not None, "the slot has a game"
        return game

    def bits(self, *, with_hidden: bool) -> int:
        """Return the slots that have a game, with or without hidden ones."""
        return (self._taken if with_hidden else self._visible).bits

    def slots(self, ids: Iterable[str]) -> list[int]:
        """Return the slots of games, as far as they are there."""
        found = map(self._slots.get, ids)
        return [slot for slot in found if slot is not None]

    def put(self, game: Game) -> int:
        """Put in a game, in the place of what it was before if it is there, and return its slot."""
        slot = self._slots.get(game.id)
        if slot is None:
            slot = self._slots[game.id] = self._new_slot()
        text, before = text_of(game), self._texts[slot]
        if text != before:
            self.words.remove(slot, before, len(self._slots))
            self.words.add(slot, text, len(self._slots))
        self._games[slot], self._texts[slot] = game, text
        self._taken.add(slot)
        if game.is_visible:
            self._visible.add(slot)
        else:
            self._visible.discard(slot)
        return slot

    def remove(self, game_id: str) -> int:
        """Take out a game that is there, and return what was its slot."""
        slot = self._slots.pop(game_id)
        self.words.remove(slot, self._texts[slot], len(self._slots))
        self._games[slot], self._texts[slot] = None, ""
        self._taken.discard(slot)
        self._visible.discard(slot)
        self._free.append(slot)
        return slot

    def _new_slot(self) -> int:
        if self._free:
            return self._free.pop()
        self._games.append(None)
        self._texts.append("")
        return len(self._games) - 1


def text_of(game: Game) -> str:
    """Return what a game is searched by. No text that is searched for has a line break in it."""
    return f"{game.name}\n{game.description}".casefold()
