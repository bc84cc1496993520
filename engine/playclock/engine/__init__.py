"""The shell around the core: load, decide, commit, and again on a conflict."""

from playclock.engine.callers import OPERATOR, Caller, Role
from playclock.engine.engine import Engine
from playclock.engine.signatures import SignedRequest

__all__ = ["OPERATOR", "Caller", "Engine", "Role", "SignedRequest"]
