"""traceparent goes on either way; with a collector, spans tell who asked whom (Trace Context)."""

import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from bff.config.load import ConfigFaults
from bff.simulator import Simulator
from tests.conftest import Sites
from tests.parts.browser import Browser, browsing
from tests.parts.collector import Collector, collecting
from tests.parts.config import config
from tests.parts.control import Control
from tests.parts.race import patiently
from tests.parts.redis_process import RedisProcess
from tests.parts.replica import Replica, replicas

SOON = {"OTEL_BSP_SCHEDULE_DELAY": "100"}  # milliseconds between two batches, else 5,000
TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
ASKED = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "rojo=00f067aa0ba902b7"}


def seen_upstream(browser: Browser, path: str = "/api/headers", **headers: str) -> dict[str, str]:
    """What the API says that it was sent."""
    answer = browser.fetch("GET", path, headers=headers)
    assert answer.status_code == 200
    found: dict[str, str] = {}
    for name, value in answer.json():
        assert name not in found, name
        found[name] = value
    return found


def test_without_a_collector_it_is_passed_on_as_it_is(sites: Sites, provider: Control) -> None:
    with browsing(sites()) as browser:
        browser.sign_in()
        seen = seen_upstream(browser, **ASKED)
    assert {name: seen[name] for name in ASKED} == ASKED


# --- with one


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory,
    simulator: Simulator,
    redis_server: RedisProcess,
    collector: Collector,
) -> Iterator[Replica]:
    parts = {"issuer": simulator.issuer, "api": simulator.api, "store": redis_server.url}
    parts["provider"] = 'assume_expires_in = "1ms"'  # who is not told how long, asks again
    more = f'traces = "{collector.url}"\ntrace_ratio = 1.0'
    with replicas(tmp_path_factory.mktemp("traces"), 1, more=more, env=SOON, **parts) as (here,):
        yield here


@pytest.fixture
def ada(served: Replica, provider: Control, redis: RedisProcess) -> Iterator[Browser]:
    with served.browsing() as ada:
        ada.sign_in("ada")
        yield ada


def spans(collector: Collector, name: str, trace: bytes) -> list[Span]:
    """Those of that name in that trace, once they have come."""
    patience = patiently()
    while patience.left():
        if found := [each for each in collector.named(name) if each.trace_id == trace]:
            return found
        threading.Event().wait(0.1)
    raise AssertionError([each.name for each in collector.spans])


def attributes(span: Span) -> dict[str, Any]:
    return {each.key: each.value.string_value or each.value.int_value for each in span.attributes}


def test_the_upstream_is_asked_by_a_span_of_ours(ada: Browser, collector: Collector) -> None:
    seen = seen_upstream(ada, **ASKED)
    assert seen["tracestate"] == ASKED["tracestate"]
    found = re.fullmatch(rf"00-{TRACE}-([0-9a-f]{{16}})-01", seen["traceparent"])
    assert found is not None
    trace = bytes.fromhex(TRACE)
    (asked,) = spans(collector, "/api", trace)
    (served,) = spans(collector, "GET /api", trace)
    assert asked.span_id.hex() == found.group(1)
    assert asked.parent_span_id == served.span_id
    assert served.parent_span_id.hex() == CALLER
    assert (served.kind, asked.kind) == (Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT)
    assert attributes(served) == {
        "http.request.method": "GET",
        "http.route": "/api",
        "http.response.status_code": 200,
    }
    assert served.start_time_unix_nano <= asked.start_time_unix_nano
    assert asked.end_time_unix_nano <= served.end_time_unix_nano


def test_who_names_no_trace_begins_one(ada: Browser, collector: Collector) -> None:
    first, second = (seen_upstream(ada)["traceparent"] for _ in range(2))
    traces = {each.split("-")[1] for each in (first, second)}
    assert len(traces) == 2
    for trace in traces:
        assert spans(collector, "GET /api", bytes.fromhex(trace))[0].parent_span_id == b""


@pytest.mark.parametrize(
    "said", ["nonsense", f"00-{'0' * 32}-{CALLER}-01", f"00-{TRACE}-{'0' * 16}-01", "ff-a-b-c"]
)
def test_what_is_no_context_is_not_believed(ada: Browser, said: str) -> None:
    seen = seen_upstream(ada, traceparent=said)["traceparent"]
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-0[13]", seen)
    assert seen.split("-")[1] not in (TRACE, "0" * 32)


def test_a_refresh_is_asked_for_by_the_request_that_waits_for_it(
    served: Replica, provider: Control, redis: RedisProcess, collector: Collector
) -> None:
    trace = "1" * 32
    provider.switch(omit_expires_in=True)
    with served.browsing() as ada:
        ada.sign_in()
        provider.switch(omit_expires_in=False)
        named = {"traceparent": f"00-{trace}-{CALLER}-01"}
        answer = ada.fetch("GET", "/api/tasks", headers=named)
    assert answer.status_code == 200
    (served,) = spans(collector, "GET /api", bytes.fromhex(trace))
    asked = spans(collector, "token_endpoint", bytes.fromhex(trace))
    assert [each.parent_span_id for each in asked] == [served.span_id]


def test_a_refusal_and_an_endpoint_have_spans_too(ada: Browser, collector: Collector) -> None:
    for number, (path, status) in enumerate({"/api/tasks": 401, "/bff/session": 200}.items(), 2):
        trace = str(number) * 32
        if status == 401:
            ada.cookies.clear()
        answer = ada.fetch("GET", path, headers={"traceparent": f"00-{trace}-{CALLER}-01"})
        assert answer.status_code in (status, 401)
        name = "GET /api" if path.startswith("/api") else f"GET {path}"
        (served,) = spans(collector, name, bytes.fromhex(trace))
        assert attributes(served)["http.response.status_code"] == answer.status_code
        assert served.status.code == Status.STATUS_CODE_UNSET


def test_a_method_that_nobody_knows_makes_no_name(ada: Browser, collector: Collector) -> None:
    trace = "4" * 32
    ada.fetch("PROPFIND", "/api/tasks", headers={"traceparent": f"00-{trace}-{CALLER}-01"})
    assert spans(collector, "_OTHER /api", bytes.fromhex(trace))


def test_no_path_or_query_is_told(ada: Browser, collector: Collector) -> None:
    trace = "5" * 32
    named = {"traceparent": f"00-{trace}-{CALLER}-01"}
    ada.fetch("GET", "/api/tasks/private-17?of=somebody", headers=named)
    spans(collector, "GET /api", bytes.fromhex(trace))
    told = b"".join(each.SerializeToString() for each in collector.spans)
    assert b"private-17" not in told
    assert b"somebody" not in told


# --- how it begins and ends


def test_what_is_left_is_told_at_the_stop_and_a_reload_ends_it(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess, provider: Control
) -> None:
    parts = {"issuer": simulator.issuer, "api": simulator.api, "store": redis.url}
    with collecting() as collector:
        more = f'traces = "{collector.url}"\ntrace_ratio = 1.0'
        with replicas(tmp_path, 1, more=more, **parts) as (here,), here.browsing() as ada:
            ada.sign_in()
            seen_upstream(ada)
            file = tmp_path / "replica-0" / "bff.toml"
            file.write_text(file.read_text().replace(more, ""))
            here.served.process.signal(signal.SIGHUP)
            assert len(spans_named(collector, "GET /api")) == 1  # it was told at the reload
            seen = seen_upstream(ada, **ASKED)
            assert seen["traceparent"] == ASKED["traceparent"]
            file.write_text(file.read_text().replace("drain_delay", f"{more}\ndrain_delay"))
            here.served.process.signal(signal.SIGHUP)
            patience = patiently()
            while seen_upstream(ada, **ASKED)["traceparent"] == ASKED["traceparent"]:
                assert patience.left()
        assert len(spans_named(collector, "GET /api")) == 2  # and the rest at the stop


def spans_named(collector: Collector, name: str) -> list[Span]:
    patience = patiently()
    while not collector.named(name) and patience.left():
        threading.Event().wait(0.1)
    return collector.named(name)


def test_a_collector_that_refuses_costs_no_request_and_is_told_once(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess, provider: Control
) -> None:
    parts = {"issuer": simulator.issuer, "api": simulator.api, "store": redis.url}
    with collecting() as collector:
        collector.status = 400
        more = f'traces = "{collector.url}"\ntrace_ratio = 1.0'
        with replicas(tmp_path, 1, more=more, **parts) as (here,), here.browsing() as ada:
            ada.sign_in()
            told = here.served.process.event("traces_failed")
            assert told["level"] == "error"
            assert told["count"] >= 1
            seen_upstream(ada)
    assert all(line.startswith("{") for line in here.served.process.output)
    assert sum('"traces_failed"' in line for line in here.served.process.output) == 1


def test_the_extra_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bff.config.checks.find_spec", lambda _name: None)
    more = '[operate]\ntraces = "http://127.0.0.1:4318/v1/traces"'
    with pytest.raises(ConfigFaults) as raised:
        config(issuer="http://127.0.0.1:9", api="http://127.0.0.1:9", more=more)
    (fault,) = raised.value.faults
    assert (fault.key, fault.mend) == (
        "operate.traces",
        'pip install "bff[otel]" (an image: docs/traces.md), or remove the key',
    )
