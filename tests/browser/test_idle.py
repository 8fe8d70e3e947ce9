"""An end that comes near: the page says so, the person stays or goes, and polling is no staying."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from tests.browser.own_site import own_site
from tests.browser.person import sign_in


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    with own_site(session='idle = "8s"\nexpiring = "4s"') as site:
        yield site.origin


@pytest.fixture
def page(chromium: Chromium, origin: str) -> Iterator[Page]:
    with chromium.new_context(base_url=origin) as context:
        context.set_default_timeout(20_000)
        yield context.new_page()


@pytest.mark.rule("W-08")
@pytest.mark.rule("S-11")
def test_who_is_warned_may_stay_and_who_does_not_is_signed_out_though_the_page_polls(
    page: Page,
) -> None:
    sign_in(page)
    other = page.context.new_page()
    other.goto("/")
    tabs = (page, other)
    for tab in tabs:
        expect(tab.get_by_test_id("warning")).to_be_visible()
        expect(tab.get_by_test_id("warning")).to_contain_text("You will be signed out soon")
    page.get_by_test_id("warning-stay").click()
    expect(page.get_by_test_id("message")).to_have_text("You stay signed in.")
    for tab in tabs:
        expect(tab.get_by_test_id("warning")).to_be_hidden()
    polls: list[str] = []
    page.on("request", lambda each: polls.append(each.url) if "/api/token" in each.url else None)
    for tab in tabs:
        expect(tab.get_by_test_id("signed-out")).to_be_visible()
        expect(tab.get_by_test_id("message")).to_contain_text("Your session ran out.")
        expect(tab.get_by_test_id("warning")).to_be_hidden()
    assert polls
