"""Another person signs in where one was: neither the page nor what it would send is theirs.

People are told apart by what the BFF calls them, and not by what a page may see of them.
"""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.demo import Demo
from tests.browser.person import choose, sign_in
from tests.browser.tap import Tap
from tests.browser.test_lost_work import TEXT, posts
from tests.browser.test_tabs import end_from_elsewhere

Said = dict[str, Any]
LISTEN = """async () => {
  const { onEnded } = await import('/bff-client.js');
  window.endings = [];
  onEnded((reason) => window.endings.push(reason));
}"""
POST = """async (title) => {
  const { api } = await import('/bff-client.js');
  window.refused = await api('/api/tasks', { method: 'POST', json: { title } }).catch((no) => no);
  return window.refused.reason;
}"""
DELETE = """async (title) => {
  const { api } = await import('/bff-client.js');
  const { tasks } = await (await api('/api/tasks')).json();
  for (const task of tasks.filter((each) => each.title === title)) {
    await api(`/api/tasks/${task.id}`, { method: 'DELETE' });
  }
}"""
REPEAT = "refused.repeat().then(({ status }) => status, ({ reason }) => reason)"


def doctored(context: BrowserContext, change: Callable[[Said], Said]) -> None:
    """What the BFF says of whoever is signed in, as another configuration would have it."""

    def answer(route: Route) -> None:
        response = route.fetch()
        said = response.json()
        route.fulfill(response=response, json=change(said) if said["authenticated"] else said)

    context.route("**/bff/session", answer)


def come(context: BrowserContext, name: str) -> Page:
    """In another tab, by a login of their own."""
    page = context.new_page()
    page.goto("/bff/login?return_to=%2F&prompt=login")
    choose(page, name)
    expect(page.get_by_test_id("signed-in")).to_be_visible()
    return page


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda said: said, id="another name"),
        pytest.param(lambda said: {**said, "claims": {"name": "A. L."}}, id="the same name"),
        pytest.param(lambda said: {**said, "claims": {}}, id="no names"),
        pytest.param(lambda said: {**said, "person": None}, id="a BFF that tells only claims"),
    ],
)
def test_the_page_of_one_forgets_them_and_hears_that_theirs_is_over(
    page: Page, context: BrowserContext, change: Callable[[Said], Said]
) -> None:
    doctored(context, change)
    page.goto("/")
    page.get_by_test_id("sign-in").click()
    choose(page)
    expect(page.get_by_test_id("signed-in")).to_be_visible()  # or the next step would cut it off
    page.goto("/#/live")
    page.evaluate(LISTEN)
    page.get_by_test_id("task-title").evaluate("(field, text) => { field.value = text }", TEXT)
    page.get_by_test_id("chat-words").fill(TEXT)
    come(context, "Grace Hopper")
    expect(page.get_by_test_id("chat-words")).to_have_value("")
    expect(page.get_by_test_id("task-title")).to_have_value("")
    assert page.evaluate("endings") == ["session_ended"]


def test_the_same_person_stays_whatever_is_shown_of_them(
    page: Page, context: BrowserContext
) -> None:
    names = iter(("Ada Lovelace", *["Countess Lovelace"] * 9))
    sign_in(page)
    page.evaluate(LISTEN)
    page.get_by_test_id("task-title").fill(TEXT)
    doctored(context, lambda said: {**said, "claims": {"name": next(names)}})
    for _ in range(2):
        page.evaluate("import('/bff-client.js').then(({ session }) => session.refresh())")
    expect(page.get_by_test_id("name")).to_have_text("Countess Lovelace")
    expect(page.get_by_test_id("task-title")).to_have_value(TEXT)
    assert page.evaluate("endings") == []


def is_refused_after_the_end(page: Page, context: BrowserContext, bff_dev: Demo) -> None:
    """A call of Ada's, made when her page already knew that her session was over."""
    sign_in(page)
    end_from_elsewhere(context, bff_dev)
    expect(page.get_by_test_id("signed-out")).to_be_visible()
    assert page.evaluate(POST, TEXT) == "session_ended"


def test_a_call_of_one_whose_end_was_known_is_not_made_again_for_another(
    page: Page, context: BrowserContext, bff_dev: Demo, tap: Tap
) -> None:
    is_refused_after_the_end(page, context, bff_dev)
    come(context, "Grace Hopper")
    expect(page.get_by_test_id("name")).to_have_text("Grace Hopper")
    assert page.evaluate(REPEAT) == "somebody_else"
    assert posts(tap) == [401]


def test_it_is_made_again_for_the_same_person(
    page: Page, context: BrowserContext, bff_dev: Demo, tap: Tap
) -> None:
    is_refused_after_the_end(page, context, bff_dev)
    come(context, "Ada Lovelace")
    expect(page.get_by_test_id("signed-in")).to_be_visible()
    assert page.evaluate(REPEAT) == 201
    assert posts(tap) == [401, 201]
    page.evaluate(DELETE, TEXT)  # for whoever comes next


def test_words_of_whoever_signs_out_do_not_stay(page: Page) -> None:
    sign_in(page)
    page.goto("/#/live")
    page.get_by_test_id("chat-words").fill(TEXT)
    page.route("**/bff/logout/provider", lambda route: route.fulfill(status=204))  # it stays
    page.get_by_test_id("sign-out").click()
    expect(page.get_by_test_id("message")).to_contain_text("Signing out")
    expect(page.get_by_test_id("chat-words")).to_have_value("")
