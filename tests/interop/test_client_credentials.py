"""Tokens of our own from a provider that others wrote: npm oidc-provider, with its resources."""

from collections.abc import Iterator

import pytest

from tests.interop.oidc_provider import Visitor, application, oidc_provider
from tests.interop.test_oidc_provider import World, sign_in, token_at
from tests.parts.browser import browsing
from tests.parts.config import config
from tests.parts.raw import villain
from tests.parts.site import bind, serving

REPORTS = "https://reports.example.com/"
ROUTES = """
[[routes]]
path = "/reports"
upstream = "UPSTREAM"
auth = "client"
resource = "https://reports.example.com/"
scopes = ["reports:read"]

[[routes]]
path = "/unheard-of"
upstream = "UPSTREAM"
auth = "client"
resource = "https://unheard-of.example.com/"
"""


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    listening = bind()
    origin = f"http://localhost:{listening.getsockname()[1]}"
    grants = ["authorization_code", "refresh_token", "client_credentials"]
    registered = {**application("spa", "client_secret_basic", origin), "grant_types": grants}
    with (
        oidc_provider([registered], access_token_seconds=60, resources=[REPORTS]) as provider,
        villain() as upstream,
    ):
        wanted = config(
            issuer=provider.issuer,
            api=upstream.url,
            origin=origin,
            provider='parameters = { prompt = "consent" }',
            routes=ROUTES.replace("UPSTREAM", upstream.url),
        )
        with serving(wanted, listening) as site:
            yield World(site, provider, upstream)


@pytest.mark.rule("R-13")
def test_the_api_gets_a_token_for_itself_and_of_nobody(world: World) -> None:
    with browsing(world.site) as page, Visitor("ada") as ada:
        assert sign_in(page, ada).status_code == 200
        for _ in range(2):
            assert page.fetch("GET", "/reports/1").status_code == 200
        known = world.provider.introspected(token_at(world.upstream))
        assert (known["active"], known["client_id"]) == (True, "spa")
        assert (known["aud"], known["scope"]) == (REPORTS, "reports:read")
        assert "sub" not in known
        assert page.fetch("GET", "/api/1").status_code == 200
        assert world.provider.introspected(token_at(world.upstream))["sub"] == "ada"
    assert world.provider.seen()["grants"].count("client_credentials") == 1


@pytest.mark.rule("R-13")
def test_a_resource_that_it_does_not_know_refuses_the_call_alone(world: World) -> None:
    with browsing(world.site) as page, Visitor("ada") as ada:
        assert sign_in(page, ada).status_code == 200
        assert page.fetch("GET", "/unheard-of/1").status_code == 503
        assert page.fetch("GET", "/bff/session").json()["authenticated"]
        assert page.fetch("GET", "/api/1").status_code == 200
