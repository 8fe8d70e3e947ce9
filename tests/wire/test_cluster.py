"""A real cluster of three under a whole site: slots that move, a node that dies."""

import contextlib
from collections.abc import Iterator

import pytest

from bff.session.seal import store_key
from tests.conftest import Sites
from tests.parts.answers import cookie_lines, reason
from tests.parts.browser import Browser, browsing
from tests.parts.redis_group import ClusterOfThree, cluster_of_three, until
from tests.parts.redis_process import RedisProcess

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
