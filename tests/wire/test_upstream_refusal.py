"""An upstream's 401: one repeat with another token where that may help, and only then (R-08)."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import Sites
from tests.parts.browser import Browser, browsing
from tests.parts.config import config
from tests.parts.control import Control
from tests.parts.raw import OK, Villain
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site, serving

REFUSED = b"HTTP/1.1 401 No\r\nwww-authenticate: %s\r\ncontent-length: 4\r\n\r\nmine"
INVALID = REFUSED % b'Bearer error="invalid_token"'
REFRESH = "token:refresh_token"


@pytest.fixture
def site(upstream: Villain, provider: Control) -> Iterator[Site]:
    text = config(issuer=provider.simulator.issuer, api=upstream.url)
    with serving(text) as found:
        yield found


@pytest.fixture
def ada(site: Site, upstream: Villain) -> Iterator[Browser]:
    upstream.script()
    with browsing(site) as browser:
        browser.sign_in()
        yield browser


def grow_old(site: Site, seconds: float = 31) -> None:
    """Let store time go on, for this site alone."""
    clock = site.application.site.fronts["default"].front.clock
    clock.observe(clock.now() + seconds, time.monotonic())  # type: ignore[attr-defined]


def tokens(upstream: Villain) -> list[bytes]:
    return [received.all(b"authorization")[0] for received in upstream.received]


@pytest.mark.rule("R-08")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_401_on_an_old_token_is_repeated_once_with_a_new_one(
    ada: Browser, site: Site, upstream: Villain, provider: Control, method: str
) -> None:
    grow_old(site)
    upstream.script(INVALID, OK)
    body = b"x" * 1000 if method in ("POST", "PUT") else None
    answer = ada.fetch(method, "/api/x", content=body)
    assert (answer.status_code, answer.content) == (200, b"ok")
    first, second = upstream.received
    assert first.body == second.body == (body or b"")
    assert len(set(tokens(upstream))) == 2
    assert provider.count(REFRESH) == 1


@pytest.mark.rule("R-08", "A-04")
def test_a_401_on_a_young_token_passes(
    ada: Browser, site: Site, upstream: Villain, provider: Control
) -> None:
    grow_old(site, 0)
    upstream.script(INVALID, OK)
    answer = ada.fetch("GET", "/api/x")
    assert (answer.status_code, answer.content) == (401, b"mine")
    assert answer.headers["www-authenticate"] == 'Upstream realm="/api"'
    assert (len(upstream.received), provider.count(REFRESH)) == (1, 0)
    assert ada.fetch("GET", "/bff/session").json()["authenticated"]


@pytest.mark.rule("R-08", "A-05")
@pytest.mark.parametrize(
    ("status", "challenge", "reason", "more"),
    [
        pytest.param(
            401,
            b'Bearer error="insufficient_user_authentication", acr_values="urn:a b", max_age="60"',
            "step_up_required",
            {"login_url": "/bff/login?acr_values=urn%3Aa%20b&max_age=60"},
            id="a stronger sign-in, and how old it may be",
        ),
        pytest.param(
            401,
            b"Bearer error=insufficient_user_authentication",
            "step_up_required",
            {"login_url": "/bff/login"},
            id="a stronger sign-in without saying which",
        ),
        pytest.param(
            401,
            b'Bearer error="insufficient_user_authentication", max_age=-1, acr_values="a\tb"',
            "step_up_required",
            {"login_url": "/bff/login"},
            id="what no login would take is left out",
        ),
        pytest.param(
            403,
            b'Bearer realm="x", error="insufficient_scope", scope="a b:c"',
            "insufficient_scope",
            {"scope": "a b:c"},
            id="a right that was not granted",
        ),
        pytest.param(
            401,
            b'Bearer error="insufficient_scope"',
            "insufficient_scope",
            {},
            id="a right that is not named",
        ),
    ],
)
def test_what_another_sign_in_would_mend_is_said_with_the_way_to_it(
    ada: Browser,
    site: Site,
    upstream: Villain,
    provider: Control,
    status: int,
    challenge: bytes,
    reason: str,
    more: dict[str, str],
) -> None:
    grow_old(site, 31)
    head = b"HTTP/1.1 %d No\r\nwww-authenticate: %s\r\ncontent-length: 4\r\n\r\nmine"
    upstream.script(head % (status, challenge), OK)
    answer = ada.fetch("GET", "/api/x")
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert "www-authenticate" not in answer.headers
    document = answer.json()
    assert document["reason"] == reason
    assert {name: document.get(name) for name in ("login_url", "scope")} == {
        "login_url": None,
        "scope": None,
        **more,
    }
    assert (len(upstream.received), provider.count(REFRESH)) == (1, 0)
    assert ada.fetch("GET", "/api/x").content == b"ok"  # the connection and the session are good


@pytest.mark.rule("A-05")
def test_a_plain_403_is_the_upstreams_own(ada: Browser, upstream: Villain) -> None:
    upstream.script(b"HTTP/1.1 403 No\r\ncontent-length: 4\r\n\r\nmine")
    answer = ada.fetch("GET", "/api/x")
    assert (answer.status_code, answer.content) == (403, b"mine")


@pytest.mark.rule("R-08")
def test_a_body_that_was_not_held_whole_is_not_repeated(
    ada: Browser, site: Site, upstream: Villain, provider: Control
) -> None:
    grow_old(site)
    upstream.script(INVALID, OK)
    assert ada.fetch("POST", "/api/x", content=b"x" * 70_000).status_code == 401
    assert (len(upstream.received), provider.count(REFRESH)) == (1, 0)


@pytest.mark.rule("R-08", "Q-21")
def test_a_second_401_passes_and_the_new_token_is_not_renewed_again(
    ada: Browser, site: Site, upstream: Villain, provider: Control
) -> None:
    grow_old(site)
    upstream.script(INVALID, INVALID, INVALID)
    assert ada.fetch("POST", "/api/x", content=b"x").status_code == 401
    assert ada.fetch("POST", "/api/x", content=b"x").status_code == 401
    assert (len(upstream.received), provider.count(REFRESH)) == (3, 1)


@pytest.mark.rule("R-08")
def test_a_call_in_flight_while_the_token_was_renewed_is_repeated_without_a_refresh(
    ada: Browser, site: Site, upstream: Villain, provider: Control
) -> None:
    grow_old(site)

    def refused_after_another_renewed(connection: object, _: object) -> None:
        with browsing(site) as tab:
            tab.cookies = dict(ada.cookies)
            assert tab.fetch("GET", "/api/other").status_code == 200
        connection.sendall(INVALID)  # type: ignore[attr-defined]

    upstream.script(refused_after_another_renewed, INVALID, OK, OK)
    assert ada.fetch("POST", "/api/x", content=b"x").status_code == 200
    assert provider.count(REFRESH) == 1
    assert len(set(tokens(upstream))) == 2


@pytest.mark.rule("R-08")
def test_trouble_of_the_provider_leaves_the_upstreams_own_answer(
    ada: Browser, site: Site, upstream: Villain, provider: Control
) -> None:
    grow_old(site)
    provider.fault(REFRESH, status=500)
    upstream.script(INVALID, OK)
    answer = ada.fetch("GET", "/api/x")
    assert (answer.status_code, answer.content) == (401, b"mine")
    assert ada.fetch("GET", "/bff/session").json()["authenticated"]


@pytest.mark.rule("R-08", "S-14")
def test_a_session_that_ended_meanwhile_leaves_no_connection_taken(
    upstream: Villain, provider: Control
) -> None:
    text = config(issuer=provider.simulator.issuer, api=upstream.url, route="connections = 1")
    with serving(text) as site, browsing(site) as ada:
        ada.sign_in()
        grow_old(site)

        def refused_after_a_logout(connection: object, _: object) -> None:
            with browsing(site) as tab:
                tab.cookies = dict(ada.cookies)
                assert tab.fetch("POST", "/bff/logout").status_code == 200
            connection.sendall(INVALID)  # type: ignore[attr-defined]

        upstream.script(refused_after_a_logout, OK)
        answer = ada.fetch("GET", "/api/x")
        assert (answer.status_code, answer.json()["reason"]) == (401, "session_ended")
        ada.sign_in()
        assert ada.fetch("GET", "/api/x").content == b"ok"


@pytest.mark.rule("R-01")
def test_a_provider_that_gives_the_same_access_token_again_is_asked_once(
    ada: Browser, site: Site, upstream: Villain, provider: Control
) -> None:
    """And with no life left, as one that means what is left of it by `expires_in`."""
    assert ada.fetch("GET", "/api/x").status_code == 200
    same = tokens(upstream)[0].decode().partition(" ")[2]
    again = {"access_token": same, "token_type": "Bearer", "expires_in": 0}
    provider.fault(REFRESH, status=200, body=json.dumps(again), count=9)
    grow_old(site, 305)
    assert ada.fetch("GET", "/api/x").status_code == 200
    assert provider.count(REFRESH) == 1


@pytest.mark.rule("I-13")
def test_an_access_token_that_could_not_be_verified_is_shown_by_no_process(
    upstream: Villain, provider: Control, redis: RedisProcess
) -> None:
    """The keys are away: the new refresh token is kept, and nothing else of that answer."""
    upstream.script()
    text = config(issuer=provider.simulator.issuer, api=upstream.url, store=redis.url)
    provider.switch(access_token_seconds=1)
    with serving(text) as one, serving(text) as other, browsing(one) as page:
        page.sign_in()
        provider.switch(access_token_seconds=300)
        time.sleep(1)  # in the store's own time
        for _ in range(2):  # the first brings the one that was published before
            provider.do("rotate-keys", {"keep": True})
        provider.fault("jwks", status=503, count=None)
        provider.fault(REFRESH, hold=True, count=1)
        with browsing(other) as there, ThreadPoolExecutor(2) as pool:
            there.cookies = dict(page.cookies)
            asking = pool.submit(page.fetch, "GET", "/api/x")
            provider.held(REFRESH)
            waiting = pool.submit(there.fetch, "GET", "/api/x")
            time.sleep(0.3)  # so that it waits for the other process's refresh
            provider.release(REFRESH)
            assert [asking.result().status_code, waiting.result().status_code] == [503, 503]
        assert upstream.received == []
        (asked, *_) = provider.entries(REFRESH)
        assert asked["outcome"] == "ok"
        provider.do("clear")
        assert page.fetch("GET", "/bff/session").json()["authenticated"]


@pytest.mark.rule("A-05")
def test_what_no_login_may_ask_for_is_left_out(
    sites: Sites, upstream: Villain, provider: Control
) -> None:
    challenge = b'Bearer error=insufficient_user_authentication, acr_values="gold 2"'
    upstream.script(
        b"HTTP/1.1 401 No\r\nwww-authenticate: %b\r\ncontent-length: 0\r\n\r\n" % challenge
    )
    with browsing(sites(api=upstream.url, provider='acr_values = ["2"]')) as ada:
        ada.sign_in()
        login_url = ada.fetch("GET", "/api/x").json()["login_url"]
        assert login_url == "/bff/login?acr_values=2"
        assert ada.navigate(login_url, site="same-origin").status_code == 303
