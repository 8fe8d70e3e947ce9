"""What the page shows a team: changes before they are agreed to, live lines, uploads."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, Route, expect

from tests.browser.demo import Demo
from tests.browser.person import sign_in
from tests.browser.tap import Tap
from tests.browser.test_demo import press_on


def view(page: Page, name: str) -> None:
    page.get_by_role("navigation").get_by_role("link", name=name).click()


def test_a_change_shows_at_once_and_is_taken_back_if_it_fails(page: Page) -> None:
    sign_in(page)
    row = page.get_by_test_id("tasks").get_by_role("listitem").last
    waiting: list[Route] = []

    def keep(route: Route) -> None:
        waiting.append(route)

    page.route("**/api/tasks/*", keep)
    box = row.get_by_role("checkbox")
    before = box.is_checked()
    with page.expect_request("**/api/tasks/*"):
        box.click()
    expect(box).to_be_checked(checked=not before)
    waiting.pop().abort()
    expect(box).to_be_checked(checked=before)
    expect(page.get_by_test_id("message")).to_contain_text("This was not changed.")


def test_views_and_dialogs_need_no_mouse(page: Page, bff_dev: Demo) -> None:
    fault = {"endpoint": "id_token:authorization_code", "departure": "old_auth_time", "count": 1}
    bff_dev.control("faults", fault)
    sign_in(page)
    press_on(page, "Devices")
    expect(page.get_by_role("heading", name="Your devices")).to_be_focused()
    press_on(page, "Sign out everywhere")
    expect(page.get_by_test_id("again-go")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("again")).to_be_hidden()
    expect(page.get_by_test_id("end-all")).to_be_focused()
    page.go_back()
    expect(page.get_by_role("heading", name="Tasks")).to_be_focused()


@pytest.mark.rule("S-11")
def test_polling_says_that_it_is_no_sign_of_life(page: Page, tap: Tap) -> None:
    sign_in(page)
    polled = tap.wait_for(lambda each: each.path == "/api/token")
    assert polled.headers["x-bff-background"] == "1"
    asked = tap.wait_for(lambda each: each.path == "/api/tasks")
    assert "x-bff-background" not in asked.headers


@pytest.mark.rule("W-07")
def test_the_feed_tells_of_tasks_while_it_is_looked_at(page: Page) -> None:
    sign_in(page, "Grace Hopper")
    other = page.context.new_page()
    other.goto("/#/live")
    expect(other.get_by_test_id("feed-state")).to_have_text("Listening")
    page.get_by_test_id("task-title").fill("Told at once")
    with other.expect_request("**/api/tasks") as asked:  # by nobody: it keeps nobody signed in
        page.get_by_test_id("task-add").click()
    assert asked.value.headers["x-bff-background"] == "1"
    told = other.get_by_test_id("feed").get_by_role("listitem")
    expect(told.filter(has_text="Added: Told at once")).to_have_count(1)
    mine = page.get_by_test_id("tasks").get_by_role("listitem").filter(has_text="Told at once")
    mine.get_by_role("button").click()
    expect(told.filter(has_text="Deleted: Told at once")).to_have_count(1)
    view(other, "Tasks")
    expect(other.get_by_test_id("live")).to_be_hidden()
    assert other.get_by_test_id("feed").get_by_role("listitem").count() == 0


@pytest.mark.rule("W-01")
def test_two_people_talk_over_a_websocket(page: Page, chromium: Chromium, bff_dev: Demo) -> None:
    sign_in(page)
    with chromium.new_context(base_url=bff_dev.origin) as elsewhere:
        grace = elsewhere.new_page()
        sign_in(grace, "Grace Hopper")
        for each in (page, grace):
            view(each, "Live")
            expect(each.get_by_test_id("chat-state")).to_have_text("Connected")
        page.get_by_test_id("chat-words").fill("Good morning")
        page.get_by_test_id("chat-send").click()
        for each in (page, grace):
            heard = each.get_by_test_id("chat").get_by_role("listitem")
            expect(heard).to_have_text(re.compile(r"^\d\d:\d\d ada Good morning$"))


@pytest.mark.rule("W-05", "B-06")
def test_a_back_channel_logout_ends_one_persons_talk_and_not_the_others(
    page: Page, chromium: Chromium, bff_dev: Demo
) -> None:
    sign_in(page)
    with chromium.new_context(base_url=bff_dev.origin) as elsewhere:
        grace = elsewhere.new_page()
        sign_in(grace, "Grace Hopper")
        for each in (page, grace):
            view(each, "Live")
            expect(each.get_by_test_id("chat-state")).to_have_text("Connected")
        bff_dev.control("backchannel-logout", {"sub": "grace"})
        expect(grace.get_by_test_id("signed-out")).to_be_visible()
        expect(page.get_by_test_id("chat-state")).to_have_text("Connected")
        page.get_by_test_id("chat-words").fill("Are you there?")
        page.get_by_test_id("chat-send").click()
        expect(page.get_by_test_id("chat").get_by_role("listitem")).to_have_count(1)
        assert grace.get_by_test_id("chat").get_by_role("listitem").count() == 0


def test_an_upload_tells_how_far_it_is_and_can_be_called_off(
    page: Page, tmp_path: Path, tap: Tap
) -> None:
    file = tmp_path / "large.bin"
    file.write_bytes(bytes(8_000_000))
    sign_in(page)
    view(page, "Files")
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 1_000_000}
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", slow)
    page.get_by_test_id("file").set_input_files(file)
    page.get_by_test_id("upload-send").click()
    state = page.get_by_test_id("upload-state")
    expect(state).to_have_text(re.compile(r"^\d.* MB of 8 MB sent$"))
    page.get_by_test_id("upload-cancel").click()
    expect(state).to_have_text("Cancelled. Nothing was kept.")
    expect(page.get_by_test_id("upload-cancel")).to_be_hidden()
    network.send("Network.emulateNetworkConditions", {**slow, "uploadThroughput": -1})
    page.get_by_test_id("upload-send").click()
    expect(state).to_have_text("Done: the API counted 8,000,000 octets.")
    assert [each.status for each in tap.to("/api/uploads") if each.complete] == [201]
