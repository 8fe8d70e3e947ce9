"""A change of a task shows at once, and is taken back if it is refused."""

from playwright.sync_api import Page, Route, expect

from tests.browser.person import sign_in
from tests.browser.test_library import AWAY


def test_two_that_are_refused_at_the_same_time_are_both_taken_back(page: Page) -> None:
    held: list[Route] = []
    sign_in(page)
    rows = page.get_by_test_id("tasks").get_by_role("listitem")
    expect(rows).to_have_count(3)
    boxes = rows.get_by_role("checkbox")
    before = [box.is_checked() for box in boxes.all()]
    page.route("**/api/tasks/*", lambda route: held.append(route))
    with page.expect_request("**/api/tasks/*"):
        boxes.nth(0).click()
    with page.expect_request("**/api/tasks/*"):
        rows.nth(1).get_by_role("button").click()
    expect(rows).to_have_count(2)
    assert boxes.nth(0).is_checked() != before[0]
    for route in held:
        route.fulfill(status=503, content_type="application/problem+json", body=AWAY)
    expect(rows).to_have_count(3)
    expect(boxes.nth(0)).to_be_checked(checked=before[0])
    assert [box.is_checked() for box in boxes.all()] == before


def test_one_that_is_refused_takes_no_other_back(page: Page) -> None:
    refused: list[Route] = []
    sign_in(page)
    rows = page.get_by_test_id("tasks").get_by_role("listitem")
    expect(rows).to_have_count(3)
    boxes = rows.get_by_role("checkbox")
    first, second = (box.is_checked() for box in boxes.all()[:2])
    page.route(
        "**/api/tasks/*", lambda route: route.continue_() if refused else refused.append(route)
    )
    with page.expect_request("**/api/tasks/*"):
        boxes.nth(0).click()
    with page.expect_response("**/api/tasks/*"):
        boxes.nth(1).click()
    refused[0].fulfill(status=503, content_type="application/problem+json", body=AWAY)
    expect(boxes.nth(0)).to_be_checked(checked=first)
    expect(boxes.nth(1)).to_be_checked(checked=not second)
    boxes.nth(1).click()  # as it was, for whoever comes next
    expect(boxes.nth(1)).to_be_checked(checked=second)
