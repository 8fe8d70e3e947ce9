"""What a person sees while the store is away or too much is going on, and after it."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import Page, Request, Response, expect

from tests.browser.own_site import own_site
from tests.browser.person import session_cookie, sign_in
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site

EVENTS = "/bff/events"
LISTEN = """() => new Promise((open) => {
  window.stream = new EventSource('/bff/events');
  window.stream.addEventListener('session', () => open(true));
})"""


@pytest.fixture(scope="module")
def site(redis_server: RedisProcess) -> Iterator[Site]:
    one = "[limits]\nstreams_per_session = 1"
    with own_site(store=redis_server.url, session='store_deadline = "300ms"', more=one) as found:
        yield found


@pytest.fixture
def page(chromium: Chromium, site: Site, redis: RedisProcess) -> Iterator[Page]:
    with chromium.new_context(base_url=site.origin) as context:
        context.set_default_timeout(20_000)
        found = context.new_page()
        sign_in(found)
        yield found
    redis.resume()


@pytest.mark.rule("S-07")
def test_a_page_that_cannot_know_says_so_and_finds_out_by_itself(
    page: Page, redis: RedisProcess
) -> None:
    redis.hang()
    page.reload()
    expect(page.get_by_test_id("message")).to_contain_text("cannot look up your session just now")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    expect(page.get_by_test_id("signed-out")).to_be_hidden()
    redis.resume()
    expect(page.get_by_test_id("signed-in")).to_be_visible()


@pytest.mark.rule("S-07")
def test_a_sign_out_that_failed_is_said_to_have_failed(page: Page, redis: RedisProcess) -> None:
    redis.hang()
    page.get_by_test_id("sign-out").click()
    said = page.get_by_test_id("message")
    expect(said).to_contain_text("Signing out failed: you are still signed in.")
    expect(page.get_by_test_id("signed-in")).to_be_visible()
    assert session_cookie(page.context) is not None


@pytest.mark.rule("W-08")
def test_a_stream_that_was_refused_is_opened_after_a_question(page: Page) -> None:
    """The browser itself would stay away for good after a refusal."""
    other = page.context.new_page()
    page.goto("about:blank")  # gives back its stream
    other.goto("/signed-in.js")
    assert other.evaluate(LISTEN)
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/bff/" in request.url:
            asked.append(request.url.partition("/bff")[2])

    def refused(response: Response) -> bool:
        return response.url.endswith(EVENTS) and response.status == 503

    page.on("request", note)
    with page.expect_response(refused):
        page.goto("/")
    other.evaluate("window.stream.close()")
    with page.expect_response(lambda each: each.url.endswith(EVENTS) and each.status == 200):
        pass
    assert asked[:4] == ["/session", "/events", "/session", "/events"]
