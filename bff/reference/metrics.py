"""Every metric: from the closed set that a process counts and times."""

from typing import Final

from bff.journal.metrics import FAST, METRICS, Kind, Metric
from bff.reference.markdown import code, table

_HEAD: Final = ("metric", "kind", "labels", "what")
_KINDS: Final = {
    Kind.COUNTER: "counter",
    Kind.HISTOGRAM: "histogram, seconds",
    Kind.SUM: "gauge",
    Kind.MOST: "gauge",
}


def metrics() -> str:
    """A row for each."""
    return table(_HEAD, map(_row, METRICS.values()))


def _row(metric: Metric) -> tuple[str, ...]:
    labels = ", ".join(map(code, metric.labels))
    return (code(metric.name), _KINDS[metric.kind], labels, metric.about)


def buckets() -> str:
    """Where the buckets of the histograms end."""
    return f"Buckets of the histograms end at {', '.join(f'{each:g}' for each in FAST)} seconds."
