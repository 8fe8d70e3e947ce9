"""GET /bff/frontchannel-logout: off, and what a frame of the provider's page does (B-11)."""

import re
from collections.abc import Iterator
from html import unescape

import httpx
import pytest

from bff.simulator import Client, Person, Plan, running
from tests.conftest import Sites
from tests.parts.answers import reason
from tests.parts.browser import Browser, browsing
from tests.parts.config import SECRET, config
from tests.parts.control import Control
from tests.parts.logout_token import ended, sid_of
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site, bind, serving
from tests.parts.steps import overhearing
from tests.wire.test_outage import hung

ON = "[logout]\nfront_channel = true"
URL = "/bff/frontchannel-logout"

pytestmark = [pytest.mark.usefixtures("provider"), pytest.mark.rule("B-11")]


def frame(site: Site, **query: object) -> httpx.Response:
    """What a frame of another site sends: no cookie of ours comes along."""
    sent: dict[str, object] = dict(query.pop("headers", {}))  # type: ignore[call-overload]
    with browsing(site) as caller:
        path = f"{URL}?{httpx.QueryParams(query)}"  # type: ignore[arg-type]
        return caller.request(
            "GET",
            path,
            site="cross-site",
            mode="navigate",
            dest="iframe",
            headers=sent,  # type: ignore[arg-type]
        )


@pytest.fixture
def ada(sites: Sites) -> Iterator[Browser]:
    with browsing(sites(more=ON)) as browser:
        browser.sign_in()
        yield browser


def test_it_is_off_by_default(browser: Browser, provider: Control) -> None:
    browser.sign_in()
    answer = frame(browser.site, iss=provider.simulator.issuer, sid=sid_of(provider))
    assert (answer.status_code, reason(answer)) == (404, "no_route")
    assert not ended(browser)


@pytest.mark.rule("X-10")
def test_the_session_is_found_by_its_sid_and_without_a_cookie(
    store: str, sites: Sites, provider: Control
) -> None:
    site = sites(store=store, more=ON)
    with browsing(site) as ada, browsing(site) as grace:
        ada.sign_in()
        sid = sid_of(provider)
        grace.sign_in("grace")
        answer = frame(site, iss=provider.simulator.issuer, sid=sid, more="x")
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert "set-cookie" not in answer.headers
        assert "<script" not in answer.text
        policy = answer.headers["content-security-policy"].split("; ")
        assert f"frame-ancestors {provider.simulator.issuer}" in policy
        assert "default-src 'none'" in policy
        assert "x-frame-options" not in answer.headers
        assert (ended(ada), ended(grace)) == (True, False)
        site.settle()
        assert provider.count("revoke") == 0


def test_the_answer_does_not_tell_whether_there_was_one(ada: Browser, provider: Control) -> None:
    issuer, sid = provider.simulator.issuer, sid_of(provider)
    answers = [frame(ada.site, iss=issuer, sid="nobody's")]
    with overhearing(ada.site) as asked:
        answers += [
            frame(ada.site, iss=issuer + "/", sid=sid),
            frame(ada.site, iss="https://evil.example", sid=sid),
        ]
        assert asked == []
    assert not ended(ada)
    answers.append(frame(ada.site, iss=issuer, sid=sid))
    seen = {(each.status_code, each.content, each.headers.get("vary")) for each in answers}
    assert len(seen) == 1
    assert ended(ada)


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"iss": "ISS"},
        {"sid": "SID"},
        {"iss": "ISS", "sid": ""},
        {"iss": "ISS", "sid": ["SID", "SID"]},
        {"iss": ["ISS", "ISS"], "sid": "SID"},
        {"iss": "ISS", "sid": "SID", **dict.fromkeys(map(str, range(200)), "SID")},
    ],
    ids=["none", "iss", "sid", "empty", "sid twice", "iss twice", "many"],
)
def test_issuer_and_sid_must_be_there_once(
    ada: Browser, provider: Control, query: dict[str, object]
) -> None:
    known = {"ISS": provider.simulator.issuer, "SID": sid_of(provider)}
    filled = {
        name: [known[each] for each in value] if isinstance(value, list) else known.get(str(value))
        for name, value in query.items()
    }
    answer = frame(ada.site, **{name: value or "" for name, value in filled.items()})
    assert (answer.status_code, reason(answer)) == (400, "bad_request")
    assert not ended(ada)


def test_a_prefetch_signs_nobody_out(ada: Browser, provider: Control) -> None:
    named = {"iss": provider.simulator.issuer, "sid": sid_of(provider)}
    answer = frame(ada.site, **named, headers={"sec-purpose": "prefetch"})
    assert (answer.status_code, reason(answer)) == (403, "forbidden")
    assert not ended(ada)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD"])
def test_nothing_but_a_frame_is_served(ada: Browser, provider: Control, method: str) -> None:
    query = httpx.QueryParams({"iss": provider.simulator.issuer, "sid": sid_of(provider)})
    assert ada.fetch(method, f"{URL}?{query}").status_code == 405
    assert not ended(ada)


def test_store_down_claims_nothing(sites: Sites, provider: Control, redis: RedisProcess) -> None:
    site = sites(store="redis", session='store_deadline = "400ms"', more=ON)
    with browsing(site) as browser:
        browser.sign_in()
        with hung(redis):
            answer = frame(site, iss=provider.simulator.issuer, sid=sid_of(provider))
            assert (answer.status_code, reason(answer)) == (503, "store_unavailable")


def test_a_frame_that_matches_nobody_writes_nothing(sites: Sites, redis: RedisProcess) -> None:
    site = sites(store="redis", session='prefix = "frames"', more=ON)
    issuer = site.application.config.frontends[0].provider.issuer
    assert frame(site, iss=issuer, sid="nobody's").status_code == 200
    with redis.client() as keys:
        assert list(keys.scan_iter("frames*")) == []


def test_the_providers_page_shows_the_frame_and_goes_on() -> None:
    listening = bind()
    origin = f"http://localhost:{listening.getsockname()[1]}"
    application = Client(
        client_id="spa",
        client_secret=SECRET,
        redirect_uris=(f"{origin}/bff/callback",),
        post_logout_redirect_uris=(f"{origin}/",),
        frontchannel_logout_uri=f"{origin}{URL}",
    )
    with running(Plan(clients=(application,))) as simulator:
        wanted = config(issuer=simulator.issuer, api=simulator.api, origin=origin, more=ON)
        with serving(wanted, listening) as site, browsing(site) as browser, Person() as person:
            browser.callback(person.visit(browser.to_provider()))
            with browsing(site) as another_browser:  # signed in by the same provider session
                another_browser.callback(person.visit(another_browser.to_provider()))
                browser.fetch("POST", "/bff/logout")
                away = browser.navigate("/bff/logout/provider", site="same-origin")
                page = person.http.get(away.headers["location"])
                (source,) = re.findall(r'<iframe src="([^"]+)"', page.text)
                assert f"frame-src {origin};" in page.headers["content-security-policy"]
                assert f"url={origin}/?state=" in page.text
                assert not ended(another_browser)
                shown = another_browser.http.get(unescape(source))
                assert shown.status_code == 200
                assert ended(another_browser)


@pytest.mark.rule("B-12")
def test_no_page_of_ours_embeds_a_frame(sites: Sites, provider: Control) -> None:
    site = sites(more=ON)
    with browsing(site) as browser, Person() as person:
        login = browser.navigate("/bff/login", site="cross-site")
        landing = browser.callback(person.visit(browser.to_provider()))
        refused = browser.callback("https://app.example.com/bff/callback?code=x&state=y")
        silent = browser.callback(person.visit(browser.to_provider(prompt="none")))
        form = browser.request(
            "POST",
            "/bff/logout",
            mode="navigate",
            dest="document",
            headers={"origin": site.origin},
        )
        framed = frame(site, iss=provider.simulator.issuer, sid="nobody's")
    for page in (login, landing, refused, silent, form, framed):
        assert page.headers["content-type"].startswith("text/html")
        assert not re.search(r"<(i?frame|object|embed)", page.text)
        directives = page.headers["content-security-policy"].split("; ")
        assert "default-src 'none'" in directives
        assert not [each for each in directives if each.startswith(("frame-src", "child-src"))]
