"""The demo in Chromium, as its visitor has it: in, data, renewals, a second tab, out."""

import re
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from playwright.sync_api import Error as PlaywrightError

from tests.browser.demo import Demo
from tests.browser.person import choose, here, session_cookie, sign_in
from tests.browser.tap import Tap
from tests.canary import EXCEPTIONS, PROTOCOL, Search

STORAGES = """async () => ({
  cookie: document.cookie,
  local: {...localStorage},
  session: {...sessionStorage},
  databases: (await indexedDB.databases()).map(({name}) => name),
  caches: await caches.keys(),
  workers: (await navigator.serviceWorker.getRegistrations()).length,
  window: window.name,
  state: history.state,
})"""


def readable(page: Page) -> dict[str, Any]:
    """All that a script can find in the page's places for data."""
    found: dict[str, Any] = page.evaluate(STORAGES)
    return found


NOTHING = {
    "cookie": "",
    "local": {},
    "session": {},
    "databases": [],
    "caches": [],
    "workers": 0,
    "window": "",
    "state": None,
}


def test_signing_in_shows_person_and_data_and_leaves_a_script_nothing_to_find(page: Page) -> None:
    page.goto("/")
    assert readable(page) == NOTHING
    sign_in(page)
    expect(page.get_by_test_id("tasks").get_by_role("listitem")).to_have_count(3)
    assert readable(page) == NOTHING


@pytest.mark.rule("S-02")
@pytest.mark.rule("S-03")
@pytest.mark.rule("S-09")
def test_the_cookie_is_the_contract_s(page: Page, context: BrowserContext, tap: Tap) -> None:
    sign_in(page)
    (landing,) = tap.to("/bff/callback")
    (line,) = [line for line in landing.set_cookies if line.startswith("bff=")]
    attributes = {part.strip().lower() for part in line.split(";")[1:]}
    assert attributes == {"httponly", "samesite=strict", "path=/"}
    kept = session_cookie(context)
    assert kept is not None
    assert kept["name"] == "bff"
    assert (kept["domain"], kept["path"]) == ("localhost", "/")  # host-only: no dot before it
    assert (kept["httpOnly"], kept["sameSite"], kept["secure"]) == (True, "Strict", False)
    assert kept["expires"] == -1
    assert len(kept["value"]) < 200


@pytest.mark.rule("C-15")
def test_the_landing_page_goes_on_as_our_own_and_back_does_not_reach_the_callback(
    page: Page, context: BrowserContext, bff_dev: Demo, tap: Tap
) -> None:
    sign_in(page)
    (landing,) = tap.to("/bff/callback")
    assert "cookie" in landing.headers
    assert "bff=" not in landing.headers["cookie"].replace("bff-", "")
    assert landing.headers["sec-fetch-site"] == "cross-site"
    after = tap.exchanges[tap.exchanges.index(landing) + 1]
    assert (after.path, after.headers["sec-fetch-site"]) == ("/", "same-origin")
    assert re.search(r"(^|; )bff=", after.headers["cookie"])
    assert "code=" not in here(page)
    history, shown = entries(context, page)
    assert not [url for url in history if "/bff/callback" in url]
    assert history[shown - 1].startswith(bff_dev.provider)
    # That is the provider's answer to a form: Chromium asks before it posts that again.
    with pytest.raises(PlaywrightError, match="ERR_CACHE_MISS"):
        page.go_back()
    assert len(tap.to("/bff/callback")) == 1


def entries(context: BrowserContext, page: Page) -> tuple[list[str], int]:
    """The addresses that Back and Forward lead to, and which of them is shown."""
    history = context.new_cdp_session(page).send("Page.getNavigationHistory")
    return [entry["url"] for entry in history["entries"]], history["currentIndex"]


def test_the_token_is_renewed_twice_while_the_page_is_open(
    page: Page, bff_dev: Demo, tap: Tap
) -> None:
    bff_dev.control("switches", {"access_token_seconds": 4})
    sign_in(page)
    expect(page.get_by_test_id("fingerprint")).to_have_text(re.compile(r"^[0-9a-f]{8}$"))
    first = page.get_by_test_id("fingerprint").inner_text()
    expect(page.get_by_test_id("renewals")).to_have_text(re.compile(r"^[2-9]$"), timeout=40_000)
    assert page.get_by_test_id("fingerprint").inner_text() != first
    expect(page.get_by_test_id("signed-in")).to_be_visible()
    calls = [exchange for exchange in tap.exchanges if exchange.path.startswith("/api/")]
    assert {exchange.status for exchange in calls if exchange.complete} == {200}
    cookies = {exchange.headers["cookie"] for exchange in calls}
    assert len(cookies) == 1, "a refresh changes the tokens, not the cookie"


def test_a_task_is_posted_ticked_and_deleted(page: Page) -> None:
    sign_in(page, "Grace Hopper")
    tasks = page.get_by_test_id("tasks").get_by_role("listitem")
    expect(tasks).to_have_count(3)
    page.get_by_test_id("task-title").fill("Look under the carpet")
    page.get_by_test_id("task-add").click()
    mine = tasks.filter(has_text="Look under the carpet")
    expect(mine).to_have_count(1)
    mine.get_by_role("checkbox").check()
    expect(mine).to_have_class(re.compile("done"))
    mine.get_by_role("button").click()
    expect(tasks).to_have_count(3)


@pytest.mark.rule("O-03")
def test_signing_out_in_one_tab_empties_the_other(
    page: Page, context: BrowserContext, tap: Tap
) -> None:
    sign_in(page)
    second = context.new_page()
    second.goto("/")
    expect(second.get_by_test_id("signed-in")).to_be_visible()
    page.get_by_test_id("sign-out").click()
    expect(page.get_by_test_id("signed-out")).to_be_visible()
    assert session_cookie(context) is None
    assert tap.to("/bff/logout/provider")[0].status == 303
    expect(second.get_by_test_id("signed-out")).to_be_visible()
    expect(second.get_by_test_id("name")).to_be_empty()
    expect(second.get_by_test_id("tasks").get_by_role("listitem")).to_have_count(0)


def test_what_was_typed_survives_an_end_that_came_from_elsewhere(
    page: Page, context: BrowserContext, bff_dev: Demo
) -> None:
    sign_in(page)
    page.get_by_test_id("task-title").fill("Half a sentence")
    cookie = session_cookie(context)
    assert cookie is not None
    ended = bff_dev.replay("POST", "/bff/logout", headers={"cookie": f"bff={cookie['value']}"})
    assert ended.status_code == 200
    expect(page.get_by_test_id("signed-out")).to_be_visible()
    expect(page.get_by_test_id("message")).not_to_be_empty()
    assert page.get_by_test_id("task-title").input_value() == "Half a sentence"
    refused = bff_dev.replay("GET", "/api/tasks", headers={"cookie": f"bff={cookie['value']}"})
    assert (refused.status_code, refused.json()["reason"]) == (401, "session_ended")
    page.get_by_test_id("sign-in-aside").click()  # the provider still knows Ada
    expect(page.get_by_test_id("signed-in")).to_be_visible()
    expect(page.get_by_test_id("task-title")).to_have_value("Half a sentence")


@pytest.mark.rule("C-13")
@pytest.mark.rule("S-08")
def test_signing_in_over_a_live_session_ends_it(
    page: Page, context: BrowserContext, bff_dev: Demo
) -> None:
    sign_in(page)
    before = session_cookie(context)
    page.goto("/bff/login?return_to=%2F&prompt=login")  # else the provider takes Ada again
    choose(page, "Grace Hopper")
    expect(page.get_by_test_id("name")).to_have_text("Grace Hopper")
    after = session_cookie(context)
    assert before is not None
    assert after is not None
    assert before["value"] != after["value"]
    old = bff_dev.replay("GET", "/api/tasks", headers={"cookie": f"bff={before['value']}"})
    assert (old.status_code, old.json()["reason"]) == (401, "session_ended")
    new = bff_dev.replay("GET", "/api/tasks", headers={"cookie": f"bff={after['value']}"})
    assert new.status_code == 200


@pytest.mark.rule("L-07")
def test_two_tabs_that_sign_in_at_once_both_finish(page: Page, context: BrowserContext) -> None:
    second = context.new_page()
    for tab in (page, second):
        tab.goto("/")
        tab.get_by_test_id("sign-in").click()
        expect(tab.get_by_role("button", name="Ada Lovelace")).to_be_visible()
    for tab in (page, second):
        choose(tab)
        expect(tab.get_by_test_id("signed-in")).to_be_visible()


@pytest.mark.rule("L-07")
def test_of_ten_tabs_at_once_five_finish_and_the_others_find_themselves_signed_in(
    page: Page, context: BrowserContext
) -> None:
    tabs = [page, *(context.new_page() for _ in range(9))]
    for tab in tabs:
        tab.goto("/bff/login")
        expect(tab.get_by_role("button", name="Ada Lovelace")).to_be_visible()
    finished = 0
    for tab in reversed(tabs):  # the oldest attempts are those that were given up
        tab.get_by_role("button", name="Ada Lovelace").click()
        allow = tab.get_by_role("button", name="Allow")
        there = tab.get_by_test_id("signed-in")
        late = tab.get_by_text("No sign-in was under way in this browser")
        expect(allow.or_(there).or_(late)).to_be_visible()
        if allow.is_visible():
            allow.click()
            expect(there.or_(late)).to_be_visible()
        if there.is_visible():
            finished += 1
        else:
            tab.get_by_role("link", name="To the application").click()
            expect(there).to_be_visible()
    assert finished == 5


@pytest.mark.rule("C-07")
def test_a_cancelled_sign_in_says_so_and_offers_the_way_back(
    page: Page, context: BrowserContext
) -> None:
    page.goto("/")
    page.get_by_test_id("sign-in").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("cancelled")).to_be_visible()
    assert session_cookie(context) is None


def test_an_address_too_long_to_come_back_to_is_left_for_its_path(page: Page) -> None:
    page.goto("/orders#" + "x" * 2048)
    page.get_by_test_id("sign-in").click()
    choose(page)
    expect(page.get_by_test_id("signed-in")).to_be_visible()
    assert page.evaluate("location.pathname + location.hash") == "/orders"


@pytest.mark.parametrize(
    ("text", "direction"),
    [("Read on", "ltr"), ("\u05e7\u05e8\u05d0", "rtl")],
    ids=["left", "right"],
)
def test_a_task_is_read_in_the_direction_of_its_words(
    page: Page, text: str, direction: str
) -> None:
    sign_in(page)
    title = page.get_by_test_id("task-title")
    title.fill(text)
    expect(title).to_have_css("direction", direction)
    page.get_by_test_id("task-add").click()
    row = page.get_by_test_id("tasks").get_by_role("listitem").filter(has_text=text)
    expect(row.get_by_text(text)).to_have_css("direction", direction)
    row.get_by_role("button").click()
    expect(row).to_have_count(0)


def test_signing_in_needs_no_mouse(page: Page) -> None:
    page.goto("/")
    expect(page.get_by_test_id("signed-out")).to_be_visible()
    press_on(page, "Sign in")
    page.wait_for_url("http://127.0.0.1:*/**")
    press_on(page, "Ada Lovelace")
    expect(page.get_by_role("button", name="Allow")).to_be_visible()
    press_on(page, "Allow")
    expect(page.get_by_test_id("signed-in")).to_be_visible()
    while page.evaluate("document.activeElement.dataset.testid") != "task-title":
        page.keyboard.press("Tab")
    page.keyboard.type("Written without a mouse")
    page.keyboard.press("Enter")
    tasks = page.get_by_test_id("tasks").get_by_role("listitem")
    expect(tasks.filter(has_text="Written without a mouse")).to_have_count(1)
    press_on(page, "Sign out")
    expect(page.get_by_test_id("signed-out")).to_be_visible()


FOCUSED = """() => {
  const there = document.activeElement;
  return [there.matches('a, button') ? there.innerText : '', getComputedStyle(there).outlineStyle];
}"""


def press_on(page: Page, label: str) -> None:
    """Tab to what is labelled so, see where one is, and press Enter."""
    for _ in range(30):
        page.keyboard.press("Tab")
        text, ring = page.evaluate(FOCUSED)
        if label in text:
            assert ring != "none", f"nobody sees that the focus is on {label}"
            page.keyboard.press("Enter")
            return
    raise AssertionError(f"Tab does not reach {label}")


def test_nothing_of_the_person_comes_back_after_signing_out(page: Page) -> None:
    sign_in(page)
    page.get_by_test_id("sign-out").click()
    expect(page.get_by_test_id("signed-out")).to_be_visible()
    page.go_back()
    expect(page.get_by_test_id("signed-out")).to_be_visible()
    expect(page.get_by_test_id("name")).to_be_empty()
    assert "Ada" not in page.content()


@pytest.mark.rule("T-01")
@pytest.mark.rule("S-04")
@pytest.mark.rule("O-08")
def test_no_token_ever_reaches_the_browser(
    page: Page, context: BrowserContext, bff_dev: Demo, tap: Tap
) -> None:
    """Every octet that the BFF has sent, searched for every secret that the provider knows."""
    bff_dev.control("switches", {"access_token_seconds": 4})
    sign_in(page)
    cookie = session_cookie(context)
    assert cookie is not None
    expect(page.get_by_test_id("renewals")).to_have_text(re.compile(r"^[1-9]$"))
    page.get_by_test_id("task-title").fill("Look in every answer")
    page.get_by_test_id("task-add").click()
    expect(page.get_by_text("Look in every answer", exact=True)).to_be_visible()
    page.get_by_test_id("sign-out").click()
    expect(page.get_by_test_id("signed-out")).to_be_visible()

    _, session_id, signature = cookie["value"].split(".")
    secrets = {**bff_dev.secrets(), "session_ids": [session_id, signature]}
    assert all(secrets[kind] for kind in ("access_tokens", "refresh_tokens", "id_tokens", "codes"))
    search = Search(secrets)
    assert search.leaks(exchange.record for exchange in tap.exchanges) == []
    assert search.exempted == EXCEPTIONS.keys() | PROTOCOL.keys()
    assert len(tap.exchanges) > 15
