"""What is said when something is wrong, to the browser and to the log (rows E)."""

import json
import re
from datetime import UTC, datetime

import pytest

from bff.problem import PROBLEMS
from bff.session.seal import store_key
from bff.simulator import Person
from tests.conftest import SECURE, Sites, Told
from tests.parts.answers import cookie_lines, reason
from tests.parts.browser import Browser, browsing
from tests.parts.control import Control
from tests.parts.redis_process import RedisProcess

PROXY = '[operate]\ntrusted_proxies = ["127.0.0.0/8"]'

pytestmark = pytest.mark.usefixtures("provider")

# (method, path, fields, reason); without a session
REFUSED = [
    ("GET", "/api/tasks", {}, "no_session"),
    ("POST", "/api/tasks", {}, "no_session"),
    ("GET", "/api/tasks", {"sec-fetch-site": "cross-site"}, "cross_site"),
    ("GET", "/api/tasks", {"sec-fetch-site": "none"}, "not_same_origin"),
    ("GET", "/api/a/%2e%2e/b", {}, "ambiguous_path"),
    ("GET", "/api//tasks", {}, "ambiguous_path"),
    ("GET", "/bff/unknown", {}, "no_route"),
    ("GET", "/nowhere", {}, "no_route"),
    ("DELETE", "/bff/session", {}, "method_not_allowed"),
    ("GET", "/bff/login", {}, "forbidden"),
    ("GET", "/bff/logout", {}, "method_not_allowed"),
    ("POST", "/bff/logout", {"sec-fetch-site": "cross-site"}, "cross_site"),
]


@pytest.mark.rule("E-01")
@pytest.mark.parametrize(("method", "path", "headers", "why"), REFUSED)
def test_a_fetch_gets_a_problem_with_all_its_members(
    browser: Browser, method: str, path: str, headers: dict[str, str], why: str
) -> None:
    answer = browser.fetch(method, path, headers=headers)
    assert answer.headers["content-type"] == "application/problem+json"
    assert reason(answer) == why
    document = answer.json()
    login = {"login_url"} if answer.status_code == 401 else set()
    assert set(document) == {"type", "title", "status", "reason", "request_id"} | login
    assert re.match(r"[a-z]+:\S+$", document["type"])  # absolute (RFC 3986 §4.3)
    assert why in document["type"]
    assert document["title"] == PROBLEMS[next(each for each in PROBLEMS if each == why)].title
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.rule("E-01")
@pytest.mark.parametrize(
    ("method", "path", "why"),
    [
        ("GET", "/bff/login?return_to=//evil.example", "bad_return_to"),
        ("GET", "/bff/callback", "bad_request"),
        ("GET", "/bff/callback?code=x&state=y", "transaction_missing"),
        ("POST", "/bff/login", "method_not_allowed"),
        ("POST", "/bff/logout", "not_same_origin"),
    ],
)
def test_a_navigation_gets_a_page_with_the_same_reason(
    browser: Browser, method: str, path: str, why: str
) -> None:
    page = browser.request(method, path, site="none", mode="navigate", dest="document")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert reason(page) == why
    assert "accept" in page.headers["vary"].lower()
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    without_metadata = browser.request(method, path, site=None, headers={"accept": "text/html"})
    assert without_metadata.headers["content-type"].startswith("text/html")


@pytest.mark.rule("E-03")
@pytest.mark.parametrize("accept", ["*/*", "text/html", "application/json", ""])
@pytest.mark.parametrize("mode", ["cors", "navigate", None])
def test_a_401_of_ours_prompts_nobody_and_redirects_nowhere(
    browser: Browser, accept: str, mode: str | None
) -> None:
    metadata = {} if mode is None else {"sec-fetch-site": "same-origin", "sec-fetch-mode": mode}
    answer = browser.request(
        "GET", "/api/tasks", site=None, headers={"accept": accept, "x-csrf": "1", **metadata}
    )
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "BFF-Session"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["login_url"] == "/bff/login"
    assert "location" not in answer.headers
    assert "refresh" not in answer.headers


def spoiled(browser: Browser, redis: RedisProcess, **fields: str) -> None:
    session_id = (browser.session_cookie or "").split(".")[1]
    with redis.client() as keys:
        keys.hset("bff:" + store_key("session", "default", session_id), mapping=dict(fields))


@pytest.mark.rule("E-05")
@pytest.mark.rule("E-02")
def test_an_exception_inside_a_check_refuses_and_the_process_lives_on(
    sites: Sites, redis: RedisProcess, told: Told
) -> None:
    """A record that nobody of ours wrote: its deadline is no time, and reading it raises."""
    with browsing(sites(store="redis")) as browser:
        browser.sign_in()
        good = dict(browser.cookies)
        spoiled(browser, redis, ia="7" * 400)
        answer = browser.fetch("GET", "/api/tasks")
        assert (answer.status_code, reason(answer)) == (500, "internal_error")
        assert cookie_lines(answer) == []
        for inside in ("Traceback", "OverflowError", "7777", ".py", "int()", "redis", "127.0.0.1"):
            assert inside not in answer.text
        (line,) = [line for line in told() if line["event"] == "crashed"]
        assert line["request_id"] == answer.json()["request_id"]
        assert line["error"] == "OverflowError"
        assert line["level"] == "error"
        assert "7777" not in json.dumps(line)
        browser.cookies.clear()
        browser.sign_in()
        assert browser.fetch("GET", "/api/tasks").status_code == 200
        browser.cookies = good
        assert browser.fetch("GET", "/api/tasks").status_code == 500


@pytest.mark.rule("E-02")
def test_no_refusal_tells_of_the_inside(browser: Browser, provider: Control) -> None:
    answers = [browser.fetch(method, path, headers=h) for method, path, h, _ in REFUSED]
    provider.fault("token", status=500, body="secret-of-the-provider /srv/app.py:17")
    with Person() as person:
        answers.append(browser.callback(person.visit(browser.to_provider())))
    for answer in answers:
        for inside in ("Traceback", ".py", "/srv", "secret-of", "httpx", "uvicorn", "127.0.0.1:"):
            assert inside not in answer.text
        assert "server" not in answer.headers
        assert "x-powered-by" not in answer.headers


@pytest.mark.rule("E-06")
@pytest.mark.rule("E-07")
def test_the_log_names_sessions_and_people_by_keyed_hashes_only(
    sites: Sites, redis: RedisProcess, told: Told
) -> None:
    assert redis.process
    with browsing(sites(store="redis")) as browser:
        browser.sign_in("ada")
        first = browser.session_cookie or ""
        browser.fetch("POST", "/bff/logout")
        browser.sign_in("ada")
        browser.sign_in("grace")
    lines = told()
    logins = [line for line in lines if line["event"] == "login"]
    assert len({line["session"] for line in logins}) == 3
    assert logins[0]["person"] == logins[1]["person"] != logins[2]["person"]
    (logout,) = [line for line in lines if line["event"] == "logout"]
    assert (logout["session"], logout["person"]) == (logins[0]["session"], logins[0]["person"])
    for line in lines:
        assert re.fullmatch(r"[0-9a-f]{16}", line.get("session", "0" * 16))
        text = json.dumps(line)
        assert not [part for part in first.split(".")[1:] if part in text]
        assert '"ada"' not in text
        assert "Lovelace" not in text
        assert "code=" not in text


@pytest.mark.rule("E-08")
def test_what_the_auditor_needs_is_told_with_who_asked_and_when(
    sites: Sites, provider: Control, told: Told
) -> None:
    site = sites(more=PROXY)
    with browsing(site) as browser:
        told_by = {"x-forwarded-for": "198.51.100.7", "x-request-id": "from-the-proxy-1"}
        with Person() as person:
            back = person.visit(browser.to_provider())
        browser.callback(back, headers=told_by)  # login
        provider.fault("id_token", count=1, departure="wrong_nonce")
        with Person() as person:
            back = person.visit(browser.to_provider())
        browser.callback(back, headers=told_by)  # login_failed
        browser.fetch("GET", "/api/tasks", headers={**told_by, "sec-fetch-site": "cross-site"})
        browser.fetch("GET", "/api/tasks", headers={**told_by, "cookie": "__Host-Http-bff=x"})
        browser.fetch("POST", "/bff/logout", headers=told_by)
    audited = {line["event"]: line for line in told() if line.get("audit")}
    assert set(audited) == {"login", "login_failed", "csrf_refused", "cookie_forged", "logout"}
    for line in audited.values():
        assert line["frontend"] == "default"
        assert line["peer"] == "198.51.100.7"
        assert line["request_id"] == "from-the-proxy-1"
        when = datetime.fromisoformat(line["time"])
        assert when.utcoffset() == UTC.utcoffset(None)
    assert audited["login_failed"]["reason"] == "id_token_invalid"
    assert audited["csrf_refused"]["reason"] == "cross_site"


@pytest.mark.rule("E-08")
@pytest.mark.parametrize(
    "error", ["access_denied", "server_error", "temporarily_unavailable", "invalid_scope"]
)
def test_a_login_that_the_provider_refused_is_a_failed_login(
    browser: Browser, provider: Control, told: Told, error: str
) -> None:
    provider.fault("callback", count=1, error=error)
    with Person() as person:
        browser.callback(person.visit(browser.to_provider()))
    (line,) = [line for line in told() if line["event"] == "login_failed"]
    assert line["audit"] is True
    assert line["reason"] in ("provider_error", "provider_unavailable")


@pytest.mark.rule("E-06")
@pytest.mark.rule("E-09")
def test_nothing_from_outside_breaks_a_line_of_the_log_or_gets_into_it(
    browser: Browser, told: Told
) -> None:
    hostile = "%0d%0a%7B%22event%22:%22login%22%7D"
    browser.navigate(f"/bff/callback?code=c{hostile}&state=s{hostile}&error_description={hostile}")
    browser.navigate(f"/bff/callback?error={hostile}&state=s&error_description={hostile}")
    browser.navigate(f"/bff/login?return_to={hostile}")
    browser.fetch("GET", f"/api/{hostile}", headers={"cookie": f"__Host-Http-bff={hostile}"})
    browser.fetch("GET", "/api/x", headers={"x-request-id": "a" * 500, "user-agent": hostile})
    lines = told()
    assert lines
    for line in lines:
        assert line["event"] != "login"
        assert "%0d" not in json.dumps(line)
        assert "\\r" not in json.dumps(line)


@pytest.mark.rule("E-10")
@pytest.mark.parametrize(
    ("given", "taken"),
    [
        *(("0123456789abcdef", True), ("a-plain_ID-01", True), ("a" * 64, True)),
        *(("a" * 65, False), ("short", False), ("", False), ("with space 123", False)),
        *(("<script>1234", False), ("a/b/c/d/e", False), ("12345678, 12345678", False)),
    ],
)
def test_a_request_id_from_outside_is_taken_only_from_a_trusted_proxy_and_if_plain(
    sites: Sites, given: str, taken: bool
) -> None:
    with browsing(sites(more=PROXY)) as behind, browsing(sites()) as direct:
        headers = {"x-request-id": given}
        assert (
            behind.fetch("GET", "/api/x", headers=headers).json()["request_id"] == given
        ) == taken
        ours = direct.fetch("GET", "/api/x", headers=headers).json()["request_id"]
        assert ours != given
        assert re.fullmatch(r"[0-9a-f]{16,20}", ours)


@pytest.mark.rule("E-10")
def test_the_request_id_goes_to_the_upstream(sites: Sites) -> None:
    with browsing(sites(more=PROXY)) as browser:
        browser.sign_in()
        arrived = browser.fetch("GET", "/api/headers", headers={"x-request-id": "from-the-proxy-1"})
    assert "from-the-proxy-1" in arrived.text


@pytest.mark.rule("D-01")
@pytest.mark.parametrize(("origin", "secure"), [(SECURE, True), ("http://localhost:8080", False)])
def test_every_answer_holds_browsers_to_https_where_it_is_https(
    sites: Sites, origin: str, secure: bool
) -> None:
    with browsing(sites(origin=origin)) as browser:
        answers = [browser.fetch(method, path, headers=h) for method, path, h, _ in REFUSED]
        answers += [browser.sign_in(), browser.fetch("GET", "/bff/session")]
        answers += [browser.fetch("GET", "/api/tasks"), browser.navigate("/bff/login")]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        said = answer.headers.get("strict-transport-security")
        assert (said is not None) == secure
        assert said is None or int(re.findall(r"max-age=(\d+)", said)[0]) >= 31_536_000
