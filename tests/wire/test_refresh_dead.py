"""A refresh token that died without a word, and a client secret that is wrong: told apart (R-07).

The provider refuses everything with an empty 400, as some do: a dead refresh token and a wrong
secret alike. Only somebody else's success tells which of the two it is.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from bff.session.deadline import ConnectionLost
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.site import Site

# Every token is over at once, so every call renews.
OVER = 'assume_expires_in = "1ms"\ntotal_timeout = "2s"'
REFRESH = "token:refresh_token"
Sites = Callable[..., Site]
People = Callable[..., Browser]


@pytest.fixture
def people() -> Iterator[People]:
    """Browsers of people who have signed in, or who come to another process with their cookie."""
    with ExitStack() as stack:

        def person(site: Site, sub: str = "ada", *, like: Browser | None = None) -> Browser:
            browser = stack.enter_context(browsing(site))
            if like is None:
                browser.sign_in(sub)
            else:
                browser.cookies = dict(like.cookies)
            return browser

        yield person


@pytest.fixture
def silent(provider: Control) -> Control:
    """A provider that gives no reasons, and whose access tokens are over at once."""
    provider.switch(empty_refusals=True, omit_expires_in=True)
    return provider


def call(browser: Browser) -> tuple[int, str]:
    answer = browser.fetch("GET", "/api/token")
    assert "set-cookie" not in answer.headers
    return answer.status_code, answer.json().get("reason", "ok")


def after_the_back_off(browser: Browser, provider: Control) -> httpx.Response:
    """The next answer for which the provider was asked."""
    before = provider.count(REFRESH)
    while True:
        answer = browser.fetch("GET", "/api/token")
        if provider.count(REFRESH) > before:
            return answer
        assert answer.json()["reason"] == "provider_unavailable"


def pass_time(site: Site, seconds: float) -> None:
    """Let store time go on. In memory only: a store in Redis has a clock of its own."""
    clock = site.application.site.fronts["default"].front.clock
    clock.observe(clock.now() + seconds, time.monotonic())  # type: ignore[attr-defined]


UNAVAILABLE = (503, "provider_unavailable")
REJECTED = (401, "refresh_rejected")


@pytest.mark.rule("R-07", "R-06")
def test_a_token_that_died_without_a_word_ends_its_session_and_no_other(
    sites: Sites, silent: Control, people: People, store: str
) -> None:
    site = sites(store=store, provider=OVER)
    ada, grace = people(site), people(site, "grace")
    silent.do("revoke", {"sub": "ada"})
    assert call(ada) == UNAVAILABLE  # it may be anything
    assert call(grace) == (200, "ok")  # it is not our secret
    answer = after_the_back_off(ada, silent)
    assert (answer.status_code, answer.json()["reason"]) == REJECTED
    assert call(ada) == REJECTED
    assert call(grace) == (200, "ok")
    ada.sign_in()
    assert call(ada) == (200, "ok")


@pytest.mark.rule("R-07")
def test_the_success_of_another_process_counts_as_our_own(
    sites: Sites, silent: Control, people: People, redis: object
) -> None:
    here = sites(store="redis", provider=OVER)
    there = sites(store="redis", provider=OVER, session='idle = "31m"')
    ada = people(here)
    grace = people(there, like=people(here, "grace"))
    silent.do("revoke", {"sub": "ada"})
    assert call(ada) == UNAVAILABLE
    assert call(grace) == (200, "ok")
    answer = after_the_back_off(ada, silent)
    assert (answer.status_code, answer.json()["reason"]) == REJECTED


@pytest.mark.rule("R-07")
def test_nobody_is_left_on_503_for_ever_even_where_nobody_else_is(
    sites: Sites, silent: Control, people: People
) -> None:
    site = sites(provider=OVER, session='idle = "3h"')
    ada = people(site)
    silent.do("revoke", {"sub": "ada"})
    assert call(ada) == UNAVAILABLE
    pass_time(site, 5)
    assert call(ada) == UNAVAILABLE
    pass_time(site, 3500)
    assert call(ada) == UNAVAILABLE
    pass_time(site, 100)
    answer = after_the_back_off(ada, silent)
    assert (answer.status_code, answer.json()["reason"]) == REJECTED
    assert silent.count(REFRESH) == 4


@pytest.mark.rule("R-07")
@pytest.mark.parametrize("empty", [True, False], ids=["an empty 400", "401 invalid_client"])
def test_a_wrong_client_secret_signs_nobody_out_and_once_mended_all_go_on(
    sites: Sites, silent: Control, people: People, redis: object, empty: bool
) -> None:
    silent.switch(empty_refusals=empty)
    right = sites(store="redis", provider=OVER)
    wrong = sites(store="redis", provider=OVER, secret="BFF_TEST_WRONG_SECRET")
    subs = ("ada", "grace", "alan")
    before = [people(right, sub) for sub in subs]
    during = [people(wrong, like=each) for each in before]
    assert [call(each) for each in during] == [UNAVAILABLE] * 3
    # A process that has the right one succeeds meanwhile: that says nothing about the wrong one.
    other = people(right, "ada")
    assert call(other) == (200, "ok")
    for each in during:
        assert after_the_back_off(each, silent).json()["reason"] == "provider_unavailable"
        assert each.fetch("GET", "/bff/session").json()["authenticated"]
    # As after a restart with the right one: another process on the same store.
    mended = sites(store="redis", provider=OVER, session='idle = "31m"')
    for each in before:
        goes_on = people(mended, like=each)
        while (answer := call(goes_on)) == UNAVAILABLE:
            pass  # the back-off of the last try
        assert answer == (200, "ok")


@pytest.mark.rule("R-07")
def test_a_400_that_a_wrong_secret_met_is_no_first_one_once_the_secret_is_mended(
    sites: Sites, silent: Control, people: People, redis: object
) -> None:
    right = sites(store="redis", provider=OVER)
    wrong = sites(store="redis", provider=OVER, secret="BFF_TEST_WRONG_SECRET")
    ada, grace = people(right), people(right, "grace")
    assert call(people(wrong, like=ada)) == UNAVAILABLE
    assert call(grace) == (200, "ok")  # the right one works since
    silent.fault(REFRESH, status=400, count=1)
    answer = after_the_back_off(ada, silent)
    assert (answer.status_code, answer.json()["reason"]) == UNAVAILABLE
    assert after_the_back_off(ada, silent).status_code == 200
    # Two that the right one met, and a success between them, count as ever.
    silent.do("revoke", {"sub": "ada"})
    assert call(ada) == UNAVAILABLE
    assert call(grace) == (200, "ok")
    answer = after_the_back_off(ada, silent)
    assert (answer.status_code, answer.json()["reason"]) == REJECTED


@pytest.mark.rule("R-07", "R-05")
def test_a_token_that_may_have_been_spent_and_died_without_a_word_was_interrupted(
    sites: Sites, silent: Control, people: People
) -> None:
    site = sites(provider=OVER)
    ada, grace = people(site), people(site, "grace")
    silent.fault(REFRESH, at="after", drop=True, count=1)
    assert call(ada) == UNAVAILABLE  # rotated, and the answer lost
    pass_time(site, 5)
    assert call(ada) == UNAVAILABLE  # the first 400
    assert call(grace) == (200, "ok")
    pass_time(site, 5)
    assert call(ada) == (401, "refresh_interrupted")


@pytest.mark.rule("R-07")
def test_a_store_that_cannot_say_ends_nobody(sites: Sites, silent: Control, people: People) -> None:
    site = sites(provider=OVER, session='idle = "32m"')
    ada = people(site)
    silent.do("revoke", {"sub": "ada"})
    store = site.application.site.stores[0]
    calm = store._hook  # type: ignore[attr-defined]

    async def broken(operation: str, stage: str) -> None:
        if operation == "noted":
            raise ConnectionLost
        await calm(operation, stage)

    assert call(ada) == UNAVAILABLE
    pass_time(site, 5)
    store._hook = broken  # type: ignore[attr-defined]
    assert call(ada) == UNAVAILABLE
    store._hook = calm  # type: ignore[attr-defined]
    assert ada.fetch("GET", "/bff/session").json()["authenticated"]
