"""How we show the provider who we are, by every method, at every endpoint that wants to know."""

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bff.config.load import parse
from tests.conftest import Sites
from tests.parts.answers import reason
from tests.parts.browser import browsing
from tests.parts.checking import checked
from tests.parts.client_keys import ALGS, jwt_lines, write_key
from tests.parts.config import config_text
from tests.parts.control import Control
from tests.parts.methods import BY_JWT, BY_TLS, METHODS, Methods, client_id, methods
from tests.parts.redis_process import RedisProcess
from tests.parts.site import serving
from tests.wire.serve_process import served


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Methods]:
    with methods(tmp_path_factory.mktemp("methods")) as found:
        yield found


@pytest.fixture
def control(world: Methods) -> Iterator[Control]:
    with world.control() as control:
        yield control


def outcomes(control: Control, endpoint: str) -> list[tuple[Any, ...]]:
    return [
        (each["client_id"], each["authenticated"], each["outcome"])
        for each in control.entries(endpoint)
    ]


@pytest.mark.rule("P-06")
@pytest.mark.rule("P-07")
@pytest.mark.rule("P-08")
@pytest.mark.parametrize("method", METHODS)
def test_every_endpoint_that_wants_to_know_is_told(
    sites: Sites, world: Methods, control: Control, method: str
) -> None:
    control.switch(access_token_seconds=1)
    site = sites(**world.parts(method))
    with browsing(site) as browser:
        browser.sign_in()
        control.switch(access_token_seconds=300)
        control.entries("token", 1)
        while control.count("token:refresh_token") == 0:
            browser.fetch("GET", "/api/tasks")
        assert browser.fetch("GET", "/api/tasks").status_code == 200
        browser.fetch("POST", "/bff/logout")
    known = (client_id(method), True, "ok")
    assert set(outcomes(control, "token")) == {known}
    assert [each["grant_type"] for each in control.entries("token")] == [
        "authorization_code",
        "refresh_token",
    ]
    control.entries("revoke", 1)
    assert outcomes(control, "revoke") == [known]


@pytest.mark.rule("P-07")
def test_a_provider_that_takes_only_its_token_endpoint_as_audience_is_one_line(
    sites: Sites, world: Methods, control: Control
) -> None:
    control.switch(assertion_audience="token_endpoint")
    with browsing(sites(**world.parts(BY_JWT[0]))) as browser:
        refused = browser.callback(browser.from_provider())
    assert (reason(refused), browser.session_cookie) == ("provider_unavailable", None)
    line = 'client_assertion_audience = "token_endpoint"'
    with browsing(sites(**world.parts(BY_JWT[0], line))) as browser:
        browser.sign_in()
    assert [each["outcome"] for each in control.entries("token")] == ["assertion_aud", "ok"]


@pytest.mark.rule("P-07")
def test_the_next_key_is_published_before_it_signs(
    world: Methods, control: Control, tmp_path: Path
) -> None:
    """Rotation is three deploys: publish the next one, sign with it, drop the former."""
    former, next_one = world.keys["ES256"], write_key(tmp_path, "PS256", "next")
    parts = world.parts("private_key_jwt ES256")
    told = []
    for lines in (
        jwt_lines(former),
        jwt_lines(former, next_one),
        jwt_lines(next_one, former),
        jwt_lines(next_one),
    ):
        text = config_text(**{**parts, "provider": lines})
        with serving(parse(text, dev=True)) as site, browsing(site) as browser:
            answer = browser.request("GET", "/bff/jwks", site=None)
            assert answer.headers["content-type"] == "application/jwk-set+json"
            refused = browser.callback(browser.from_provider())
        signed = control.entries("token")[-1]["outcome"]
        told.append(([jwk["kid"] for jwk in answer.json()["keys"]], signed, refused.status_code))
    # The simulator knows the former alone: so it is seen which one has signed.
    assert told == [
        (["ES256"], "ok", 200),
        (["ES256", "next"], "ok", 200),
        (["next", "ES256"], "assertion_key", 503),
        (["next"], "assertion_key", 503),
    ]


def test_without_such_keys_there_is_no_such_path(sites: Sites, control: Control) -> None:
    parts = {"issuer": control.simulator.issuer, "api": control.simulator.api}
    with browsing(sites(**parts)) as browser:
        answer = browser.request("GET", "/bff/jwks", site=None)
        unknown = browser.request("GET", "/bff/jwks2", site=None)
    assert (answer.status_code, reason(answer)) == (unknown.status_code, reason(unknown))
    assert reason(answer) == "no_route"


@pytest.mark.rule("P-08")
def test_a_certificate_is_shown_where_the_aliases_lead(
    sites: Sites, world: Methods, control: Control
) -> None:
    """Without them nobody asks for one, and the provider does not know us."""
    control.switch(discovery={"mtls_endpoint_aliases": None})
    # A configuration of its own: a site keeps the metadata that it has read.
    with browsing(sites(**world.parts(BY_TLS[0], 'clock_skew = "29s"'))) as browser:
        browser.callback(browser.from_provider())
    (entry,) = control.entries("token")
    assert (entry["authenticated"], entry["outcome"]) == (False, "client_authentication_missing")


@pytest.mark.rule("P-06")
@pytest.mark.parametrize("method", [METHODS[0], BY_JWT[1], BY_TLS[1]])
def test_check_online_says_whether_the_provider_takes_the_method(
    tmp_path: Path, redis: RedisProcess, world: Methods, control: Control, method: str
) -> None:
    text = config_text(**world.parts(method), store=redis.url)
    name = method.partition(" ")[0]
    found = checked(tmp_path, text)
    assert (found.code, found.failed) == (0, [])
    assert found.about("token_endpoint_auth_method") == ("ok", f"{name}, which it takes")
    assert found.about("client authentication")[0] == "ok"
    control.switch(discovery={"token_endpoint_auth_methods_supported": ["none"]})
    found = checked(tmp_path, text)
    assert found.failed == ["token_endpoint_auth_method"]
    control.switch(discovery={"token_endpoint_auth_methods_supported": None})
    found = checked(tmp_path, text)
    expected = "ok" if method == METHODS[0] else "warn"
    assert found.about("token_endpoint_auth_method")[0] == expected


@pytest.mark.rule("P-07")
def test_check_online_says_whether_the_provider_takes_the_algorithm(
    tmp_path: Path, redis: RedisProcess, world: Methods, control: Control
) -> None:
    control.switch(discovery={"token_endpoint_auth_signing_alg_values_supported": ["RS256"]})
    for alg in ALGS:
        text = config_text(**world.parts(f"private_key_jwt {alg}"), store=redis.url)
        found = checked(tmp_path, text)
        assert found.failed == ["token_endpoint_auth_method"]
        assert f"not signed by {alg}" in found.about("token_endpoint_auth_method")[1]


@pytest.mark.rule("P-07")
def test_a_new_key_file_is_taken_with_a_sighup(
    tmp_path: Path, world: Methods, control: Control, redis: RedisProcess
) -> None:
    """The same name of a file, another key in it: published and used from the next request on."""
    former, new = world.keys["ES256"], write_key(tmp_path, "EdDSA", "new")
    mine = tmp_path / "mine.pem"
    shutil.copy(former.file, mine)
    line = f'client_keys = [{{ kid = "ES256", private_key = {{ file = "{mine}" }} }}]'
    parts: dict[str, Any] = world.parts(BY_JWT[1]) | {
        "store": redis.url,
        "provider": f'client_authentication = "private_key_jwt"\n{line}',
    }
    with served(tmp_path, **parts) as site:
        site.ready()

        def published() -> dict[str, str]:
            host = {"host": "app.example.com"}
            (jwk,) = site.http.get(f"{site.public}/bff/jwks", headers=host).json()["keys"]
            return {name: jwk[name] for name in ("alg", "x")}

        assert published() == {name: former.jwk[name] for name in ("alg", "x")}
        shutil.copy(new.file, mine)
        site.process.signal(signal.SIGHUP)
        for _ in ("the supervisor", "the worker"):
            site.process.event("reloaded")
        assert published() == {name: new.jwk[name] for name in ("alg", "x")}
        mine.write_text("no key")
        site.process.signal(signal.SIGHUP)
        refused = site.process.event("reload_refused")
        assert refused["key"] == "provider.client_keys.0.private_key"
        assert published() == {name: new.jwk[name] for name in ("alg", "x")}
