"""A registry for a process that is an engine's own: the engine, the process, and Python."""

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from playclock.engine import Engine
from playclock.metrics.collector import EngineCollector


def registry_of(engine: Engine) -> CollectorRegistry:
    """Return a registry of what the engine and its process have to show. Not the library's global one: that is anybody's."""
    registry = CollectorRegistry()
    registry.register(EngineCollector(engine))
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry
