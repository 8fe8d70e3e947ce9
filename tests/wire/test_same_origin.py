"""Is it really our own page that asks: cross-site request forgery over the wire (rows X)."""

import pytest

from tests.conftest import LOOPBACK, SECURE, Sites
from tests.parts.answers import cookie_lines, reason
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.redis_process import RedisProcess

pytestmark = pytest.mark.usefixtures("provider")

OURS = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
CSRF = {"x-csrf": "1"}


def ask(
    browser: Browser, method: str, path: str, headers: dict[str, str]
) -> tuple[int, str | None]:
    """Status and reason; the session cookie is always sent, as by a browser without SameSite."""
    answer = browser.request(method, path, site=None, strict=True, headers=headers)
    assert "access-control-allow-origin" not in answer.headers
    assert "access-control-allow-credentials" not in answer.headers
    refused = answer.status_code == 403
    return answer.status_code, reason(answer) if refused and method != "HEAD" else None


CROSS, PROOF = (403, "cross_site"), (403, "not_same_origin")
# (method, fields, what they prove); None: our own page
TABLE = [
    # an unsafe method needs the header, whatever else is there
    *(
        (method, {**OURS, **CSRF, "origin": SECURE}, None)
        for method in ("POST", "PUT", "PATCH", "DELETE")
    ),
    *(
        (method, {**OURS, "origin": SECURE}, PROOF)
        for method in ("POST", "PUT", "PATCH", "DELETE", "QUERY")
    ),
    *(
        ("POST", {**OURS, "origin": SECURE, "x-csrf": value}, PROOF)
        for value in (
            "",
            "0",
            "2",
            "true",
            "01",
            "1, 1",
            "1,1",
            "+1",
        )
    ),
    ("POST", {**OURS, "origin": SECURE, "x-requested-with": "XMLHttpRequest"}, PROOF),
    ("POST", {**OURS, "origin": SECURE, "x-csrf-token": "1", "x_csrf": "1"}, PROOF),
    # a safe one needs the header or Fetch Metadata
    ("GET", OURS, None),
    ("HEAD", OURS, None),
    ("GET", CSRF, None),
    ("GET", {}, PROOF),
    ("HEAD", {}, PROOF),
    ("GET", {"x-csrf": "2"}, PROOF),
    ("GET", {"referer": f"{SECURE}/"}, PROOF),
    ("GET", {"origin": SECURE}, PROOF),
    ("OPTIONS", OURS, PROOF),
    ("OPTIONS", {}, PROOF),
    # a sibling subdomain is not us
    *(
        (method, {**CSRF, "sec-fetch-site": site}, CROSS)
        for method in ("GET", "POST", "HEAD", "DELETE")
        for site in ("cross-site", "same-site")
    ),
    ("POST", {**CSRF, "sec-fetch-site": "same-site", "origin": SECURE}, CROSS),
    # nor is a person who typed the address
    *(
        (method, {**more, "sec-fetch-site": "none"}, PROOF)
        for method in ("GET", "POST")
        for more in ({}, CSRF, {**CSRF, "origin": SECURE})
    ),
    (
        "GET",
        {"sec-fetch-site": "none", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"},
        PROOF,
    ),
    # a value outside the specification counts as absent
    *(
        ("GET", {"sec-fetch-site": site}, PROOF)
        for site in (
            "Same-Origin",
            "SAME-ORIGIN",
            "same_origin",
            "same-origin, same-origin",
            "same-origin;x",
            '"same-origin"',
            "",
            "?",
            "sameorigin",
        )
    ),
    *(
        ("POST", {**CSRF, "sec-fetch-site": site, "origin": SECURE}, None)
        for site in ("Cross-Site", "x")
    ),
    ("POST", CSRF, PROOF),
    ("POST", {**CSRF, "origin": SECURE}, None),
    ("POST", {**CSRF, "referer": f"{SECURE}/a/page?x=1"}, None),
    ("POST", {**CSRF, "referer": SECURE}, None),
    *(
        ("POST", {**CSRF, "referer": referer}, PROOF)
        for referer in (
            "https://app.example.com.evil.example/",
            "https://app.example.com@evil.example/",
            "http://app.example.com/",
            "https://app.example.com:8443/",
            "https://evil.example/#" + SECURE,
            "//app.example.com/",
            "app.example.com",
            "null",
            "",
            "https://[",
            "about:blank",
            f"https://evil.example/?{SECURE}/",
            "https://app.example.com%2eevil.example/",
        )
    ),
    # Origin in scheme, host and port
    *(
        (method, {**OURS, **CSRF, "origin": origin}, CROSS)
        for method in ("GET", "POST")
        for origin in (
            "null",
            "NULL",
            "",
            "https://evil.example",
            "http://app.example.com",
            "https://app.example.com:443",
            "https://app.example.com:8443",
            "https://app.example.com/",
            "https://APP.example.com",
            "HTTPS://app.example.com",
            "https://app.example.com.evil.example",
            "https://evil-app.example.com",
            "https://example.com",
            "https://sub.app.example.com",
            "https://app.example.com, https://evil.example",
            "https://app.example.com https://evil.example",
            "https://user@app.example.com",
            "*",
            "app.example.com",
            "https://app.example.com\t.",
        )
    ),
    ("GET", {**OURS, "origin": SECURE}, None),
]


@pytest.mark.rule("X-02")
@pytest.mark.rule("X-03")
@pytest.mark.rule("X-04")
@pytest.mark.rule("X-05")
@pytest.mark.rule("X-06")
@pytest.mark.rule("X-07")
def test_only_our_own_page_is_answered(browser: Browser) -> None:
    browser.sign_in()
    for method, headers, refusal in TABLE:
        for path in ("/api/tasks", "/bff/session", "/api/unknown/deep"):
            found = ask(browser, method, path, headers)
            if refusal is None:
                assert found[0] not in (401, 403), (method, path, headers)
            elif method in ("GET", "HEAD", "POST") or path != "/bff/session":
                expected = (403, None) if method == "HEAD" else refusal
                expected = (405, None) if (method, path) == ("HEAD", "/bff/session") else expected
                assert (method, path, headers, found) == (method, path, headers, expected)
        assert browser.session_cookie is not None
    assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("X-01")
@pytest.mark.parametrize("auth", ["user", "optional", "none"])
def test_every_relayed_route_demands_the_proof_before_a_byte_leaves(
    sites: Sites, provider: Control, redis: RedisProcess, auth: str
) -> None:
    """Nobody listens at the upstream: whatever goes there is a 502, and a 403 has not gone."""
    route = f'auth = "{auth}"'
    nobody = "http://127.0.0.1:9"
    with browsing(sites(store="redis", route=route, api=nobody)) as browser:
        browser.sign_in()
        with redis.client() as keys:
            keys.config_resetstat()
            for headers in ({}, {"sec-fetch-site": "cross-site"}, {**CSRF, "origin": "null"}):
                for path in ("/api", "/api/", "/api/tasks", "/api/a/b?x=1"):
                    assert ask(browser, "GET", path, headers)[0] == 403
                    assert ask(browser, "POST", path, headers)[0] == 403
            asked = keys.info("commandstats")
            assert {"cmdstat_hmget", "cmdstat_evalsha", "cmdstat_eval"}.isdisjoint(asked)
        assert browser.fetch("GET", "/api/tasks").status_code == 502


@pytest.mark.rule("X-01")
def test_a_request_that_is_not_ours_is_403_with_or_without_a_session(browser: Browser) -> None:
    for _ in range(2):
        for method, path in (
            ("GET", "/api/tasks"),
            ("POST", "/api/tasks"),
            ("GET", "/bff/session"),
        ):
            assert ask(browser, method, path, {"sec-fetch-site": "cross-site"}) == CROSS
        browser.sign_in()


@pytest.mark.rule("X-08")
@pytest.mark.parametrize(
    "path", ["/api/tasks", "/api", "/bff/session", "/bff/logout", "/bff/login"]
)
@pytest.mark.parametrize("origin", [SECURE, "https://evil.example", "null"])
@pytest.mark.parametrize("more", [{}, CSRF, {"sec-fetch-site": "same-origin", **CSRF}])
def test_a_preflight_is_refused_and_allows_nothing(
    browser: Browser, path: str, origin: str, more: dict[str, str]
) -> None:
    headers = {
        "origin": origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "x-csrf",
        **more,
    }
    answer = browser.request("OPTIONS", path, site=None, strict=True, headers=headers)
    assert (answer.status_code, reason(answer)) == (403, "cross_site")
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.rule("X-08")
def test_an_allowance_of_the_upstream_does_not_reach_the_browser(browser: Browser) -> None:
    browser.sign_in()
    answer = browser.fetch("GET", "/api/tasks", headers={"origin": SECURE})
    assert answer.status_code == 200
    assert not [name for name in answer.headers if name.startswith("access-control-")]


FORMS = [
    pytest.param({**OURS, "origin": SECURE}, None, id="our form"),
    pytest.param({**OURS, "origin": "null"}, None, id="our form under no-referrer"),
    pytest.param(OURS, None, id="our form without Origin"),
    pytest.param({"origin": SECURE}, None, id="an old browser with our Origin"),
    pytest.param({}, PROOF, id="nothing at all"),
    pytest.param({"referer": f"{SECURE}/"}, PROOF, id="Referer alone"),
    pytest.param({"origin": "null"}, CROSS, id="an old browser, null"),
    pytest.param({"origin": "https://evil.example"}, CROSS, id="another origin"),
    pytest.param({**OURS, "origin": "https://evil.example"}, CROSS, id="ours and another"),
    pytest.param({**OURS, "sec-fetch-site": "cross-site"}, CROSS, id="cross-site"),
    pytest.param({**OURS, "sec-fetch-site": "same-site"}, CROSS, id="same-site"),
    pytest.param(
        {**OURS, "sec-fetch-site": "cross-site", "origin": "null"}, CROSS, id="cross-site null"
    ),
    pytest.param({**OURS, "sec-fetch-site": "none"}, PROOF, id="typed"),
    pytest.param({**OURS, "sec-fetch-site": "x", "origin": "null"}, CROSS, id="an unknown site"),
]


@pytest.mark.rule("X-09")
@pytest.mark.parametrize(("headers", "refusal"), FORMS)
def test_a_plain_form_signs_out_only_from_our_own_page(
    browser: Browser, headers: dict[str, str], refusal: tuple[int, str] | None
) -> None:
    browser.sign_in()
    answer = browser.request(
        "POST",
        "/bff/logout",
        site=None,
        strict=True,
        headers={**headers, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
        if "sec-fetch-site" in headers
        else headers,
        data={"x-csrf": "1"},
    )
    if refusal is None:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
        assert browser.session_cookie is None
        browser.sign_in()
    else:
        assert (answer.status_code, reason(answer)) == refusal
        assert cookie_lines(answer) == []
    assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("X-09")
@pytest.mark.parametrize("path", ["/bff/session", "/api/tasks"])
def test_a_plain_form_is_accepted_nowhere_else(browser: Browser, path: str) -> None:
    browser.sign_in()
    form = {**OURS, "origin": SECURE, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert ask(browser, "POST", path, form) == PROOF


@pytest.mark.rule("X-10")
@pytest.mark.rule("O-01")
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "PATCH"])
def test_no_other_method_signs_out(browser: Browser, method: str) -> None:
    browser.sign_in()
    answer = browser.fetch(method, "/bff/logout")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("X-10")
@pytest.mark.parametrize(
    "override",
    [
        *(
            {"x-http-method-override": "POST"},
            {"x-http-method": "POST"},
            {"x-method-override": "POST"},
        ),
        *({"x-original-method": "POST"}, {"x-forwarded-method": "POST"}),
    ],
)
def test_no_method_is_overridden(browser: Browser, override: dict[str, str]) -> None:
    browser.sign_in()
    answer = browser.fetch("GET", "/bff/logout?_method=POST", headers=override)
    assert answer.status_code == 405
    tasks = browser.fetch("GET", "/api/tasks", headers=override).json()["tasks"]
    assert browser.fetch("GET", "/api/tasks", headers=override).json()["tasks"] == tasks


@pytest.mark.rule("X-11")
@pytest.mark.parametrize("path", ["/api/tasks", "/bff/session", "/bff/login", "/bff/unknown"])
@pytest.mark.parametrize("comes_from", ["same-origin", "cross-site"])
def test_what_depends_on_the_asker_says_so_and_stays_at_home(
    browser: Browser, path: str, comes_from: str
) -> None:
    browser.sign_in()
    answer = browser.fetch("GET", path, site=comes_from, strict=True)
    vary = {name.strip().lower() for name in answer.headers["vary"].split(",")}
    assert {"sec-fetch-site", "origin"} <= vary
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"


@pytest.mark.rule("X-07")
def test_a_loopback_origin_is_held_to_its_own_port(sites: Sites) -> None:
    with browsing(sites(origin=LOOPBACK)) as browser:
        browser.sign_in()
        for origin in (
            "http://localhost",
            "http://localhost:8081",
            "http://127.0.0.1:8080",
            SECURE,
        ):
            assert ask(browser, "POST", "/api/tasks", {**CSRF, "origin": origin}) == CROSS
        assert browser.fetch("GET", "/api/tasks").status_code == 200
