"""What was counted, over time: samples of the joined metrics, and sums of their differences.

Pure but for the ring. A sample keeps a few counters by one label only, so that hours of them are
small; counters never go back, so a difference between two samples is what happened between them.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import msgspec

from bff.journal.metrics import (
    CREATED,
    ENDED,
    PROVIDER_CALLS,
    PROVIDER_SECONDS,
    REFRESHES,
    REFUSALS,
    REQUESTS,
    STORE_ERRORS,
    STORE_SECONDS,
    Labels,
    Metric,
    Snapshot,
)

EVERY: Final = 10.0  # seconds between two samples
HOURS: Final = 6
KEPT: Final = int(HOURS * 3600 / EVERY)

Counts = Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The counters at a time, in seconds since the epoch: by group, then by name."""

    at: float
    counts: Mapping[str, Counts]


def _label(place: int) -> Callable[[Labels], str]:
    return lambda labels: labels[place]


# group → (the metric, the name that a series has in it)
GROUPS: Final[Mapping[str, tuple[Metric, Callable[[Labels], str]]]] = {
    "begun": (CREATED, _label(0)),
    "ended": (ENDED, _label(0)),
    "causes": (ENDED, _label(1)),
    "refreshes": (REFRESHES, _label(1)),
    "refusals": (REFUSALS, _label(0)),
    "requests": (REQUESTS, _label(2)),
    "store errors": (STORE_ERRORS, _label(0)),
    "provider calls": (PROVIDER_CALLS, _label(1)),
}
TIMES: Final[Mapping[str, Metric]] = {"store": STORE_SECONDS, "provider": PROVIDER_SECONDS}


def sample(taken: Snapshot, at: float) -> Sample:
    """What of a snapshot is kept."""
    counts = {group: _summed(taken, metric, name_of) for group, (metric, name_of) in GROUPS.items()}
    return Sample(at=at, counts=counts | {name: _timed(taken, of) for name, of in TIMES.items()})


def _summed(taken: Snapshot, metric: Metric, name_of: Callable[[Labels], str]) -> Counts:
    sums: dict[str, float] = {}
    for labels, value in taken.get(metric.name, ()):
        if isinstance(value, float | int):
            name = name_of(labels)
            sums[name] = sums.get(name, 0.0) + value
    return sums


def _timed(taken: Snapshot, metric: Metric) -> Counts:
    """How many calls there were, and how many seconds they took together."""
    series = [value for _, value in taken.get(metric.name, ()) if isinstance(value, list)]
    return {
        "calls": float(sum(sum(value[:-1]) for value in series)),
        "seconds": sum(value[-1] for value in series),
    }


_PACK: Final = msgspec.msgpack.Encoder()
_UNPACK: Final = msgspec.msgpack.Decoder(Sample)


class History:
    """The last hours, packed: they are read when somebody opens the page."""

    def __init__(self) -> None:
        self._samples: deque[bytes] = deque(maxlen=KEPT)

    def add(self, one: Sample) -> None:
        """One more; the oldest goes when there are enough."""
        self._samples.append(_PACK.encode(one))

    def and_now(self, one: Sample) -> tuple[Sample, ...]:
        """All that are kept, and one that is not."""
        return (*map(_UNPACK.decode, self._samples), one)


def over_time(
    samples: Sequence[Sample], group: str, *, since: float, width: float, count: int
) -> dict[str, list[float]]:
    """By name, what happened in each of `count` spans of `width` seconds from `since` on."""
    found: dict[str, list[float]] = {}
    for before, after in pairwise(samples):
        place = int((after.at - since) // width)
        if not 0 <= place <= count:
            continue
        for name, more in _grown(before.counts[group], after.counts[group]):
            found.setdefault(name, [0.0] * count)[min(place, count - 1)] += more
    return found


def last_seen(samples: Sequence[Sample], group: str) -> dict[str, float]:
    """By name, when it was counted the last time, as exactly as samples are taken."""
    return {
        name: after.at
        for before, after in pairwise(samples)
        for name, _ in _grown(before.counts[group], after.counts[group])
    }


def _grown(before: Counts, after: Counts) -> Iterable[tuple[str, float]]:
    for name, value in after.items():
        more = value - before.get(name, 0.0)
        if more > 0:
            yield name, more
