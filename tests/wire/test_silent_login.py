"""After an interrupted refresh: back in without being asked, or by a login as usual."""

import html
import re
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from bff.simulator import Person
from tests.parts.answers import cookie_lines, query, reason
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.site import Site

OVER = 'assume_expires_in = "1ms"\ntotal_timeout = "2s"'
REFRESH = "token:refresh_token"
SILENT_URL = "/bff/login?prompt=none%20login"
Sites = Callable[..., Site]


@pytest.fixture
def site(sites: Sites, provider: Control) -> Site:
    return sites(provider=OVER)


@pytest.fixture
def browser(site: Site) -> Iterator[Browser]:
    with browsing(site) as browser:
        yield browser


def go(browser: Browser, more: str = "&return_to=%2Forders") -> str:
    """Follow that login; the address at the provider."""
    answer = browser.navigate(SILENT_URL + more, site="same-origin")
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def next_page(answer: httpx.Response) -> str:
    """Where a page of ours goes by itself."""
    assert answer.status_code == 200, answer.text
    found = re.search(r'content="0;url=([^"]+)"', answer.text)
    assert found is not None, answer.text
    return html.unescape(found[1])


@pytest.mark.rule("R-05", "E-03")
def test_an_interrupted_refresh_says_where_one_is_signed_in_without_being_asked(
    browser: Browser, site: Site, provider: Control
) -> None:
    provider.switch(omit_expires_in=True)
    with Person("ada") as person:
        assert browser.callback(person.visit(browser.to_provider())).status_code == 200
        provider.fault(REFRESH, at="after", drop=True, count=1)
        assert browser.fetch("GET", "/api/token").status_code == 503
        clock = site.application.site.fronts["default"].front.clock
        clock.observe(clock.now() + 5, time.monotonic())  # type: ignore[attr-defined]
        provider.switch(omit_expires_in=False)
        answer = browser.fetch("GET", "/api/token")
        assert (answer.status_code, reason(answer)) == (401, "refresh_interrupted")
        assert answer.json()["login_url"] == SILENT_URL
        state = browser.fetch("GET", "/bff/session").json()
        assert (state["reason"], state["login_url"]) == ("refresh_interrupted", SILENT_URL)
        # The person sees a flash: the provider knows them still, and asks nothing.
        at_provider = go(browser)
        assert query(at_provider)["prompt"] == "none"
        assert next_page(browser.callback(person.visit(at_provider))) == "/orders"
    assert browser.fetch("GET", "/api/token").status_code == 200


ERRORS = (
    "login_required", "interaction_required", "consent_required", "account_selection_required",
    "invalid_request", "server_error", "temporarily_unavailable", "access_denied", "unheard_of",
)  # fmt: skip


@pytest.mark.rule("C-07")
@pytest.mark.parametrize("error", ERRORS)
def test_where_it_cannot_be_silent_a_login_as_usual_follows_and_no_error_is_seen(
    browser: Browser, provider: Control, error: str
) -> None:
    with Person("ada") as person:
        person.visit(browser.to_provider())  # signed in at the provider; that one never comes back
        provider.fault("callback", error=error, count=1)
        back = person.visit(go(browser, "&return_to=%2Forders&max_age=900"))
        assert query(back)["error"] == error
        answer = browser.callback(back)
        assert "Reason:" not in answer.text
        assert any("Max-Age=0" in line for line in cookie_lines(answer))
        following = next_page(answer)
        assert urlsplit(following).path == "/bff/login"
        assert query(following) == {"return_to": "/orders", "max_age": "900"}
        # Our own page goes there, so no click is asked for.
        usual = browser.navigate(following, site="same-origin")
        asked = query(usual.headers["location"])
        assert ("prompt" in asked, asked["max_age"]) == (False, "900")
        assert next_page(browser.callback(person.visit(usual.headers["location"]))) == "/orders"
    assert browser.session_cookie is not None


@pytest.mark.rule("C-07")
def test_a_person_whom_the_provider_does_not_know_any_more_is_asked(browser: Browser) -> None:
    with Person("grace") as nobody:
        following = next_page(browser.callback(nobody.visit(go(browser))))
        usual = browser.navigate(following, site="same-origin")
        landed = browser.callback(nobody.visit(usual.headers["location"]))
    assert next_page(landed) == "/orders"
    assert browser.fetch("GET", "/bff/session").json()["claims"]["name"] == "Grace Hopper"


def test_an_attempt_that_met_an_error_page_is_not_repeated_silently(browser: Browser) -> None:
    assert query(go(browser))["prompt"] == "none"  # and the provider answers 500
    assert "prompt" not in query(go(browser))


@pytest.mark.parametrize(
    ("configured", "more", "prompt"),
    [
        pytest.param("silent_login = false", "", None, id="switched off"),
        pytest.param('parameters = { prompt = "consent" }', "", "consent", id="a prompt is set"),
        pytest.param("", "&acr_values=2", None, id="a level that must not be lost on the way"),
        pytest.param("", "&login_hint=ada", None, id="a hint"),
        pytest.param("", "&ui_locales=cy", None, id="a language"),
    ],
)
def test_some_logins_are_not_tried_silently(
    sites: Sites, provider: Control, configured: str, more: str, prompt: str | None
) -> None:
    with browsing(sites(provider=f"{OVER}\n{configured}")) as browser:
        assert query(go(browser, more)).get("prompt") == prompt
