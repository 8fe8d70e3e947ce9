"""Lost work is not lost: what was refused is done after a sign-in in a window of its own."""

import contextlib
import re

import pytest
from playwright.sync_api import APIResponse, BrowserContext, Page, Route, expect
from playwright.sync_api import Error as PlaywrightError

from tests.browser.demo import Demo
from tests.browser.person import session_cookie, sign_in
from tests.browser.tap import Tap
from tests.browser.test_tabs import ALONE, end_from_elsewhere

TEXT = "Half a sentence"


def hold(route: Route) -> None:
    """Never answered: the page is to learn what it learns from its own call."""


@pytest.fixture
def refused(page: Page, context: BrowserContext, bff_dev: Demo) -> Page:
    """Ada's page: its session is over, which it was told when it posted a task."""
    for unasked in ("**/bff/events", "**/api/token"):
        page.route(unasked, hold)
    sign_in(page)
    expect(page.get_by_test_id("tasks").get_by_role("listitem").first).to_be_visible()
    end_from_elsewhere(context, bff_dev)
    bff_dev.control("sign-out", {})  # the provider asks again, too
    page.get_by_test_id("task-title").fill(TEXT)
    page.get_by_test_id("task-add").click()
    expect(page.get_by_test_id("again")).to_contain_text("Sign in again?")
    expect(page.get_by_test_id("signed-out")).to_be_visible()
    return page


def sign_in_again(page: Page, *pressed: str) -> None:
    """In the other window, until it has closed."""
    with page.context.expect_page() as opened:
        page.get_by_test_id("again-go").click()
    with opened.value.expect_event("close"):
        for name in pressed:
            opened.value.get_by_role("button", name=name).click()


def posts(tap: Tap) -> list[int]:
    return [each.status for each in tap.to("/api/tasks") if each.method == "POST"]


def test_a_refused_post_is_made_again_by_consent_and_once(refused: Page, tap: Tap) -> None:
    before = len(tap.to("/"))
    with refused.context.expect_page() as opened:
        refused.get_by_test_id("again-go").click()
    opened.value.close()  # and nobody can tell the page
    sign_in_again(refused, "Ada Lovelace")
    row = refused.get_by_test_id("tasks").get_by_role("listitem").filter(has_text=TEXT)
    expect(row).to_have_count(1)
    expect(refused.get_by_test_id("again")).to_be_hidden()
    expect(refused.get_by_test_id("message")).to_have_text(f"Added “{TEXT}”.")
    assert posts(tap) == [401, 201]
    assert refused.get_by_test_id("task-title").input_value() == ""
    assert len(tap.to("/")) == before, "the page was never left"
    row.get_by_role("button").click()
    expect(row).to_have_count(0)


def test_who_has_typed_something_signs_in_without_leaving_it(
    page: Page, context: BrowserContext, bff_dev: Demo
) -> None:
    sign_in(page)
    page.get_by_test_id("task-title").fill(TEXT)
    end_from_elsewhere(context, bff_dev)
    expect(page.get_by_test_id("signed-out")).to_be_visible()
    with context.expect_page() as opened:
        page.get_by_test_id("sign-in").click()
    with contextlib.suppress(PlaywrightError):  # the provider knows Ada: it may be gone by now
        opened.value.wait_for_event("close")
    expect(page.get_by_test_id("signed-in")).to_be_visible()
    expect(page.get_by_test_id("task-title")).to_have_value(TEXT)


def test_who_cancelled_in_the_other_window_signs_in_there_after_all(
    refused: Page, tap: Tap
) -> None:
    with refused.context.expect_page() as opened:
        refused.get_by_test_id("again-go").click()
    window = opened.value
    with window.expect_event("close"):
        window.get_by_role("button", name="Cancel").click()
        window.get_by_role("link", name="Sign in").click()
        window.get_by_role("button", name="Ada Lovelace").click()
    expect(refused.get_by_test_id("message")).to_have_text(f"Added “{TEXT}”.")
    assert posts(tap) == [401, 201]
    row = refused.get_by_test_id("tasks").get_by_role("listitem").filter(has_text=TEXT)
    row.get_by_role("button").click()
    expect(row).to_have_count(0)


def test_who_thinks_better_of_it_sends_nothing_and_keeps_the_text(refused: Page, tap: Tap) -> None:
    with refused.context.expect_page() as opened:
        refused.get_by_test_id("again-go").click()
    refused.get_by_role("button", name="Not now").click()
    with opened.value.expect_event("close"):
        opened.value.get_by_role("button", name="Ada Lovelace").click()
    expect(refused.get_by_test_id("signed-in")).to_be_visible()
    expect(refused.get_by_test_id("task-title")).to_have_value(TEXT)
    expect(refused.get_by_test_id("task-title")).to_be_focused()
    assert posts(tap) == [401]


def test_nothing_is_sent_for_somebody_else(refused: Page, tap: Tap) -> None:
    sign_in_again(refused, "Grace Hopper", "Allow")
    expect(refused.get_by_test_id("name")).to_have_text("Grace Hopper")
    expect(refused.get_by_test_id("message")).to_contain_text("nothing was sent for you")
    assert refused.get_by_test_id("task-title").input_value() == ""
    assert posts(tap) == [401]


@pytest.mark.rule("S-13")
def test_a_late_refusal_shows_nobody_out_who_has_signed_in_meanwhile(
    page: Page, context: BrowserContext, bff_dev: Demo
) -> None:
    late: list[tuple[Route, APIResponse]] = []

    def delay(route: Route) -> None:
        if route.request.method == "POST":
            late.append((route, route.fetch()))
        else:
            route.continue_()

    for unasked in ("**/bff/events", "**/api/token"):
        page.route(unasked, hold)
    sign_in(page)
    expect(page.get_by_test_id("tasks").get_by_role("listitem").first).to_be_visible()
    end_from_elsewhere(context, bff_dev)
    page.route("**/api/tasks", delay)
    page.get_by_test_id("task-title").fill(TEXT)
    with page.expect_request("**/api/tasks"):
        page.get_by_test_id("task-add").click()
    second = context.new_page()
    second.goto("/bff/login?return_to=%2F")  # the provider still knows Ada
    expect(second.get_by_test_id("signed-in")).to_be_visible()
    ((route, refused),) = late
    assert refused.status == 401
    route.fulfill(response=refused)
    expect(page.get_by_test_id("message")).to_contain_text("for an earlier sign-in")
    expect(page.get_by_test_id("signed-in")).to_be_visible()
    expect(page.get_by_test_id("task-title")).to_have_value(TEXT)


def test_without_a_channel_a_page_asks_when_it_has_the_focus_again(
    page: Page, context: BrowserContext
) -> None:
    context.add_init_script(ALONE)
    page.goto("/")
    expect(page.get_by_test_id("signed-out")).to_be_visible()
    page.evaluate("document.getElementById('draft').hidden = false")
    with context.expect_page() as opened:
        page.get_by_test_id("sign-in-aside").click()
    with opened.value.expect_event("close"):
        for name in ("Ada Lovelace", "Allow"):
            opened.value.get_by_role("button", name=name).click()
    # The driver keeps every page focused, so that the event has to be made.
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(page.get_by_test_id("signed-in")).to_be_visible()


@pytest.mark.rule("A-05")
def test_a_dangerous_deed_waits_for_a_fresh_sign_in(
    page: Page, context: BrowserContext, bff_dev: Demo, tap: Tap
) -> None:
    bff_dev.control("switches", {"access_token_seconds": 300})
    bff_dev.control("clock", {"advance": -100})
    sign_in(page, "Alan Turing")
    bff_dev.control("clock", {"advance": 100})
    rows = page.get_by_test_id("tasks").get_by_role("listitem")
    expect(rows).to_have_count(3)
    old = session_cookie(context)
    page.get_by_test_id("delete-all").click()
    expect(page.get_by_test_id("again")).to_contain_text("Is it you?")
    expect(rows).to_have_count(3)
    sign_in_again(page, "Alan Turing")
    expect(page.get_by_test_id("message")).to_have_text("All tasks are deleted.")
    expect(rows).to_have_count(0)
    deeds = [each.status for each in tap.to("/api/tasks") if each.method == "DELETE"]
    assert deeds == [403, 204]
    asked = tap.to("/bff/login")[-1].target
    assert re.search(r"[?&]max_age=60(&|$)", asked)
    new = session_cookie(context)
    assert old is not None
    assert new is not None
    assert old["value"] != new["value"]
    expect(page.get_by_test_id("signed-in")).to_be_visible()
    for title in ("Read the token endpoint's answer", "Look for a token", "Give up looking"):
        page.get_by_test_id("task-title").fill(title)
        page.get_by_test_id("task-add").click()
        expect(rows.filter(has_text=title)).to_have_count(1)
