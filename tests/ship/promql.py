"""What an expression of PromQL asks for: names and labels. Its syntax is for promtool to judge."""

import re
from dataclasses import dataclass
from typing import Final

from bff.journal.metrics import METRICS, Kind, Metric

# Prometheus' own: what it adds to each series of a scrape, and what it says of the scrape itself.
ADDED: Final = frozenset({"job", "instance"})
UP: Final = Metric("up", Kind.MOST, "Whether the scrape answered.")
OPERATORS: Final = frozenset({"and", "or", "unless"})
_SELECTOR: Final = re.compile(r'([a-z_]+)(\{(?:[^"}]|"[^"]*")*\})?')
_MATCHER: Final = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
_GROUPING: Final = re.compile(r"\b(?:by|without) \(([^)]*)\)")


@dataclass(frozen=True, slots=True)
class Asked:
    """One metric of an expression, with what its labels must be."""

    metric: Metric
    labels: frozenset[str]  # those that the series asked for has
    matchers: tuple[tuple[str, str], ...]


def asked(expression: str) -> list[Asked]:
    """What is asked for. Raises LookupError: there is no such series, or no such label."""
    rest = re.sub(r"\[[^\]]*\]|\boffset \w+", "", _GROUPING.sub("", expression))
    found = []
    for match in _SELECTOR.finditer(rest):
        called = rest[match.end() :].lstrip().startswith("(")
        if not called and match[1] not in OPERATORS:
            found.append(_asked(match[1], match[2] or ""))
    for group in _GROUPING.findall(expression):
        for label in group.split(", "):
            for each in found:
                if label not in each.labels:
                    raise LookupError(f"{each.metric.name} has no label {label}")
    if not found:
        raise LookupError(f"no metric in {expression}")
    return found


def _asked(name: str, braces: str) -> Asked:
    series = {name: metric for metric in (UP, *METRICS.values()) for name in _series(metric)}
    metric = series.get(name)
    if metric is None:
        raise LookupError(f"no series {name}")
    labels = frozenset(metric.labels) | ADDED | ({"le"} if name.endswith("_bucket") else set())
    matchers = tuple((label, value) for label, _, value in _MATCHER.findall(braces))
    for label, _ in matchers:
        if label not in labels:
            raise LookupError(f"{name} has no label {label}")
    return Asked(metric, labels, matchers)


def _series(metric: Metric) -> list[str]:
    """Under which names a scrape has it."""
    if metric.kind is Kind.HISTOGRAM:
        return [f"{metric.name}_{end}" for end in ("bucket", "sum", "count")]
    return [metric.name]
