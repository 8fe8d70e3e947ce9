""" "Your devices": where a person is signed in, and an end to each, to all others, to all."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, expect

from tests.browser.demo import Demo
from tests.browser.person import sign_in


@pytest.fixture
def elsewhere(page: Page, chromium: Chromium, bff_dev: Demo) -> Iterator[Page]:
    """Ada, in another browser, after `page` has made the provider forget the test before."""
    with chromium.new_context(base_url=bff_dev.origin) as context:
        context.set_default_timeout(20_000)
        theirs = context.new_page()
        sign_in(theirs)
        yield theirs


@pytest.fixture
def here(elsewhere: Page, page: Page) -> Page:
    """Ada in this one, in the view of her devices."""
    sign_in(page)
    page.get_by_role("navigation").get_by_role("link", name="Devices").click()
    expect(page.get_by_test_id("devices").get_by_role("listitem").nth(1)).to_be_visible()
    return page


def is_out(page: Page) -> None:
    expect(page.get_by_test_id("signed-out")).to_be_visible()
    expect(page.get_by_test_id("message")).to_have_text("You were signed out elsewhere.")


@pytest.mark.rule("S-16")
def test_each_is_ended_by_its_button_and_its_tab_says_so(here: Page, elsewhere: Page) -> None:
    rows = here.get_by_test_id("devices").get_by_role("listitem")
    expect(rows.filter(has_text="This browser")).to_have_count(1)
    others = rows.filter(has_text="Last seen")  # of other tests, too: not all sign out
    for left in reversed(range(others.count())):
        others.first.get_by_role("button").click()
        expect(others).to_have_count(left)
    expect(here.get_by_test_id("message")).to_contain_text("is signed out.")
    is_out(elsewhere)
    expect(here.get_by_test_id("end-others")).to_be_disabled()
    expect(here.get_by_test_id("signed-in")).to_be_visible()


@pytest.mark.rule("S-16")
def test_everywhere_is_here_too(here: Page, elsewhere: Page) -> None:
    here.get_by_test_id("end-all").click()
    is_out(elsewhere)
    expect(here.get_by_test_id("signed-out")).to_be_visible()


@pytest.mark.rule("S-16")
def test_an_old_sign_in_is_confirmed_first(elsewhere: Page, page: Page, bff_dev: Demo) -> None:
    fault = {"endpoint": "id_token:authorization_code", "departure": "old_auth_time", "count": 1}
    bff_dev.control("faults", fault)
    sign_in(page)
    page.get_by_role("navigation").get_by_role("link", name="Devices").click()
    page.get_by_test_id("end-others").click()
    expect(page.get_by_test_id("again")).to_contain_text("Is it you?")
    with page.context.expect_page() as opened:
        page.get_by_test_id("again-go").click()
    if not opened.value.is_closed():
        opened.value.wait_for_event("close")
    is_out(elsewhere)
    expect(page.get_by_test_id("signed-in")).to_be_visible()
