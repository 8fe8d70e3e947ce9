"""The whole way against django-oauth-toolkit: another code base, whose issuer has a path.

It announces its revocation endpoint in RFC 8414's metadata alone, ends the old access token the
moment a refresh succeeds, and takes a refresh token that comes twice for a theft.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from tests.interop.toolkit import Toolkit, Visitor, toolkit
from tests.parts.answers import reason
from tests.parts.browser import Browser, browsing
from tests.parts.config import config
from tests.parts.raw import Villain, villain
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site, bind, serving
from tests.parts.waiting import until

SECONDS = 3  # the life of an access token


@dataclass(frozen=True)
class World:
    site: Site
    provider: Toolkit
    upstream: Villain


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, redis_server: RedisProcess) -> Iterator[World]:
    listening = bind()
    origin = f"http://localhost:{listening.getsockname()[1]}"
    folder = tmp_path_factory.mktemp("toolkit")
    with (
        toolkit(folder, origin=origin, access_token_seconds=SECONDS) as provider,
        villain() as upstream,
    ):
        wanted = config(
            issuer=provider.issuer, api=upstream.url, store=redis_server.url, origin=origin
        )
        with serving(wanted, listening) as site:
            yield World(site, provider, upstream)


@pytest.fixture
def ada(world: World, redis: RedisProcess) -> Iterator[Browser]:
    world.upstream.script()
    with browsing(world.site) as browser, Visitor() as visitor:
        landed = browser.callback(visitor.visit(browser.to_provider("/orders")))
        assert landed.status_code == 200, landed.text
        yield browser


def token_at(upstream: Villain) -> str:
    """The bearer token of the last request that reached the API."""
    (authorization,) = upstream.received[-1].all(b"authorization")
    scheme, _, token = authorization.decode().partition(" ")
    assert scheme == "Bearer"
    return token


def is_over(world: World, token: str) -> bool:
    return token not in world.provider.tokens()["access_tokens"]


@pytest.mark.rule("P-01")
@pytest.mark.rule("C-09")
@pytest.mark.rule("I-05")
def test_the_api_gets_a_token_that_the_provider_knows(world: World, ada: Browser) -> None:
    session = ada.fetch("GET", "/bff/session").json()
    assert session["claims"] == {"name": "ada of Django", "email": "ada@example.com"}
    assert ada.fetch("GET", "/api/orders").status_code == 200
    assert token_at(world.upstream) in world.provider.tokens()["access_tokens"]


@pytest.mark.rule("R-01")
def test_parallel_calls_on_an_expired_token_refresh_once(world: World, ada: Browser) -> None:
    assert ada.fetch("GET", "/api/orders").status_code == 200
    first = token_at(world.upstream)
    before = len(world.provider.tokens()["refresh_tokens"])
    until(lambda: is_over(world, first))
    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(ada.fetch, "GET", "/api/orders") for _ in range(10)]
        statuses = [each.result().status_code for each in asked]
    assert statuses == [200] * 10
    after = world.provider.tokens()["refresh_tokens"]
    assert len(after) == before + 1
    assert token_at(world.upstream) != first
    # It would have ended all of them, had one come twice.
    assert len(world.provider.living()) >= 1
    until(lambda: is_over(world, token_at(world.upstream)))
    assert ada.fetch("GET", "/api/orders").status_code == 200


@pytest.mark.rule("O-04")
def test_signing_out_revokes_and_comes_back(world: World, ada: Browser) -> None:
    mine = world.provider.living()[-1]
    answer = ada.fetch("POST", "/bff/logout")
    assert answer.status_code == 200
    world.site.settle()
    until(lambda: mine not in world.provider.living())
    away = ada.navigate("/bff/logout/provider", site="same-origin").headers["location"]
    assert away.startswith(f"{world.provider.issuer}/logout/")
    with Visitor() as visitor:
        back = visitor.visit(away)
    assert back.startswith(f"{world.site.origin}/")
    assert reason(ada.fetch("GET", "/api/orders")) == "no_session"


def test_a_silent_login_that_the_provider_answers_with_an_error_disturbs_nothing(
    world: World, ada: Browser
) -> None:
    there = ada.navigate("/bff/login?prompt=none&return_to=/").headers["location"]
    answer = world.provider.http.get(there)  # by somebody whom it does not know
    assert answer.status_code == 500 or answer.is_redirect
    assert ada.fetch("GET", "/api/orders").status_code == 200
