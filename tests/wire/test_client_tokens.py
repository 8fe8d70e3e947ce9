"""Tokens of our own (R-13): asked for once, shared by processes, never mixed with a person's."""

import contextlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from websockets.exceptions import ConnectionClosed

from bff.config.load import Config, parse
from bff.simulator import Client, Person, Plan, running
from tests.conftest import SECURE
from tests.parts.answers import reason
from tests.parts.browser import Browser, browsing
from tests.parts.config import SECRET, config
from tests.parts.control import Control
from tests.parts.providers import provider_text, several_text
from tests.parts.raw import OK, Received, Villain, raw
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site, serving
from tests.parts.socket_server import PATIENCE, open_socket
from tests.wire.test_upstream_refusal import INVALID, grow_old

pytestmark = pytest.mark.rule("R-13")

ASKED = "token:client_credentials"
REFRESH = "token:refresh_token"
REPORTS = "https://reports.example.com/"
LACKS = (
    b'HTTP/1.1 403 No\r\nwww-authenticate: Bearer error="insufficient_scope"\r\n'
    b"content-length: 4\r\n\r\nmine"
)


def route(upstream: Villain, more: str = "", path: str = "/reports") -> str:
    return f"""
[[routes]]
path = "{path}"
upstream = "{upstream.url}"
auth = "client"
resource = "{REPORTS}"
scopes = ["tasks:read"]
{more}
"""


def wanted(control: Control, upstream: Villain, more: str = "", /, **parts: str) -> Config:
    parts = {"provider": "connections = 1000\n" + parts.pop("provider", ""), **parts}
    text = {"routes": route(upstream, more) + parts.pop("routes", ""), **parts}
    return config(issuer=control.simulator.issuer, api=upstream.url, **text)


@contextlib.contextmanager
def signed_in(site: Site, sub: str = "ada") -> Iterator[Browser]:
    with browsing(site) as browser:
        browser.sign_in(sub)
        yield browser


@pytest.fixture
def site(upstream: Villain, provider: Control) -> Iterator[Site]:
    upstream.script()
    with serving(wanted(provider, upstream)) as found:
        yield found


@pytest.fixture
def ada(site: Site) -> Iterator[Browser]:
    with signed_in(site) as browser:
        yield browser


def shown(received: Received) -> str:
    (authorization,) = received.all(b"authorization")
    return authorization.decode().partition(" ")[2]


def claims(token: str) -> dict[str, Any]:
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


def test_the_route_gets_our_own_token_and_the_person_keeps_theirs(
    ada: Browser, upstream: Villain, provider: Control
) -> None:
    for path in ("/reports/1", "/api/1", "/reports/2"):
        assert ada.fetch("GET", path).status_code == 200
    ours, theirs, again = (shown(each) for each in upstream.received)
    assert ours == again
    said = claims(ours)
    assert (said["sub"], said["aud"], said["scope"]) == ("spa", [REPORTS], "tasks:read")
    assert claims(theirs)["sub"] == "ada"
    assert provider.count(ASKED) == 1


def test_it_is_the_same_for_everybody(site: Site, upstream: Villain, provider: Control) -> None:
    for sub in ("ada", "grace"):
        with browsing(site) as page:
            page.sign_in(sub)
            assert page.fetch("GET", "/reports").status_code == 200
    assert len({shown(each) for each in upstream.received}) == 1
    assert provider.count(ASKED) == 1


def test_without_a_session_there_is_none_to_be_had(
    site: Site, upstream: Villain, provider: Control
) -> None:
    with browsing(site) as page:
        answer = page.fetch("GET", "/reports")
        assert (answer.status_code, reason(answer)) == (401, "no_session")
    with signed_in(site) as page:
        assert page.fetch("POST", "/bff/logout").status_code == 200
    assert (upstream.received, provider.count(ASKED)) == ([], 0)


def test_a_session_that_ended_is_refused_though_the_token_is_at_hand(
    ada: Browser, upstream: Villain
) -> None:
    assert ada.fetch("GET", "/reports").status_code == 200
    cookies = dict(ada.cookies)
    assert ada.fetch("POST", "/bff/logout").status_code == 200
    ada.cookies = cookies
    answer = ada.fetch("GET", "/reports")
    assert (answer.status_code, reason(answer)) == (401, "session_ended")
    assert len(upstream.received) == 1


def test_an_anonymous_route_asks_for_no_session(upstream: Villain, provider: Control) -> None:
    upstream.script()
    with serving(wanted(provider, upstream, "anonymous = true")) as site, browsing(site) as page:
        assert page.fetch("GET", "/reports").status_code == 200
    assert claims(shown(upstream.received[0]))["sub"] == "spa"


@pytest.mark.rule("Q-05")
def test_a_request_that_brings_a_token_of_its_own_is_refused(ada: Browser) -> None:
    assert ada.fetch("GET", "/reports?access_token=x").status_code == 400


def test_what_a_person_must_be_is_asked_of_the_person(upstream: Villain, provider: Control) -> None:
    upstream.script()
    more = 'require = { email = "grace@example.com" }'
    with serving(wanted(provider, upstream, more)) as site:
        for sub, status in (("ada", 403), ("grace", 200)):
            with browsing(site) as page:
                page.sign_in(sub)
                assert page.fetch("GET", "/reports").status_code == status


@pytest.mark.rule("Q-19")
def test_of_a_request_refused_for_its_body_nothing_goes_on(
    upstream: Villain, provider: Control, redis: RedisProcess
) -> None:
    upstream.script()
    here = wanted(provider, upstream, 'max_body = "16B"', store=redis.url)
    with serving(here) as one, serving(here) as other, signed_in(one) as page:
        redis.hang()  # so the other, which has never seen the session, has to wait for it
        cookie = "; ".join(f"{name}={each.value}" for name, each in page.cookies.items())
        head = [
            "POST /reports HTTP/1.1",
            "Host: app.example.com",
            "Sec-Fetch-Site: same-origin",
            "X-CSRF: 1",
            f"Cookie: {cookie}",
            "Transfer-Encoding: chunked",
        ]
        with raw(other.port) as wire:
            wire.send("\r\n".join([*head, "\r\n"]).encode())
            wire.send(b"11\r\n%b\r\n" % (b"x" * 17))
            assert wire.answer().status == 413
        redis.resume()
        with browsing(other) as there:
            there.cookies = dict(page.cookies)
            assert there.fetch("GET", "/bff/session").status_code == 200  # found by now
    assert (upstream.received, provider.count(ASKED)) == ([], 0)


def test_many_at_once_ask_once(
    site: Site, ada: Browser, upstream: Villain, provider: Control
) -> None:
    provider.fault(ASKED, hold=True)

    def call(_: int) -> int:
        with browsing(site) as tab:
            tab.cookies = dict(ada.cookies)
            return tab.fetch("GET", "/reports").status_code

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(call, each) for each in range(8)]
        provider.held(ASKED)
        provider.release(ASKED)
        assert {each.result() for each in answers} == {200}
    assert provider.count(ASKED) == 1


def test_processes_share_it(upstream: Villain, provider: Control, redis: RedisProcess) -> None:
    upstream.script()
    here = wanted(provider, upstream, store=redis.url)
    with serving(here) as one, serving(here) as other, signed_in(one) as page:
        assert page.fetch("GET", "/reports").status_code == 200
        with browsing(other) as there:
            there.cookies = dict(page.cookies)
            assert there.fetch("GET", "/reports").status_code == 200
    token, same = (shown(each) for each in upstream.received)
    assert token == same
    assert provider.count(ASKED) == 1
    assert token.encode() not in redis.dump()


def test_shortly_before_its_end_there_is_another(
    ada: Browser, site: Site, upstream: Villain, provider: Control
) -> None:
    assert ada.fetch("GET", "/reports").status_code == 200
    grow_old(site, 200)  # of 300
    assert ada.fetch("GET", "/reports").status_code == 200
    assert provider.count(ASKED) == 1
    grow_old(site, 80)
    assert ada.fetch("GET", "/reports").status_code == 200
    assert provider.count(ASKED) == 2
    assert len({shown(each) for each in upstream.received}) == 2


@pytest.mark.rule("R-08")
def test_an_upstreams_401_brings_one_new_token_and_one_repeat(
    ada: Browser, site: Site, upstream: Villain, provider: Control
) -> None:
    assert ada.fetch("GET", "/reports").status_code == 200
    grow_old(site)
    upstream.script(INVALID, OK, INVALID)
    assert ada.fetch("POST", "/reports", content=b"x").status_code == 200
    first, second = upstream.received
    assert first.body == second.body == b"x"
    assert shown(first) != shown(second)
    assert (provider.count(ASKED), provider.count(REFRESH)) == (2, 0)
    assert ada.fetch("GET", "/reports").status_code == 401  # of a token that is new
    assert (provider.count(ASKED), len(upstream.received)) == (2, 3)


@pytest.mark.rule("A-05")
def test_what_our_token_lacks_no_sign_in_of_the_person_mends(
    ada: Browser, upstream: Villain
) -> None:
    upstream.script(LACKS)
    answer = ada.fetch("GET", "/reports")
    assert (answer.status_code, answer.content) == (403, b"mine")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"status": 500}, id="broken"),
        pytest.param({"status": 503}, id="away"),
        pytest.param({"drop": True}, id="silent"),
    ],
)
def test_a_provider_in_trouble_refuses_the_call_and_ends_nothing(
    ada: Browser, site: Site, provider: Control, fault: dict[str, object]
) -> None:
    provider.fault(ASKED, count=1, **fault)
    answer = ada.fetch("GET", "/reports")
    assert (answer.status_code, reason(answer)) == (503, "provider_unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert ada.fetch("GET", "/api/1").status_code == 200
    grow_old(site, 10)
    assert ada.fetch("GET", "/reports").status_code == 200


def test_a_refusal_of_the_provider_holds_back_no_refresh(
    upstream: Villain, provider: Control
) -> None:
    upstream.script()
    with serving(wanted(provider, upstream)) as site, signed_in(site) as page:
        provider.fault(ASKED, count=9, status=400)
        for _ in range(5):
            assert page.fetch("GET", "/reports").status_code == 503
            grow_old(site, 10)
        grow_old(site, 260)
        assert page.fetch("GET", "/api/1").status_code == 200
        assert provider.count(REFRESH) >= 1


def test_it_is_bound_to_a_key_of_its_own(upstream: Villain, provider: Control) -> None:
    upstream.script()
    text = wanted(provider, upstream, provider="dpop = true")
    with serving(text) as site, signed_in(site) as page:
        for path in ("/reports", "/api/1"):
            assert page.fetch("GET", path).status_code == 200
    ours, theirs = upstream.received
    assert ours.all(b"authorization")[0].startswith(b"DPoP ")
    bound = [claims(shown(each))["cnf"]["jkt"] for each in (ours, theirs)]
    assert bound[0] != bound[1]
    proof = claims(ours.all(b"dpop")[0].decode())
    assert (proof["htm"], proof["htu"]) == ("GET", f"{upstream.url}/reports")


def test_two_routes_that_want_the_same_share_one(upstream: Villain, provider: Control) -> None:
    upstream.script()
    another = route(upstream, 'audience = "x"', path="/other")
    text = wanted(provider, upstream, routes=route(upstream, path="/same") + another)
    with serving(text) as site, signed_in(site) as page:
        for path in ("/reports", "/same", "/other"):
            assert page.fetch("GET", path).status_code == 200
    one, same, other = (shown(each) for each in upstream.received)
    assert one == same != other
    assert claims(other)["aud"] == [REPORTS, "x"]
    assert provider.count(ASKED) == 2


def test_processes_that_want_it_at_once_ask_once(
    upstream: Villain, provider: Control, redis: RedisProcess
) -> None:
    upstream.script()
    text = wanted(provider, upstream, store=redis.url)
    with serving(text) as one, serving(text) as other, signed_in(one) as page:
        provider.fault(ASKED, hold=True)

        def call(site: Site) -> int:
            with browsing(site) as tab:
                tab.cookies = dict(page.cookies)
                return tab.fetch("GET", "/reports").status_code

        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(call, one)
            provider.held(ASKED)
            second = pool.submit(call, other)
            provider.release(ASKED)
            assert {first.result(), second.result()} == {200}
    assert provider.count(ASKED) == 1
    assert len({shown(each) for each in upstream.received}) == 1


def test_a_browser_that_goes_away_does_not_end_the_asking(
    site: Site, ada: Browser, upstream: Villain, provider: Control
) -> None:
    provider.fault(ASKED, hold=True)
    with raw(site.port) as wire:
        cookie = "; ".join(f"{name}={each.value}" for name, each in ada.cookies.items())
        head = f"GET /reports HTTP/1.1\r\nHost: {site.host}\r\nCookie: {cookie}\r\n"
        wire.send(f"{head}X-CSRF: 1\r\n\r\n".encode())
        provider.held(ASKED)
    provider.release(ASKED)
    assert ada.fetch("GET", "/reports").status_code == 200
    assert provider.count(ASKED) == 1


def test_the_named_provider_gives_it(upstream: Villain, provider: Control) -> None:
    upstream.script()
    application = Client(
        client_id="spa",
        client_secret=SECRET,
        redirect_uris=tuple(f"{SECURE}/bff/callback/{name}" for name in ("corp", "guests")),
    )
    plan = Plan(clients=(application,))
    with running(plan) as corp, running(plan) as guests:
        text = several_text(
            provider_text("corp", corp.issuer),
            provider_text("guests", guests.issuer),
            api=upstream.url,
            routes=route(upstream, 'provider = "guests"'),
        )
        with serving(parse(text, dev=True)) as site, browsing(site) as page:
            with Person("ada") as person:
                page.callback(person.visit(page.to_provider("/", provider="corp")))
            assert page.fetch("GET", "/reports").status_code == 200
            assert page.fetch("GET", "/api/1").status_code == 200
        ours, theirs = (claims(shown(each))["iss"] for each in upstream.received)
        assert (ours, theirs) == (guests.issuer, corp.issuer)


def test_a_socket_has_our_token_and_may_end_with_it(provider: Control) -> None:
    more = 'websocket = true\nwebsocket_expiry = "close"\naudience = "urn:simulator:tasks"'
    api = provider.simulator.api
    own = f'[[routes]]\npath = "/feed"\nupstream = "{api}"\nauth = "client"\nstrip = true\n{more}'
    text = config(issuer=provider.simulator.issuer, api=api, routes=own)
    with serving(text) as site, signed_in(site) as page:
        provider.switch(access_token_seconds=2)
        with open_socket(page, "/feed/chat") as connection:
            connection.send("hello")
            said = json.loads(connection.recv(timeout=PATIENCE))
            assert (said["sub"], said["text"]) == ("spa", "hello")
            with pytest.raises(ConnectionClosed) as closed:
                connection.recv(timeout=PATIENCE)
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1012, "token_expired")


def test_an_api_that_it_is_not_for_refuses_it(provider: Control) -> None:
    api = provider.simulator.api
    own = f'[[routes]]\npath = "/feed"\nupstream = "{api}"\nauth = "client"\nstrip = true\n'
    for more, status in (
        (f'resource = "{REPORTS}"', 401),
        ('audience = "urn:simulator:tasks"', 200),
    ):
        text = config(issuer=provider.simulator.issuer, api=api, routes=own + more)
        with serving(text) as site, signed_in(site) as page:
            assert page.fetch("GET", "/feed/tasks").status_code == status


def test_a_store_that_fails_after_the_asking_costs_nobody_the_token(
    upstream: Villain, provider: Control, redis: RedisProcess
) -> None:
    upstream.script()
    text = wanted(provider, upstream, "anonymous = true", store=redis.url)
    with serving(text) as site, browsing(site) as page, ThreadPoolExecutor(1) as pool:
        provider.fault(ASKED, hold=True)
        answer = pool.submit(page.fetch, "GET", "/reports")
        provider.held(ASKED)
        redis.stop()
        provider.release(ASKED)
        assert answer.result().status_code == 200
        assert page.fetch("GET", "/reports").status_code == 200  # it is at hand
    assert provider.count(ASKED) == 1


def test_without_the_store_none_is_asked_for(
    upstream: Villain, provider: Control, redis: RedisProcess
) -> None:
    upstream.script()
    text = wanted(provider, upstream, "anonymous = true", store=redis.url)
    with serving(text) as site, browsing(site) as page:
        redis.stop()
        answer = page.fetch("GET", "/reports")
        assert (answer.status_code, reason(answer)) == (503, "store_unavailable")
    assert (provider.count(ASKED), upstream.received) == (0, [])
