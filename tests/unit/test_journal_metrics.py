"""Numbers of several processes as one, and Prometheus' text format of them."""

import json
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from bff.journal import metrics
from bff.journal.metrics import (
    CREATED,
    FAST,
    IN_FLIGHT,
    METRICS,
    RELAY_SECONDS,
    REVOCATIONS,
    Kind,
    Snapshot,
    call_outcome,
    joined,
    lasting,
    status_class,
)
from bff.operate.exposition import exposition
from bff.serve.control import metrics_of


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "_counts", {})
    monkeypatch.setattr(metrics, "_timed", {})


def samples(text: bytes) -> dict[str, float]:
    """Every sample by its name and its labels, the latter as the text has them."""
    found = {}
    for family in text_string_to_metric_families(text.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def one(created: int, seconds: tuple[float, ...], waiting: float) -> Snapshot:
    for _ in range(created):
        metrics.count(CREATED, "default")
    for each in seconds:
        metrics.timed(RELAY_SECONDS, "default", "/api").observe(each)
    taken = metrics.snapshot([(IN_FLIGHT, (), 2.0), (REVOCATIONS, ("default",), waiting)])
    metrics._counts.clear()
    metrics._timed.clear()
    return taken


@pytest.mark.usefixtures("fresh")
def test_counters_and_histograms_are_added_and_what_is_shared_is_not() -> None:
    both = joined((one(2, (0.004, 0.2), 3.0), one(1, (0.004, 99.0), 2.0)))
    found = samples(exposition(both))
    assert found["bff_sessions_created_total{frontend=default}"] == 3
    assert found["bff_requests_in_flight{}"] == 4
    assert found["bff_revocation_queue{frontend=default}"] == 3
    name, of = "bff_relay_seconds", "frontend=default"
    assert found[f"{name}_bucket{{{of},le=0.0025,route=/api}}"] == 0
    assert found[f"{name}_bucket{{{of},le=0.005,route=/api}}"] == 2
    assert found[f"{name}_bucket{{{of},le=0.25,route=/api}}"] == 3
    assert found[f"{name}_bucket{{{of},le=30,route=/api}}"] == 3
    assert found[f"{name}_bucket{{{of},le=+Inf,route=/api}}"] == 4
    assert found[f"{name}_count{{{of},route=/api}}"] == 4
    assert found[f"{name}_sum{{{of},route=/api}}"] == pytest.approx(99.208)


@pytest.mark.usefixtures("fresh")
def test_of_a_process_that_has_ended_only_what_it_counted_stays() -> None:
    gone = lasting(one(5, (0.1,), 7.0))
    found = samples(exposition(joined((gone, one(1, (), 0.0)))))
    assert found["bff_sessions_created_total{frontend=default}"] == 6
    assert found["bff_requests_in_flight{}"] == 2
    assert found["bff_revocation_queue{frontend=default}"] == 0


@pytest.mark.usefixtures("fresh")
def test_a_snapshot_travels_as_json() -> None:
    taken = one(1, (0.1,), 2.0)
    assert metrics_of(json.loads(json.dumps({"metrics": taken}))) == taken
    assert metrics_of({}) == {}
    assert metrics_of({"metrics": 3}) == {}


def test_a_bound_belongs_to_its_bucket() -> None:
    series = metrics.Timed()
    for bound in FAST:
        series.observe(bound)
    assert series.value()[:-1] == [*[1] * len(FAST), 0]


def test_every_status_has_a_class_and_every_name_says_what_it_is() -> None:
    assert [status_class(each) for each in (101, 200, 304, 499, 503)] == [
        "1xx", "2xx", "3xx", "4xx", "5xx",
    ]  # fmt: skip
    assert [call_outcome(each) for each in (200, 302, 400, 428, 429, 430, 500)] == [
        "2xx", "3xx", "4xx", "4xx", "429", "4xx", "5xx",
    ]  # fmt: skip
    for name, metric in METRICS.items():
        assert name.startswith("bff_")
        assert name.endswith("_total") == (metric.kind is Kind.COUNTER)
        assert name.endswith("_seconds") == (metric.kind is Kind.HISTOGRAM)
        assert metric.about.endswith(".")


def test_the_manual_lists_every_metric_with_its_labels() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "reference" / "metrics.md").read_text()
    rows = [line.split(" | ") for line in manual.splitlines() if line.startswith("| `bff_")]
    listed = {row[0].strip("| `"): row[2].replace("`", "").strip() for row in rows}
    assert listed == {name: ", ".join(metric.labels) for name, metric in METRICS.items()}
