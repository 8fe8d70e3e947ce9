"""GET /bff/callback over the wire: who gets a session out of it, and who does not (rows C)."""

import html
import re
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlencode, urlsplit

import httpx
import pytest

from bff.browser.front import Front
from bff.caller.transactions import _encode
from bff.session.record import LoginTransaction
from bff.session.seal import Sealer
from bff.simulator import Person
from tests.conftest import SECURE, Sites
from tests.parts.answers import cookie_lines, query, reason
from tests.parts.browser import Browser, Cookie, browsing
from tests.parts.control import Control
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site

SESSION = "__Host-Http-bff"


def front(site: Site) -> Front:
    return site.application.site.fronts["default"].front


def come_back(browser: Browser, sub: str = "ada", **asked: str) -> str:
    """The URL with which the provider sends this browser back."""
    with Person(sub) as person:
        return person.visit(browser.to_provider(**asked))


def changed(url: str, **parameters: str | None) -> str:
    asked = {**query(url), **parameters}
    kept = {name: value for name, value in asked.items() if value is not None}
    return url.partition("?")[0] + "?" + urlencode(kept)


def deletes_attempt(answer: httpx.Response, name: str) -> bool:
    lines = [line for line in cookie_lines(answer) if line.startswith(f"{name}=;")]
    return len(lines) == 1 and {"Max-Age=0", "Path=/", "Secure"} <= set(lines[0].split("; "))


def attempt(browser: Browser) -> str:
    (name,) = [name for name in browser.cookies if "-login-" in name]
    return name


def signed_in(browser: Browser) -> bool:
    answer = browser.fetch("GET", "/bff/session")
    assert answer.status_code == 200
    return bool(answer.json()["authenticated"])


@pytest.fixture
def good_after(browser: Browser) -> Iterator[None]:
    """Whatever was tried: the same browser signs in right after."""
    yield
    browser.sign_in()
    assert browser.fetch("GET", "/api/tasks").status_code == 200


pytestmark = pytest.mark.usefixtures("provider")


# --- C-01, C-02: is this the answer to a login of this browser


@pytest.mark.rule("C-01")
@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_only_get_brings_an_answer_back(browser: Browser, provider: Control, method: str) -> None:
    back = come_back(browser)
    parts = urlsplit(back)
    answer = browser.request(
        method,
        f"{parts.path}?{parts.query}",
        site="cross-site",
        mode="navigate",
        dest="document",
        content=parts.query if method == "POST" else None,
    )
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert provider.count("token") == 0
    assert browser.callback(back).status_code == 200


@pytest.mark.rule("C-02")
@pytest.mark.usefixtures("good_after")
@pytest.mark.parametrize(
    ("parameters", "why"),
    [
        pytest.param({"state": "not-the-state"}, "transaction_missing", id="an unknown state"),
        pytest.param({"state": "x" * 4000}, "transaction_missing", id="a huge state"),
        pytest.param({"state": "é\U0001f36a"}, "transaction_missing", id="a state beyond ASCII"),
        pytest.param({"state": None}, "bad_request", id="no state"),
        pytest.param({"state": ""}, "bad_request", id="an empty state"),
    ],
)
def test_an_answer_to_another_login_is_refused_without_a_token_request(
    browser: Browser, provider: Control, parameters: dict[str, str | None], why: str
) -> None:
    back = changed(come_back(browser), **parameters)
    answer = browser.callback(back)
    assert (answer.status_code, reason(answer)) == (400, why)
    assert answer.headers["content-type"].startswith("text/html")
    assert provider.count("token") == 0
    assert browser.session_cookie is None


@pytest.mark.rule("C-02")
@pytest.mark.usefixtures("good_after")
def test_a_callback_without_its_cookie_stops_with_a_link_home(
    browser: Browser, provider: Control
) -> None:
    back = come_back(browser)
    kept = dict(browser.cookies)
    browser.cookies.clear()
    answer = browser.callback(back)
    assert reason(answer) == "transaction_missing"
    assert re.findall(r'href="([^"]*)"', answer.text) == ["/"]
    assert "http-equiv" not in answer.text
    assert provider.count("token") == 0
    browser.cookies.update(kept)
    assert browser.callback(back).status_code == 200


@pytest.mark.rule("C-02")
def test_a_strangers_code_signs_nobody_in(sites: Sites, provider: Control) -> None:
    """Login CSRF: the attacker's whole callback URL, loaded in the victim's browser."""
    with browsing(sites()) as attacker, browsing(sites()) as victim:
        back = come_back(attacker, "grace")
        come_back(victim, "ada")  # an attempt of the victim's own is under way
        answer = victim.callback(back)
        assert reason(answer) == "transaction_missing"
        assert victim.session_cookie is None
        assert provider.count("token") == 0
        assert attacker.callback(back).status_code == 200


@pytest.mark.rule("C-02")
@pytest.mark.rule("L-05")
def test_the_attackers_code_under_the_victims_state_fails_at_the_verifier(
    sites: Sites, provider: Control
) -> None:
    with browsing(sites()) as attacker, browsing(sites()) as victim:
        injected = query(come_back(attacker, "grace"))["code"]
        answer = victim.callback(changed(come_back(victim, "ada"), code=injected))
        assert reason(answer) == "code_rejected"
        assert victim.session_cookie is None
        assert [entry["outcome"] for entry in provider.entries("token")] == ["code_verifier"]


def planted(browser: Browser, **about: object) -> tuple[str, str]:
    """The name and value of a cookie that our own keyring sealed."""
    its = front(browser.site)
    state = str(about.pop("named_after", about["state"]))
    transaction = LoginTransaction(
        **{  # type: ignore[arg-type]
            "nonce": secrets.token_urlsafe(32),
            "code_verifier": secrets.token_urlsafe(32),
            "issuer": its.frontend.provider.issuer,
            "return_to": "/",
            "started_at": its.clock.now(),
            "session_id": None,
            **about,
        }
    )
    sealer = Sealer(its.cookies.keyring, "login", its.frontend.origin)
    name, salt = its.transactions.name(state), secrets.token_bytes(32)
    return name, _encode(salt + sealer.seal(transaction, place=name, salt=salt))


@pytest.mark.rule("C-02")
@pytest.mark.usefixtures("good_after")
def test_a_cookie_that_holds_another_state_is_a_mismatch(
    browser: Browser, provider: Control
) -> None:
    """The name has 64 bits of the state only; what counts is the state inside."""
    name, value = planted(browser, state="another", named_after="a-state")
    browser.cookies[name] = Cookie(value, "Lax", "")
    answer = browser.callback(f"{SECURE}/bff/callback?code=c&state=a-state")
    assert (answer.status_code, reason(answer)) == (400, "state_mismatch")
    assert deletes_attempt(answer, name)
    assert provider.count("token") == 0


@pytest.mark.rule("C-02")
@pytest.mark.parametrize(("age", "why"), [(601, "transaction_expired"), (599, None)])
def test_an_attempt_is_over_after_ten_minutes(
    browser: Browser, provider: Control, age: int, why: str | None
) -> None:
    back = come_back(browser, return_to="/orders")
    name = attempt(browser)
    state = query(back)["state"]
    its = front(browser.site)
    old = site_open(browser, state)
    renamed, value = planted(
        browser,
        state=state,
        nonce=old.nonce,
        code_verifier=old.code_verifier,
        return_to=old.return_to,
        started_at=its.clock.now() - age,
    )
    assert renamed == name
    browser.cookies[name] = Cookie(value, "Lax", "")
    answer = browser.callback(back)
    if why is None:
        assert answer.status_code == 200
        return
    assert (answer.status_code, reason(answer)) == (400, why)
    assert 'href="/bff/login?return_to=%2Forders"' in answer.text
    assert deletes_attempt(answer, name)
    assert provider.count("token") == 0


def site_open(browser: Browser, state: str) -> LoginTransaction:
    its = front(browser.site)
    name = its.transactions.name(state)
    found = its.transactions._open(name, browser.cookies[name].value)
    assert found is not None
    return found


# --- C-03: once


@pytest.mark.rule("C-03")
@pytest.mark.rule("C-10")
def test_the_same_answer_twice_makes_one_token_request(
    store: str, sites: Sites, provider: Control
) -> None:
    with browsing(sites(store=store)) as browser:
        back = come_back(browser)
        name = attempt(browser)
        cookie = browser.cookies[name]
        first = browser.callback(back)
        assert first.status_code == 200
        assert deletes_attempt(first, name)
        assert reason(browser.callback(back)) == "transaction_missing"
        browser.cookies[name] = cookie  # somebody kept it, or Back brought it up again
        replayed = browser.callback(back)
        assert reason(replayed) == "transaction_missing"
        assert deletes_attempt(replayed, name)
        assert provider.count("token") == 1
        assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("C-03")
def test_the_same_answer_twice_in_parallel_makes_one_token_request(
    store: str, sites: Sites, provider: Control
) -> None:
    site = sites(store=store)
    with browsing(site) as browser:
        back = come_back(browser)
        cookies = dict(browser.cookies)
        provider.fault("token", hold=True)

        def load(_: int) -> httpx.Response:
            with browsing(site) as tab:
                tab.cookies = dict(cookies)
                return tab.callback(back)

        with ThreadPoolExecutor(6) as threads:
            answers = [threads.submit(load, number) for number in range(6)]
            provider.held("token")
            provider.release("token")
            statuses = sorted(answer.result().status_code for answer in answers)
        assert statuses == [200, 400, 400, 400, 400, 400]
        assert provider.count("token") == 1


@pytest.mark.rule("C-03")
def test_two_processes_on_one_store_make_one_token_request(
    sites: Sites, provider: Control, redis: RedisProcess
) -> None:
    assert redis.process
    one, two = sites(store="redis"), sites(store="redis", more="# the second process")
    with browsing(one) as browser, browsing(two) as elsewhere:
        back = come_back(browser)
        elsewhere.cookies = dict(browser.cookies)
        provider.fault("token", hold=True)
        with ThreadPoolExecutor(2) as threads:
            answers = [threads.submit(each.callback, back) for each in (browser, elsewhere)]
            provider.held("token")
            provider.release("token")
            assert sorted(each.result().status_code for each in answers) == [200, 400]
        assert provider.count("token") == 1


@pytest.mark.rule("C-03")
@pytest.mark.rule("S-07")
@pytest.mark.parametrize("outage", ["stopped", "hung"])
def test_store_down_before_the_state_is_claimed_costs_the_person_nothing(
    sites: Sites, provider: Control, redis: RedisProcess, outage: str
) -> None:
    with browsing(sites(store="redis", session='store_deadline = "400ms"')) as browser:
        back = come_back(browser)
        name = attempt(browser)
        redis.stop() if outage == "stopped" else redis.hang()
        answer = browser.callback(back)
        assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
        assert cookie_lines(answer) == []
        assert re.findall(r'href="([^"]*)"', answer.text) == [""]  # the same URL again
        assert provider.count("token") == 0
        assert name in browser.cookies
        redis.start() if outage == "stopped" else redis.resume()
        assert browser.callback(back).status_code == 200
        assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("C-03")
def test_logins_beyond_their_share_are_asked_to_come_again(sites: Sites, provider: Control) -> None:
    site = sites(provider="connections = 2")  # one for logins, one for refreshes
    with browsing(site) as browser, browsing(site) as second:
        backs = [come_back(browser) for _ in range(2)]
        second.cookies = dict(browser.cookies)
        provider.fault("token", hold=True)
        with ThreadPoolExecutor(1) as threads:
            held = threads.submit(browser.callback, backs[0])
            provider.held("token")
            answer = second.callback(backs[1])
            assert (answer.status_code, reason(answer)) == (503, "overloaded")
            assert cookie_lines(answer) == []
            provider.do("clear")
            assert held.result().status_code == 200
        assert second.callback(backs[1]).status_code == 200
        assert provider.count("token") == 2


# --- C-04 to C-08: what the answer says


@pytest.mark.rule("C-04")
@pytest.mark.usefixtures("good_after")
@pytest.mark.parametrize(
    "iss",
    [
        None,
        "",
        "https://evil.example",
        "{issuer}/",
        "{issuer}%2F",
        "{issuer}#",
        " {issuer}",
        "{ISSUER}",
        "{issuer}?",
    ],
)
@pytest.mark.parametrize("kind", ["code", "error"])
def test_an_answer_of_another_issuer_is_not_believed(
    browser: Browser, provider: Control, iss: str | None, kind: str
) -> None:
    issuer = provider.simulator.issuer
    named = (
        None if iss is None else iss.format(issuer=issuer, ISSUER=issuer.replace("http", "HTTP"))
    )
    back = changed(come_back(browser), iss=named)
    if kind == "error":
        back = changed(back, code=None, error="access_denied", error_description="believe me")
    name = attempt(browser)
    answer = browser.callback(back)
    assert (answer.status_code, reason(answer)) == (400, "issuer_mismatch")
    assert "believe me" not in answer.text
    assert deletes_attempt(answer, name)
    assert provider.count("token") == 0


@pytest.mark.rule("C-04")
def test_without_the_promise_of_an_issuer_its_absence_is_no_fault(
    sites: Sites, provider: Control
) -> None:
    provider.switch(discovery={"authorization_response_iss_parameter_supported": None})
    with browsing(sites(more="# no iss")) as browser:
        assert browser.callback(changed(come_back(browser), iss=None)).status_code == 200
        wrong = changed(come_back(browser), iss="https://evil.example")
        assert reason(browser.callback(wrong)) == "issuer_mismatch"


@pytest.mark.rule("C-04")
def test_the_issuer_is_form_decoded_before_it_is_compared(browser: Browser) -> None:
    back = come_back(browser)
    issuer = query(back)["iss"]
    encoded = "".join(f"%{ord(char):02x}" for char in issuer)
    plain = changed(back, iss=None)
    assert browser.callback(f"{plain}&iss={encoded}").status_code == 200


@pytest.mark.rule("C-06")
@pytest.mark.usefixtures("good_after")
@pytest.mark.parametrize(
    "edit",
    [
        pytest.param(lambda url: changed(url, code=None), id="neither code nor error"),
        pytest.param(lambda url: changed(url, code=""), id="an empty code"),
        pytest.param(lambda url: url + "&error=server_error", id="code and error"),
        pytest.param(lambda url: url + "&error=x&code=", id="code, error and an empty code"),
        pytest.param(lambda url: url + "&code=2", id="two codes"),
        pytest.param(lambda url: url + "&code=" + query(url)["code"], id="the same code twice"),
        pytest.param(lambda url: url + "&%63ode=2", id="a second code, encoded"),
        pytest.param(lambda url: url + "&state=2", id="two states"),
        pytest.param(lambda url: url.replace("?", "?state=2&"), id="two states, the other first"),
        pytest.param(lambda url: url + "&iss=https://evil.example", id="two issuers"),
        pytest.param(lambda url: url + "&x=%ff", id="not UTF-8"),
        pytest.param(lambda url: url + "".join(f"&p{n}=1" for n in range(120)), id="a flood"),
    ],
)
def test_an_ambiguous_answer_is_refused_without_a_token_request(
    browser: Browser, provider: Control, edit: object
) -> None:
    answer = browser.callback(edit(come_back(browser)))  # type: ignore[operator]
    assert (answer.status_code, reason(answer)) == (400, "bad_request")
    assert provider.count("token") == 0
    assert browser.session_cookie is None


@pytest.mark.rule("C-06")
@pytest.mark.rule("C-08")
@pytest.mark.parametrize(
    "more",
    [
        "&session_state=a.b&scope=openid&authuser=0",
        "&error=",
        "&code_=x&x=1&x=2",
        "&access_token=injected&id_token=injected&token_type=Bearer&expires_in=9",
        "&refresh_token=injected",
        "&return_to=//evil.example",
    ],
)
def test_what_else_stands_in_the_answer_is_ignored(browser: Browser, more: str) -> None:
    answer = browser.callback(come_back(browser) + more)
    assert answer.status_code == 200
    assert "injected" not in answer.text
    assert "evil" not in answer.text
    found = browser.fetch("GET", "/api/token")
    assert found.json()["sub"] == "ada"


@pytest.mark.rule("C-08")
def test_tokens_instead_of_a_code_sign_nobody_in(browser: Browser, provider: Control) -> None:
    back = changed(come_back(browser), code=None, access_token="a.b.c", id_token="a.b.c")
    assert reason(browser.callback(back)) == "bad_request"
    assert provider.count("token") == 0


@pytest.mark.rule("C-07")
@pytest.mark.rule("E-02")
@pytest.mark.usefixtures("good_after")
@pytest.mark.parametrize(
    ("error", "status", "why"),
    [
        ("access_denied", 400, "provider_error"),
        ("invalid_request", 400, "provider_error"),
        ("unauthorized_client", 400, "provider_error"),
        ("invalid_scope", 400, "provider_error"),
        ("login_required", 400, "provider_error"),
        ("consent_required", 400, "provider_error"),
        ("<script>alert(1)</script>", 400, "provider_error"),
        ("server_error", 503, "provider_unavailable"),
        ("temporarily_unavailable", 503, "provider_unavailable"),
    ],
)
def test_an_error_of_the_provider_is_told_and_nothing_of_it_is_believed(
    browser: Browser, provider: Control, error: str, status: int, why: str
) -> None:
    hostile = '"><script>alert(1)</script><meta http-equiv=refresh content="0;url=//evil.example">'
    back = changed(
        come_back(browser),
        code=None,
        error=error,
        error_description=hostile,
        error_uri="https://evil.example/help",
    )
    name = attempt(browser)
    answer = browser.callback(back)
    assert (answer.status_code, reason(answer)) == (status, why)
    assert "<script" not in answer.text
    assert "<meta http-equiv" not in answer.text
    assert "evil.example/help" not in answer.text
    assert ("cancelled" in answer.text) == (error == "access_denied")
    assert deletes_attempt(answer, name)
    assert provider.count("token") == 0
    assert browser.session_cookie is None


@pytest.mark.rule("C-07")
def test_a_person_who_says_no_is_told_that_the_sign_in_was_cancelled(browser: Browser) -> None:
    with Person("ada", allows=False) as person:
        back = person.visit(browser.to_provider())
    answer = browser.callback(back)
    assert reason(answer) == "provider_error"
    assert "cancelled" in answer.text


ASKED = {"return_to": "/orders?a=1&b=2", "acr_values": "2", "max_age": "60", "prompt": "login"}


@pytest.mark.rule("C-07", "E-03")
@pytest.mark.parametrize("asked", [{"return_to": "/"}, ASKED], ids=["plain", "particular"])
@pytest.mark.parametrize(
    ("instead", "why"),
    [
        pytest.param({"error": "access_denied"}, "provider_error", id="cancelled"),
        pytest.param({"error": "server_error"}, "provider_unavailable", id="not now"),
        pytest.param({"iss": "https://evil.example"}, "issuer_mismatch", id="another issuer"),
        pytest.param({"code": "of another"}, "code_rejected", id="a code that is refused"),
    ],
)
def test_who_is_refused_is_offered_the_same_login_back_to_the_same_place(
    browser: Browser, asked: dict[str, str], instead: dict[str, str | None], why: str
) -> None:
    back = come_back(browser, **asked)
    if "error" in instead:
        instead = {"code": None, **instead}
    answer = browser.callback(changed(back, **instead))
    assert reason(answer) == why
    (link,) = re.findall(r'<a href="([^"]*)">Sign in</a>', answer.text)
    again = html.unescape(link)
    assert urlsplit(again).path == "/bff/login"
    assert query(again) == asked
    following = browser.navigate(again, site="same-origin")
    with Person("ada") as person:
        landed = browser.callback(person.visit(following.headers["location"]))
    assert f'content="0;url={html.escape(asked["return_to"])}"' in landed.text


SILENT = (
    "login_required",
    "consent_required",
    "interaction_required",
    "account_selection_required",
)


@pytest.mark.rule("C-07")
@pytest.mark.parametrize("error", SILENT)
def test_a_silent_attempt_that_needs_the_person_goes_back_without_a_session(
    browser: Browser, error: str
) -> None:
    back = browser.to_provider("/quietly", prompt="none")
    with Person() as person:
        answer = browser.callback(changed(person.visit(back), error=error))
    assert answer.status_code == 200
    assert 'content="0;url=/quietly"' in answer.text
    assert browser.session_cookie is None
    assert not signed_in(browser)


@pytest.mark.rule("C-07")
@pytest.mark.parametrize("error", ["access_denied", "invalid_request"])
def test_a_silent_attempt_that_fails_otherwise_says_so(browser: Browser, error: str) -> None:
    back = browser.to_provider("/quietly", prompt="none")
    with Person() as person:
        answer = browser.callback(changed(person.visit(back), error=error))
    assert reason(answer) == "provider_error"


@pytest.mark.rule("C-07")
def test_a_silent_attempt_with_a_session_at_the_provider_signs_in(browser: Browser) -> None:
    with Person() as person:
        browser.callback(person.visit(browser.to_provider()))
        browser.cookies.clear()
        answer = browser.callback(person.visit(browser.to_provider("/quietly", prompt="none")))
    assert answer.status_code == 200
    assert signed_in(browser)


# --- C-09 to C-12: the token endpoint's answer

TOKEN_FAULTS = [
    pytest.param({"status": 500}, "provider_unavailable", id="500"),
    pytest.param({"status": 502, "body": "<html>bad gateway"}, "provider_unavailable", id="502"),
    pytest.param({"status": 503, "retry_after": 17}, "provider_unavailable", id="503 in 17 s"),
    pytest.param({"status": 429}, "provider_unavailable", id="429"),
    pytest.param({"status": 301}, "provider_unavailable", id="a redirect"),
    pytest.param({"status": 204}, "provider_unavailable", id="204"),
    pytest.param({"status": 401, "error": "invalid_client"}, "provider_unavailable", id="client"),
    pytest.param(
        {"status": 400, "error": "invalid_client"}, "provider_unavailable", id="client 400"
    ),
    pytest.param({"status": 400, "error": "invalid_grant"}, "code_rejected", id="invalid_grant"),
    pytest.param({"status": 400, "error": "invalid_request"}, "provider_error", id="400"),
    pytest.param({"drop": True}, "provider_unavailable", id="dropped before"),
    pytest.param({"drop": True, "at": "after"}, "provider_unavailable", id="dropped after"),
    pytest.param({"status": 500, "at": "after"}, "provider_unavailable", id="500 after"),
    *(
        pytest.param({"departure": name}, "provider_unavailable", id=name)
        for name in (
            *("not_json", "not_an_object", "empty", "not_utf8", "deeply_nested", "html"),
            *("wrong_content_type", "oversize", "missing_access_token"),
            *("access_token_not_a_string", "missing_token_type", "wrong_token_type"),
        )
    ),
]


@pytest.mark.rule("C-10")
@pytest.mark.rule("C-11")
@pytest.mark.usefixtures("good_after")
@pytest.mark.parametrize(("fault", "why"), TOKEN_FAULTS)
def test_a_code_is_sent_once_whatever_the_token_endpoint_does(
    browser: Browser, provider: Control, fault: dict[str, object], why: str
) -> None:
    provider.fault("token", count=1, **fault)
    back = come_back(browser)
    name = attempt(browser)
    cookie = browser.cookies[name]
    answer = browser.callback(back)
    assert reason(answer) == why
    assert answer.headers.get("retry-after") == (
        None if answer.status_code != 503 else "17" if "retry_after" in fault else "2"
    )
    assert deletes_attempt(answer, name)
    assert browser.session_cookie is None
    browser.cookies[name] = cookie
    assert reason(browser.callback(back)) == "transaction_missing"
    assert provider.count("token") == 1


@pytest.mark.rule("C-10")
def test_a_token_endpoint_that_hangs_is_given_up_and_not_asked_again(
    sites: Sites, provider: Control
) -> None:
    with browsing(sites(provider='total_timeout = "300ms"')) as browser:
        browser.sign_in()
        provider.fault("token", hold=True, count=1)
        back = come_back(browser)
        answer = browser.callback(back)
        assert reason(answer) == "provider_unavailable"
        provider.release("token")
        assert len(provider.entries("token", 2)) == 2
        browser.sign_in()


@pytest.mark.rule("C-11")
@pytest.mark.parametrize(
    ("fault", "habits"),
    [
        ({"departure": "expires_in_string"}, {}),
        ({"departure": "expires_in_negative"}, {}),
        ({"departure": "expires_in_nonsense"}, {}),
        ({"departure": "scope_not_a_string"}, {}),
        ({}, {"token_type": "bearer"}),
        ({}, {"token_type": "BEARER"}),
        ({}, {"omit_expires_in": True}),
        ({}, {"omit_scope": True}),
        ({}, {"drop_scopes": ["email"]}),
    ],
    ids=str,
)
def test_an_answer_that_is_merely_odd_signs_in(
    browser: Browser, provider: Control, fault: dict[str, object], habits: dict[str, object]
) -> None:
    if fault:
        provider.fault("token", **fault)
    if habits:
        provider.switch(**habits)
    browser.sign_in()
    assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("C-12")
@pytest.mark.rule("I-14")
def test_userinfo_of_somebody_else_fails_the_login_and_revokes(
    sites: Sites, provider: Control
) -> None:
    with browsing(sites(provider="userinfo = true")) as browser:
        browser.sign_in()
        browser.cookies.clear()  # nobody's session hangs on the same grant
        revoked = provider.count("revoke")
        for departure in ("other_sub", "missing_sub", "not_json", "wrong_content_type"):
            provider.fault("userinfo", count=1, departure=departure)
            answer = browser.callback(come_back(browser))
            assert reason(answer) == "provider_error"
            revoked += 1
            assert provider.entries("revoke", revoked)[-1]["outcome"] == "ok"
        provider.fault("userinfo", count=1, status=503)
        assert reason(browser.callback(come_back(browser))) == "provider_unavailable"
        browser.sign_in()


@pytest.mark.rule("I-14")
def test_userinfo_is_asked_only_after_every_check_of_the_id_token(
    sites: Sites, provider: Control
) -> None:
    with browsing(sites(provider="userinfo = true")) as browser:
        provider.fault("id_token", count=1, departure="wrong_nonce")
        assert reason(browser.callback(come_back(browser))) == "id_token_invalid"
        assert provider.count("userinfo") == 0
        provider.switch(profile_in_id_token=False)
        browser.sign_in("grace")
        assert provider.count("userinfo") == 1
        claims = browser.fetch("GET", "/bff/session").json()["claims"]
        assert claims["name"] == "Grace Hopper"


# --- C-13: a new id, and the old session is over


@pytest.mark.rule("C-13")
@pytest.mark.rule("S-08")
def test_a_login_over_a_live_session_ends_it_and_revokes_its_tokens(
    store: str, sites: Sites, provider: Control
) -> None:
    with browsing(sites(store=store)) as browser, browsing(sites(store=store)) as thief:
        browser.sign_in()
        old = browser.session_cookie
        thief.cookies = dict(browser.cookies)
        browser.sign_in("grace")
        assert browser.session_cookie not in (None, old)
        assert thief.session_cookie == old
        refused = thief.fetch("GET", "/api/tasks")
        assert (refused.status_code, reason(refused)) == (401, "session_ended")
        assert cookie_lines(refused) == []
        assert [entry["outcome"] for entry in provider.entries("revoke", 1)] == ["ok"]
        assert browser.fetch("GET", "/api/token").json()["sub"] == "grace"


@pytest.mark.rule("C-13")
@pytest.mark.parametrize(("setting", "revoked"), [("false", 0), ("true", 1)])
def test_the_same_persons_former_tokens_are_destroyed_and_revoked_only_where_that_is_said(
    sites: Sites, provider: Control, setting: str, revoked: int
) -> None:
    site = sites(more=f"[logout]\nrevoke_former = {setting}\n")
    with browsing(site) as browser, browsing(site) as thief:
        browser.sign_in()
        thief.cookies = dict(browser.cookies)
        browser.sign_in()
        site.settle()
        assert provider.count("revoke") == revoked
        assert reason(thief.fetch("GET", "/api/tasks")) == "session_ended"
        assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("C-13")
@pytest.mark.rule("S-06")
@pytest.mark.parametrize("chosen", ["attackers-choice", "0" * 86])
def test_no_session_id_that_somebody_planted_is_adopted(browser: Browser, chosen: str) -> None:
    browser.cookies[SESSION] = Cookie(chosen, "Strict", "")
    browser.sign_in()
    assert browser.session_cookie != chosen
    assert chosen not in (browser.session_cookie or "")


@pytest.mark.rule("C-13")
def test_a_failed_login_leaves_the_live_session_alone(browser: Browser, provider: Control) -> None:
    browser.sign_in()
    before = browser.session_cookie
    provider.fault("id_token", count=1, departure="wrong_nonce")
    assert reason(browser.callback(come_back(browser, "grace"))) == "id_token_invalid"
    assert browser.session_cookie == before
    assert browser.fetch("GET", "/api/token").json()["sub"] == "ada"


# --- C-14: the cookie only after the record


@pytest.mark.rule("C-14")
@pytest.mark.rule("S-07")
@pytest.mark.parametrize("outage", ["stopped", "hung"])
def test_store_down_after_the_exchange_gives_no_cookie_and_revokes(
    sites: Sites, provider: Control, redis: RedisProcess, outage: str
) -> None:
    with browsing(sites(store="redis", session='store_deadline = "400ms"')) as browser:
        back = come_back(browser)
        name = attempt(browser)
        provider.fault("token", hold=True, count=1)
        with ThreadPoolExecutor(1) as threads:
            answering = threads.submit(browser.callback, back)
            provider.held("token")
            redis.stop() if outage == "stopped" else redis.hang()
            provider.release("token")
            answer = answering.result()
        assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
        assert deletes_attempt(answer, name)
        assert browser.session_cookie is None
        assert [entry["outcome"] for entry in provider.entries("revoke", 1)] == ["ok"]
        redis.start() if outage == "stopped" else redis.resume()
        browser.sign_in()
        assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("C-14")
@pytest.mark.parametrize("endpoint", ["token", "jwks"])
def test_no_cookie_is_there_before_the_provider_has_answered(
    sites: Sites, provider: Control, endpoint: str
) -> None:
    """The callback held at each step where it waits for somebody."""
    with browsing(sites(more=f"# held at {endpoint}")) as browser:
        back = come_back(browser)
        provider.fault(endpoint, hold=True, count=1)
        with ThreadPoolExecutor(1) as threads:
            answering = threads.submit(browser.callback, back)
            provider.held(endpoint)
            assert not answering.done()
            assert browser.session_cookie is None
            provider.release(endpoint)
            assert answering.result().status_code == 200
        assert browser.fetch("GET", "/api/token").json()["sub"] == "ada"


@pytest.mark.rule("C-03")
@pytest.mark.rule("P-11")
def test_a_provider_that_is_down_before_the_claim_costs_nothing(
    sites: Sites, provider: Control
) -> None:
    """The login began in one process, the callback comes to another that has no metadata yet."""
    with browsing(sites()) as browser, browsing(sites(more="# no metadata")) as elsewhere:
        back = come_back(browser)
        elsewhere.cookies = dict(browser.cookies)
        provider.fault("discovery", count=1, status=503)
        answer = elsewhere.callback(back)
        assert (answer.status_code, reason(answer)) == (503, "provider_unavailable")
        assert cookie_lines(answer) == []
        its = front(elsewhere.site)
        its.clock.observe(its.clock.now() + 2, time.monotonic())  # type: ignore[attr-defined]
        assert elsewhere.callback(back).status_code == 200


# --- C-15, C-16: the landing page


@pytest.mark.rule("C-15")
@pytest.mark.rule("C-16")
@pytest.mark.rule("D-02")
def test_the_landing_page_goes_on_by_itself_and_holds_nothing_else(browser: Browser) -> None:
    back = come_back(browser, return_to="/orders?a=1&b=2")
    answer = browser.callback(back)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = answer.text
    assert 'http-equiv="refresh" content="0;url=/orders?a=1&amp;b=2"' in page
    assert 'href="/orders?a=1&amp;b=2"' in page
    for part in query(back).values():
        assert part not in page
        assert quote(part) not in str(answer.headers)
    assert not re.search(r"<script|<link|<iframe|<form|<img|\ssrc=|\son\w+=|https?://", page)
    policy = answer.headers["content-security-policy"]
    for directive in ("default-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert directive in policy.split("; ")
    assert "sandbox" not in policy
    assert "unsafe" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"


@pytest.mark.rule("C-15")
def test_the_next_navigation_starts_at_home_and_carries_the_strict_cookie(
    browser: Browser,
) -> None:
    browser.sign_in()
    cross = browser.navigate("/bff/session", site="cross-site")
    assert cross.status_code == 403
    assert signed_in(browser)
