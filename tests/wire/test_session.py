"""The session cookie and what stands behind it, over the wire (rows S)."""

import base64
import hashlib
import re
import secrets
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from bff.browser.front import Front
from bff.config.load import ConfigFaults, parse
from bff.keys import new_key
from bff.session.seal import store_key
from tests.conftest import LOOPBACK, SECURE, Sites
from tests.parts.answers import cookie_lines, reason
from tests.parts.browser import Browser, Cookie, browsing
from tests.parts.config import config, config_text
from tests.parts.control import Control
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site, serving

SESSION = "__Host-Http-bff"
FETCHES = (("GET", "/api/tasks"), ("POST", "/api/tasks"))
SESSIONS = (("GET", "/bff/session"), ("POST", "/bff/session"))

pytestmark = pytest.mark.usefixtures("provider")


def front(site: Site) -> Front:
    return site.application.site.fronts["default"].front


def later(site: Site, seconds: float) -> None:
    """In the memory of this process it is that much later from now on."""
    clock = front(site).clock
    clock.observe(clock.now() + seconds, time.monotonic())  # type: ignore[attr-defined]


def state(browser: Browser, method: str = "GET") -> dict[str, object]:
    answer = browser.fetch(method, "/bff/session")
    assert answer.status_code == 200, answer.text
    document: dict[str, object] = answer.json()
    return document


def left(browser: Browser, what: str) -> int:
    seconds = state(browser)["seconds_left"]
    assert isinstance(seconds, dict)
    return int(seconds[what])


def session_key(browser: Browser) -> str:
    """Where Redis keeps this browser's session."""
    session_id = (browser.session_cookie or "").split(".")[1]
    return "bff:" + store_key("session", "default", session_id)


def with_cookie(browser: Browser, value: str, name: str = SESSION) -> httpx.Response:
    return browser.fetch("GET", "/api/tasks", headers={"cookie": f"{name}={value}"})


# --- S-01 to S-05: the cookie


@pytest.mark.rule("S-01")
@pytest.mark.rule("S-02")
@pytest.mark.rule("S-03")
@pytest.mark.rule("S-04")
@pytest.mark.rule("S-09")
@pytest.mark.parametrize("origin", [SECURE, LOOPBACK])
def test_the_session_cookie_has_exactly_the_attributes_of_the_contract(
    sites: Sites, origin: str
) -> None:
    with browsing(sites(origin=origin)) as browser:
        lines = cookie_lines(browser.sign_in())
    name = SESSION if origin == SECURE else "bff"
    (line,) = [line for line in lines if line.startswith(f"{name}=")]
    value, *attributes = line.removeprefix(f"{name}=").split("; ")
    secure = {"Secure"} if origin == SECURE else set()
    assert sorted(attributes) == sorted({"Path=/", "HttpOnly", "SameSite=Strict"} | secure)
    assert re.fullmatch(r"[0-9a-f]{8}\.[\w-]{43}\.[\w-]{43}", value)
    assert len(line) < 200
    for each in lines:
        assert "HttpOnly" in each
        assert "SameSite=" in each
        assert "Domain" not in each
        assert ("Secure" in each) == (origin == SECURE)
        assert each.startswith("__Host-Http-") == (origin == SECURE)


@pytest.mark.rule("S-03")
@pytest.mark.parametrize(
    "origin",
    [
        *("http://app.example.com", "http://10.0.0.1", "http://localhost.example.com"),
        *("http://127.0.0.1.nip.io", "ftp://localhost", "https://app.example.com/path"),
        *("https://user@app.example.com", "app.example.com", "http://[2001:db8::1]"),
    ],
)
def test_an_http_origin_that_is_not_loopback_does_not_start(origin: str) -> None:
    with pytest.raises(ConfigFaults) as refused:
        config(issuer="https://login.example.com", api="https://api.internal", origin=origin)
    assert [fault.key for fault in refused.value.faults] == ["origin"]


@pytest.mark.rule("S-09")
@pytest.mark.parametrize(("lifetime", "seconds"), [("12h", 43_200), ("400d", 34_560_000)])
def test_a_persistent_cookie_lives_no_longer_than_its_session_and_a_browsers_bound(
    sites: Sites, lifetime: str, seconds: int
) -> None:
    with browsing(sites(session=f'persistent = true\nlifetime = "{lifetime}"')) as browser:
        (line,) = [
            line for line in cookie_lines(browser.sign_in()) if line.startswith(f"{SESSION}=")
        ]
    match = re.search(r"Max-Age=(\d+)", line)
    assert match is not None
    assert seconds - 2 <= int(match[1]) <= seconds


def forged(value: str) -> Iterator[tuple[str, str]]:
    """The cookie's value, and every way in which it is not what our own encoder wrote."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    kid, session_id, signature = value.split(".")
    for place, char in enumerate(value):
        if char in alphabet and place > len(kid):
            for bit in (1, 2, 4, 8, 16, 32):
                other = alphabet[alphabet.index(char) ^ bit]
                yield f"bit {bit} at {place}", value[:place] + other + value[place + 1 :]
    other_id = secrets.token_urlsafe(32)
    yield "another id", f"{kid}.{other_id}.{signature}"
    yield "no signature", f"{kid}.{session_id}."
    yield "no dot", f"{kid}.{session_id}"
    yield "the id alone", session_id
    yield "swapped", f"{kid}.{signature}.{session_id}"
    yield "cut", value[:-1]
    yield "longer", value + "A"
    yield "padded", value + "="
    yield "doubled", value + value
    yield "with a tail", f"{value}.{signature}"
    yield "empty", ""
    yield "quoted", f'"{value}"'
    yield "upper case", value.upper()
    yield "upper-case key id", f"{kid.upper()}x.{session_id}.{signature}"
    yield "no key id", f".{session_id}.{signature}"
    yield "long key id", f"{kid}0.{session_id}.{signature}"
    yield "percent-encoded", value.replace(".", "%2e")
    yield "NUL", value + "%00"
    yield "json", '{"id":1}'
    yield "long", "A" * 4000


@pytest.mark.rule("S-04")
@pytest.mark.rule("S-06")
def test_a_forged_cookie_is_no_session_and_costs_no_question_to_the_store(
    sites: Sites, redis: RedisProcess
) -> None:
    with browsing(sites(store="redis")) as browser:
        browser.sign_in()
        good = browser.session_cookie or ""
        with redis.client() as keys:
            keys.config_resetstat()
            for how, value in forged(good):
                answer = with_cookie(browser, value)
                assert (how, answer.status_code, reason(answer)) == (how, 401, "no_session")
                assert cookie_lines(answer) == []
            asked = keys.info("commandstats")
            assert {"cmdstat_hmget", "cmdstat_evalsha", "cmdstat_eval"}.isdisjoint(asked)
        assert with_cookie(browser, good).status_code == 200


@pytest.mark.rule("S-05")
@pytest.mark.parametrize(
    ("header", "status"),
    [
        pytest.param("{name}={value}", 200, id="once"),
        pytest.param("a=b; {name}={value}; c=d", 200, id="among others"),
        pytest.param("a=b;{name}={value};c", 200, id="without spaces"),
        pytest.param("{name}={value}; {name}={value}", 401, id="the same twice"),
        pytest.param("{name}={value}; {name}=other", 401, id="a second one"),
        pytest.param("{name}=other; {name}={value}", 401, id="a second one before"),
        pytest.param("{name}=; {name}={value}", 401, id="an empty one before"),
        pytest.param("{NAME}={value}", 401, id="another case"),
        pytest.param("bff={value}", 401, id="the plain name"),
        pytest.param("__Host-bff={value}", 401, id="the old prefix"),
        pytest.param("__Secure-bff={value}", 401, id="another prefix"),
        pytest.param("{name}x={value}", 401, id="a longer name"),
        pytest.param("{name} ={value}", 401, id="space before the equals sign"),
        pytest.param("{name}= {value}", 401, id="space after the equals sign"),
        pytest.param('{name}="{value}"', 401, id="quoted"),
        pytest.param("a={name}={value}", 401, id="inside another value"),
        pytest.param("{name}={value}, a=b", 401, id="a comma"),
        pytest.param("$Version=1; {name}={value}", 200, id="an ancient attribute"),
    ],
)
def test_an_id_counts_only_once_under_its_exact_name(
    browser: Browser, header: str, status: int
) -> None:
    browser.sign_in()
    cookie = header.format(name=SESSION, NAME=SESSION.upper(), value=browser.session_cookie)
    answer = browser.fetch("GET", "/api/tasks", headers={"cookie": cookie})
    assert answer.status_code == status
    if status == 401:
        assert reason(answer) == "no_session"
    assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("S-05")
@pytest.mark.parametrize(
    "carry",
    [
        lambda value: {"path": f"/api/tasks?bff={value}&{SESSION}={value}"},
        lambda value: {"headers": {"authorization": f"Bearer {value}"}},
        lambda value: {"headers": {"x-session": value, SESSION.lower(): value}},
        lambda value: {"headers": {"cookie2": f"{SESSION}={value}"}},
    ],
    ids=["the query", "Authorization", "other fields", "Cookie2"],
)
def test_an_id_elsewhere_than_in_the_cookie_counts_for_nothing(
    browser: Browser, carry: object
) -> None:
    browser.sign_in()
    value = browser.session_cookie
    browser.cookies.clear()
    sent = {"path": "/api/tasks", **carry(value)}  # type: ignore[operator]
    answer = browser.fetch("GET", sent.pop("path"), **sent)
    assert (answer.status_code, reason(answer)) == (401, "no_session")


@pytest.mark.rule("S-05")
def test_the_cookie_in_two_fields_of_its_own_still_counts_once(browser: Browser) -> None:
    browser.sign_in()
    value = browser.session_cookie
    url = f"http://127.0.0.1:{browser.site.port}/api/tasks"
    pairs = [("host", browser.site.host), ("x-csrf", "1"), ("cookie", "a=b")]
    good = browser.http.get(url, headers=[*pairs, ("cookie", f"{SESSION}={value}")])
    assert good.status_code == 200
    twice = [*pairs, ("cookie", f"{SESSION}={value}"), ("cookie", f"{SESSION}={value}")]
    assert browser.http.get(url, headers=twice).status_code == 401


# --- S-06, S-07: what stands behind it


@pytest.mark.rule("S-06")
def test_a_signed_id_with_nothing_behind_it_is_an_expired_session(
    store: str, sites: Sites, provider: Control
) -> None:
    site = sites(store=store)
    with browsing(site) as browser:
        browser.sign_in()
        never = front(site).cookies.session(secrets.token_urlsafe(32))[1].decode()
        for method, path in FETCHES:
            browser.cookies[SESSION] = Cookie(never.partition("=")[2].split(";")[0], "Strict", "")
            answer = browser.fetch(method, path)
            assert (answer.status_code, reason(answer)) == (401, "session_expired")
            assert answer.json()["login_url"] == "/bff/login"
            assert cookie_lines(answer) == []
        assert state(browser) == {
            "authenticated": False,
            "reason": "session_expired",
            "login_url": "/bff/login",
            "logout_url": "/bff/logout",
        }


@pytest.mark.rule("S-06")
@pytest.mark.rule("T-04")
def test_a_key_id_that_is_not_known_yet_never_means_signed_out(browser: Browser) -> None:
    browser.sign_in()
    good = browser.session_cookie or ""
    unknown = "00000000" + good[8:]
    browser.cookies[SESSION].value = unknown
    for method, path in (*FETCHES, *SESSIONS):
        answer = browser.fetch(method, path)
        assert (answer.status_code, reason(answer)) == (503, "key_unknown")
        assert answer.json()["login_url"] == "/bff/login"
    refused = browser.fetch("POST", "/bff/logout")
    assert (refused.status_code, reason(refused)) == (503, "key_unknown")
    assert cookie_lines(refused) == []
    assert browser.navigate("/bff/login", site="same-origin").status_code == 303
    browser.cookies[SESSION].value = good
    assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("S-06")
@pytest.mark.parametrize("kid", ["", "0000000", "000000000", "0000000G", "ABCDEF01", "........"])
def test_what_is_no_key_id_at_all_is_no_session(browser: Browser, kid: str) -> None:
    browser.sign_in()
    answer = with_cookie(browser, kid + (browser.session_cookie or "")[8:])
    assert (answer.status_code, reason(answer)) == (401, "no_session")


@pytest.mark.rule("S-07")
@pytest.mark.rule("E-04")
@pytest.mark.parametrize("outage", ["stopped", "hung"])
def test_store_down_is_said_everywhere_and_guessed_nowhere(
    sites: Sites, provider: Control, redis: RedisProcess, outage: str
) -> None:
    with browsing(sites(store="redis", session='store_deadline = "400ms"')) as browser:
        browser.sign_in()
        cookie = browser.session_cookie
        redis.stop() if outage == "stopped" else redis.hang()
        for method, path in (*FETCHES, *SESSIONS):
            answer = browser.fetch(method, path)
            assert (path, answer.status_code, reason(answer)) == (path, 503, "store_unavailable")
            assert cookie_lines(answer) == []
        assert browser.session_cookie == cookie
        assert browser.navigate("/bff/login", site="same-origin").status_code == 303
        assert provider.count("revoke") == 0
        redis.resume() if outage == "hung" else redis.start()
        if outage == "hung":
            assert browser.fetch("GET", "/api/tasks").status_code == 200
        else:  # this Redis keeps nothing on disk: the session is gone, and nobody pretends
            assert reason(browser.fetch("GET", "/api/tasks")) == "session_expired"
            browser.sign_in()
        assert browser.fetch("GET", "/api/tasks").status_code == 200


# --- S-08 to S-12: its life


@pytest.mark.rule("S-08")
def test_a_refresh_keeps_the_id(sites: Sites, provider: Control, store: str) -> None:
    with browsing(sites(store=store)) as browser:
        provider.switch(access_token_seconds=0)
        browser.sign_in()
        before = browser.session_cookie
        answer = browser.fetch("GET", "/bff/session")
        provider.switch(access_token_seconds=300)
        answer = browser.fetch("GET", "/api/tasks")
        assert answer.status_code == 200
        assert cookie_lines(answer) == []
        assert provider.count("token:refresh_token") == 1
        assert browser.session_cookie == before


@pytest.mark.rule("S-10")
def test_after_idle_without_activity_the_session_is_over(sites: Sites, provider: Control) -> None:
    site = sites(session='idle = "10m"\nlifetime = "1h"')
    provider.switch(access_token_seconds=100_000)
    with browsing(site) as browser:
        browser.sign_in()
        later(site, 599)
        assert browser.fetch("GET", "/api/tasks").status_code == 200
        later(site, 601)
        answer = browser.fetch("GET", "/api/tasks")
        assert (answer.status_code, reason(answer)) == (401, "session_expired")
        assert browser.session_cookie is not None


@pytest.mark.rule("S-10")
def test_after_lifetime_no_activity_keeps_the_session(sites: Sites, provider: Control) -> None:
    site = sites(session='idle = "10m"\nlifetime = "25m"')
    provider.switch(access_token_seconds=100_000)
    with browsing(site) as browser:
        browser.sign_in()
        for _ in range(3):
            assert browser.fetch("POST", "/bff/session").json()["authenticated"]
            assert browser.fetch("GET", "/api/tasks").status_code == 200
            later(site, 480)
        later(site, 61)
        answer = browser.fetch("GET", "/api/tasks")
        assert (answer.status_code, reason(answer)) == (401, "session_expired")


@pytest.mark.rule("S-10")
def test_the_clock_that_ends_a_session_is_the_stores(sites: Sites, redis: RedisProcess) -> None:
    """A node whose clock is wrong by hours changes nothing; Redis itself lets the record go."""
    site = sites(store="redis", session='idle = "3s"\nlifetime = "1h"')
    with redis.client() as keys, keys.pubsub() as gone:
        keys.config_set("notify-keyspace-events", "Ex")
        gone.subscribe("__keyevent@0__:expired")
        gone.get_message(timeout=5)
        with browsing(site) as browser:
            browser.sign_in()
            later(site, -7200)
            assert browser.fetch("GET", "/api/tasks").status_code == 200
            later(site, 7200)
            assert browser.fetch("GET", "/api/tasks").status_code == 200
            key = session_key(browser).encode()
            while (message := gone.get_message(timeout=5)) is not None:
                if message["data"] == key:
                    break
            assert message is not None
            assert reason(browser.fetch("GET", "/api/tasks")) == "session_expired"
        keys.config_set("notify-keyspace-events", "")


@pytest.mark.rule("S-11")
@pytest.mark.parametrize(
    ("method", "path", "headers", "slides"),
    [
        ("GET", "/bff/session", {}, False),
        ("POST", "/bff/session", {}, True),
        ("GET", "/api/tasks", {}, True),
        ("GET", "/api/nothing", {}, True),
        ("GET", "/api/tasks", {"x-bff-background": "1"}, False),
        ("GET", "/api/tasks", {"x-bff-background": "0"}, True),
    ],
)
def test_only_the_persons_own_activity_slides_the_idle_clock(
    sites: Sites, method: str, path: str, headers: dict[str, str], slides: bool
) -> None:
    more = f"# {method} {path} {headers}"  # its own site: the clock of this one is moved
    site = sites(session='idle = "1000s"\nlifetime = "5000s"', more=more)
    with browsing(site) as browser:
        browser.sign_in()
        later(site, 100)
        browser.fetch(method, path, headers=headers)
        assert (left(browser, "idle") > 950) == slides
        if not slides:
            assert left(browser, "idle") <= 900


@pytest.mark.rule("S-11")
def test_a_slide_is_written_only_now_and_then(sites: Sites, redis: RedisProcess) -> None:
    with browsing(sites(store="redis")) as browser, redis.client() as keys:
        browser.sign_in()
        seen = keys.hget(session_key(browser), "se")
        for _ in range(5):
            assert browser.fetch("GET", "/api/tasks").status_code == 200
        assert keys.hget(session_key(browser), "se") == seen
        assert browser.fetch("POST", "/bff/session").status_code == 200
        assert keys.hget(session_key(browser), "se") != seen


@pytest.mark.rule("S-11")
def test_a_session_that_is_known_already_is_slid_when_it_is_time(
    sites: Sites, redis: RedisProcess
) -> None:
    site = sites(store="redis")
    with browsing(site) as browser, redis.client() as keys:
        browser.sign_in()
        record = session_key(browser)

        def use() -> int:
            """When it was seen, after some calls."""
            for _ in range(3):
                assert browser.fetch("GET", "/api/tasks").status_code == 200
            site.settle()
            return int(keys.hget(record, "se"))

        seen = use()
        keys.hset(record, "se", seen - 120_000)
        slid = use()
        assert slid >= seen
        assert use() == slid


@pytest.mark.rule("S-12")
def test_a_session_does_not_outlive_its_newest_refresh_token(
    store: str, sites: Sites, provider: Control
) -> None:
    with browsing(sites(store=store)) as browser:
        provider.switch(refresh_expires_in=True, refresh_token_seconds=120, access_token_seconds=0)
        browser.sign_in()
        assert 115 <= left(browser, "lifetime") <= 120
        provider.switch(refresh_token_seconds=240, access_token_seconds=300)
        assert browser.fetch("GET", "/api/tasks").status_code == 200
        assert 235 <= left(browser, "lifetime") <= 240


# --- S-13, S-14: the end


@pytest.mark.rule("S-13")
def test_a_late_401_does_not_take_the_cookie_of_a_login_that_has_just_finished(
    store: str, sites: Sites, provider: Control
) -> None:
    with browsing(sites(store=store)) as browser:
        provider.switch(access_token_seconds=0)
        browser.sign_in()
        provider.switch(access_token_seconds=300)
        provider.fault("token:refresh_token", hold=True, count=1, status=400, error="invalid_grant")
        old = dict(browser.cookies)
        with ThreadPoolExecutor(1) as threads, browsing(browser.site) as tab:
            tab.cookies = old
            late = threads.submit(tab.fetch, "GET", "/api/tasks")
            provider.held("token:refresh_token")
            browser.cookies.pop(SESSION)  # another tab signs in anew, not over the old session
            browser.sign_in("grace")
            provider.release("token:refresh_token")
            answer = late.result()
        assert (answer.status_code, reason(answer)) == (401, "refresh_rejected")
        assert cookie_lines(answer) == []
        assert browser.fetch("GET", "/api/token").json()["sub"] == "grace"


@pytest.mark.rule("S-13")
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/api/tasks", "/bff/session"])
def test_no_refusal_touches_the_session_cookie(browser: Browser, method: str, path: str) -> None:
    browser.sign_in()
    good = browser.session_cookie or ""
    for value in (good[:-1] + "!", "00000000" + good[8:], "", good.upper()):
        answer = browser.fetch(method, path, headers={"cookie": f"{SESSION}={value}"})
        assert cookie_lines(answer) == []
    assert browser.fetch("GET", "/api/tasks").status_code == 200


@pytest.mark.rule("S-14")
@pytest.mark.rule("O-03")
@pytest.mark.rule("D-09")
def test_a_session_ended_in_one_process_is_refused_by_another_at_its_very_next_request(
    sites: Sites, redis: RedisProcess
) -> None:
    assert redis.process
    one, two = sites(store="redis"), sites(store="redis", more="# the second process")
    for number in range(10):
        with browsing(one) as here, browsing(two) as there:
            here.sign_in()
            there.cookies = dict(here.cookies)
            for browser in (here, there):  # both have it opened and at hand
                assert browser.fetch("GET", "/api/tasks").status_code == 200
            ends, other = (here, there) if number % 2 else (there, here)
            assert ends.fetch("POST", "/bff/logout").status_code == 200
            answer = other.fetch("GET", "/api/tasks")
            assert (answer.status_code, reason(answer)) == (401, "session_ended")
            assert state(other)["reason"] == "session_ended"


@pytest.mark.rule("S-14")
@pytest.mark.rule("R-11")
def test_a_refresh_that_was_under_way_does_not_bring_an_ended_session_back(
    store: str, sites: Sites, provider: Control
) -> None:
    with browsing(sites(store=store)) as browser, browsing(sites(store=store)) as tab:
        provider.switch(access_token_seconds=0)
        browser.sign_in()
        tab.cookies = dict(browser.cookies)
        provider.switch(access_token_seconds=300)
        provider.fault("token:refresh_token", at="after", hold=True, count=1)
        with ThreadPoolExecutor(1) as threads:
            refreshing = threads.submit(tab.fetch, "GET", "/api/tasks")
            provider.held("token:refresh_token")
            assert browser.fetch("POST", "/bff/logout").status_code == 200
            provider.release("token:refresh_token")
            answer = refreshing.result()
        assert (answer.status_code, reason(answer)) == (401, "session_ended")
        assert reason(tab.fetch("GET", "/api/tasks")) == "session_ended"
        provider.entries("revoke", 2)  # the old refresh token's, and the one that came too late


@pytest.mark.rule("S-14")
def test_a_slide_does_not_bring_an_ended_session_back(sites: Sites, redis: RedisProcess) -> None:
    site = sites(store="redis")
    with browsing(site) as browser, redis.client() as keys:
        browser.sign_in()
        key = session_key(browser)
        keys.delete(key)  # by hand, as an operator might
        store = front(site).sessions.store
        assert site.run(store.touch(key.removeprefix("bff:"))) is False
        assert not keys.exists(key)
        assert state(browser, "POST")["reason"] == "session_expired"
        assert not keys.exists(key)


# --- S-15: what the page may know


@pytest.mark.rule("S-15")
def test_the_state_of_a_session_says_how_long_it_has_left(
    store: str, sites: Sites, provider: Control
) -> None:
    with browsing(sites(store=store)) as browser:
        nobody = browser.fetch("GET", "/bff/session")
        assert nobody.status_code == 200
        assert nobody.json() == {
            "authenticated": False,
            "reason": "no_session",
            "login_url": "/bff/login",
            "logout_url": "/bff/logout",
        }
        browser.sign_in()
        answer = browser.fetch("GET", "/bff/session")
        assert answer.headers["cache-control"] == "no-store"
        document = answer.json()
        seconds = document.pop("seconds_left")
        assert set(document) == {"authenticated", "person", "claims", "login_url", "logout_url"}
        assert 1790 <= seconds["idle"] <= 1800
        assert 43_190 <= seconds["lifetime"] <= 43_200
        assert 290 <= seconds["access_token"] <= 300
        provider.switch(omit_expires_in=True)
        browser.sign_in()
        assert left_or_none(browser) is None


def named(site: Site, sub: str) -> str:
    """SHA-256 of what a person is told apart by, each after its length; 16 octets of it."""
    parts = ("bff/1/person", "default", front(site).frontend.provider.issuer, sub)
    octets = b"".join(len(part).to_bytes(4, "big") + part.encode() for part in parts)
    return base64.b64encode(hashlib.sha256(octets).digest()[:16], b"-_").decode().rstrip("=")


@pytest.mark.rule("S-15")
def test_a_person_has_one_name_in_all_sessions_and_under_every_key(
    site: Site, sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BFF_TEST_OTHER_KEY", new_key())
    for at in (site, site, sites(key="BFF_TEST_OTHER_KEY")):
        with browsing(at) as browser:
            for _ in range(2):  # the second time over the session before
                browser.sign_in()
                assert state(browser)["person"] == named(site, "ada")
                assert state(browser, "POST")["person"] == named(site, "ada")


@pytest.mark.rule("S-15")
def test_two_people_of_whom_a_page_may_see_nothing_are_two(provider: Control) -> None:
    simulator = provider.simulator
    text = config_text(issuer=simulator.issuer, api=simulator.api)
    unseen = parse(re.sub("(?m)^claims = .*$", "claims = []", text), dev=True)
    with serving(unseen) as site, browsing(site) as browser:
        for sub in ("ada", "grace", "ada"):
            browser.sign_in(sub)
            now = state(browser)
            assert (now["claims"], now["person"]) == ({}, named(site, sub))


def left_or_none(browser: Browser) -> object:
    seconds = state(browser)["seconds_left"]
    assert isinstance(seconds, dict)
    return seconds["access_token"]


@pytest.mark.rule("S-15")
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD"])
def test_the_state_of_a_session_is_asked_by_get_or_post(browser: Browser, method: str) -> None:
    answer = browser.fetch(method, "/bff/session")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")
