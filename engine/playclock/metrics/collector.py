"""Reads what an engine has counted at the moment at which Prometheus asks. Until then it costs nothing."""

from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from itertools import accumulate
from typing import Final

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from playclock.clock import HostClock, ManualClock, SteeredClock
from playclock.engine import Engine
from playclock.engine.counts import BOUNDS_NS, Calls, Counting
from playclock.metrics import families as of
from playclock.metrics.families import Family

_NS: Final = 1_000_000_000
_BUCKETS: Final = (*(str(bound / _NS) for bound in BOUNDS_NS), "+Inf")

Value = float | None
Labels = tuple[str, ...]


class EngineCollector(Collector):
    """A `prometheus_client` collector of one engine, for a registry of your own. May be asked from any thread.

    Two engines need two registries, for their metrics have the same names.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        try:
            self._version = metadata.version("playclock")
        except metadata.PackageNotFoundError:
            self._version = "not installed"

    def describe(self) -> Iterable[Metric]:
        """Return the metrics that there are, so that a registry can refuse a second collector of the same names."""
        return self.collect()

    def collect(self) -> Iterator[Metric]:
        """Yield each metric with its samples as they are now."""
        engine = self._engine
        build = of.build()
        build.add_metric((), {"version": self._version})
        yield build
        yield from _calls(engine.counts.calls.copy())
        yield _many(of.RATE_LIMITED, _by_name(engine.counts.rate_limited))
        yield from _sessions(engine)
        yield from _bookkeeping(engine)
        yield from _clock(engine)
        yield _one(of.CONFLICTS, engine.context.records.conflicts)
        yield _one(of.UNAVAILABLE, engine.context.records.unavailable)
        yield from _counted(of.OF_STORE, engine.store)
        yield from _counted(of.OF_ARCHIVE, engine.archive)
        yield _many(of.IMAGES, _by_name(engine.images.outcomes()))
        yield _many(of.PROVIDER_CALLS, engine.counts.provider_calls.copy().items())
        yield _many(of.CIRCUIT_OPEN, _by_name(engine.partners.circuits))
        yield _many(of.AGENT_CALLS, engine.counts.agent_calls.copy().items())
        yield _many(of.AGENT_CIRCUIT_OPEN, _by_name(engine.callbacks.circuits))


def _calls(calls: Mapping[str, Calls]) -> Iterator[Metric]:
    """Yield what is known of calls. Methods that nobody has called are left out: most are never called by most."""
    duration = of.rpc_duration()
    ended: list[tuple[Labels, Value]] = []
    for name, counted in calls.items():
        _, service, method = name.split("/")
        codes, buckets = counted.codes.copy(), tuple(accumulate(counted.buckets))
        if any(codes.values()):
            ended += [((service, method, code), number) for code, number in codes.items()]
        if buckets[-1]:
            pairs = [(bound, float(number)) for bound, number in zip(_BUCKETS, buckets, strict=True)]
            duration.add_metric((service, method), pairs, counted.sum_ns / _NS)
    yield _many(of.RPCS, ended)
    yield duration


def _sessions(engine: Engine) -> Iterator[Metric]:
    counts = engine.counts
    yield _many(of.HEARTBEATS, _by_name(counts.heartbeats))
    yield _many(of.OPENED, _by_name(counts.opened))
    yield _many(of.ENDED, counts.ended.copy().items())
    yield _many(of.MATCHES, _by_name(counts.matches))
    yield _many(of.ABORTED_MATCHES, _by_name(counts.aborted_matches))
    yield _one(of.CONTRADICTED_RESULTS, counts.contradicted_results)
    yield _many(of.DELIVERIES, counts.deliveries.copy().items())
    yield _one(of.DELIVERIES_WAITING, engine.matches.pushing.waiting)
    yield _one(of.POINTS_SAVED, counts.points_saved)
    yield _many(of.POINTS_EXCEEDED, _by_name(counts.points_exceeded))
    yield _one(of.PLAYER_SESSIONS, counts.player_sessions)
    yield _one(of.WATCHERS, engine.feed.watchers)


def _bookkeeping(engine: Engine) -> Iterator[Metric]:
    sweeper = engine.sweeper
    yield _one(of.SWEPT, sweeper.swept)
    yield _one(of.DROPPED, sweeper.dropped)
    yield _one(of.DUE, sweeper.due)
    yield _one(of.SWEEP_LAG, sweeper.lag_ms / 1000)
    yield _one(of.SWEEP_AGE, None if sweeper.ended_ms is None else (engine.clock.now_ms() - sweeper.ended_ms) / 1000)
    yield _many(of.FAILED_JOBS, _by_name(engine.counts.failed_jobs))


def _clock(engine: Engine) -> Iterator[Metric]:
    clock = engine.clock
    if not isinstance(clock, ManualClock):
        host = clock.host if isinstance(clock, SteeredClock) else HostClock()
        yield _one(of.WALL_SKEW, (host.wall_ms() - clock.now_ms()) / 1000)
    if isinstance(clock, SteeredClock):
        steering = clock.steering
        yield _one(of.CLOCK_OFFSET, steering.offset_ms / 1000)
        yield _one(of.CLOCK_ERROR, steering.error_ms / 1000)
        yield _one(of.CLOCK_STEPS, steering.steps)
        yield _one(of.CATCH_UPS, steering.catch_ups)


def _counted(families: Mapping[str, Family], source: object) -> Iterator[Metric]:
    """Yield what a store, or an archive, has counted; nothing of one that does not count."""
    if isinstance(source, Counting):
        for name, number in source.counts().items():
            if name in families:
                yield _one(families[name], number)


def _by_name(values: Mapping[str, int]) -> Iterable[tuple[Labels, Value]]:
    # A copy of a dict is made in one go; whoever walks over the dict itself may meet a change by the engine's thread.
    return [((name,), value) for name, value in dict(values).items()]


def _one(family: Family, value: Value) -> Metric:
    """Return a metric without labels, and without a sample where its value is not known."""
    return _many(family, [((), value)])


def _many(family: Family, values: Iterable[tuple[Labels, Value]]) -> Metric:
    """Return a metric with a sample for each combination of labels."""
    made = family.make()
    for labels, value in values:
        if value is not None:
            made.add_metric(labels, value)
    return made
