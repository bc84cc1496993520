"""One view of all workers: each one's metrics with its number, and what their supervisor knows of them."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from playclock.cli.worker_metrics import ask, socket_of

LABEL: Final = "worker"


class WorkersView:
    """Asks all workers, each time that somebody wants to know."""

    def __init__(self, folder: Path, restarts: Callable[[], Mapping[int, int]]) -> None:
        """Look in the folder for their sockets; `restarts` tells how often each was started anew."""
        self._folder: Final = folder
        self._restarts: Final = restarts

    async def collect(self) -> Collector:
        """Return what the workers that answer show, and which ones do."""
        restarts = dict(self._restarts())
        shown = await asyncio.gather(*(ask(socket_of(self._folder, number)) for number in restarts))
        return Collected(dict(zip(restarts, shown, strict=True)), restarts)


class Collected(Collector):
    """What the workers have shown; None for those that have not."""

    def __init__(self, shown: Mapping[int, Sequence[Metric] | None], restarts: Mapping[int, int]) -> None:
        self._shown = shown
        self._restarts = restarts

    def collect(self) -> Iterator[Metric]:
        """Yield each metric once, with the samples of all."""
        up = GaugeMetricFamily("playclock_worker_up", "1 where a worker answers.", labels=[LABEL])
        restarts = CounterMetricFamily("playclock_worker_restarts", "How often a worker was started anew.", labels=[LABEL])
        for number, metrics in self._shown.items():
            up.add_metric([str(number)], 0 if metrics is None else 1)
            restarts.add_metric([str(number)], self._restarts[number])
        yield up
        yield restarts
        yield from _merged({number: metrics for number, metrics in self._shown.items() if metrics is not None})


def _merged(shown: Mapping[int, Iterable[Metric]]) -> Iterable[Metric]:
    merged: dict[str, Metric] = {}
    for number, metrics in shown.items():
        for metric in metrics:
            known = merged.setdefault(metric.name, Metric(metric.name, metric.documentation, metric.type, metric.unit))
            known.samples += [_numbered(sample, number) for sample in metric.samples]
    return merged.values()


def _numbered(sample: Sample, number: int) -> Sample:
    return sample._replace(labels={LABEL: str(number), **sample.labels})
