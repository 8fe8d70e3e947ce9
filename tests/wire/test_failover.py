"""Replicas and sentinels, for real: a failover as planned, and one because the master was killed.

Nobody is signed out, nobody sees another's, and what no replica has is not called done.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from bff.simulator import Person
from tests.conftest import Sites
from tests.parts.answers import cookie_lines, reason
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.redis_group import Watched, in_sync, replicated, watched
from tests.parts.redis_process import RedisProcess
from tests.parts.waiting import until

REFRESH = "token:refresh_token"
OVER = 'assume_expires_in = "1ms"\ntotal_timeout = "2s"'
PEOPLE = {"ada": "Ada Lovelace", "grace": "Grace Hopper", "alan": "Alan Turing"}

pytestmark = pytest.mark.usefixtures("provider")


# --- replicas that do not answer


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[RedisProcess, RedisProcess]]:
    with replicated() as servers:
        yield servers


@contextlib.contextmanager
def silent(replica: RedisProcess) -> Iterator[None]:
    replica.hang()
    try:
        yield
    finally:
        replica.resume()


# A quarter of the deadline is what a replica gets: on a busy machine a usual one may be too short.
PATIENT = 'store_deadline = "3s"'
WAITS = f"wait_replicas = 1\n{PATIENT}"


def refused(browser: Browser, method: str, path: str) -> None:
    answer = browser.fetch(method, path)
    assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
    assert cookie_lines(answer) == []


def test_what_no_replica_has_is_not_called_done(
    sites: Sites, pair: tuple[RedisProcess, RedisProcess], provider: Control
) -> None:
    master, replica = pair
    with browsing(sites(store=master.url, session=WAITS)) as browser:
        browser.sign_in()
        with silent(replica):
            assert browser.fetch("GET", "/api/tasks").status_code == 200
            refused(browser, "POST", "/bff/logout")
            # It was done here, so nothing is left to be done; and still no replica has it.
            refused(browser, "POST", "/bff/logout")
            with Person("grace") as person:
                answer = browser.callback(person.visit(browser.to_provider()))
            assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
        assert browser.fetch("POST", "/bff/logout").status_code == 200
        assert browser.session_cookie is None
        browser.sign_in()


@pytest.mark.rule("R-03")
def test_a_lease_that_no_replica_has_spends_no_refresh_token_and_is_given_back(
    sites: Sites, pair: tuple[RedisProcess, RedisProcess], provider: Control
) -> None:
    master, replica = pair
    provider.switch(omit_expires_in=True)
    with browsing(sites(store=master.url, session=WAITS, provider=OVER)) as browser:
        browser.sign_in()
        provider.switch(omit_expires_in=False)
        with silent(replica):
            refused(browser, "GET", "/api/tasks")
            assert provider.count(REFRESH) == 0
        assert browser.fetch("GET", "/api/tasks").status_code == 200
    assert provider.count(REFRESH) == 1


@pytest.mark.rule("R-03")
def test_new_tokens_that_no_replica_has_are_written_again_until_one_has_them(
    sites: Sites, pair: tuple[RedisProcess, RedisProcess], provider: Control
) -> None:
    master, replica = pair
    provider.switch(omit_expires_in=True)
    with browsing(sites(store=master.url, session=WAITS, provider=OVER)) as browser:
        browser.sign_in()
        provider.switch(omit_expires_in=False)
        provider.fault(REFRESH, at="after", hold=True)
        call = threading.Thread(target=browser.fetch, args=("GET", "/api/tasks"))
        call.start()
        provider.held(REFRESH)
        with silent(replica):
            provider.release(REFRESH)
            provider.entries(REFRESH, 1)
        call.join(timeout=30)
        assert browser.fetch("GET", "/api/tasks").status_code == 200
    assert provider.count(REFRESH) == 1


# --- sentinels


@dataclass
class Crowd:
    """People who go on asking, whatever happens behind."""

    browsers: dict[str, Browser]
    seen: list[tuple[str, int, str]] = field(default_factory=list)
    leaving: threading.Event = field(default_factory=threading.Event)

    def ask(self, sub: str) -> bool:
        """Whether this one was served; noted either way."""
        browser = self.browsers[sub]
        answer = browser.fetch("GET", "/bff/session")
        assert cookie_lines(answer) == []
        if answer.status_code == 200:
            shown = str(answer.json()["claims"]["name"])
        else:
            shown = reason(answer)
        self.seen.append((sub, answer.status_code, shown))
        return answer.status_code == 200

    def keep_asking(self, sub: str) -> None:
        while not self.leaving.is_set():
            self.ask(sub)

    def only_right_or_503(self) -> None:
        for sub, status, shown in self.seen:
            assert (status, shown) in ((200, PEOPLE[sub]), (503, "store_unavailable"))


@contextlib.contextmanager
def asking(crowd: Crowd) -> Iterator[None]:
    crowd.leaving.clear()
    threads = [threading.Thread(target=crowd.keep_asking, args=(sub,)) for sub in PEOPLE]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        crowd.leaving.set()
        for thread in threads:
            thread.join(timeout=30)


def all_served(crowd: Crowd) -> Callable[[], bool]:
    return lambda: all(crowd.ask(sub) for sub in PEOPLE)


@pytest.fixture(scope="module")
def redis() -> Iterator[Watched]:
    with watched() as group:
        yield group


@pytest.fixture
def crowd(sites: Sites, redis: Watched, provider: Control) -> Iterator[Crowd]:
    with contextlib.ExitStack() as stack:
        site = sites(store=redis.url, session=PATIENT)
        browsers = {sub: stack.enter_context(browsing(site)) for sub in PEOPLE}
        for sub, browser in browsers.items():
            browser.sign_in(sub)
        yield Crowd(browsers)


def killed(redis: Watched) -> None:
    master = redis.master
    master.stop()
    until(lambda: redis.master is not master)


def back_as_replica(redis: Watched) -> None:
    gone = redis.other
    gone.options = (*gone.options, "--replicaof", "127.0.0.1", str(redis.master.port))
    gone.start()


@pytest.mark.rule("S-07")
@pytest.mark.rule("S-14")
def test_sessions_survive_a_planned_failover_and_a_killed_master(
    crowd: Crowd, redis: Watched
) -> None:
    ada, grace, alan = (crowd.browsers[sub] for sub in PEOPLE)
    redis.can_fail_over()
    with browsing(alan.site) as left:
        left.sign_in("alan")
        cookies = dict(left.cookies)
        assert left.fetch("POST", "/bff/logout").status_code == 200
        for failover in (Watched.planned, killed):
            with asking(crowd):
                failover(redis)
            until(all_served(crowd))
            if failover is Watched.planned:
                in_sync(redis.master)
                assert ada.fetch("POST", "/bff/session").status_code == 200
        crowd.only_right_or_503()
        assert {status for _, status, _ in crowd.seen} == {200, 503}
        left.cookies = cookies  # who was signed out before, is
        answer = left.fetch("GET", "/api/tasks")
        assert (answer.status_code, reason(answer)) == (401, "session_ended")
    refused(ada, "POST", "/bff/logout")  # no replica is there to have it
    back_as_replica(redis)
    until(lambda: ada.fetch("POST", "/bff/logout").status_code == 200)
    assert grace.fetch("GET", "/api/tasks").status_code == 200
