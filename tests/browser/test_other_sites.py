"""What pages of other sites can do to a signed-in visitor, and our own page by mistake: nothing.

The provider's site plays the other site: it is one for the browser.
"""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.demo import Demo
from tests.browser.person import choose, session_cookie, sign_in
from tests.browser.tap import Exchange, Tap


@pytest.fixture
def evil(page: Page, context: BrowserContext, bff_dev: Demo) -> Page:
    """A page of another site in the browser of somebody who is signed in."""
    sign_in(page)
    other = context.new_page()
    other.goto(f"{bff_dev.provider}/.well-known/openid-configuration")
    return other


def still_signed_in(page: Page) -> None:
    page.reload()
    expect(page.get_by_test_id("signed-in")).to_be_visible()


def fetched(page: Page, url: str, init: str = "{}") -> str:
    """What a script sees of its own call: a status, or that it was stopped."""
    seen: str = page.evaluate(
        f"fetch({url!r}, {init}).then(r => r.type + ' ' + r.status, e => e.name)"
    )
    return seen


@pytest.mark.rule("X-04")
@pytest.mark.rule("X-08")
@pytest.mark.parametrize(
    ("method", "path", "init"),
    [
        pytest.param(
            "POST",
            "/bff/logout",
            "{method: 'POST', mode: 'no-cors', credentials: 'include'}",
            id="a simple POST to sign out",
        ),
        pytest.param(
            "OPTIONS",
            "/bff/logout",
            "{method: 'POST', credentials: 'include', headers: {'X-CSRF': '1'}}",
            id="a POST with our header asks first and is told no",
        ),
        pytest.param(
            "GET",
            "/api/tasks",
            "{mode: 'no-cors', credentials: 'include'}",
            id="reading the API",
        ),
        pytest.param(
            "POST",
            "/api/tasks",
            "{method: 'POST', mode: 'no-cors', credentials: 'include', body: '{}'}",
            id="a simple POST to the API",
        ),
        pytest.param(
            "GET",
            "/bff/session",
            "{credentials: 'include'}",
            id="asking who is signed in",
        ),
    ],
)
def test_a_script_of_another_site_is_refused(
    evil: Page, page: Page, bff_dev: Demo, tap: Tap, method: str, path: str, init: str
) -> None:
    before = len(tap.exchanges)
    assert fetched(evil, f"{bff_dev.origin}{path}", init) == "TypeError"
    refused = tap.wait_for(
        lambda each: (each.method, each.path, site(each)) == (method, path, "cross-site"),
        after=before,
    )
    assert refused.status == 403
    assert not carries_session(refused)
    assert refused.set_cookies == []
    assert not any(name.startswith("access-control-") for name, _ in refused.answer)
    still_signed_in(page)


def site(exchange: Exchange) -> str:
    return exchange.headers.get("sec-fetch-site", "")


def carries_session(exchange: Exchange) -> bool:
    return any(pair.startswith("bff=") for pair in exchange.headers.get("cookie", "").split("; "))


POST_A_FORM = """action => {
  const form = document.createElement('form');
  form.method = 'post';
  form.action = action;
  document.body.append(form);
  form.submit();
}"""


@pytest.mark.rule("X-09")
@pytest.mark.parametrize("path", ["/bff/logout", "/api/tasks"])
def test_a_form_of_another_site_is_refused(
    evil: Page, page: Page, bff_dev: Demo, tap: Tap, path: str
) -> None:
    before = len(tap.exchanges)
    evil.evaluate(POST_A_FORM, f"{bff_dev.origin}{path}")
    refused = tap.wait_for(lambda each: (each.method, each.path) == ("POST", path), after=before)
    assert (refused.status, site(refused)) == (403, "cross-site")
    assert refused.set_cookies == []
    still_signed_in(page)


@pytest.mark.rule("X-09")
@pytest.mark.rule("O-06")
@pytest.mark.parametrize(
    ("referrer", "origin"),
    [
        pytest.param("same-origin", "ours", id="with our Origin"),
        pytest.param("no-referrer", "null", id="with Origin: null, from a page without referrer"),
    ],
)
def test_our_own_form_signs_out(
    page: Page, context: BrowserContext, bff_dev: Demo, tap: Tap, referrer: str, origin: str
) -> None:
    sign_in(page)
    page.evaluate(
        "policy => document.head.insertAdjacentHTML('beforeend',"
        " `<meta name=referrer content=${policy}>`)",
        referrer,
    )
    page.evaluate(POST_A_FORM, "/bff/logout")
    expect(page.get_by_test_id("signed-out")).to_be_visible()
    (posted,) = tap.to("/bff/logout")
    assert posted.headers["origin"] == (bff_dev.origin if origin == "ours" else "null")
    assert (posted.status, "x-csrf" in posted.headers) == (200, False)
    assert tap.to("/bff/logout/provider")[0].status == 303
    assert session_cookie(context) is None


@pytest.mark.rule("L-11")
@pytest.mark.rule("F-12")
def test_a_link_of_another_site_to_sign_in_asks_for_a_click(
    page: Page, context: BrowserContext, bff_dev: Demo, tap: Tap
) -> None:
    page.goto(f"{bff_dev.provider}/.well-known/openid-configuration")
    page.evaluate("url => location.assign(url)", f"{bff_dev.origin}/bff/login?return_to=%2F")
    expect(page.get_by_role("link", name="Continue")).to_be_visible()
    (asked,) = tap.to("/bff/login")
    assert (asked.status, asked.set_cookies) == (200, [])
    page.get_by_role("link", name="Continue").click()
    choose(page)
    expect(page.get_by_test_id("signed-in")).to_be_visible()
    assert session_cookie(context) is not None


def test_a_link_of_another_site_to_the_app_finds_the_person_signed_in(
    evil: Page, bff_dev: Demo, tap: Tap
) -> None:
    before = len(tap.exchanges)
    evil.evaluate("url => location.assign(url)", f"{bff_dev.origin}/")
    expect(evil.get_by_test_id("signed-in")).to_be_visible()
    first = tap.exchanges[before:]
    document = next(each for each in first if site(each) == "cross-site")
    assert (document.path, carries_session(document)) == ("/", False)


@pytest.mark.rule("L-10")
def test_signing_in_by_fetch_is_refused(page: Page, tap: Tap) -> None:
    page.goto("/")
    assert fetched(page, "/bff/login?return_to=/") == "basic 403"
    (asked,) = tap.to("/bff/login")
    assert asked.set_cookies == []


@pytest.mark.rule("L-10")
def test_signing_in_in_a_frame_is_refused(page: Page, tap: Tap) -> None:
    page.goto("/")
    page.evaluate(
        "() => { const frame = document.createElement('iframe');"
        " frame.src = '/bff/login'; document.body.append(frame); }"
    )
    asked = tap.wait_for(lambda each: each.path == "/bff/login")
    assert (asked.status, asked.headers["sec-fetch-dest"]) == (403, "iframe")
    assert asked.set_cookies == []


@pytest.fixture
def lax_page(chromium: Chromium, bff_dev: Demo, tap: Tap) -> Iterator[Page]:
    """Our page without its Content-Security-Policy, which forbids inline speculation rules."""
    with chromium.new_context(base_url=bff_dev.origin, bypass_csp=True) as context:
        page = context.new_page()
        page.goto("/")
        yield page


@pytest.mark.rule("L-10")
@pytest.mark.parametrize(
    "markup",
    [
        pytest.param('<link rel="prefetch" href="/bff/login">', id="a link to prefetch"),
        pytest.param(
            '<script type="speculationrules">'
            '{"prefetch": [{"urls": ["/bff/login"], "eagerness": "immediate"}]}</script>',
            id="speculation rules to prefetch",
        ),
        pytest.param(
            '<script type="speculationrules">'
            '{"prerender": [{"urls": ["/bff/login"], "eagerness": "immediate"}]}</script>',
            id="speculation rules to prerender",
        ),
    ],
)
def test_signing_in_ahead_of_a_click_is_refused(lax_page: Page, tap: Tap, markup: str) -> None:
    lax_page.evaluate(
        "markup => document.head.append(document.createRange().createContextualFragment(markup))",
        markup,
    )
    asked = tap.wait_for(lambda each: each.path == "/bff/login")
    assert asked.headers["sec-purpose"].startswith("prefetch")
    assert (asked.status, asked.set_cookies) == (403, [])
    assert lax_page.context.cookies() == []
