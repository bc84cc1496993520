"""Which words there are in many texts, and which texts have them.

A word is whatever stands between blanks, so that what has no blank in it is part of a text exactly where it is part of one of
its words. There are far fewer words than there is text: searching them takes a millisecond where searching the texts would take
twenty. A word takes some 200 bytes, and 4 for each text that has it or, where many have it, a bit for each text that there is.
"""

from array import array
from bisect import bisect_left, insort
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from playclock.core.slotset import SlotSet, slots_of

SEGMENT_WORDS: Final = 4_096
"""So many words are searched as one string."""
SEARCHED_WORDS: Final = 65_536
"""After so many, a search lets others do something."""
COMMON_MIN: Final = 64
"""A word that no more texts have than this is never common."""
COMMON_SHARE: Final = 32
"""A word is common where more than one text in so many has it: a list of the texts would be larger than a bit for each text."""

Slots: TypeAlias = "int | array[int] | SlotSet"
"""Of one text, of some, or of many."""


class Vocabulary:
    """The words of texts, each of which is known by its slot."""

    def __init__(self, common_min: int = COMMON_MIN, segment_words: int = SEGMENT_WORDS) -> None:
        self._common_min = common_min
        self._segment_words = segment_words
        self._slots: dict[str, Slots] = {}
        self._common: set[str] = set()
        self._segments: list[str] = []
        self._fresh: list[str] = []
        """The newest words, of which there is no segment yet."""
        self._noted = 0
        """How many words are in segments or fresh, gone ones and repeated ones too."""

    def add(self, slot: int, text: str, texts: int) -> None:
        """Take in the text of a slot that has none; there are so many texts in all."""
        known = self._slots
        rare_max = max(self._common_min, texts // COMMON_SHARE)
        for word in set(text.split()):
            slots = known.get(word)
            if slots is None:
                known[word] = slot
                self._note(word)
            elif isinstance(slots, SlotSet):
                slots.add(slot)
            elif isinstance(slots, int):
                known[word] = array("I", (slots, slot) if slots < slot else (slot, slots))
            else:
                if slot > slots[-1]:
                    slots.append(slot)
                else:
                    insort(slots, slot)
                if len(slots) > rare_max:
                    known[word] = SlotSet(slots)
                    self._common.add(word)

    def remove(self, slot: int, text: str, texts: int) -> None:
        """Take out the text that a slot has; there are so many texts in all."""
        for word in set(text.split()):
            slots = self._slots[word]
            if isinstance(slots, int):
                del self._slots[word]
            elif isinstance(slots, SlotSet):
                slots.discard(slot)
                bits = slots.bits
                if bits.bit_count() <= max(self._common_min, texts // COMMON_SHARE) // 2:
                    self._make_rare(word, slots_of(bits))
            else:
                del slots[bisect_left(slots, slot)]
                if len(slots) == 1:
                    self._slots[word] = slots[0]

    def common(self, needle: str) -> int:
        """Return which texts have a common word that the needle is part of, as bits: it is as in `search`."""
        bits = 0
        for word in self._common:
            if needle in f"\n{word}\n":
                slots = self._slots[word]
                assert isinstance(slots, SlotSet), "common words have a bit for each text"
                bits |= slots.bits
        return bits

    def slots(self, word: str) -> "Slots | None":
        """Return which texts have the word; None where it has gone."""
        return self._slots.get(word)

    def weight(self, words: Iterable[str]) -> int:
        """Return how many texts have each of the words that are not common, one after the other."""
        found = map(self._slots.get, words)
        return sum(len(slots) if isinstance(slots, array) else 1 for slots in found)

    def search(self, needle: str, words_max: int) -> Generator[None, None, list[str] | None]:
        """Return the words that the needle is part of, common ones too; None where there are more than so many.

        A line break in the needle stands for the beginning or the end of a word. Others may change texts at each yield: what
        words they bring is not found, and one that has gone may be.
        """
        if needle[0] == needle[-1] == "\n":
            return [needle[1:-1]]
        segments = [*self._segments, _segment(self._fresh)]
        hit, hits, searched = [], 0, 0
        for segment in segments:
            found = segment.count(needle)
            hits += found
            if hits > words_max:
                return None
            if found:
                hit.append(segment)
            searched += self._segment_words
            if searched >= SEARCHED_WORDS:
                searched = 0
                yield
        words: list[str] = []
        for segment in hit:
            words += _words(segment, needle)
            yield
        return words

    def _note(self, word: str) -> None:
        self._fresh.append(word)
        self._noted += 1
        if self._noted > 2 * len(self._slots) + self._segment_words:
            # Most of what is noted has gone, or is noted twice.
            words = list(self._slots)
            starts = range(0, len(words), self._segment_words)
            self._segments = [_segment(words[start : start + self._segment_words]) for start in starts]
            self._fresh, self._noted = [], len(words)
        elif len(self._fresh) >= self._segment_words:
            self._segments.append(_segment(self._fresh))
            self._fresh = []

    def _make_rare(self, word: str, slots: list[int]) -> None:
        self._common.remove(word)
        if len(slots) > 1:
            self._slots[word] = array("I", slots)
        elif slots:
            self._slots[word] = slots[0]
        else:
            del self._slots[word]


def _segment(words: Sequence[str]) -> str:
    return "\n".join(("", *words, ""))


def _words(segment: str, needle: str) -> Iterator[str]:
    at = segment.find(needle)
    while at >= 0:
        start = segment.rfind("\n", 0, at + 1) + 1
        end = segment.find("\n", start)
        yield segment[start:end]
        at = segment.find(needle, end)
