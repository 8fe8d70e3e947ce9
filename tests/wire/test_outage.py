"""The store in trouble, one way after another (S-07): 503 in time, the cookie kept, and back again.

A Redis of its own, whose memory outlives its process. Sessions come from a real login before.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

import httpx
import pytest
from redis.exceptions import BusyLoadingError

from bff.simulator import Person
from tests.conftest import Sites, Told
from tests.parts.answers import cookie_lines, reason
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.redis_process import RedisProcess, redis_process
from tests.parts.site import Site

REFRESH = "token:refresh_token"
OVER = 'assume_expires_in = "1ms"\ntotal_timeout = "2s"'
FETCHES = (
    ("GET", "/api/tasks"),
    ("GET", "/bff/session"),
    ("POST", "/bff/session"),
)

pytestmark = pytest.mark.usefixtures("provider")


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisProcess]:
    with redis_process("--appendonly", "yes", "--appendfsync", "always") as process:
        yield process


@pytest.fixture
def site(sites: Sites, redis: RedisProcess) -> Site:
    return sites(store=redis.url)


@pytest.fixture
def ada(site: Site) -> Iterator[Browser]:
    with browsing(site) as browser:
        browser.sign_in()
        yield browser


# --- ways to be in trouble


@contextlib.contextmanager
def killed(redis: RedisProcess) -> Iterator[None]:
    redis.stop()
    try:
        yield
    finally:
        redis.start()


@contextlib.contextmanager
def hung(redis: RedisProcess) -> Iterator[None]:
    redis.hang()
    try:
        yield
    finally:
        redis.resume()


@contextlib.contextmanager
def a_replica(redis: RedisProcess) -> Iterator[None]:
    """It answers what it remembers, of a master that cannot be reached, and writes nothing."""
    redis.do("REPLICAOF", "127.0.0.1", 1)
    try:
        yield
    finally:
        redis.do("REPLICAOF", "NO", "ONE")


BALLAST = 6_000  # keys of 1 KB; until it is let go it reads 200 of them in a second
SLOWLY = ("--key-load-delay", "5000", "--loading-process-events-interval-bytes", "1024")


def load_down(redis: RedisProcess) -> None:
    """It will have enough to read at its next start, and look up from it after each key."""
    with contextlib.closing(redis.client()) as client:
        pipeline = client.pipeline(transaction=False)
        for number in range(BALLAST):
            pipeline.set(f"ballast:{number}", os.urandom(1024))  # which cannot be packed
        pipeline.execute()
        client.bgrewriteaof()
        until(lambda: client.info("persistence")["aof_rewrite_in_progress"] == 0)


@contextlib.contextmanager
def loading(redis: RedisProcess) -> Iterator[None]:
    """It listens, and reads its file still: whoever asks is told LOADING."""
    if redis.do("DBSIZE") < BALLAST:
        load_down(redis)
    redis.stop()
    redis.start(*SLOWLY, until=b"Server initialized")
    with contextlib.closing(redis.client()) as client, pytest.raises(BusyLoadingError):
        client.get("ballast:0")
    try:
        yield
    finally:
        redis.do("CONFIG", "SET", "key-load-delay", 0)
        redis.says(b"Ready to accept connections")


@contextlib.contextmanager
def out_of_memory(redis: RedisProcess) -> Iterator[None]:
    redis.do("CONFIG", "SET", "maxmemory", 1)
    try:
        yield
    finally:
        redis.do("CONFIG", "SET", "maxmemory", 0)


Trouble = Callable[[RedisProcess], AbstractContextManager[None]]
TROUBLES = [
    pytest.param(killed, id="killed"),
    pytest.param(hung, id="hung"),
    pytest.param(a_replica, id="a replica by now"),
    pytest.param(loading, id="loading"),
]


def refused(answer: httpx.Response) -> None:
    """503 and when to come again (`reason` looks), and the cookie stays what it is."""
    assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
    assert cookie_lines(answer) == []


def until(wanted: Callable[[], bool]) -> None:
    """Ask again until it is so."""
    end = time.monotonic() + 10
    while not wanted():
        assert time.monotonic() < end


def come_back(browser: Browser, sub: str = "grace") -> str:
    with Person(sub) as person:
        return person.visit(browser.to_provider())


def troubles(site: Site) -> list[str]:
    return site.run(site.application.troubles())


@pytest.mark.rule("S-07")
@pytest.mark.rule("S-13")
@pytest.mark.parametrize("trouble", TROUBLES)
def test_whatever_needs_the_store_is_503_until_it_is_back_and_nobody_is_signed_out(
    ada: Browser, site: Site, redis: RedisProcess, trouble: Trouble
) -> None:
    cookie = ada.session_cookie
    assert troubles(site) == []
    with trouble(redis):
        # A master that has become a replica is believed for a second more, and is right so far.
        until(lambda: ada.fetch("GET", "/api/tasks").status_code != 200)
        for method, path in FETCHES:
            refused(ada.fetch(method, path))
        assert troubles(site) == ["store"]
    assert ada.session_cookie == cookie
    assert ada.fetch("GET", "/api/tasks").status_code == 200
    assert troubles(site) == []
    assert ada.fetch("POST", "/bff/logout").status_code == 200


@pytest.mark.rule("O-11")
@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_logout_in_the_midst_of_it_claims_nothing_and_is_asked_for_again(
    ada: Browser, redis: RedisProcess, trouble: Trouble
) -> None:
    """A Redis that hangs may do it when it goes on: whether it did is not known, so not said."""
    with trouble(redis):
        refused(ada.fetch("POST", "/bff/logout"))
    assert ada.fetch("POST", "/bff/logout").status_code == 200
    assert ada.session_cookie is None


@pytest.mark.rule("S-07")
@pytest.mark.rule("C-03")
@pytest.mark.parametrize("trouble", [*TROUBLES, pytest.param(out_of_memory, id="out of memory")])
def test_a_login_in_progress_survives(
    site: Site, redis: RedisProcess, provider: Control, trouble: Trouble
) -> None:
    with browsing(site) as browser:
        back = come_back(browser)
        with trouble(redis):
            refused(browser.callback(back))
            assert provider.count("token") == 0
        assert browser.callback(back).status_code == 200
        assert browser.fetch("GET", "/api/tasks").status_code == 200


def test_scripts_that_redis_forgot_are_told_again(ada: Browser, redis: RedisProcess) -> None:
    redis.do("SCRIPT", "FLUSH")
    assert ada.fetch("POST", "/bff/session").status_code == 200
    redis.do("SCRIPT", "FLUSH")
    assert ada.fetch("POST", "/bff/logout").status_code == 200


@pytest.mark.rule("S-07")
def test_out_of_memory_nothing_begins_and_what_lives_goes_on(
    ada: Browser, site: Site, redis: RedisProcess
) -> None:
    with out_of_memory(redis), browsing(site) as other:
        assert ada.fetch("GET", "/api/tasks").status_code == 200
        assert ada.fetch("GET", "/bff/session").status_code == 200
        assert ada.fetch("POST", "/bff/session").status_code == 200  # nor is it idle meanwhile
        store = site.application.site.fronts["default"].front.sessions.store
        site.run(store.note("a sign-out by the provider", 1.0, seconds=60))
        assert site.run(store.noted("a sign-out by the provider")) == 1.0
        refused(other.callback(come_back(other)))
        assert ada.fetch("POST", "/bff/logout").status_code == 200  # an end needs no memory
    assert ada.session_cookie is None


@pytest.mark.rule("S-07")
@pytest.mark.rule("R-03")
def test_out_of_memory_no_refresh_token_is_spent(
    sites: Sites, redis: RedisProcess, provider: Control
) -> None:
    provider.switch(omit_expires_in=True)
    with browsing(sites(store=redis.url, provider=OVER)) as browser:
        browser.sign_in()
        provider.switch(omit_expires_in=False)
        with out_of_memory(redis):
            refused(browser.fetch("GET", "/api/tasks"))
        assert provider.count(REFRESH) == 0
        assert browser.fetch("GET", "/api/tasks").status_code == 200
    assert provider.count(REFRESH) == 1


@pytest.mark.rule("R-03")
@pytest.mark.parametrize("trouble", [*TROUBLES, pytest.param(out_of_memory, id="out of memory")])
def test_a_refresh_that_was_granted_in_the_midst_of_it_is_not_lost(
    sites: Sites, redis: RedisProcess, provider: Control, trouble: Trouble
) -> None:
    provider.switch(omit_expires_in=True)
    with browsing(sites(store=redis.url, provider=OVER)) as browser, ThreadPoolExecutor(1) as pool:
        browser.sign_in()
        provider.switch(omit_expires_in=False)
        provider.fault(REFRESH, at="after", hold=True)
        call = pool.submit(browser.fetch, "GET", "/api/tasks")
        provider.held(REFRESH)
        with trouble(redis):
            provider.release(REFRESH)
            provider.entries(REFRESH, 1)
        assert call.result().status_code in (200, 503)
        assert browser.fetch("GET", "/api/tasks").status_code == 200
    assert [entry["outcome"] for entry in provider.entries(REFRESH)] == ["ok"]


@pytest.mark.rule("R-03")
@pytest.mark.rule("R-05")
def test_new_tokens_outlast_an_outage_that_is_longer_than_the_lease(
    sites: Sites, redis: RedisProcess, provider: Control
) -> None:
    """A failover may take longer than any lease: whoever was granted the tokens goes on writing."""
    provider.switch(omit_expires_in=True)
    parts = {
        "provider": 'assume_expires_in = "1ms"\ntotal_timeout = "500ms"',
        "session": 'store_deadline = "250ms"',
        "more": '[refresh]\nlease = "1500ms"',
    }
    site = sites(store=redis.url, **parts)
    with browsing(site) as browser, ThreadPoolExecutor(1) as pool:
        browser.sign_in()
        provider.switch(omit_expires_in=False)
        provider.fault(REFRESH, at="after", hold=True, count=1)
        call = pool.submit(browser.fetch, "GET", "/api/tasks")
        provider.held(REFRESH)
        with killed(redis):
            provider.release(REFRESH)
            over = time.monotonic() + 3  # twice the lease
            refused(call.result())  # nobody is kept waiting for as long
            while time.monotonic() < over:
                refused(browser.fetch("GET", "/api/tasks"))
        until(lambda: browser.fetch("GET", "/api/tasks").status_code == 200)
    assert [entry["outcome"] for entry in provider.entries(REFRESH)] == ["ok"]


def test_the_log_names_the_trouble_and_no_secret(
    ada: Browser, redis: RedisProcess, told: Told
) -> None:
    lines: list[dict[str, object]] = []
    with killed(redis):
        while not lines:  # one a second at most, and the test before this one had its trouble too
            refused(ada.fetch("GET", "/api/tasks"))
            lines = [line for line in told() if line["event"] == "store_failed"]
    assert {line["level"] for line in lines} == {"error"}
    assert (ada.session_cookie or "").split(".")[1] not in str(lines)
