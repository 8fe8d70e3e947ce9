"""What a process counts and times: a closed set, added up over all workers by the supervisor.

Labels hold names from the configuration and from closed sets, never an id or a path that a request
brought. On the hot way a `Timed` is kept at hand, and an observation is a few additions.
"""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

Labels = tuple[str, ...]
Value = float | list[float]  # of a histogram: the count in each bucket, then the sum of seconds
Snapshot = dict[str, list[tuple[Labels, Value]]]  # by the metric's name
Gauge = tuple["Metric", Labels, float]

FAST: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Kind(StrEnum):
    """How the values of several processes make one."""

    COUNTER = "counter"  # added, also those of processes that have ended
    HISTOGRAM = "histogram"  # the same, bucket by bucket
    SUM = "sum"  # a gauge: added
    MOST = "most"  # a gauge of what all processes share: the largest


@dataclass(frozen=True, slots=True)
class Metric:
    """One of the set. Histograms are in seconds."""

    name: str
    kind: Kind
    about: str
    labels: Labels = ()


REQUESTS: Final = Metric(
    "bff_requests_total",
    Kind.COUNTER,
    "Requests answered, by route or endpoint and by the class of their status.",
    ("frontend", "route", "status"),
)
REFUSALS: Final = Metric(
    "bff_refusals_total", Kind.COUNTER, "Requests refused, by reason.", ("reason",)
)
RELAY_SECONDS: Final = Metric(
    "bff_relay_seconds",
    Kind.HISTOGRAM,
    "From a relayed request's turn to the end of its answer; streams are not among them.",
    ("frontend", "route"),
)
UPSTREAM_SECONDS: Final = Metric(
    "bff_upstream_seconds",
    Kind.HISTOGRAM,
    "From a request sent to an upstream to the head of its answer.",
    ("frontend", "route"),
)
REFRESHES: Final = Metric(
    "bff_refreshes_total",
    Kind.COUNTER,
    "Refreshes, by what became of them.",
    ("frontend", "outcome"),
)
ROUTE_TOKENS: Final = Metric(
    "bff_route_tokens_total",
    Kind.COUNTER,
    "Tokens asked for on behalf of a person for one API, by how and by what became of it.",
    ("frontend", "way", "outcome"),
)
CREATED: Final = Metric(
    "bff_sessions_created_total", Kind.COUNTER, "Sessions that began.", ("frontend",)
)
ENDED: Final = Metric(
    "bff_sessions_ended_total",
    Kind.COUNTER,
    "Sessions that were ended, by the cause; those that expired in the store are not among them.",
    ("frontend", "cause"),
)
STORE_SECONDS: Final = Metric(
    "bff_store_seconds", Kind.HISTOGRAM, "Calls of the store, answered or not.", ("operation",)
)
STORE_ERRORS: Final = Metric(
    "bff_store_errors_total",
    Kind.COUNTER,
    "Calls of the store without an answer in time.",
    ("operation",),
)
PROVIDER_SECONDS: Final = Metric(
    "bff_provider_seconds", Kind.HISTOGRAM, "Calls of the provider, by endpoint.", ("endpoint",)
)
PROVIDER_CALLS: Final = Metric(
    "bff_provider_calls_total",
    Kind.COUNTER,
    "Calls of the provider, by endpoint and by the class of the status, 429, or the fault.",
    ("endpoint", "outcome"),
)
UPSTREAM_CONNECTIONS: Final = Metric(
    "bff_upstream_connections",
    Kind.SUM,
    "Connections to an upstream that are open.",
    ("frontend", "route", "state"),
)
IN_FLIGHT: Final = Metric(
    "bff_requests_in_flight", Kind.SUM, "Relayed requests that are being answered."
)
STREAMS: Final = Metric("bff_streams", Kind.SUM, "WebSockets and event streams that are open.")
LOOP_LAG: Final = Metric(
    "bff_event_loop_lag_seconds",
    Kind.HISTOGRAM,
    "How late a timer of the event loop came.",
)
REVOCATIONS: Final = Metric(
    "bff_revocation_queue",
    Kind.MOST,
    "Revocations that wait in the store to be tried again.",
    ("frontend",),
)

METRICS: Final = {
    metric.name: metric
    for metric in (
        REQUESTS,
        REFUSALS,
        RELAY_SECONDS,
        UPSTREAM_SECONDS,
        REFRESHES,
        ROUTE_TOKENS,
        CREATED,
        ENDED,
        STORE_SECONDS,
        STORE_ERRORS,
        PROVIDER_SECONDS,
        PROVIDER_CALLS,
        UPSTREAM_CONNECTIONS,
        IN_FLIGHT,
        STREAMS,
        LOOP_LAG,
        REVOCATIONS,
    )
}


class Timed:
    """One series of a histogram."""

    __slots__ = ("_buckets", "_sum")

    def __init__(self) -> None:
        self._buckets = [0] * (len(FAST) + 1)
        self._sum = 0.0

    def observe(self, seconds: float) -> None:
        """It took so long."""
        self._buckets[bisect_left(FAST, seconds)] += 1
        self._sum += seconds

    def value(self) -> list[float]:
        """As a snapshot holds it."""
        return [*self._buckets, self._sum]


_counts: dict[Metric, dict[Labels, float]] = {}
_timed: dict[Metric, dict[Labels, Timed]] = {}


def count(metric: Metric, *labels: str) -> None:
    """One more."""
    series = _counts.setdefault(metric, {})
    series[labels] = series.get(labels, 0.0) + 1


def timed(metric: Metric, *labels: str) -> Timed:
    """The series with those labels, to be kept at hand."""
    return _timed.setdefault(metric, {}).setdefault(labels, Timed())


def snapshot(gauges: Iterable[Gauge]) -> Snapshot:
    """All that has been counted and timed here so far, and the gauges as they are."""
    taken: Snapshot = {metric.name: list(series.items()) for metric, series in _counts.items()}
    for metric, many in _timed.items():
        taken[metric.name] = [(labels, each.value()) for labels, each in many.items()]
    for metric, labels, value in gauges:
        taken.setdefault(metric.name, []).append((labels, value))
    return taken


def status_class(status: int) -> str:
    """As a label has it: `2xx`."""
    return _CLASSES[status // 100]


def call_outcome(status: int) -> str:
    """The outcome of a call of the provider: the class, and 429 by itself.

    A provider that throttles turns away whoever comes, like one that is down; another 4xx is about
    one request.
    """
    return "429" if status == 429 else status_class(status)


_CLASSES: Final = ("", "1xx", "2xx", "3xx", "4xx", "5xx")


def joined(snapshots: Iterable[Snapshot]) -> Snapshot:
    """Those of several processes as one."""
    sums: dict[str, dict[Labels, Value]] = {}
    for each in snapshots:
        for name, series in each.items():
            into = sums.setdefault(name, {})
            for labels, value in series:
                before = into.get(labels)
                into[labels] = (
                    value if before is None else _joined(METRICS[name].kind, before, value)
                )
    return {name: list(series.items()) for name, series in sums.items()}


def _joined(kind: Kind, one: Value, other: Value) -> Value:
    if isinstance(one, list) and isinstance(other, list):
        return [a + b for a, b in zip(one, other, strict=True)]
    if isinstance(one, list) or isinstance(other, list):
        raise TypeError("a histogram and a number")
    return max(one, other) if kind is Kind.MOST else one + other


def lasting(taken: Snapshot) -> Snapshot:
    """What of a snapshot stays true when its process has ended: counters never go back."""
    kinds = (Kind.COUNTER, Kind.HISTOGRAM)
    return {name: series for name, series in taken.items() if METRICS[name].kind in kinds}
