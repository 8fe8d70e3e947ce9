"""Signing out with providers that do it differently, and the page they come back to (rows O)."""

from pathlib import Path

import httpx
import pytest

from bff.simulator import Account, Client, Person, Plan, running
from bff.simulator.person import Stuck
from tests.conftest import SECURE, Sites
from tests.parts.answers import query
from tests.parts.browser import Browser, browsing
from tests.parts.config import SECRET, config
from tests.parts.control import Control
from tests.parts.logout_token import ended
from tests.parts.site import serving

pytestmark = pytest.mark.usefixtures("provider")


def to_provider(browser: Browser) -> str:
    """Sign out; the URL at the provider."""
    next_url = browser.fetch("POST", "/bff/logout").json()["logout_url"]
    answer = browser.navigate(next_url, site="same-origin")
    assert answer.status_code == 303
    return str(answer.headers["location"])


def post_form(browser: Browser) -> httpx.Response:
    return browser.request(
        "POST",
        "/bff/logout",
        mode="navigate",
        dest="document",
        headers={"origin": browser.site.origin},
    )


@pytest.mark.rule("O-07")
@pytest.mark.parametrize(
    ("habits", "returns"),
    [
        pytest.param({}, True, id="it returns"),
        pytest.param({"end_session_returns": "with_client_id"}, True, id="only with client_id"),
        pytest.param({"end_session_returns": "with_state"}, True, id="only with state"),
        pytest.param({"end_session_asks": True}, True, id="a page of its own in between"),
        pytest.param({"end_session_revokes": True}, True, id="refresh tokens die there too"),
        pytest.param({"end_session_returns": "never"}, False, id="it forgets the way back"),
    ],
)
def test_whatever_the_provider_does_both_sessions_are_over(
    sites: Sites, provider: Control, habits: dict[str, object], returns: bool
) -> None:
    provider.switch(**habits)
    with browsing(sites()) as browser, Person() as person:
        browser.callback(person.visit(browser.to_provider()))
        url = to_provider(browser)
        assert [entry["outcome"] for entry in provider.entries("revoke", 1)] == ["ok"]
        if returns:
            back = httpx.URL(person.visit(url))
            assert str(back.copy_with(query=None)) == f"{SECURE}/"
            assert back.params["state"] == query(url)["state"]
        else:
            with pytest.raises(Stuck):
                person.visit(url)
        assert "login_required" in person.visit(browser.to_provider(prompt="none"))


@pytest.mark.rule("O-08")
def test_a_hint_that_is_too_long_is_left_out_and_the_provider_asks() -> None:
    groups = {"groups": [f"group number {number}" for number in range(200)]}
    ada = Account(
        sub="ada", name="Ada", given_name="A", family_name="L", email="a@example.com", claims=groups
    )
    application = Client(
        client_id="spa",
        client_secret=SECRET,
        redirect_uris=(f"{SECURE}/bff/callback",),
        post_logout_redirect_uris=(f"{SECURE}/",),
    )
    plan = Plan(clients=(application,), accounts=(ada,))
    with running(plan) as simulator:
        wanted = config(issuer=simulator.issuer, api=simulator.api)
        with serving(wanted) as site, browsing(site) as browser, Person() as person:
            browser.callback(person.visit(browser.to_provider()))
            assert not ended(browser)
            url = to_provider(browser)
            assert len(url) < 1000
            assert "id_token_hint" not in query(url)
            assert person.visit(url).startswith(f"{SECURE}/?state=")


@pytest.mark.rule("O-07")
@pytest.mark.parametrize("state", ["right", "foreign", "missing", "twice", "hostile"])
def test_the_page_after_return_survives_any_state(
    sites: Sites, provider: Control, tmp_path_factory: pytest.TempPathFactory, state: str
) -> None:
    """It is the application's own; nothing here believes or repeats what the provider sends."""
    folder: Path = tmp_path_factory.mktemp("spa")
    (folder / "index.html").write_text("<!doctype html><title>The application</title>")
    site = sites(routes=f'[[routes]]\npath = "/"\nstatic = "{folder}"')
    with browsing(site) as browser, Person() as person:
        browser.callback(person.visit(browser.to_provider()))
        url = to_provider(browser)
        right = httpx.URL(person.visit(url)).query.decode()
        sent = {
            "right": f"?{right}",
            "foreign": "?state=somebody-elses",
            "missing": "",
            "twice": f"?{right}&state=2",
            "hostile": "?state=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
        }[state]
        page = browser.navigate(f"/{sent}", site="cross-site")
        assert (page.status_code, page.headers.get("set-cookie")) == (200, None)
        assert page.content == (folder / "index.html").read_bytes()
        assert browser.fetch("GET", "/bff/session").json()["authenticated"] is False


@pytest.mark.rule("O-06")
@pytest.mark.rule("O-07")
@pytest.mark.rule("O-09")
def test_without_an_end_session_endpoint_a_form_gets_a_page_that_stays_here(
    sites: Sites, provider: Control
) -> None:
    provider.switch(discovery={"end_session_endpoint": None})
    with browsing(sites(more='[logout]\nreturn_to = "/goodbye"')) as browser:
        browser.sign_in()
        answer = post_form(browser)
        assert answer.status_code == 200
        assert 'content="0;url=/goodbye"' in answer.text
        assert browser.session_cookie is None
        assert browser.navigate("/bff/logout/provider").headers["location"] == "/goodbye"


@pytest.mark.rule("O-06")
def test_a_form_without_a_session_gets_the_same_page(sites: Sites, provider: Control) -> None:
    with browsing(sites()) as browser:
        answer = post_form(browser)
        assert (answer.status_code, 'content="0;url=/"' in answer.text) == (200, True)
        assert provider.count("revoke") == 0


@pytest.mark.rule("O-10")
def test_site_data_is_cleared_by_a_form_too(sites: Sites) -> None:
    with browsing(sites(more="[logout]\nclear_site_data = true")) as browser:
        browser.sign_in()
        assert post_form(browser).headers["clear-site-data"] == '"cache", "storage"'
        # Also where there was nothing to sign out of: what is stored may be there all the same.
        assert post_form(browser).headers["clear-site-data"] == '"cache", "storage"'
