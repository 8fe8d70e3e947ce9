"""The strictest way in, against a provider that others wrote: npm oidc-provider, certified."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.interop.oidc_provider import OidcProvider, Visitor, application, oidc_provider
from tests.interop.test_oidc_provider import sign_in, token_at
from tests.parts.browser import browsing
from tests.parts.client_keys import ALGS, jwt_lines, write_key
from tests.parts.config import config
from tests.parts.raw import Villain, villain
from tests.parts.site import Site, bind, serving
from tests.parts.waiting import until


@dataclass(frozen=True)
class World:
    site: Site
    provider: OidcProvider
    upstream: Villain


@pytest.fixture(params=ALGS)
def by_key(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """private_key_jwt; the provider fetches our keys from GET /bff/jwks."""
    listening = bind()
    origin = f"http://localhost:{listening.getsockname()[1]}"
    registered = application(
        "spa",
        "private_key_jwt",
        origin,
        token_endpoint_auth_signing_alg=request.param,
    )
    lines = jwt_lines(write_key(tmp_path, request.param))
    with oidc_provider([registered], access_token_seconds=60) as provider, villain() as upstream:
        wanted = config(
            issuer=provider.issuer,
            api=upstream.url,
            origin=origin,
            secret="",
            provider='parameters = { prompt = "consent" }\n' + lines,
        )
        with serving(wanted, listening) as site:
            yield World(site, provider, upstream)


@pytest.mark.rule("P-07")
def test_a_provider_of_others_knows_us_by_the_key_that_it_fetched(by_key: World) -> None:
    provider = by_key.provider
    provider.let_access_tokens_live(2)
    with browsing(by_key.site) as browser, Visitor() as visitor:
        assert sign_in(browser, visitor).status_code == 200
        provider.let_access_tokens_live(60)
        first = provider.newest("access_token")

        def renewed() -> bool:
            assert browser.fetch("GET", "/api/orders").status_code == 200
            return token_at(by_key.upstream) != first

        until(renewed)
        refresh_token = provider.newest("refresh_token")
        browser.fetch("POST", "/bff/logout")
        until(lambda: not provider.introspected(refresh_token)["active"])
    assert provider.seen()["grants"] == ["authorization_code", "refresh_token"]


@pytest.mark.rule("L-14")
@pytest.mark.rule("P-09")
@pytest.mark.rule("P-10")
@pytest.mark.parametrize("nonces", [False, True], ids=["without nonces", "with nonces"])
@pytest.mark.parametrize("par", ["offered", "required"])
def test_a_provider_of_others_takes_our_pushes_and_our_proofs(
    tmp_path: Path, par: str, nonces: bool
) -> None:
    """It checks each proof at PAR, token endpoint and UserInfo, and binds the tokens."""
    listening = bind()
    origin = f"http://localhost:{listening.getsockname()[1]}"
    registered = application(
        "spa",
        "private_key_jwt",
        origin,
        token_endpoint_auth_signing_alg="ES256",
        dpop_bound_access_tokens=True,
        require_pushed_authorization_requests=par == "required",
    )
    lines = [
        jwt_lines(write_key(tmp_path, "ES256")),
        'parameters = { prompt = "consent" }',
        "dpop = true",
        "userinfo = true",
    ]
    with (
        oidc_provider([registered], access_token_seconds=3, par=par, nonces=nonces) as provider,
        villain() as upstream,
        serving(
            config(
                issuer=provider.issuer,
                api=upstream.url,
                origin=origin,
                secret="",
                provider="\n".join(lines),
            ),
            listening,
        ) as site,
        browsing(site) as browser,
        Visitor() as visitor,
    ):
        url = browser.to_provider()
        assert set(parse_qs(urlsplit(url).query)) == {"client_id", "request_uri"}
        assert browser.callback(visitor.visit(url)).status_code == 200
        provider.let_access_tokens_live(60)
        first = provider.newest("access_token")

        def renewed() -> bool:
            assert browser.fetch("GET", "/api/orders").status_code == 200
            return bound_token_at(upstream) != first

        until(renewed)
        known = provider.introspected(bound_token_at(upstream))
        assert (known["active"], known["token_type"]) == (True, "DPoP")
        assert set(known["cnf"]) == {"jkt"}
        assert provider.seen()["grants"] == ["authorization_code", "refresh_token"]
        # With nonces the very first call cost one more try, and no other did.
        refused = [line for line in provider.seen()["requests"] if line.endswith((" 400", " 401"))]
        assert refused == (["POST /request 400"] if nonces else [])


def bound_token_at(upstream: Villain) -> str:
    (authorization,) = upstream.received[-1].all(b"authorization")
    scheme, _, token = authorization.decode().partition(" ")
    assert scheme == "DPoP"
    return token
