"""GET /metrics of a real `bff serve`: right over all workers, also when one of them dies."""

import os
import signal
from collections.abc import Mapping
from pathlib import Path

import pytest

from bff.simulator import Simulator
from tests.parts.control import Control
from tests.parts.event_source import listening
from tests.parts.raw import villain
from tests.parts.redis_process import RedisProcess
from tests.parts.replica import Replica, replicas
from tests.parts.socket_server import open_socket, socketeer
from tests.unit.test_journal_metrics import samples
from tests.wire.test_route_tokens import ASKED, WAYS, wanted_parts


def asked(replica: Replica) -> dict[str, float]:
    answer = replica.served.http.get(replica.served.operations + "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return samples(answer.content)


def until(replica: Replica, wanted: Mapping[str, float]) -> dict[str, float]:
    """The workers report once a second."""
    found: dict[str, float] = {}

    def there(_: object) -> bool:
        found.update(asked(replica))
        return all(found.get(name) == value for name, value in wanted.items())

    try:
        replica.served.until(there)
    except AssertionError:
        seen = {name: found.get(name) for name in wanted}
        raise AssertionError(f"at last {seen}") from None
    return found


def test_what_two_workers_have_done_is_counted_once(
    tmp_path: Path, simulator: Simulator, provider: Control, redis: RedisProcess
) -> None:
    parts = {"issuer": simulator.issuer, "api": simulator.api, "store": redis.url}
    with replicas(tmp_path, 1, workers=2, **parts) as (here,), here.browsing() as page:
        page.sign_in()
        for _ in range(20):  # a connection each: both workers get some
            with here.browsing(page) as tab:
                assert tab.fetch("GET", "/api/tasks").status_code == 200
        with here.browsing() as stranger:
            assert stranger.fetch("GET", "/api/tasks").status_code == 401
            assert stranger.fetch("GET", "/nowhere").status_code == 404
        of = "frontend=default"
        wanted = {
            f"bff_requests_total{{{of},route=/api,status=2xx}}": 20,
            f"bff_requests_total{{{of},route=/api,status=4xx}}": 1,
            f"bff_requests_total{{{of},route=/bff/login,status=3xx}}": 1,
            f"bff_requests_total{{{of},route=/bff/callback,status=2xx}}": 1,
            f"bff_requests_total{{{of},route=,status=4xx}}": 1,
            f"bff_relay_seconds_count{{{of},route=/api}}": 20,
            f"bff_upstream_seconds_count{{{of},route=/api}}": 20,
            f"bff_sessions_created_total{{{of}}}": 1,
            "bff_refusals_total{reason=no_session}": 1,
            "bff_refusals_total{reason=no_route}": 1,
            "bff_provider_calls_total{endpoint=token_endpoint,outcome=2xx}": 1,
            "bff_requests_in_flight{}": 0,
            f"bff_revocation_queue{{{of}}}": 0,
        }
        found = until(here, wanted)
        assert found["bff_store_seconds_count{operation=peek}"] >= 20
        assert found["bff_event_loop_lag_seconds_count{}"] > 0
        idle = found[f"bff_upstream_connections{{{of},route=/api,state=idle}}"]
        assert 1 <= idle <= 20

        victim = here.served.health()["workers"][0]["pid"]
        os.kill(victim, signal.SIGKILL)
        here.served.until(lambda health: victim not in [w["pid"] for w in health["workers"]])
        here.served.ready()
        assert page.fetch("POST", "/bff/logout").status_code == 200
        until(
            here,
            {
                f"bff_requests_total{{{of},route=/api,status=2xx}}": 20,
                f"bff_sessions_ended_total{{cause=logout,{of}}}": 1,
            },
        )


def test_refreshes_and_troubles_are_counted(
    tmp_path: Path, simulator: Simulator, provider: Control, redis: RedisProcess
) -> None:
    provider.do("switches", {"access_token_seconds": 1})
    parts = {"issuer": simulator.issuer, "api": simulator.api, "store": redis.url}
    with replicas(tmp_path, 1, **parts) as (here,), here.browsing() as page:
        page.sign_in()
        provider.do("faults", {"endpoint": "token:refresh_token", "status": 503, "count": 1})
        of = "frontend=default"
        statuses = set()
        for _ in range(5000):
            statuses.add(page.fetch("GET", "/api/tasks").status_code)
            if statuses >= {200, 503}:
                break
        until(here, {f"bff_refreshes_total{{{of},outcome=unsure}}": 1})
        redis.stop()
        try:
            assert page.fetch("GET", "/api/tasks").status_code == 503
            found = until(here, {"bff_refusals_total{reason=store_unavailable}": 1})
        finally:
            redis.start()
        assert found["bff_store_errors_total{operation=peek}"] >= 1


def test_streams_are_counted_for_as_long_as_they_are_open(
    tmp_path: Path, simulator: Simulator, provider: Control, redis: RedisProcess
) -> None:
    with socketeer() as upstream:
        parts = {"issuer": simulator.issuer, "api": upstream.url, "store": redis.url}
        parts["route"] = "websocket = true"
        with replicas(tmp_path, 1, workers=2, **parts) as (here,), here.browsing() as page:
            page.sign_in()
            with listening(page), listening(page):
                with open_socket(page, "/api/ws"):
                    until(here, {"bff_streams{}": 3})
                until(here, {"bff_streams{}": 2})
            until(here, {"bff_streams{}": 0, "bff_requests_in_flight{}": 0})


def test_streams_of_a_former_configuration_are_counted_with_the_others(
    tmp_path: Path, simulator: Simulator, provider: Control, redis: RedisProcess
) -> None:
    with socketeer() as upstream:
        parts = {"issuer": simulator.issuer, "api": upstream.url, "store": redis.url}
        parts["route"] = "websocket = true"
        with replicas(tmp_path, 1, **parts) as (here,), here.browsing() as page:
            page.sign_in()
            with open_socket(page, "/api/ws"):
                here.served.process.signal(signal.SIGHUP)
                for _ in range(2):  # the supervisor, and its worker
                    here.served.process.event("reloaded")
                with open_socket(page, "/api/ws"):
                    busy = "bff_upstream_connections{frontend=default,route=/api,state=busy}"
                    until(here, {"bff_streams{}": 2, busy: 2})


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        pytest.param({"drop": True}, "unsure", id="no answer"),
        pytest.param({"status": 429}, "429", id="a provider that throttles"),
        pytest.param({"status": 503}, "5xx", id="an answer of a server in trouble"),
    ],
)
def test_a_call_of_the_token_endpoint_is_timed_and_counted_however_it_ended(
    tmp_path: Path,
    simulator: Simulator,
    provider: Control,
    redis: RedisProcess,
    fault: Mapping[str, object],
    outcome: str,
) -> None:
    parts = {"issuer": simulator.issuer, "api": simulator.api, "store": redis.url}
    timed = "bff_provider_seconds_count{endpoint=token_endpoint}"
    with replicas(tmp_path, 1, workers=2, **parts) as (here,), here.browsing() as page:
        page.sign_in()
        page.sign_in("grace")
        until(here, {timed: 2})
        provider.fault("token", **fault, count=1)
        assert page.callback(page.from_provider()).status_code == 503
        found = until(here, {timed: 3})
    assert provider.count("token") == 3
    assert found["bff_provider_seconds_bucket{endpoint=token_endpoint,le=+Inf}"] == 3
    of = "endpoint=token_endpoint"
    assert found[f"bff_provider_calls_total{{{of},outcome=2xx}}"] == 2
    assert found[f"bff_provider_calls_total{{{of},outcome={outcome}}}"] == 1


@pytest.mark.parametrize("way", WAYS)
def test_the_token_of_a_route_is_counted_by_its_way_and_by_what_became_of_it(
    tmp_path: Path, provider: Control, redis: RedisProcess, way: str
) -> None:
    became: dict[str, dict[str, object]] = {  # by what the provider does
        "granted": {},
        "not_to_be_had": {"status": 400, "error": "invalid_target"},
        "unsure": {"drop": True},
        "passing": {"status": 503, "retry_after": 1},
    }
    with villain() as upstream:
        parts = wanted_parts(provider, upstream, way, store=redis.url)
        with replicas(tmp_path, 1, **parts) as (here,):
            for fault in became.values():
                with here.browsing() as page:  # a session each: it remembers what befell it
                    page.sign_in()
                    if fault:
                        provider.fault(ASKED[way], count=1, **fault)
                    status = page.fetch("GET", "/reports").status_code
                    assert (status == 200) is (not fault)
            of = f"frontend=default,outcome={{}},way={way}"
            series = {f"bff_route_tokens_total{{{of.format(each)}}}": 1.0 for each in became}
            found = until(here, series)
    assert {name for name in found if name.startswith("bff_route_tokens_total")} == set(series)


@pytest.mark.rule("O-05")
def test_revocations_that_wait_for_the_provider_are_counted_once_over_two_workers(
    tmp_path: Path, simulator: Simulator, provider: Control, redis: RedisProcess
) -> None:
    parts = {"issuer": simulator.issuer, "api": simulator.api, "store": redis.url}
    waiting = "bff_revocation_queue{frontend=default}"
    with replicas(tmp_path, 1, workers=2, **parts) as (here,), here.browsing() as page:
        until(here, {waiting: 0})
        provider.fault("revoke", hold=True, status=503, retry_after=1)
        for sub in ("ada", "grace"):
            page.sign_in(sub)
            assert page.fetch("POST", "/bff/logout").status_code == 200
        provider.held("revoke", 2)
        provider.release("revoke")
        until(here, {waiting: 2})
        provider.held("revoke")  # it is tried again
        assert asked(here)[waiting] == 2
        provider.do("clear")
        until(here, {waiting: 0})
    assert [entry["outcome"] for entry in provider.entries("revoke")][-2:] == ["ok", "ok"]


@pytest.mark.rule("D-05")
def test_metrics_are_not_on_the_public_address(
    tmp_path: Path, simulator: Simulator, redis: RedisProcess
) -> None:
    parts = {"issuer": simulator.issuer, "store": redis.url}
    with replicas(tmp_path, 1, **parts) as (here,), here.browsing() as page:
        assert page.fetch("GET", "/metrics").status_code == 404
