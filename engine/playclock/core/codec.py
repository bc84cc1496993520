"""Records to bytes and back: a format number, then a MessagePack array.

Fields are only ever added at the end with a default, so that an older record reads as a newer one; whatever breaks that
takes a new format number, and a reader that does not know the number refuses instead of guessing.
"""

from typing import Final, Generic, TypeVar

import msgspec

FORMAT: Final = 1
"""The format in which records are written."""

_PREFIX: Final = bytes([FORMAT])
_encoder = msgspec.msgpack.Encoder()

T = TypeVar("T")


class UnknownFormat(Exception):
    """The bytes were written by a newer version, or are no record of this kind."""


class Codec(Generic[T]):
    """Turns records of one kind into bytes and back."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._decoder = msgspec.msgpack.Decoder(kind)

    def decode(self, data: bytes) -> T:
        """Return the record. Raises UnknownFormat."""
        if data[:1] != _PREFIX:
            raise UnknownFormat(
                f"a {self._kind.__name__} of format {data[0] if data else 'nothing'}; this version reads {FORMAT}"
            )
        try:
            return self._decoder.decode(memoryview(data)[1:])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UnknownFormat(f"no {self._kind.__name__}: {error}") from error

    def checked(self, record: object) -> T:
        """Return the record if it is of this kind. Raises TypeError for another: a key was taken for another kind's."""
        if not isinstance(record, self._kind):
            raise TypeError(f"expected a {self._kind.__name__}, not a {type(record).__name__}")
        return record


def encode(record: msgspec.Struct) -> bytes:
    """Return the record's bytes."""
    return _PREFIX + _encoder.encode(record)
