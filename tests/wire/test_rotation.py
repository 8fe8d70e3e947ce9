"""What providers do with tokens at a refresh, and that none of it is noticed."""

import time
from collections.abc import Callable, Iterator

import pytest

from bff.config.lease import refresh_budget
from tests.parts.browser import Browser, browsing
from tests.parts.config import config
from tests.parts.control import Control
from tests.parts.raw import OK, villain
from tests.parts.site import Site, serving

REFRESH = "token:refresh_token"
OVER = 'assume_expires_in = "1ms"\ntotal_timeout = "2s"'
Sites = Callable[..., Site]


def pass_time(site: Site, provider: Control, seconds: float) -> None:
    """Let time go on, here and at the provider."""
    clock = site.application.site.fronts["default"].front.clock
    clock.observe(clock.now() + seconds, time.monotonic())  # type: ignore[attr-defined]
    provider.do("clock", {"advance": seconds})


@pytest.fixture
def equal(provider: Control) -> Control:
    """A provider whose refresh tokens live exactly as long as its access tokens."""
    provider.switch(access_token_seconds=60, refresh_token_seconds=60, refresh_expires_in=False)
    return provider


@pytest.mark.rule("R-02", "R-03")
def test_a_refresh_token_that_lives_no_longer_than_the_access_token_is_renewed_before(
    equal: Control,
) -> None:
    with villain() as upstream:
        text = config(
            issuer=equal.simulator.issuer,
            api=upstream.url,
            more="[refresh]\nahead = 0.5\njitter = 0.0\n",
        )
        with serving(text) as site, browsing(site) as ada:
            ada.sign_in()
            for renewed in range(1, 5):
                pass_time(site, equal, 40)
                assert ada.fetch("GET", "/api/x").status_code == 200  # at once, with the old one
                equal.entries(REFRESH, renewed)
                site.settle()
            assert ada.fetch("GET", "/bff/session").json()["authenticated"]
            sent = [each.all(b"authorization")[0] for each in upstream.received]
    assert len(set(sent)) == 4
    assert [entry["outcome"] for entry in equal.entries(REFRESH)] == ["ok"] * 4


@pytest.mark.rule("R-08")
def test_a_token_of_unknown_life_is_used_until_an_upstream_refuses_it(provider: Control) -> None:
    refused = (
        b'HTTP/1.1 401 No\r\nwww-authenticate: Bearer error="invalid_token"\r\n'
        b"content-length: 0\r\n\r\n"
    )
    provider.switch(omit_expires_in=True)
    with villain() as upstream:
        text = config(issuer=provider.simulator.issuer, api=upstream.url)
        with serving(text) as site, browsing(site) as ada:
            ada.sign_in()
            left = ada.fetch("GET", "/bff/session").json()["seconds_left"]
            assert left["access_token"] is None
            pass_time(site, provider, 1200)
            assert ada.fetch("GET", "/api/x").status_code == 200
            assert provider.count(REFRESH) == 0
            upstream.script(refused, OK)
            assert ada.fetch("GET", "/api/x").status_code == 200
            sent = [each.all(b"authorization")[0] for each in upstream.received]
    assert (provider.count(REFRESH), len(set(sent))) == (1, 2)


@pytest.fixture
def ada(sites: Sites, provider: Control, store: str) -> Iterator[Browser]:
    """Ada, signed in, her access token over; the next one will live."""
    provider.switch(omit_expires_in=True)
    with browsing(sites(store=store, provider=OVER)) as browser:
        browser.sign_in()
        provider.switch(omit_expires_in=False)
        yield browser


@pytest.mark.rule("R-01", "R-03")
def test_a_narrowed_scope_is_recorded(ada: Browser, provider: Control) -> None:
    provider.switch(drop_scopes=["email"])
    assert ada.fetch("GET", "/api/token").status_code == 200
    cookie = ada.session_cookie
    assert cookie is not None
    sessions = ada.site.application.site.fronts["default"].front.sessions
    found = ada.site.run(sessions.find(cookie.split(".")[1]))
    assert found.session.tokens.scope.split() == ["openid", "profile", "offline_access"]


@pytest.mark.rule("R-03")
def test_an_old_access_token_that_dies_at_the_refresh_fails_no_call(
    sites: Sites, provider: Control, store: str
) -> None:
    provider.switch(access_token_dies_at_refresh=True)
    site = sites(store=store, provider=OVER)
    with browsing(site) as ada:
        provider.switch(omit_expires_in=True)
        ada.sign_in()
        for _ in range(5):  # each call renews, and kills the one before
            assert ada.fetch("GET", "/api/token").status_code == 200
    assert provider.count(REFRESH) == 5


@pytest.mark.rule("R-04")
def test_a_lease_with_too_little_left_is_given_up_before_the_token_is_presented(
    sites: Sites, provider: Control, store: str
) -> None:
    site = sites(store=store, provider=OVER, session='idle = "29m"')
    leases = (
        site.application.site.fronts["default"]
        .front.sessions.dealings[provider.simulator.issuer]
        .leases
    )
    whole = leases._seconds
    provider.switch(omit_expires_in=True)
    with browsing(site) as ada:
        ada.sign_in()
        provider.switch(omit_expires_in=False)
        # As if this process had been stopped for the rest between the lease and the request.
        leases._seconds = refresh_budget(2.0, 1.0)
        refused = ada.fetch("GET", "/api/token")
        assert (refused.status_code, refused.json()["reason"]) == (503, "provider_unavailable")
        assert provider.count(REFRESH) == 0
        leases._seconds = whole
        # Given back clean: nobody has to wait for it to lapse, nor to fear for the token.
        assert ada.fetch("GET", "/api/token").status_code == 200
    assert provider.count(REFRESH) == 1
