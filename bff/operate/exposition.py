"""GET /metrics: what all workers have counted, in Prometheus' text format.

prometheus-client writes it; it is loaded in the supervisor alone.
"""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.core import (
    Metric as Family,
)
from prometheus_client.registry import Collector
from typing_extensions import override

from bff.journal.metrics import FAST, METRICS, Kind, Metric, Snapshot, Value


class _Taken(Collector):
    def __init__(self, taken: Snapshot) -> None:
        self._taken = taken

    @override
    def collect(self) -> Iterator[Family]:
        for name, metric in METRICS.items():
            yield _family(metric, self._taken.get(name, []))


def exposition(taken: Snapshot) -> bytes:
    """The text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Taken(taken))
    return generate_latest(registry)


def _family(metric: Metric, series: list[tuple[tuple[str, ...], Value]]) -> Family:
    name, about, labels = metric.name, metric.about, metric.labels
    if metric.kind is Kind.HISTOGRAM:
        timed = HistogramMetricFamily(name, about, labels=labels)
        for values, value in series:
            if isinstance(value, list):
                timed.add_metric(values, _buckets(value), value[-1])
        return timed
    family: CounterMetricFamily | GaugeMetricFamily
    if metric.kind is Kind.COUNTER:
        family = CounterMetricFamily(name, about, labels=labels)
    else:
        family = GaugeMetricFamily(name, about, labels=labels)
    for values, value in series:
        if not isinstance(value, list):
            family.add_metric(values, value)
    return family


def _buckets(value: list[float]) -> list[tuple[str, float]]:
    """Cumulative, as the format wants them."""
    found, total = [], 0.0
    for bound, each in zip((*FAST, float("inf")), value[:-1], strict=True):
        total += each
        found.append(("+Inf" if bound == float("inf") else f"{bound:g}", total))
    return found
