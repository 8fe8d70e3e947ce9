"""A real cluster under a whole site: slots that move, a node that dies, one that takes over."""

import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from bff.session.seal import store_key
from tests.conftest import Sites
from tests.parts.answers import cookie_lines, reason
from tests.parts.browser import Browser, browsing
from tests.parts.redis_group import ClusterOfThree, cluster_of_three, follows
from tests.parts.redis_process import RedisProcess
from tests.parts.waiting import until

pytestmark = pytest.mark.usefixtures("provider")


@pytest.fixture(scope="module")
def redis() -> Iterator[ClusterOfThree]:
    with cluster_of_three() as nodes:
        yield nodes


@pytest.fixture
def browsers(sites: Sites, redis: ClusterOfThree) -> Iterator[list[Browser]]:
    """Sessions that do not all live on one node."""
    site = sites(store=redis.url, session="wait_replicas = 0")
    with contextlib.ExitStack() as stack:
        found: list[Browser] = []
        while len({owner(redis, browser).port for browser in found}) < 2:
            found.append(stack.enter_context(browsing(site)))
            found[-1].sign_in()
        yield found


def name(browser: Browser) -> str:
    """Where its session is kept."""
    session_id = (browser.session_cookie or "").split(".")[1]
    return "bff:" + store_key("session", "default", session_id)


def owner(redis: ClusterOfThree, browser: Browser) -> RedisProcess:
    return redis.owner(name(browser))


def served(browser: Browser) -> bool:
    """Whether it was served: 503 may pass, anything else may not."""
    answer = browser.fetch("GET", "/api/tasks")
    assert cookie_lines(answer) == []
    if answer.status_code != 200:
        assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
    return answer.status_code == 200


def test_a_session_whose_slot_moves_goes_on(browsers: list[Browser], redis: ClusterOfThree) -> None:
    browser = browsers[0]
    before = owner(redis, browser)
    finish = redis.move(name(browser), half=True)  # now the old owner says ASK
    assert browser.fetch("POST", "/bff/session").status_code in (200, 503)
    until(lambda: served(browser))
    finish()  # and now MOVED
    until(lambda: served(browser))
    assert owner(redis, browser) is not before
    assert all(served(each) for each in browsers)
    assert browser.fetch("POST", "/bff/logout").status_code == 200


@pytest.mark.rule("S-07")
def test_a_dead_node_takes_only_its_own_sessions_and_gives_them_back(
    browsers: list[Browser], redis: ClusterOfThree
) -> None:
    node = owner(redis, browsers[0])
    theirs = [each for each in browsers if owner(redis, each) is node]
    others = [each for each in browsers if owner(redis, each) is not node]
    node.hang()
    try:
        for browser in theirs:
            assert not served(browser)
        for browser in others:
            until(lambda browser=browser: served(browser))  # type: ignore[misc]
    finally:
        node.resume()
    for browser in browsers:
        until(lambda browser=browser: served(browser))  # type: ignore[misc]


# --- failover to a replica


@pytest.fixture(scope="module")
def doubled() -> Iterator[ClusterOfThree]:
    with cluster_of_three(replicas=True) as nodes:
        yield nodes


# A quarter of the deadline is what a replica gets: on a busy machine a usual one may be too short.
PATIENT = 'store_deadline = "3s"'


@pytest.fixture
def ada(sites: Sites, doubled: ClusterOfThree) -> Iterator[Browser]:
    with browsing(sites(store=doubled.url, session=PATIENT)) as browser:
        browser.sign_in()
        yield browser


def signed_out_elsewhere(browser: Browser) -> Browser:
    """The same person's browser, as it was before it signed out."""
    cookies = dict(browser.cookies)
    assert browser.fetch("POST", "/bff/logout").status_code == 200
    browser.cookies = cookies
    return browser


def gone(browser: Browser) -> bool:
    """Whether it is told that it has been signed out; 503 may pass."""
    answer = browser.fetch("GET", "/api/tasks")
    if answer.status_code != 503:
        assert (answer.status_code, reason(answer)) == (401, "session_ended")
    return answer.status_code == 401


def promoted(replica: RedisProcess) -> bool:
    return bool(replica.do("ROLE")[0] == b"master")


@contextlib.contextmanager
def asked_meanwhile(browser: Browser) -> Iterator[None]:
    """Somebody goes on asking: what is not served is 503, and the cookie stays."""
    leaving = threading.Event()

    def ask() -> None:
        while not leaving.is_set():
            served(browser)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            yield
        finally:
            leaving.set()
        asking.result()


@pytest.mark.rule("S-07")
@pytest.mark.rule("S-14")
def test_a_planned_failover_in_a_cluster_loses_nothing(
    ada: Browser, doubled: ClusterOfThree
) -> None:
    _, replica = doubled.having(name(ada))
    with browsing(ada.site) as other:
        other.sign_in()
        signed_out_elsewhere(other)
        with asked_meanwhile(ada):
            replica.do("CLUSTER", "FAILOVER")
            until(lambda: promoted(replica))
        until(lambda: served(ada))
        until(lambda: gone(other))
    until(lambda: ada.fetch("POST", "/bff/session").status_code == 200)
    until(lambda: ada.fetch("POST", "/bff/logout").status_code == 200)


@pytest.mark.rule("S-07")
@pytest.mark.rule("S-14")
def test_a_master_of_a_cluster_is_killed_and_its_sessions_go_on_at_its_replica(
    ada: Browser, doubled: ClusterOfThree
) -> None:
    until(lambda: len(doubled.having(name(ada))) == 2)  # a slow replica is left out for a while
    master, replica = doubled.having(name(ada))
    with browsing(ada.site) as other:
        while other.session_cookie is None or doubled.owner(name(other)) is not master:
            other.cookies.clear()
            other.sign_in()
        signed_out_elsewhere(other)
        with asked_meanwhile(ada):
            master.stop()
            until(lambda: promoted(replica))
        until(lambda: served(ada))
        until(lambda: gone(other))
    answer = ada.fetch("POST", "/bff/logout")  # no replica is there to have it
    assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
    master.start()  # it reads from its own file that it has been one of them
    until(lambda: follows(master))
    until(lambda: ada.fetch("POST", "/bff/logout").status_code == 200)


def masters(node: RedisProcess) -> set[int]:
    """The ports of whoever has slots, as that node sees it."""
    return {port for _, _, (_, port, *_), *_ in node.do("CLUSTER", "SLOTS")}


@pytest.mark.rule("S-07")
def test_the_first_node_has_lost_its_memory_and_the_others_are_believed(
    sites: Sites, doubled: ClusterOfThree
) -> None:
    first, *others = (*doubled.nodes, *doubled.replicas)
    file, away = (first.folder / name for name in ("nodes.conf", "away.conf"))
    first.stop()
    until(lambda: all(first.port not in masters(each) for each in others))
    file.rename(away)
    first.start()
    try:
        assert len(masters(first)) < 3  # it may hear of somebody at once
        # Of one of the masters there is no replica now.
        with browsing(sites(store=doubled.url, session="wait_replicas = 0")) as browser:
            until(lambda: browser.callback(browser.from_provider()).status_code == 200)
            assert served(browser)
    finally:
        first.stop()
        away.replace(file)
        first.start()
        until(lambda: follows(first))
