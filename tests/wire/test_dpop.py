"""Tokens bound to a session's key (RFC 9449): what the API gets, and what becomes of nonces."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from jwt.algorithms import ECAlgorithm

from bff.config.load import Config
from bff.simulator import Person
from bff.simulator.keys import b64url
from tests.conftest import Told
from tests.parts.answers import query, reason
from tests.parts.browser import Browser, browsing
from tests.parts.config import config
from tests.parts.control import Control
from tests.parts.raw import OK, Received, Villain
from tests.parts.redis_process import RedisProcess
from tests.parts.site import Site, serving
from tests.parts.socket_server import PATIENCE, open_socket
from tests.wire.test_upstream_refusal import grow_old

REFRESH = "token:refresh_token"
ASKED = (
    b'HTTP/1.1 401 No\r\nwww-authenticate: DPoP error="use_dpop_nonce"\r\n'
    b"dpop-nonce: %s\r\ncontent-length: 4\r\n\r\nmine"
)
INVALID = (
    b'HTTP/1.1 401 No\r\nwww-authenticate: DPoP error="invalid_token"\r\ncontent-length: 0\r\n\r\n'
)
TOLD = b"HTTP/1.1 200 OK\r\ndpop-nonce: %s\r\ncontent-length: 2\r\n\r\nok"


def wanted(provider: Control, upstream: Villain, lines: str = "", **parts: str) -> Config:
    return config(
        issuer=provider.simulator.issuer,
        api=upstream.url,
        provider=f"dpop = true\n{lines}",
        **parts,
    )


@pytest.fixture
def site(upstream: Villain, provider: Control) -> Iterator[Site]:
    with serving(wanted(provider, upstream)) as found:
        yield found


@contextlib.contextmanager
def signed_in(site: Site, upstream: Villain) -> Iterator[Browser]:
    upstream.script()
    with browsing(site) as browser:
        browser.sign_in()
        yield browser


@pytest.fixture
def ada(site: Site, upstream: Villain) -> Iterator[Browser]:
    with signed_in(site, upstream) as browser:
        yield browser


def shown(received: Received) -> tuple[str, dict[str, Any], str]:
    """The token, what its proof says, and the thumbprint of the key that made it."""
    (authorization,), (proof,) = received.all(b"authorization"), received.all(b"dpop")
    scheme, _, token = authorization.decode().partition(" ")
    assert scheme == "DPoP"
    header = jwt.get_unverified_header(proof.decode())
    assert (header["typ"], header["alg"]) == ("dpop+jwt", "ES256")
    key = ECAlgorithm.from_jwk(header["jwk"])
    assert isinstance(key, EllipticCurvePublicKey)
    # Some tests put the site's clock forward.
    claims = jwt.decode(proof.decode(), key, algorithms=["ES256"], options={"verify_iat": False})
    jwk = header["jwk"]
    text = ",".join(f'"{name}":"{jwk[name]}"' for name in ("crv", "kty", "x", "y"))
    return token, claims, b64url(hashlib.sha256(f"{{{text}}}".encode()).digest())


@pytest.mark.rule("P-09")
@pytest.mark.rule("F-03")
@pytest.mark.parametrize(
    ("route", "path", "htu"),
    [
        pytest.param("", "/api/orders?page=2", "UPSTREAM/orders", id="without the query"),
        pytest.param("", "/api/a%20b/c", "UPSTREAM/a%20b/c", id="octet for octet"),
        pytest.param("", "/api", "UPSTREAM/", id="the root"),
        pytest.param(
            'public_url = "https://orders.example.com/v1/"',
            "/api/orders?page=2",
            "https://orders.example.com/v1/orders",
            id="as the API knows itself",
        ),
        pytest.param(
            'public_url = "https://orders.example.com"',
            "/api",
            "https://orders.example.com/",
            id="its root",
        ),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_bound_token_goes_with_a_proof_of_its_own(
    provider: Control, upstream: Villain, route: str, path: str, htu: str, method: str
) -> None:
    parts = wanted(provider, upstream, route=route)
    with serving(parts) as site, browsing(site) as browser, Person() as person:
        url = browser.to_provider()
        assert browser.callback(person.visit(url)).status_code == 200
        upstream.script()
        for _ in range(2):
            assert browser.fetch(method, path).status_code == 200
    first, second = (shown(each) for each in upstream.received)
    token, claims, thumbprint = first
    assert claims["htm"] == method
    assert claims["htu"] == htu.replace("UPSTREAM", upstream.url)
    assert claims["ath"] == b64url(hashlib.sha256(token.encode()).digest())
    assert "nonce" not in claims
    assert claims["jti"] != second[1]["jti"]
    bound = jwt.decode(token, options={"verify_signature": False})["cnf"]["jkt"]
    assert bound == thumbprint == second[2] == query(url)["dpop_jkt"]
    assert provider.ask("secrets")["access_tokens"][-1] == token


@pytest.mark.rule("P-09")
def test_each_session_has_a_key_of_its_own_and_keeps_it(
    site: Site, ada: Browser, upstream: Villain, provider: Control
) -> None:
    with browsing(site) as grace:
        grace.sign_in("grace")
        grace.fetch("GET", "/api/x")
        ada.fetch("GET", "/api/x")
        grow_old(site)
        provider.do("clock", {"advance": 31})
        upstream.answers[:] = [INVALID, OK]
        assert ada.fetch("GET", "/api/x").status_code == 200
    of_grace, before, refused, after = (shown(each) for each in upstream.received)
    assert of_grace[2] != before[2]
    assert before[0] == refused[0] != after[0]
    assert before[2] == refused[2] == after[2]
    assert provider.count(REFRESH) == 1
    assert {each["outcome"] for each in provider.entries("token")} == {"ok"}


@pytest.mark.rule("P-09")
def test_a_browser_cannot_bring_a_proof_of_its_own(ada: Browser, upstream: Villain) -> None:
    ada.fetch("GET", "/api/x", headers={"dpop": "forged", "authorization": "DPoP forged"})
    (received,) = upstream.received
    assert shown(received)[1]["htm"] == "GET"


@pytest.mark.rule("P-09")
@pytest.mark.rule("C-11")
def test_the_type_of_the_token_decides(provider: Control, upstream: Villain) -> None:
    """A provider that knows nothing of it gives a bearer token, which is used as one."""
    provider.switch(dpop=False)
    with serving(wanted(provider, upstream)) as site, browsing(site) as browser:
        browser.sign_in()
        upstream.script()
        assert browser.fetch("GET", "/api/x").status_code == 200
    (received,) = upstream.received
    assert received.all(b"authorization")[0].startswith(b"Bearer ")
    assert received.all(b"dpop") == []


@pytest.mark.rule("C-11")
def test_a_bound_token_that_nobody_asked_for_is_none(provider: Control, upstream: Villain) -> None:
    parts = {"issuer": provider.simulator.issuer, "api": upstream.url}
    with serving(config(**parts)) as site, browsing(site) as browser:
        back = browser.from_provider()
        provider.switch(token_type="DPoP")
        assert reason(browser.callback(back)) == "provider_unavailable"


# --- nonces of the API


@pytest.mark.rule("P-10")
@pytest.mark.rule("F-08")
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_nonce_that_is_asked_for_is_brought_once_with_the_same_request(
    ada: Browser, upstream: Villain, provider: Control, method: str
) -> None:
    upstream.answers[:] = [ASKED % b"one", TOLD % b"two", OK]
    body = b"x" * 1000 if method in ("POST", "PUT") else None
    answer = ada.fetch(method, "/api/x?y=z", content=body)
    assert (answer.status_code, answer.content) == (200, b"ok")
    assert "dpop-nonce" not in answer.headers
    ada.fetch("GET", "/api/x")
    first, second, third = upstream.received
    assert first.line == second.line
    assert first.body == second.body == (body or b"")
    said = [shown(each)[1].get("nonce") for each in (first, second, third)]
    assert said == [None, "one", "two"]  # the newest, told with a success too
    assert shown(first)[0] == shown(second)[0]
    assert provider.count(REFRESH) == 0


@pytest.mark.rule("P-10")
def test_it_is_brought_once_and_not_twice(
    ada: Browser, site: Site, upstream: Villain, provider: Control
) -> None:
    grow_old(site)  # else no token would be renewed anyhow
    upstream.answers[:] = [ASKED % b"one", ASKED % b"two", OK]
    answer = ada.fetch("GET", "/api/x")
    assert (answer.status_code, answer.content) == (401, b"mine")
    assert answer.headers["www-authenticate"] == 'Upstream realm="/api"'
    assert len(upstream.received) == 2
    assert provider.count(REFRESH) == 0
    assert ada.fetch("GET", "/api/x").status_code == 200
    assert shown(upstream.received[2])[1]["nonce"] == "two"


@pytest.mark.rule("P-10")
@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(ASKED.replace(b"dpop-nonce: %s\r\n", b""), id="no nonce"),
        pytest.param(ASKED % b'a"b', id="what is no nonce"),
        pytest.param(ASKED.replace(b"%s", b"one\r\ndpop-nonce: two"), id="two nonces"),
        pytest.param(ASKED.replace(b"401 No", b"403 No") % b"one", id="another status"),
    ],
)
def test_without_a_nonce_nothing_is_repeated(
    ada: Browser, upstream: Villain, answer: bytes
) -> None:
    upstream.answers[:] = [answer, OK]
    assert ada.fetch("GET", "/api/x").status_code in (401, 403)
    assert len(upstream.received) == 1


@pytest.mark.rule("P-10")
def test_a_long_body_is_not_repeated_and_the_next_request_has_the_nonce(
    ada: Browser, upstream: Villain
) -> None:
    upstream.answers[:] = [ASKED % b"one", OK]
    assert ada.fetch("POST", "/api/x", content=b"x" * 200_000).status_code == 401
    assert ada.fetch("POST", "/api/x", content=b"x" * 200_000).status_code == 200
    assert [shown(each)[1].get("nonce") for each in upstream.received] == [None, "one"]


@pytest.mark.rule("P-10")
def test_a_nonce_for_a_bearer_token_means_nothing(provider: Control, upstream: Villain) -> None:
    parts = {"issuer": provider.simulator.issuer, "api": upstream.url}
    with serving(config(**parts)) as site, signed_in(site, upstream) as browser:
        upstream.answers[:] = [ASKED % b"one", OK]
        assert browser.fetch("GET", "/api/x").status_code == 401
    assert len(upstream.received) == 1


@pytest.mark.rule("P-10")
@pytest.mark.rule("W-04")
def test_a_websocket_is_opened_with_a_proof_and_a_nonce(provider: Control) -> None:
    provider.switch(api_dpop_nonces="demanded")
    parts = config(
        issuer=provider.simulator.issuer,
        api=provider.simulator.api,
        provider="dpop = true",
        route="websocket = true",
    )
    with serving(parts) as site, browsing(site) as browser:
        browser.sign_in()
        with open_socket(browser, "/api/chat") as page:
            page.send("hello")
            assert json.loads(page.recv(timeout=PATIENCE))["text"] == "hello"


# --- nonces of the provider


@pytest.mark.rule("P-10")
def test_a_stale_nonce_is_answered_by_one_more_try_everywhere(
    provider: Control, upstream: Villain
) -> None:
    provider.switch(par="required", dpop_nonces="demanded", access_token_seconds=2)
    lines = "userinfo = true"
    with serving(wanted(provider, upstream, lines)) as site, browsing(site) as browser:
        back = browser.from_provider()
        provider.do("rotate-nonces")
        assert browser.callback(back).status_code == 200
        provider.do("rotate-nonces")
        provider.switch(access_token_seconds=300)
        upstream.script()
        while provider.count(REFRESH) < 2:
            assert browser.fetch("GET", "/api/x").status_code == 200
    for endpoint, outcomes in (
        ("par", ["dpop_nonce", "ok"]),
        ("token:authorization_code", ["dpop_nonce", "ok"]),
        ("userinfo", ["ok"]),
        (REFRESH, ["dpop_nonce", "ok"]),
    ):
        assert [each["outcome"] for each in provider.entries(endpoint)] == outcomes


@pytest.mark.rule("P-10")
@pytest.mark.rule("I-14")
def test_a_nonce_that_grows_stale_before_userinfo_costs_one_more_call(
    provider: Control, upstream: Villain
) -> None:
    provider.switch(dpop_nonces="demanded")
    with (
        serving(wanted(provider, upstream, "userinfo = true")) as site,
        browsing(site) as browser,
        ThreadPoolExecutor(1) as thread,
    ):
        back = browser.from_provider()
        provider.fault("userinfo", hold=True, count=1)
        landing = thread.submit(browser.callback, back)
        provider.held("userinfo")
        provider.do("rotate-nonces")
        provider.release("userinfo")
        assert landing.result().status_code == 200
    assert [each["outcome"] for each in provider.entries("userinfo")] == ["dpop_nonce", "ok"]


@pytest.mark.rule("P-10")
@pytest.mark.rule("R-05")
def test_a_provider_that_never_is_content_ends_no_session(
    provider: Control, upstream: Villain, told: Told
) -> None:
    with serving(wanted(provider, upstream)) as site, signed_in(site, upstream) as browser:
        grow_old(site, 400)
        body = '{"error": "use_dpop_nonce"}'
        provider.fault(REFRESH, status=400, body=body)
        for _ in range(3):
            assert reason(browser.fetch("GET", "/api/x")) == "provider_unavailable"
            grow_old(site, 60)
        assert browser.fetch("GET", "/bff/session").json()["authenticated"]
        provider.do("clear")
    assert provider.count("token:authorization_code") == 1


@pytest.mark.rule("P-09")
@pytest.mark.rule("T-02")
def test_the_key_is_sealed_with_the_session(
    provider: Control, upstream: Villain, redis: RedisProcess
) -> None:
    """And another process that has nothing but the store uses the same one."""
    parts = wanted(provider, upstream, store=redis.url)
    with serving(parts) as site, serving(parts) as elsewhere, signed_in(site, upstream) as browser:
        assert browser.fetch("GET", "/api/x").status_code == 200
        with browsing(elsewhere) as other:
            other.cookies = browser.cookies
            assert other.fetch("GET", "/api/x").status_code == 200
        found = site.run(_found(site, browser))
        assert found.dpop_key is not None
        assert found.dpop_key.encode() not in redis.dump()
        assert found.dpop_key not in repr(found)
    here, there = (shown(each) for each in upstream.received)
    assert here[2] == there[2]


async def _found(site: Site, browser: Browser) -> Any:
    front = site.application.site.fronts["default"].front
    assert browser.session_cookie is not None
    session_id = browser.session_cookie.split(".")[1]
    return (await front.sessions.find(session_id)).session
