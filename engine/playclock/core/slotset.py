"""Sets of slots, small numbers: one bit each, which Python's integers intersect and count in microseconds."""

from collections.abc import Iterable
from itertools import compress, count
from typing import Final

_FLAGS: Final = bytes.maketrans(b"01", b"\0\1")
_DIGITS: Final = bytes.maketrans(b"\0\1", b"01")


class SlotSet:
    """A set of slots that is changed in place."""

    __slots__ = ("_bytes",)

    def __init__(self, slots: Iterable[int] = ()) -> None:
        self._bytes = bytearray()
        for slot in slots:
            self.add(slot)

    @property
    def bits(self) -> int:
        """The set as an integer, slot 0 being the lowest bit."""
        return int.from_bytes(self._bytes, "little")

    def add(self, slot: int) -> None:
        """Put in a slot."""
        index = slot >> 3
        if index >= len(self._bytes):
            self._bytes.extend(bytes(index + 1 - len(self._bytes)))
        self._bytes[index] |= 1 << (slot & 7)

    def discard(self, slot: int) -> None:
        """Take out a slot, if it is there."""
        if slot >> 3 < len(self._bytes):
            self._bytes[slot >> 3] &= ~(1 << (slot & 7))

    def merge(self, bits: int) -> None:
        """Put in all slots of an integer."""
        merged = self.bits | bits
        self._bytes = bytearray(merged.to_bytes(-(-merged.bit_length() // 8), "little"))


def flags_of(bits: int, size: int) -> bytes:
    """Return a byte for each slot below `size`, 1 for those that are in the set."""
    return format(bits, f"0{size}b").encode()[::-1].translate(_FLAGS)


def bits_of(flags: bytes | bytearray) -> int:
    """Return the set of the slots whose byte is 1; all others are 0."""
    return int(flags[::-1].translate(_DIGITS) or b"0", 2)


def slots_of(bits: int) -> list[int]:
    """Return the slots, rising."""
    return list(compress(count(), flags_of(bits, bits.bit_length())))
