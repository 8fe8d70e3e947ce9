"""The whole way against a provider that others wrote: npm oidc-provider, certified.

The BFF is `http://localhost`, the provider `http://127.0.0.1`: two sites, as in real life.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.canary import RECORDER
from tests.interop.oidc_provider import OidcProvider, Visitor, application, oidc_provider
from tests.parts.browser import Browser, browsing
from tests.parts.config import config
from tests.parts.raw import Villain, villain
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site, bind, serving
from tests.parts.waiting import until

SHORT: Final = 2  # seconds; the life of an access token that a test waits for
LONG: Final = 60


@dataclass(frozen=True)
class World:
    site: Site
    provider: OidcProvider
    upstream: Villain


@pytest.fixture(scope="module", params=["client_secret_basic", "client_secret_post"])
def world(request: pytest.FixtureRequest, redis_server: RedisProcess) -> Iterator[World]:
    method: str = request.param
    listening = bind()
    origin = f"http://localhost:{listening.getsockname()[1]}"
    registered = application("spa", method, origin)
    with oidc_provider([registered], access_token_seconds=LONG) as provider, villain() as upstream:
        wanted = config(
            issuer=provider.issuer,
            api=upstream.url,
            store=redis_server.url,
            origin=origin,
            # It gives a refresh token only for offline_access together with prompt=consent.
            provider='parameters = { prompt = "consent" }\n'
            + f'client_authentication = "{method}"',
        )
        with serving(wanted, listening) as site:
            yield World(site, provider, upstream)


@pytest.fixture
def browser(world: World) -> Iterator[Browser]:
    world.provider.let_access_tokens_live(LONG)
    world.upstream.script()
    with browsing(world.site) as browser:
        yield browser


def sign_in(browser: Browser, visitor: Visitor, **query: str) -> httpx.Response:
    return browser.callback(visitor.visit(browser.to_provider("/orders", **query)))


def token_at(upstream: Villain) -> str:
    """The bearer token of the last request that reached the API."""
    (authorization,) = upstream.received[-1].all(b"authorization")
    scheme, _, token = authorization.decode().partition(" ")
    assert scheme == "Bearer"
    return token


def wait_for_the_end_of(token: str, provider: OidcProvider) -> None:
    """Return when the token is over by anybody's count: `exp` is cut to whole seconds."""
    exp: int = provider.introspected(token)["exp"]
    until(lambda: datetime.now(UTC).timestamp() > exp + 1)


@pytest.mark.rule("C-09")
@pytest.mark.rule("P-06")
@pytest.mark.rule("Q-04")
def test_the_api_gets_a_token_that_the_provider_knows(world: World, browser: Browser) -> None:
    with Visitor("ada") as visitor:
        landed = sign_in(browser, visitor)
    assert landed.status_code == 200
    assert 'url=/orders"' in landed.text
    claims = browser.fetch("GET", "/bff/session").json()["claims"]
    assert claims == {"name": "ada of Interop", "email": "ada@example.com"}
    assert browser.fetch("GET", "/api/orders").status_code == 200
    known = world.provider.introspected(token_at(world.upstream))
    assert (known["active"], known["sub"], known["client_id"]) == (True, "ada", "spa")


@pytest.mark.rule("C-04")
def test_the_callback_counts_only_with_this_issuer(world: World, browser: Browser) -> None:
    with Visitor() as visitor:
        back = visitor.visit(browser.to_provider())
    query = parse_qs(urlsplit(back).query)
    assert query["iss"] == [world.provider.issuer]
    forged = httpx.URL(back).copy_set_param("iss", "https://evil.example")
    refused = browser.callback(str(forged))
    assert (refused.status_code, "issuer_mismatch" in refused.text) == (400, True)
    assert browser.session_cookie is None


@pytest.mark.rule("C-07")
def test_a_refused_consent_is_a_cancelled_sign_in(browser: Browser) -> None:
    with Visitor(allows=False) as visitor:
        refused = sign_in(browser, visitor)
    assert (refused.status_code, "cancelled" in refused.text) == (400, True)
    assert browser.session_cookie is None


def test_a_short_token_is_renewed_and_the_refresh_token_rotates(
    world: World, browser: Browser
) -> None:
    world.provider.let_access_tokens_live(SHORT)
    with Visitor() as visitor:
        sign_in(browser, visitor)
    world.provider.let_access_tokens_live(LONG)
    first, spent = world.provider.newest("access_token"), world.provider.newest("refresh_token")
    cookie, before = browser.session_cookie, world.provider.refreshes()

    def renewed() -> bool:
        assert browser.fetch("GET", "/api/orders").status_code == 200
        return token_at(world.upstream) != first

    until(renewed)
    assert world.provider.refreshes() == before + 1
    assert world.provider.introspected(token_at(world.upstream))["active"]
    rotated = world.provider.newest("refresh_token")
    assert rotated != spent
    assert not world.provider.introspected(spent)["active"]
    assert world.provider.introspected(rotated)["active"]
    assert browser.session_cookie == cookie


def test_twenty_requests_on_an_expired_token_make_one_refresh(
    world: World, browser: Browser
) -> None:
    world.provider.let_access_tokens_live(SHORT)
    with Visitor() as visitor:
        sign_in(browser, visitor)
    world.provider.let_access_tokens_live(LONG)
    wait_for_the_end_of(world.provider.newest("access_token"), world.provider)
    before = world.provider.refreshes()
    with ThreadPoolExecutor(20) as threads:
        calls = [threads.submit(browser.fetch, "GET", f"/api/orders/{n}") for n in range(20)]
        statuses = {call.result().status_code for call in calls}
    assert statuses == {200}
    assert world.provider.refreshes() == before + 1
    sent = {received.all(b"authorization")[0] for received in world.upstream.received}
    assert (len(world.upstream.received), len(sent)) == (20, 1)


@pytest.mark.rule("O-03")
@pytest.mark.rule("O-04")
@pytest.mark.rule("O-07")
@pytest.mark.rule("O-08")
def test_signing_out_ends_it_here_and_there(world: World, browser: Browser) -> None:
    with Visitor() as visitor:
        sign_in(browser, visitor)
        old, refresh_token = browser.session_cookie, world.provider.newest("refresh_token")
        assert world.provider.introspected(refresh_token)["active"]
        before = world.provider.seen()
        logout_url = browser.fetch("POST", "/bff/logout").json()["logout_url"]
        until(lambda: not world.provider.introspected(refresh_token)["active"])
        assert "POST /token/revocation 200" in world.provider.seen()["requests"]
        assert world.provider.seen()["revoked"] > before["revoked"]

        away = browser.navigate(logout_url, site="same-origin")
        assert away.status_code == 303
        asked = parse_qs(urlsplit(away.headers["location"]).query)
        RECORDER.secret("id_tokens", asked["id_token_hint"][0])
        back = httpx.URL(visitor.visit(away.headers["location"]))
    assert back.copy_with(query=None) == f"{world.site.origin}/"
    assert back.params["state"] == asked["state"][0]
    assert world.provider.seen()["ended"] == before["ended"] + 1

    replayed = browser.fetch("GET", "/api/orders", headers={"cookie": f"bff={old}"})
    assert (replayed.status_code, replayed.json()["reason"]) == (401, "session_ended")


@pytest.mark.rule("B-01")
@pytest.mark.rule("B-03")
@pytest.mark.rule("B-06")
def test_signing_out_there_ends_it_everywhere_by_the_back_channel(
    world: World, browser: Browser
) -> None:
    with Visitor() as visitor, browsing(world.site) as elsewhere, browsing(world.site) as grace:
        sign_in(browser, visitor)
        sign_in(elsewhere, visitor)
        with Visitor("grace") as another:
            sign_in(grace, another)
        before = len(world.provider.seen()["told"])
        logout_url = browser.fetch("POST", "/bff/logout").json()["logout_url"]
        away = browser.navigate(logout_url, site="same-origin").headers["location"]
        RECORDER.secret("id_tokens", parse_qs(urlsplit(away).query)["id_token_hint"][0])
        back = visitor.visit(away)  # which it lets them go to when everybody has been told
        assert back.startswith(f"{world.site.origin}/?state=")
        assert world.provider.seen()["told"][before:] == ["spa took it"]
        refused = elsewhere.fetch("GET", "/api/orders")
        assert (refused.status_code, refused.json()["reason"]) == (401, "session_ended")
        assert grace.fetch("GET", "/api/orders").status_code == 200
        # And they may sign in again: at the latest in the next of the whole seconds that its tokens
        # count, for what it issued in the second of the logout may be older than that.
        until(lambda: sign_in(browser, visitor).status_code == 200)
        assert browser.fetch("GET", "/api/orders").status_code == 200


@pytest.mark.rule("C-07")
def test_a_silent_sign_in_of_nobody_comes_back_as_nobody(browser: Browser) -> None:
    with Visitor() as visitor:
        landed = sign_in(browser, visitor, prompt="none")
    assert (landed.status_code, 'url=/orders"' in landed.text) == (200, True)
    assert browser.session_cookie is None
    assert browser.fetch("GET", "/bff/session").json()["reason"] == "no_session"


def test_a_silent_sign_in_takes_over_the_session_at_the_provider(
    world: World, browser: Browser
) -> None:
    with Visitor("grace") as visitor, browsing(world.site) as afterwards:
        sign_in(browser, visitor)
        assert sign_in(afterwards, visitor, prompt="none").status_code == 200
        claims = afterwards.fetch("GET", "/bff/session").json()["claims"]
        assert claims["name"] == "grace of Interop"
        assert afterwards.fetch("GET", "/api/orders").status_code == 200
    assert world.provider.introspected(token_at(world.upstream))["sub"] == "grace"


@pytest.mark.rule("C-13")
def test_signing_in_again_leaves_the_new_session_its_tokens(world: World, browser: Browser) -> None:
    before = world.provider.seen()["revoked"]
    with Visitor("grace") as visitor:
        sign_in(browser, visitor)
        sign_in(browser, visitor)
    # All her tokens hang on one grant, so the former session's are forgotten and not revoked.
    assert world.provider.seen()["revoked"] == before
    assert browser.fetch("GET", "/api/orders").status_code == 200
    assert world.provider.introspected(token_at(world.upstream))["active"]
    assert world.provider.introspected(world.provider.newest("refresh_token"))["active"]
