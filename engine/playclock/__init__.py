"""playclock: an embeddable session engine for PC-cafe play time.

    async with playclock.Engine() as engine:
        channel = playclock.InProcessChannel(engine, operator=True)
        sessions = SessionServiceStub(channel)

Names are loaded when they are first used: `import playclock` alone costs nothing and needs no extra.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playclock.archive.urls import open_archive
    from playclock.blocking import BlockingEngine
    from playclock.clock import Clock, ManualClock, SystemClock
    from playclock.core.timers import Timers
    from playclock.engine import Engine
    from playclock.engine.sealing import Sealer
    from playclock.engine.timekeeper import keep_time
    from playclock.errors import EngineError
    from playclock.masterkeys import open_sealer
    from playclock.rpc.inprocess import InProcessChannel
    from playclock.rpc.server import Server
    from playclock.stores.urls import open_store

__all__ = [
    "BlockingEngine",
    "Clock",
    "Engine",
    "EngineError",
    "InProcessChannel",
    "ManualClock",
    "Sealer",
    "Server",
    "SystemClock",
    "Timers",
    "keep_time",
    "open_archive",
    "open_sealer",
    "open_store",
]

_HOMES = {
    "BlockingEngine": "playclock.blocking",
    "Clock": "playclock.clock",
    "Engine": "playclock.engine",
    "EngineError": "playclock.errors",
    "InProcessChannel": "playclock.rpc.inprocess",
    "ManualClock": "playclock.clock",
    "Sealer": "playclock.engine.sealing",
    "Server": "playclock.rpc.server",
    "SystemClock": "playclock.clock",
    "Timers": "playclock.core.timers",
    "keep_time": "playclock.engine.timekeeper",
    "open_archive": "playclock.archive.urls",
    "open_sealer": "playclock.masterkeys",
    "open_store": "playclock.stores.urls",
}


def __getattr__(name: str) -> object:
    """Load a public name from the module where it lives."""
    if name not in _HOMES:
        raise AttributeError(f"module 'playclock' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
