"""The shell around the core: load, decide, commit, and again on a conflict."""

from playclock.engine.callers import OPERATOR, Caller, Role, SignedRequest
from playclock.engine.engine import Engine

__all__ = ["OPERATOR", "Caller", "Engine", "Role", "SignedRequest"]
