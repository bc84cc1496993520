"""The HTTP facade: foreign dialects, translated to calls of playclock.v1 over a channel that it is handed.

It holds no rule and no state. Of playclock it imports only the generated protos, so it cannot see the engine's insides.
"""

from playclock_http.app import make_app

__all__ = ["make_app"]
