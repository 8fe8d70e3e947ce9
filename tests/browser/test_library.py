"""The client library on a page without the example application, for what that one never does."""

from playwright.sync_api import BrowserContext, Page, Route

from tests.browser.demo import Demo
from tests.browser.person import sign_in
from tests.browser.tap import Tap
from tests.browser.test_lost_work import TEXT, posts
from tests.browser.test_somebody_else import DELETE, POST
from tests.browser.test_tabs import end_from_elsewhere

SESSION = "/bff/session"
IMPORT = """async () => {
  window.library = await import('/bff-client.js');
  window.answers = [];
}"""
AGAIN = """() => {
  library.signIn({ loginUrl: refused.login_url })
    .then(() => refused.repeat())
    .then((answer) => answer.json())
    .then(({ title }) => answers.push(title));
}"""
THROWS = """() => {
  window.thrown = [];
  addEventListener('error', (event) => {
    window.thrown.push(event.message);
    event.preventDefault();
  });
  const { onEnded, session } = library;
  for (const hear of [(told) => onEnded(told), (told) => session.subscribe(told)]) {
    hear(() => { throw new Error('mine'); });
    hear(() => answers.push(session.get().authenticated));
  }
}"""
AWAY = '{"type": "tag:bff,2026:store_unavailable", "title": "away", "status": 503}'


def bare(page: Page) -> Page:
    """Somebody is signed in, and nothing of the library has been called."""
    sign_in(page)
    page.goto("/signed-in.js")
    page.evaluate(IMPORT)
    return page


def test_two_who_waited_for_one_sign_in_make_the_call_once_and_both_read_its_answer(
    page: Page, context: BrowserContext, bff_dev: Demo, tap: Tap
) -> None:
    bare(page)
    end_from_elsewhere(context, bff_dev)
    bff_dev.control("sign-out", {})
    assert page.evaluate(POST, TEXT) == "session_ended"
    with context.expect_page() as opened:
        page.evaluate(AGAIN)
    opened.value.close()  # and nobody can tell the page
    with context.expect_page() as opened:
        page.evaluate(AGAIN)
    with opened.value.expect_event("close"):
        opened.value.get_by_role("button", name="Ada Lovelace").click()
    page.wait_for_function("answers.length === 2")
    assert page.evaluate("answers") == [TEXT, TEXT]
    assert posts(tap) == [401, 201]
    page.evaluate(DELETE, TEXT)  # for whoever comes next


def test_a_step_up_is_known_also_where_the_first_question_met_a_store_that_was_away(
    page: Page, context: BrowserContext
) -> None:
    asked: list[str] = []

    def first_away(route: Route) -> None:
        asked.append(route.request.method)
        if len(asked) == 1:
            route.fulfill(status=503, content_type="application/problem+json", body=AWAY)
        else:
            route.continue_()

    bare(page)
    page.evaluate("void library.session.subscribe(() => answers.push('told'))")
    page.wait_for_function("answers.length")
    page.route(f"**{SESSION}", first_away)
    with context.expect_page() as opened:
        page.evaluate("library.signIn({ maxAge: 0 }).then(() => { window.woken = true; }), 0")
    with opened.value.expect_event("close"):
        opened.value.get_by_role("button", name="Ada Lovelace").click()
    page.wait_for_function("window.woken")
    assert len(asked) > 1


def test_a_listener_that_throws_keeps_nobody_from_hearing_and_nothing_is_asked_again(
    page: Page, tap: Tap
) -> None:
    page.clock.install()
    bare(page)
    page.evaluate(THROWS)
    page.wait_for_function("answers.length")
    before = len(tap.to(SESSION))
    page.clock.fast_forward(60_000)
    page.evaluate("library.session.refresh()")
    assert len(tap.to(SESSION)) == before + 1
    page.route("**/bff/logout/provider", lambda route: route.fulfill(status=204))
    page.evaluate("library.logout()")
    assert page.evaluate("answers")[-3:] == [True, False, False]
    assert page.evaluate("thrown.length") == page.evaluate("answers.length")


def test_a_question_of_before_the_first_subscription_is_answered(page: Page) -> None:
    held: list[Route] = []
    bare(page)
    page.route(f"**{SESSION}", lambda route: held.append(route))
    page.evaluate("window.asked = library.session.refresh(), 0")
    page.evaluate("void library.session.subscribe(() => {})")
    for _ in range(100):
        page.evaluate("new Promise((done) => { setTimeout(done); })")
    assert len(held) == 2
    held[0].continue_()
    assert page.evaluate("asked.then(({ authenticated }) => authenticated)") is True
    held[1].continue_()
