"""A person's token for one API (R-12) from a provider that others wrote: npm oidc-provider."""

from collections.abc import Iterator

import pytest

from tests.interop.oidc_provider import Visitor, application, oidc_provider
from tests.interop.test_oidc_provider import World, sign_in, token_at
from tests.parts.browser import browsing
from tests.parts.config import config
from tests.parts.raw import villain
from tests.parts.site import bind, serving
from tests.wire.test_upstream_refusal import grow_old

REPORTS = "https://reports.example.com/"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    listening = bind()
    origin = f"http://localhost:{listening.getsockname()[1]}"
    registered = application("spa", "client_secret_basic", origin)
    with (
        oidc_provider([registered], access_token_seconds=60, resources=[REPORTS]) as provider,
        villain() as upstream,
    ):
        own = f'[[routes]]\npath = "/reports"\nupstream = "{upstream.url}"\n'
        wanted = config(
            issuer=provider.issuer,
            api=upstream.url,
            origin=origin,
            provider='parameters = { prompt = "consent" }',
            routes=f'{own}resource = "{REPORTS}"\nscopes = ["reports:read"]\n',
        )
        with serving(wanted, listening) as site:
            yield World(site, provider, upstream)


@pytest.mark.rule("R-12")
def test_the_api_gets_the_persons_token_for_itself(world: World) -> None:
    with browsing(world.site) as page, Visitor("ada") as ada:
        assert sign_in(page, ada, route="/reports").status_code == 200
        for _ in range(2):
            assert page.fetch("GET", "/reports/1").status_code == 200
        own = world.provider.introspected(token_at(world.upstream))
        assert (own["active"], own["sub"]) == (True, "ada")
        assert (own["aud"], own["scope"]) == (REPORTS, "reports:read")
        assert page.fetch("GET", "/api/1").status_code == 200
        session = world.provider.introspected(token_at(world.upstream))
        assert session["sub"] == "ada"
        assert session.get("aud") != REPORTS
        assert world.provider.seen()["grants"].count("refresh_token") == 1
        grow_old(world.site, 90)  # both are renewed, and the provider rotates
        for path in ("/api/2", "/reports/2", "/api/3"):
            assert page.fetch("GET", path).status_code == 200
        assert page.fetch("GET", "/bff/session").json()["authenticated"]


@pytest.mark.rule("R-12")
def test_who_was_not_asked_for_its_scope_is_sent_to_be(world: World) -> None:
    with browsing(world.site) as page, Visitor("grace") as grace:
        assert sign_in(page, grace).status_code == 200
        answer = page.fetch("GET", "/reports/1")
        assert answer.status_code == 403
        assert "route=" in answer.json()["login_url"]
        assert page.fetch("GET", "/api/1").status_code == 200
