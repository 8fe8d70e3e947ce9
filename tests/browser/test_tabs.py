"""All tabs of a browser know the same thing, and one of them listens for all."""

import pytest
from playwright.sync_api import BrowserContext, Page, Request, Route, expect

from tests.browser.demo import Demo
from tests.browser.person import choose, session_cookie, sign_in
from tests.browser.tap import Tap

EVENTS = "/bff/events"
ALONE = """
  delete globalThis.BroadcastChannel;
  Object.defineProperty(navigator, 'locks', { value: undefined });
"""


def another(context: BrowserContext) -> Page:
    """One more tab, in which somebody is signed in."""
    page = context.new_page()
    page.goto("/")
    expect(page.get_by_test_id("signed-in")).to_be_visible()
    expect(page.get_by_test_id("tasks").get_by_role("listitem").first).to_be_visible()
    return page


@pytest.fixture
def tabs(page: Page, context: BrowserContext, tap: Tap) -> tuple[Page, Page]:
    """The one that listens for both, and another one."""
    sign_in(page)
    tap.wait_for_begun(EVENTS)
    return page, another(context)


def asked_by(page: Page) -> list[str]:
    """What the tab asks for from now on; the API answers it no more."""
    requests: list[str] = []

    def note(request: Request) -> None:
        if "/api/" not in request.url:
            requests.append(request.url)

    def hold(route: Route) -> None:
        """Never answered: whatever the tab learns, it does not learn it from the API."""

    page.route("**/api/**", hold)
    page.on("request", note)
    return requests


def end_from_elsewhere(context: BrowserContext, bff_dev: Demo) -> None:
    """Sign out without any page of this browser."""
    cookie = session_cookie(context)
    assert cookie is not None
    ended = bff_dev.replay("POST", "/bff/logout", headers={"cookie": f"bff={cookie['value']}"})
    assert ended.status_code == 200


@pytest.mark.rule("W-08")
@pytest.mark.rule("O-03")
@pytest.mark.parametrize("listens", [True, False], ids=["the one that listens", "another one"])
def test_the_other_tab_hears_of_a_sign_out_and_asks_nobody(
    tabs: tuple[Page, Page], listens: bool
) -> None:
    leaving, other = reversed(tabs) if listens else tabs
    asked = asked_by(other)
    leaving.get_by_test_id("sign-out").click()
    expect(other.get_by_test_id("signed-out")).to_be_visible()
    expect(other.get_by_test_id("message")).to_have_text("You signed out in another tab.")
    assert asked == []
    expect(leaving.get_by_test_id("signed-out")).to_be_visible()


@pytest.mark.rule("W-08")
def test_an_end_from_elsewhere_reaches_all_tabs_through_one_of_them(
    tabs: tuple[Page, Page], context: BrowserContext, bff_dev: Demo, tap: Tap
) -> None:
    asked = [asked_by(tab) for tab in tabs]
    end_from_elsewhere(context, bff_dev)
    for tab in tabs:
        expect(tab.get_by_test_id("signed-out")).to_be_visible()
        expect(tab.get_by_test_id("message")).to_have_text("You were signed out elsewhere.")
    assert [len(each) for each in asked] == [1, 0]  # is it true? the cookie may be another by now
    assert len(tap.to(EVENTS)) == 1


@pytest.mark.rule("W-08")
def test_when_the_tab_that_listens_goes_another_takes_over(
    tabs: tuple[Page, Page], context: BrowserContext, bff_dev: Demo, tap: Tap
) -> None:
    leader, second = tabs
    asked_by(second)
    leader.close()
    tap.wait_for_begun(EVENTS, count=2)
    end_from_elsewhere(context, bff_dev)
    expect(second.get_by_test_id("signed-out")).to_be_visible()


@pytest.mark.rule("W-08")
def test_eight_tabs_hold_one_stream_and_the_api_answers_in_each(
    tabs: tuple[Page, Page], context: BrowserContext, tap: Tap
) -> None:
    """A browser has six connections to a host: a stream for each tab would leave none."""
    for tab in [*tabs, *(another(context) for _ in range(6))]:
        assert tab.evaluate("fetch('/api/token').then(({ status }) => status)") == 200
    assert len(tap.to(EVENTS)) == 1


@pytest.mark.rule("W-08")
def test_a_browser_without_locks_and_channels_hears_it_too(
    page: Page, context: BrowserContext, bff_dev: Demo
) -> None:
    context.add_init_script(ALONE)
    sign_in(page)
    both = (page, another(context))
    for tab in both:
        asked_by(tab)
    end_from_elsewhere(context, bff_dev)
    for tab in both:
        expect(tab.get_by_test_id("signed-out")).to_be_visible()


def test_whoever_signs_in_in_one_tab_is_the_one_in_all(tabs: tuple[Page, Page]) -> None:
    page, second = tabs
    page.get_by_test_id("task-title").fill("Ada's secret")
    second.goto("/bff/login?return_to=%2F&prompt=login")
    choose(second, "Grace Hopper")
    expect(page.get_by_test_id("name")).to_have_text("Grace Hopper")
    assert page.get_by_test_id("task-title").input_value() == ""
    expect(page.get_by_test_id("signed-in")).to_be_visible()
