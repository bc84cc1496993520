"""Matches in the store: made, played, and brought to the end of their money."""

from playclock.engine.matches.matches import Matches

__all__ = ["Matches"]
