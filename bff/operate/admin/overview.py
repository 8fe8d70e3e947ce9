"""The first page: how the process is, and what has happened in the last hours. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from bff.journal.metrics import IN_FLIGHT, REVOCATIONS, STREAMS, Metric, Snapshot
from bff.operate.admin.chart import Series, figure
from bff.operate.admin.history import Sample, last_seen, over_time
from bff.operate.admin.words import clock, milliseconds, moment, number
from bff.operate.health import Health

# what the address says → (how many hours, how many bars)
SPANS: Final = {"1": (1, 60), "6": (6, 72)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What the supervisor knows at a time, in seconds since the epoch."""

    at: float
    health: Health
    taken: Snapshot
    samples: Sequence[Sample]


def overview(known: Known, span: str) -> str:
    """The page; `span` is one of SPANS."""
    hours, bars = SPANS[span]
    since = known.at - hours * 3600

    def of(group: str) -> dict[str, list[float]]:
        width = hours * 3600 / bars
        return over_time(known.samples, group, since=since, width=width, count=bars)

    ends = (clock(since), f"{clock(known.at)} UTC")
    charts: tuple[tuple[str, Series], ...] = (
        ("Sessions begun and ended", _sessions(of("begun"), of("ended"))),
        ("Ends by cause", of("causes")),
        ("Refreshes by outcome", of("refreshes")),
        ("Requests by class", of("requests")),
    )
    drawn = "".join(figure(title, series, ends) for title, series in charts)
    refused = of("refusals")
    return (
        f"{_ready(known.health)}{_facts(known, of('store errors'), of('provider calls'), since)}"
        f"{_choice(span)}"
        f'<div class="grid">{drawn}{figure("Refusals by reason", refused, ends)}'
        f"{_refusals(refused, last_seen(known.samples, 'refusals'))}</div>"
    )


def _sessions(begun: Series, ended: Series) -> Series:
    """Of each front end, by its name where there are several."""
    if begun.keys() | ended.keys() <= {"default"}:
        both = {"begun": begun, "ended": ended}
        return {name: each["default"] for name, each in both.items() if each}
    return {f"{name} begun": values for name, values in begun.items()} | {
        f"{name} ended": values for name, values in ended.items()
    }


def _ready(health: Health) -> str:
    troubles = health.troubles()
    state, said = ("bad", "Not ready") if troubles else ("good", "Ready")
    rows = "".join(
        f"<tr><td>{each.worker}</td><td>{'' if each.pid is None else each.pid}</td>"
        f"<td>{escape(', '.join(each.why_not()) or 'ready')}</td></tr>"
        for each in health.workers
    )
    why = f"<p>{escape(', '.join(troubles))}</p>" if troubles else ""
    return (
        f'<section class="card health"><div><h2 class="state {state}" data-testid="state">{said}'
        f"</h2>{why}</div><table><thead><tr><th>Worker</th><th>Process</th><th>State</th></tr>"
        f"</thead><tbody>{rows}</tbody></table></section>"
    )


def _facts(known: Known, errors: Series, calls: Series, since: float) -> str:
    failed = {name: values for name, values in calls.items() if name != "2xx"}
    facts = (
        ("Store", _answers(known.health, "store")),
        ("Calls without an answer", number(_sum(errors))),
        ("Mean time of a call", _mean(known.samples, "store", since)),
        ("Provider", _answers(known.health, "provider")),
        ("Calls that failed", f"{number(_sum(failed))} of {number(_sum(calls))}"),
        ("Mean time of a call", _mean(known.samples, "provider", since)),
        ("Requests being answered", number(_gauge(known.taken, IN_FLIGHT))),
        ("Streams open", number(_gauge(known.taken, STREAMS))),
        ("Revocations waiting", number(_gauge(known.taken, REVOCATIONS))),
    )
    cards = (facts[0:3], facts[3:6], facts[6:9])
    lists = "".join(
        '<dl class="card">'
        + "".join(f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in card)
        + "</dl>"
        for card in cards
    )
    return f'<div class="facts">{lists}</div>'


def _answers(health: Health, what: str) -> str:
    """As the workers say it that have said something lately."""
    told = [each.troubles for each in health.workers if not each.is_mute()]
    if not told:
        return "not known"
    return "does not answer" if any(what in troubles for troubles in told) else "answers"


def _sum(series: Series) -> float:
    return sum(sum(values) for values in series.values())


def _mean(samples: Sequence[Sample], what: str, since: float) -> str:
    spans = over_time(samples, what, since=since, width=1e9, count=1)
    (calls,), (seconds,) = spans.get("calls", [0.0]), spans.get("seconds", [0.0])
    return milliseconds(calls, seconds)


def _gauge(taken: Snapshot, metric: Metric) -> float:
    return sum(v for _, v in taken.get(metric.name, ()) if isinstance(v, float | int))


def _choice(span: str) -> str:
    links = "".join(
        f'<a href="/admin?hours={each}"{" aria-current=true" if each == span else ""}>'
        f"{'Last hour' if each == '1' else f'Last {each} hours'}</a>"
        for each in SPANS
    )
    return f'<nav class="choice" aria-label="Time shown">{links}</nav>'


def _refusals(series: Series, seen: dict[str, float]) -> str:
    if not seen:
        return '<section class="card"><h2>Last refusals</h2><p class="none">None.</p></section>'
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{number(sum(series.get(name, ())))}</td>"
        f"<td>{moment(at, '%H:%M:%S')}</td></tr>"
        for name, at in sorted(seen.items(), key=lambda each: (-each[1], each[0]))
    )
    return (
        '<section class="card"><h2>Last refusals</h2><table data-testid="refusals"><thead><tr>'
        "<th>Reason</th><th>Times</th><th>Last, UTC</th></tr></thead>"
        f"<tbody>{rows}</tbody></table></section>"
    )
