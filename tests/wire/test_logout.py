"""POST /bff/logout and the way to the provider's end of session, over the wire (rows O)."""

import re
import secrets
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from bff.browser.logout import _end_session_url, ticket_key
from bff.config.load import ConfigFaults, parse
from bff.simulator import Person
from tests.conftest import LOOPBACK, SECURE, Sites, Told
from tests.parts.answers import cookie_lines, query, reason
from tests.parts.browser import Browser, Cookie, browsing
from tests.parts.config import config_text
from tests.parts.control import Control
from tests.parts.redis_process import RedisProcess
from tests.parts.revocations import wait_until_revoked

TICKET = "__Host-Http-bff-logout"
SESSION = "__Host-Http-bff"

pytestmark = pytest.mark.usefixtures("provider")


def sign_out(browser: Browser) -> httpx.Response:
    answer = browser.fetch("POST", "/bff/logout")
    assert answer.status_code == 200, answer.text
    return answer


def follow(browser: Browser, **more: object) -> httpx.Response:
    return browser.navigate("/bff/logout/provider", site="same-origin", **more)


@pytest.mark.rule("O-02")
@pytest.mark.rule("S-13")
@pytest.mark.parametrize("origin", [SECURE, LOOPBACK])
def test_signing_out_deletes_the_cookie_with_its_own_attributes(sites: Sites, origin: str) -> None:
    with browsing(sites(origin=origin)) as browser:
        browser.sign_in()
        answer = sign_out(browser)
        name = SESSION if origin == SECURE else "bff"
        (line,) = [line for line in cookie_lines(answer) if line.startswith(f"{name}=;")]
        secure = {"Secure"} if origin == SECURE else set()
        expected = {"Path=/", "HttpOnly", "SameSite=Strict", "Max-Age=0"} | secure
        assert set(line.partition("; ")[2].split("; ")) == expected
        assert answer.json() == {"logout_url": "/bff/logout/provider"}
        assert browser.session_cookie is None
        browser.sign_in()


@pytest.mark.rule("O-03")
def test_the_old_cookie_is_over_at_its_very_next_request(store: str, sites: Sites) -> None:
    with browsing(sites(store=store)) as browser:
        browser.sign_in()
        old = dict(browser.cookies)
        sign_out(browser)
        browser.cookies = old
        for method, path in (("GET", "/api/tasks"), ("POST", "/api/tasks")):
            answer = browser.fetch(method, path)
            assert (answer.status_code, reason(answer)) == (401, "session_ended")
            assert cookie_lines(answer) == []
        assert browser.fetch("GET", "/bff/session").json()["reason"] == "session_ended"


@pytest.mark.rule("O-02")
@pytest.mark.parametrize("endpoint", ["discovery", "revoke"])
@pytest.mark.parametrize("trouble", [{"hold": True}, {"status": 503}, {"drop": True}], ids=str)
def test_a_provider_that_is_down_hinders_nobody(
    sites: Sites, provider: Control, endpoint: str, trouble: dict[str, object], told: Told
) -> None:
    with browsing(sites(more=f"# {endpoint} {trouble}")) as browser:
        browser.sign_in()
        if endpoint == "discovery":
            # This process has to ask again, as one has that was started during the outage.
            front = browser.site.application.site.fronts["default"].front
            front.server.discovery._cached.forget()
        provider.fault(endpoint, **trouble)
        answer = sign_out(browser)
        if "hold" in trouble:  # it was not waited for: nobody has given it up yet
            assert not any(line["event"] == "provider_failed" for line in told())
        provider.do("clear")
        assert browser.session_cookie is None
        local = "/" if endpoint == "discovery" else "/bff/logout/provider"
        assert answer.json()["logout_url"] == local
        # The revocation is tried again, and no later test may see it.
        assert provider.entries("revoke", 1)
        wait_until_revoked(browser.site)


@pytest.mark.rule("O-04")
def test_the_refresh_token_is_revoked_by_an_authenticated_request(
    store: str, sites: Sites, provider: Control
) -> None:
    with browsing(sites(store=store)) as browser:
        browser.sign_in()
        sign_out(browser)
        (entry,) = provider.entries("revoke", 1)
        assert (entry["method"], entry["authenticated"], entry["outcome"]) == ("POST", True, "ok")


@pytest.mark.rule("O-04")
def test_the_access_token_too_if_so_configured(sites: Sites, provider: Control) -> None:
    with browsing(sites(more="[logout]\nrevoke_access_token = true")) as browser:
        browser.sign_in()
        sign_out(browser)
        assert len(provider.entries("revoke", 2)) == 2


@pytest.mark.rule("O-05")
@pytest.mark.parametrize(
    ("trouble", "tries"),
    [
        pytest.param({"status": 503, "retry_after": 0, "count": 1}, 2, id="503, then well"),
        pytest.param({"status": 400, "error": "unsupported_token_type"}, 1, id="unsupported"),
        pytest.param({"status": 200, "body": "not read"}, 1, id="200 whatever it says"),
    ],
)
def test_revocation_is_tried_again_only_where_that_can_help(
    sites: Sites, provider: Control, trouble: dict[str, object], tries: int
) -> None:
    with browsing(sites(more=f"# revocation {trouble}")) as browser:
        browser.sign_in()
        provider.fault("revoke", **trouble)
        sign_out(browser)
        assert len(provider.entries("revoke", tries)) == tries
        browser.site.settle()
        assert provider.count("revoke") == tries


@pytest.mark.rule("O-05")
def test_without_a_revocation_endpoint_nothing_is_tried(sites: Sites, provider: Control) -> None:
    provider.switch(discovery={"revocation_endpoint": None})
    with browsing(sites(more="# nowhere to revoke")) as browser:
        browser.sign_in()
        sign_out(browser)
        browser.site.settle()
        assert provider.count("revoke") == 0


@pytest.mark.rule("O-06")
def test_a_form_gets_a_page_that_goes_on_and_no_redirect(browser: Browser) -> None:
    browser.sign_in()
    answer = browser.request(
        "POST",
        "/bff/logout",
        mode="navigate",
        dest="document",
        headers={"origin": SECURE},
        data={"anything": "at all"},
    )
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert 'content="0;url=/bff/logout/provider"' in answer.text
    assert "<script" not in answer.text
    assert follow(browser).headers["location"].startswith("http://127.0.0.1:")


@pytest.mark.rule("O-06")
@pytest.mark.parametrize(
    "value", [None, "", "junk", "00000000x", "a.b.c"], ids=["none", "empty", "junk", "kid", "dots"]
)
def test_without_a_session_signing_out_succeeds_and_does_nothing_else(
    browser: Browser, provider: Control, value: str | None
) -> None:
    if value is not None:
        browser.cookies[SESSION] = Cookie(value, "Strict", "")
    answer = sign_out(browser)
    assert answer.json() == {"logout_url": "/"}
    assert TICKET not in browser.cookies
    assert provider.count("revoke") == 0


@pytest.mark.rule("O-06")
def test_signing_out_twice_is_the_same_as_once(browser: Browser, provider: Control) -> None:
    browser.sign_in()
    old = dict(browser.cookies)
    sign_out(browser)
    browser.cookies = old
    assert sign_out(browser).json() == {"logout_url": "/"}
    assert len(provider.entries("revoke", 1)) == 1


@pytest.mark.rule("O-07")
@pytest.mark.rule("O-08")
@pytest.mark.parametrize("origin", [SECURE, LOOPBACK])
def test_the_way_to_the_provider_carries_the_newest_id_token(
    sites: Sites, provider: Control, origin: str
) -> None:
    with browsing(sites(origin=origin)) as browser:
        provider.switch(access_token_seconds=0)
        browser.sign_in()
        provider.switch(access_token_seconds=300)
        assert browser.fetch("GET", "/api/tasks").status_code == 200  # refreshed
        answer = sign_out(browser)
        assert "eyJ" not in answer.text
        gone = follow(browser)
        assert gone.status_code == 303
        assert gone.headers["cache-control"] == "no-store"
        assert gone.headers["referrer-policy"] == "no-referrer"
        url = gone.headers["location"]
        assert url.startswith(f"{provider.simulator.issuer}/end-session?")
        asked = query(url)
        assert asked.pop("id_token_hint") == provider.ask("secrets")["id_tokens"][-1]
        assert re.fullmatch(r"[\w-]{22,64}", asked.pop("state"))
        assert asked == {"client_id": "spa", "post_logout_redirect_uri": f"{origin}/"}
        with Person() as person:
            assert person.visit(url).startswith(f"{origin}/?state=")


@pytest.mark.rule("O-07")
def test_without_an_end_session_endpoint_logout_is_local(sites: Sites, provider: Control) -> None:
    provider.switch(discovery={"end_session_endpoint": None})
    with browsing(sites(more="# no end-session")) as browser:
        browser.sign_in()
        answer = sign_out(browser)
        assert answer.json() == {"logout_url": "/"}
        assert TICKET not in browser.cookies
        assert [entry["outcome"] for entry in provider.entries("revoke", 1)] == ["ok"]


@pytest.mark.rule("O-08")
def test_the_ticket_is_a_strict_cookie_of_a_minute(browser: Browser) -> None:
    browser.sign_in()
    (line,) = [line for line in cookie_lines(sign_out(browser)) if line.startswith(f"{TICKET}=")]
    value, *attributes = line.removeprefix(f"{TICKET}=").split("; ")
    assert re.fullmatch(r"[\w-]{43}", value)
    expected = ["HttpOnly", "Max-Age=60", "Path=/", "SameSite=Strict", "Secure"]
    assert sorted(attributes) == expected


@pytest.mark.rule("O-08")
def test_the_way_to_the_provider_is_good_once(store: str, sites: Sites, provider: Control) -> None:
    with browsing(sites(store=store)) as browser:
        browser.sign_in()
        sign_out(browser)
        kept = dict(browser.cookies)
        assert "id_token_hint" in follow(browser).headers["location"]
        assert TICKET not in browser.cookies
        browser.cookies = kept
        again = follow(browser)
        assert (again.status_code, again.headers["location"]) == (303, "/")
        assert provider.count("end_session") == 0


@pytest.mark.rule("O-08")
def test_two_tabs_on_the_way_at_once_and_one_of_them_gets_there(store: str, sites: Sites) -> None:
    site = sites(store=store)
    with browsing(site) as browser:
        browser.sign_in()
        sign_out(browser)
        cookies = dict(browser.cookies)

        def go(_: int) -> str:
            with browsing(site) as tab:
                tab.cookies = dict(cookies)
                return str(follow(tab).headers["location"])

        with ThreadPoolExecutor(6) as threads:
            places = list(threads.map(go, range(6)))
    assert sorted(place == "/" for place in places) == [False, True, True, True, True, True]


@pytest.mark.rule("O-08")
def test_after_a_minute_the_ticket_is_over(sites: Sites) -> None:
    site = sites(more="# a minute later")
    with browsing(site) as browser:
        browser.sign_in()
        sign_out(browser)
        clock = site.application.site.fronts["default"].front.clock
        clock.observe(clock.now() + 61, time.monotonic())  # type: ignore[attr-defined]
        assert follow(browser).headers["location"] == "/"


@pytest.mark.rule("O-08")
@pytest.mark.parametrize(
    "cookie",
    [
        pytest.param("", id="no cookie"),
        pytest.param("{name}=", id="an empty one"),
        pytest.param("{name}={other}", id="another ticket"),
        pytest.param("{name}={value}; {name}={value}", id="the same twice"),
        pytest.param("{NAME}={value}", id="another case"),
        pytest.param("bff-logout={value}", id="the plain name"),
        pytest.param("{name}={value}A", id="one more character"),
    ],
)
def test_the_way_is_open_to_this_browser_only(browser: Browser, cookie: str) -> None:
    browser.sign_in()
    sign_out(browser)
    value = browser.cookies[TICKET].value
    sent = cookie.format(
        name=TICKET, NAME=TICKET.upper(), value=value, other=secrets.token_urlsafe(32)
    )
    answer = follow(browser, headers={"cookie": sent} if sent else {"cookie": "a=b"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    browser.cookies[TICKET] = Cookie(value, "Strict", "")
    assert "id_token_hint" in follow(browser).headers["location"]


@pytest.mark.rule("O-08")
def test_another_site_that_knows_the_way_gets_nobody_there(browser: Browser) -> None:
    browser.sign_in()
    sign_out(browser)
    # The Strict cookie stays behind, and so does the ticket.
    answer = browser.navigate("/bff/logout/provider", site="cross-site")
    assert answer.headers["location"] == "/"


@pytest.mark.rule("O-08")
@pytest.mark.parametrize(
    "headers",
    [
        *({"sec-fetch-mode": "cors"}, {"sec-fetch-mode": "no-cors"}, {"sec-fetch-dest": "iframe"}),
        *({"sec-fetch-dest": "image"}, {"sec-purpose": "prefetch"}),
    ],
    ids=str,
)
def test_the_way_to_the_provider_is_for_navigations(
    browser: Browser, headers: dict[str, str]
) -> None:
    browser.sign_in()
    sign_out(browser)
    answer = follow(browser, headers=headers)
    assert (answer.status_code, reason(answer)) == (403, "forbidden")
    assert "id_token_hint" in follow(browser).headers["location"]  # the ticket was not spent


@pytest.mark.rule("O-08")
def test_the_way_to_the_provider_changes_no_session(browser: Browser) -> None:
    browser.sign_in()
    sign_out(browser)
    ticket = browser.cookies[TICKET]
    browser.sign_in("grace")
    browser.cookies[TICKET] = ticket
    assert "id_token_hint" in follow(browser).headers["location"]
    assert browser.fetch("GET", "/api/token").json()["sub"] == "grace"


@pytest.mark.rule("O-08")
@pytest.mark.parametrize("outage", ["stopped", "hung"])
def test_store_down_on_the_way_leads_home(sites: Sites, redis: RedisProcess, outage: str) -> None:
    with browsing(sites(store="redis", session='store_deadline = "400ms"')) as browser:
        browser.sign_in()
        sign_out(browser)
        redis.stop() if outage == "stopped" else redis.hang()
        answer = follow(browser)
        assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.rule("O-08")
@pytest.mark.rule("L-07")
def test_a_ticket_that_nobody_gave_adds_no_key_to_the_store(
    sites: Sites, redis: RedisProcess
) -> None:
    # A prefix of its own: sites of other tests may still write theirs.
    here = sites(store="redis", session='prefix = "tickets"')
    with browsing(here) as browser, redis.client() as keys:
        for _ in range(50):
            browser.cookies[TICKET] = Cookie(secrets.token_urlsafe(32), "Strict", "")
            assert follow(browser).headers["location"] == "/"
        assert list(keys.scan_iter("tickets*")) == []


@pytest.mark.rule("O-08")
@pytest.mark.rule("T-02")
def test_what_waits_in_the_store_is_sealed_and_goes_after_a_minute(
    sites: Sites, redis: RedisProcess
) -> None:
    site = sites(store="redis")
    with browsing(site) as browser, redis.client() as keys:
        browser.sign_in()
        sign_out(browser)
        ticket = browser.cookies[TICKET].value
        front = site.application.site.fronts["default"].front
        key = "bff:" + ticket_key(front, ticket)
        assert 0 < keys.pttl(key) <= 60_000
        held = b"".join(keys.hgetall(key).values())
        for readable in (b"eyJ", b"end-session", b"id_token_hint", ticket.encode()):
            assert readable not in held


@pytest.mark.rule("O-08")
def test_a_hint_beyond_4_kib_is_left_out(sites: Sites, provider: Control) -> None:
    """The page's claims are many: the ID token is larger than an address may be."""
    with browsing(sites(more="# a large hint")) as browser:
        browser.sign_in()
        front = browser.site.application.site.fronts["default"].front
        session_id = (browser.session_cookie or "").split(".")[1]
        found = browser.site.run(front.sessions.find(session_id))
        object.__setattr__(found.session.tokens, "id_token", "eyJ" + "a" * 4100)
        url = browser.site.run(_end_session_url(front, found.session))
        assert url is not None
        assert "id_token_hint" not in query(url)
        assert query(url)["client_id"] == "spa"


@pytest.mark.rule("O-09")
@pytest.mark.parametrize(
    "return_to",
    [
        *(
            "https://evil.example/",
            "//evil.example",
            "/\\\\evil.example",
            "javascript:alert(1)",
            "",
        ),
        *("evil", "/bff", "/bff/login", "/a\\nb", "/\\t/evil.example"),
    ],
)
def test_the_place_after_logout_is_a_path_of_the_application(return_to: str) -> None:
    text = config_text(
        issuer="https://login.example.com",
        api="https://api.internal",
        more=f'[logout]\nreturn_to = "{return_to}"',
    )
    with pytest.raises(ConfigFaults) as refused:
        parse(text, dev=True)
    assert [fault.key for fault in refused.value.faults] == ["logout.return_to"]


@pytest.mark.rule("O-09")
def test_nothing_in_the_request_changes_the_place_after_logout(
    browser: Browser,
) -> None:
    browser.sign_in()
    evil = "return_to=//evil.example&post_logout_redirect_uri=https://evil.example"
    answer = browser.fetch("POST", f"/bff/logout?{evil}", content=evil)
    assert answer.json() == {"logout_url": "/bff/logout/provider"}
    gone = browser.navigate(f"/bff/logout/provider?{evil}", site="same-origin")
    assert "evil" not in gone.headers["location"]
    assert browser.navigate(f"/bff/logout/provider?{evil}").headers["location"] == "/"


@pytest.mark.rule("O-10")
def test_clear_site_data_is_sent_if_configured_and_never_for_cookies(sites: Sites) -> None:
    with (
        browsing(sites()) as plain,
        browsing(sites(more="[logout]\nclear_site_data = true")) as asked,
    ):
        plain.sign_in()
        assert "clear-site-data" not in sign_out(plain).headers
        asked.sign_in()
        assert sign_out(asked).headers["clear-site-data"] == '"cache", "storage"'


@pytest.mark.rule("O-11")
@pytest.mark.parametrize("outage", ["stopped", "hung"])
def test_store_down_at_sign_out_claims_nothing(
    sites: Sites, provider: Control, redis: RedisProcess, outage: str
) -> None:
    with browsing(sites(store="redis", session='store_deadline = "400ms"')) as browser:
        browser.sign_in()
        cookie = browser.session_cookie
        redis.stop() if outage == "stopped" else redis.hang()
        answer = browser.fetch("POST", "/bff/logout")
        assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
        assert cookie_lines(answer) == []
        assert browser.session_cookie == cookie
        assert provider.count("revoke") == 0
        redis.start() if outage == "stopped" else redis.resume()
        sign_out(browser)
        assert browser.session_cookie is None


@pytest.mark.rule("O-06")
def test_without_a_session_store_down_does_not_matter(sites: Sites, redis: RedisProcess) -> None:
    with browsing(sites(store="redis", session='store_deadline = "400ms"')) as browser:
        redis.stop()
        assert sign_out(browser).json() == {"logout_url": "/"}
