"""What an engine has counted, for Prometheus. Needs the extra `metrics`.

    registry = prometheus_client.CollectorRegistry()
    registry.register(playclock.metrics.EngineCollector(engine))

docs/operations.md names each metric, and says which ones want an alarm.
"""

from playclock.metrics.collector import EngineCollector

__all__ = ["EngineCollector"]
