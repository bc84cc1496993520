"""What those who played were answered."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Answers:
    """All that has to stand, whatever becomes of whom."""

    otts: set[str] = field(default_factory=set)
    opened: dict[str, str] = field(default_factory=dict)
    """Session -> its OTT."""
    ended: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Session -> what its end was answered with."""
