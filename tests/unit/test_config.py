"""Every fault of a file, all at once, each with its key, its line and the mend."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bff.config.checks import check
from bff.config.lease import check_lease, lease_seconds, shortest_lease
from bff.config.load import ConfigFaults, load, parse
from bff.config.reading import read
from bff.keys import new_key
from tests.parts.config import config_text
from tests.wire.test_serve_tls import write_pair

KEY = new_key()
FILES = '[[routes]]\npath = "/"\nstatic = "/tmp"\n'
GOOD = {"issuer": "https://login.example.com", "api": "https://api.internal"}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BFF_TEST_OTHER_KEY", KEY)
    monkeypatch.setenv("BFF_TEST_EMPTY", "")


def _text(*, scopes: str = "", claims: str = "", **parts: str) -> str:
    text = config_text(**{**GOOD, "store": "redis://127.0.0.1/0", **parts})
    for name, value in (("scopes", scopes), ("claims", claims)):
        if value:
            text = re.sub(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
    return text


def _faults(text: str, *, dev: bool = False) -> list[str]:
    try:
        parse(text, dev=dev)
    except ConfigFaults as faults:
        return [each.text() for each in faults.faults]
    return []


def _line(text: str, beginning: str) -> int:
    """The number of the last line that begins so."""
    lines = text.splitlines()
    return max(n for n, line in enumerate(lines, 1) if line.startswith(beginning))


def test_the_configuration_of_the_tests_has_no_fault() -> None:
    assert _faults(_text()) == []


# (what is written, how its line begins, the fault but for the line)
FAULTS: list[tuple[dict[str, str], str, str]] = [
    # origin
    ({"origin": "http://app.example.com"}, "origin",
     "origin is http and not loopback; use https: cookies and tokens travel there"),
    ({"origin": "https://app.example.com/spa"}, "origin",
     'origin is no origin; write scheme and host only, as "https://app.example.com"'),
    ({"origin": "https://me@app.example.com"}, "origin",
     'origin is no origin; write scheme and host only, as "https://app.example.com"'),
    ({"origin": "https://app.exa mple.com"}, "origin",
     'origin is no origin; write scheme and host only, as "https://app.example.com"'),
    ({"origin": "https://app.example.com:0"}, "origin",
     'origin is no origin; write scheme and host only, as "https://app.example.com"'),
    # refresh
    ({"more": '[refresh]\nlease = "21s"'}, "lease",
     "refresh.lease is shorter than a refresh may take: a token could be presented twice;"
     " write 22s or more, or shorten provider.total_timeout"),
    ({"provider": 'total_timeout = "30s"', "session": 'store_deadline = "100ms"',
      "more": '[refresh]\nlease = "60s"\n[operate]\nstop_deadline = "2m"'}, "lease",
     "refresh.lease is shorter than a refresh may take: a token could be presented twice;"
     " write 61s or more, or shorten provider.total_timeout"),
    ({"more": '[operate]\nstop_deadline = "21s"'}, "stop_deadline",
     "operate.stop_deadline is shorter than a refresh may take: a stop could cost a session;"
     " write 22s or more, or shorten provider.total_timeout"),
    # provider
    ({"issuer": "http://login.example.com"}, "issuer",
     "provider.issuer is http and not loopback; use https: secrets and tokens travel there"),
    ({"issuer": "https://login.example.com/?x"}, "issuer",
     "provider.issuer holds more than a host and a path; leave out user, query and fragment"),
    ({"issuer": "ldap://login.example.com"}, "issuer",
     'provider.issuer is no http(s) URL; write one, as "https://login.example.com"'),
    ({"provider": 'client_authentication = "none"'}, "client_authentication",
     'provider.client_authentication is "none": a public client;'
     ' use "private_key_jwt" and set client_keys'),
    ({"provider": 'client_authentication = "mtls"'}, "client_authentication",
     "provider.client_authentication is not a choice;"
     " write 'client_secret_basic', 'client_secret_post', 'private_key_jwt', 'tls_client_auth',"
     " 'self_signed_tls_client_auth' or 'none'"),
    ({"provider": 'algorithms = ["none"]'}, "algorithms",
     "provider.algorithms.0 is not a choice; write 'RS256', 'RS384', 'RS512', 'PS256', 'PS384',"
     " 'PS512', 'ES256', 'ES384', 'ES512' or 'EdDSA'"),
    ({"provider": "algorithms = []"}, "algorithms",
     "provider.algorithms is empty; add at least 1"),
    ({"provider": 'parameters = { state = "x" }'}, "parameters",
     "provider.parameters sets state, which the flow itself sets; remove state"),
    ({"provider": 'clock_skew = "2m"'}, "clock_skew",
     "provider.clock_skew is too large; write 60s or less"),
    ({"provider": "connections = 1"}, "connections",
     "provider.connections is too small; write 2 or more"),
    ({"provider": 'connections = "9"'}, "connections",
     "provider.connections is no whole number; write a number without quotes"),
    ({"provider": 'userinfo = "yes"'}, "userinfo",
     "provider.userinfo is neither true nor false; write true or false"),
    ({"provider": 'ca_file = "/nowhere.pem"'}, "ca_file",
     "provider.ca_file is no file; create it, or name another"),
    ({"provider": f'ca_file = "{__file__}"'}, "ca_file",
     "provider.ca_file holds no certificates; name a PEM file of CA certificates"),
    ({"provider": "trusted_audiences = [1]"}, "trusted_audiences",
     "provider.trusted_audiences.0 is no text; write it in quotes"),
    ({"scopes": '["openid profile"]'}, "scopes",
     'provider.scopes holds what is no scope; write each by itself, as ["openid", "profile"]'),
    ({"scopes": '["profile"]'}, "scopes",
     'provider.scopes lacks the scope openid; add "openid": this is OpenID Connect'),
    # session
    ({"claims": '["nonce"]'}, "claims",
     "session.claims would show nonce to the page; remove nonce: it is not for pages"),
    ({"store": "memory:"}, "store",
     "session.store is memory: each worker would have its own, and sessions die with it;"
     ' use "redis://host:6379/0"; memory: is for `bff dev`'),
    ({"store": "redis+sentinel://a,b"}, "store",
     'session.store is no store; write "redis+sentinel://host:26379,host:26379/master/0"'
     " or rediss+sentinel://"),
    ({"store": "redis+cluster://a,b/0"}, "store",
     'session.store is no store; write "redis+cluster://host:6379,host:6379" or rediss+cluster://'),
    ({"store": "redis://a,b/0"}, "store",
     'session.store is no store; write "redis://host:6379/0" or rediss://'),
    ({"session": 'sentinel_password = { env = "BFF_TEST_SECRET" }'}, "sentinel_password",
     "session.sentinel_password means nothing: session.store names no sentinels;"
     " remove it, or name them in session.store"),
    ({"session": f'ca_file = "{__file__}"', "store": "rediss://a/0"}, "ca_file",
     "session.ca_file holds no certificates; name a PEM file of CA certificates"),
    ({"session": 'ca_file = "/nowhere.pem"', "store": "rediss+cluster://a,b"}, "ca_file",
     "session.ca_file is no file; create it, or name another"),
    ({"session": f'ca_file = "{certifi.where()}"', "store": "redis://a/0"}, "ca_file",
     "session.ca_file means nothing: session.store speaks no TLS;"
     " remove it, or write rediss in session.store"),
    ({"session": "wait_replicas = -1"}, "wait_replicas",
     "session.wait_replicas is too small; write 0 or more"),
    ({"store": "postgres://a"}, "store",
     'session.store is no store; write "redis://host:6379/0" or rediss://'),
    ({"store": "rediss://a/0?ssl_cert_reqs=none"}, "store",
     'session.store is no store; write "redis://host:6379/0" or rediss://'),
    ({"store": "redis://a/zero"}, "store",
     'session.store is no store; write "redis://host:6379/0" or rediss://'),
    ({"store": "redis://:password@a/0"}, "store",
     "session.store is a secret written into the file;"
     ' name the place instead: { env = "NAME" } or { file = "/path" }'),
    ({"store": "redis://a:port/0"}, "store",
     'session.store is no store; write "redis://host:6379/0" or rediss://'),
    ({"session": "idle = 1800"}, "idle",
     'session.idle is no duration; write a number with a unit, as "30s", "10m" or "12h"'),
    ({"session": "idle = 1800.0"}, "idle",
     'session.idle is no duration; write a number with a unit, as "30s", "10m" or "12h"'),
    ({"session": 'idle = "1d"'}, "idle",
     "session.idle is longer than session.lifetime; make it shorter"),
    ({"session": 'prefix = "a:b"'}, "prefix",
     "session.prefix holds what it may not; it must match ^[A-Za-z0-9_.-]{1,40}$"),
    # refresh, logout
    ({"more": "[refresh]\nahead = 0.95"}, "ahead",
     "refresh.ahead is too large; write 0.9 or less"),
    ({"more": '[logout]\nreturn_to = "//evil.example"'}, "return_to",
     'logout.return_to is no path of the application; write a path, as "/" or "/goodbye"'),
    ({"more": '[logout]\nreturn_to = "/bff/login"'}, "return_to",
     'logout.return_to is no path of the application; write a path, as "/" or "/goodbye"'),
    # keys
    ({"key": "BFF_TEST_NOT_THERE"}, "current",
     "keys.current names an environment variable that is not set; set BFF_TEST_NOT_THERE"),
    ({"key": "BFF_TEST_EMPTY"}, "current",
     "keys.current names an environment variable that is not set; set BFF_TEST_EMPTY"),
    ({"key": "BFF_TEST_SECRET"}, "current",
     "keys.current is no key; use one that `bff keys new` prints"),
    ({"keys": 'accepted = [{ env = "BFF_TEST_KEY" }]'}, "accepted",
     "keys.accepted.0 is the same key as keys.current; remove one of them"),
    ({"keys": 'retired = ["not hex!"]'}, "retired",
     "keys.retired is no key id; write the eight hex digits that `bff keys new` showed"),
    # routes
    ({"routes": '[[routes]]\npath = "/api"\nupstream = "https://b"'}, "path",
     "routes.1.path /api is a route already (routes.0.path); remove one of them"),
    ({"routes": '[[routes]]\npath = "/API"\nupstream = "https://b"'}, "path",
     "routes.1.path differs from routes.0.path in letter case only; choose another path"),
    ({"routes": '[[routes]]\npath = "/bff/x"\nupstream = "https://b"'}, "path",
     "routes.1.path lies under /bff; choose another path: /bff is ours"),
    ({"routes": '[[routes]]\npath = "/a/../b"\nupstream = "https://b"'}, "path",
     'routes.1.path is no path prefix; write plain segments, as "/api" or "/api/admin"'),
    ({"routes": '[[routes]]\npath = "/"'}, "[[routes]]",
     "routes.1 needs one of upstream and static; name exactly one of them"),
    ({"routes": '[[routes]]\npath = "/"\nstatic = "/tmp"\nupstream = "https://b"'}, "[[routes]]",
     "routes.1 needs one of upstream and static; name exactly one of them"),
    ({"routes": '[[routes]]\npath = "/"\nstatic = "/nowhere"'}, "static",
     "routes.1.static is no directory; create it, or name another"),
    ({"routes": '[[routes]]\npath = "/"\nstatic = ""'}, "static",
     'routes.1.static names no folder; write its path; the current one is "."'),
    ({"routes": f'[[routes]]\npath = "/"\nstatic = "/{"a" * 300}"'}, "static",
     "routes.1.static is no directory; create it, or name another"),
    ({"provider": f'ca_file = "/{"a" * 300}"'}, "ca_file",
     "provider.ca_file is no file; create it, or name another"),
    ({"routes": f"{FILES}websocket = true"}, "websocket",
     "routes.1.websocket means nothing beside static: files are served to everybody; remove it"),
    ({"routes": f'{FILES}websocket_age = "1h"'}, "websocket_age",
     "routes.1.websocket_age means nothing beside static: files are served to everybody;"
     " remove it"),
    ({"route": 'websocket = true\nmethods = ["POST"]'}, "websocket",
     "routes.0.websocket means nothing: it takes a GET, which routes.0.methods does not list;"
     ' add "GET", or remove it'),
    ({"routes": '[[routes]]\npath = "/"\nstatic = "/tmp"\nauth = "user"'}, "auth",
     "routes.1.auth means nothing beside static: files are served to everybody; remove it"),
    ({"route": "content_security_policy = { img-src = '*' }"}, "content_security_policy",
     "routes.0.content_security_policy means nothing beside upstream:"
     " the application sends its own; remove it"),
    ({"route": "immutable = []"}, "immutable",
     "routes.0.immutable means nothing beside upstream: the application sends its own; remove it"),
    ({"routes": f'{FILES}immutable = ["*.js"]'}, "immutable",
     "routes.1.immutable holds a template that names neither a [hash] nor a folder;"
     ' write as your bundler does, as "*-[hash].*", "*.[hash:8].js" or "assets/**"'),
    ({"routes": f'{FILES}immutable = ["(a+)+[hash"]'}, "immutable",
     "routes.1.immutable holds a template that holds what is neither text, *, ** nor a [hash];"
     ' write as your bundler does, as "*-[hash].*", "*.[hash:8].js" or "assets/**"'),
    ({"routes": FILES + "immutable = [" + '"a/*",' * 33 + "]"}, "immutable",
     "routes.1.immutable holds too much; write 32 at most"),
    ({"routes": f'{FILES}immutable = "a/*"'}, "immutable",
     "routes.1.immutable is no list; write a list in [ ]"),
    ({"routes": f'{FILES}content_security_policy = "default-src *"'}, "content_security_policy",
     "routes.1.content_security_policy says nothing of frame-ancestors;"
     " name its sources, as frame-ancestors 'none'"),
    ({"routes": f'{FILES}content_security_policy = {{ base-uri = "https:" }}'},
     "content_security_policy",
     "routes.1.content_security_policy lets every source through in base-uri;"
     " name its sources, as base-uri 'none'"),
    ({"routes": f'{FILES}content_security_policy = {{ conect-src = "a" }}'},
     "content_security_policy",
     "routes.1.content_security_policy holds a directive that browsers do not know;"
     " see CSP 3, or remove it"),
    ({"routes": f'{FILES}content_security_policy = {{ img-src = "a; script-src *" }}'},
     "content_security_policy",
     "routes.1.content_security_policy holds what no policy can carry;"
     " use printable ASCII without , and ;"),
    ({"routes": f'{FILES}content_security_policy = "img-src a; IMG-SRC b"'},
     "content_security_policy",
     "routes.1.content_security_policy names a directive twice; keep one of them"),
    ({"routes": f"{FILES}content_security_policy = {{ img-src = 1 }}"}, "content_security_policy",
     "routes.1.content_security_policy holds a directive that is no text; write each value in"
     " quotes"),
    ({"routes": f"{FILES}content_security_policy = 1"}, "content_security_policy",
     "routes.1.content_security_policy is neither a policy nor a table;"
     " write it in quotes, or a table in { }"),
    ({"routes": f'{FILES}security_headers = {{ Set-Cookie = "a=b" }}'}, "security_headers",
     "routes.1.security_headers sets a field that is no security header; remove it"),
    ({"routes": f'{FILES}security_headers = {{ Content-Security-Policy = "x" }}'},
     "security_headers",
     "routes.1.security_headers sets Content-Security-Policy, which has a key of its own;"
     " use content_security_policy"),
    ({"routes": f'{FILES}security_headers = {{ Strict-Transport-Security = "max-age=0" }}'},
     "security_headers",
     "routes.1.security_headers sets Strict-Transport-Security,"
     " which every answer of the origin carries alike; remove it"),
    ({"routes": f'{FILES}security_headers = {{ X-Content-Type-Options = "" }}'},
     "security_headers",
     "routes.1.security_headers sets X-Content-Type-Options, which every answer carries;"
     " remove it"),
    ({"routes": f'{FILES}security_headers = {{ Permissions-Policy = "a\\nb" }}'},
     "security_headers",
     "routes.1.security_headers sets a field to what HTTP cannot carry; use printable ASCII"),
    ({"routes": f'{FILES}security_headers = {{ X-Frame-Options = "ALLOW" }}'},
     "security_headers",
     "routes.1.security_headers sets x-frame-options to what browsers do not know;"
     " write one of DENY, SAMEORIGIN"),
    ({"routes": FILES + 'security_headers = { Referrer-Policy = "origin", referrer-policy = "" }'},
     "security_headers",
     "routes.1.security_headers sets a field twice, in two spellings; keep one of them"),
    ({"routes": f'{FILES}client_key = "/nowhere"'}, "client_key",
     "routes.1.client_key means nothing beside static: files are served to everybody; remove it"),
    ({"route": 'client_key = "/nowhere"'}, "[[routes]]",
     "routes.0.client_certificate is missing: half of a TLS pair;"
     " set client_certificate and client_key"),
    ({"route": f'client_certificate = "{__file__}"'}, "[[routes]]",
     "routes.0.client_key is missing: half of a TLS pair;"
     " set client_certificate and client_key"),
    ({"route": f'client_certificate = "/nowhere.pem"\nclient_key = "{__file__}"'},
     "client_certificate",
     "routes.0.client_certificate is no file; create it, or name another"),
    ({"route": f'client_certificate = "{__file__}"\nclient_key = "{__file__}"'},
     "client_certificate",
     "routes.0.client_certificate and routes.0.client_key are no pair in PEM without a passphrase;"
     " name the certificate with its chain, and its own key"),
    ({"api": "http://127.0.0.1:1", "route": f'client_certificate = "{__file__}"'},
     "client_certificate",
     "routes.0.client_certificate means nothing beside an upstream without TLS;"
     " remove it, or name an https upstream"),
    ({"api": "http://api.internal"}, "upstream",
     "routes.0.upstream is plain http off loopback: tokens would travel in the clear;"
     " use https, or say plaintext = true where something else protects that hop"),
    ({"api": "https://api.internal/a b"}, "upstream",
     'routes.0.upstream is no http(s) URL; write one, as "https://login.example.com"'),
    ({"route": 'auth = "client"\nresource = "/reports"'}, "resource",
     "routes.0.resource is no absolute URI without a fragment;"
     ' write the API\'s own identifier, as "https://api.example.com/"'),
    ({"route": 'auth = "client"\nscopes = ["org:{org_id}"]'}, "scopes",
     "routes.0.scopes names a claim, and a token of our own has no person;"
     " write the scope as it is asked for"),
    ({"route": 'auth = "client"\nanonymous = true\nrequire = { email_verified = true }'},
     "require",
     "routes.0.require is asked of a session, and this route is open without one;"
     ' remove it, or use auth = "user"'),
    ({"route": 'auth = "none"\naudience = "reports"'}, "audience",
     'routes.0.audience is about a token that a route with auth = "none" does not get;'
     ' remove it, or use auth = "user"'),
    ({"route": "anonymous = true"}, "anonymous",
     'routes.0.anonymous is about a token that a route with auth = "user" does not get;'
     ' remove it, or use auth = "client"'),
    ({"route": 'auth = "client"\nprovider = "corp"'}, "provider",
     "routes.0.provider is no provider of this file;"
     " write one of the names below [providers], or remove it"),
    ({"route": 'methods = ["TRACE"]'}, "methods",
     "routes.0.methods lists CONNECT or TRACE; remove it: it is never relayed"),
    ({"route": '[routes.headers]\nHost = "x"'}, "[routes.headers]",
     "routes.0.headers sets a field that is not the route's; remove it: the relay sets it"),
    ({"route": 'headers = { X-Tenant = "bl\u00fce" }'}, "headers",
     "routes.0.headers sets a field to what HTTP cannot carry; use printable ASCII"),
    ({"route": 'request_cookies = ["a b"]'}, "request_cookies",
     "routes.0.request_cookies holds a name that HTTP does not know; use letters, digits and -"),
    ({"api": "https://me@api.internal"}, "upstream",
     "routes.0.upstream holds more than a host and a path; leave out user, query and fragment"),
    ({"api": "https://api.internal/a|b"}, "upstream",
     "routes.0.upstream has a path that HTTP cannot carry; percent-encode it"),
    ({"api": "https://[::1/"}, "upstream",
     'routes.0.upstream is no http(s) URL; write one, as "https://login.example.com"'),
    ({"route": 'max_body = "1MB"'}, "max_body",
     'routes.0.max_body is no size; write a number with a unit, as "64KiB" or "100MiB"'),
    ({"route": 'answer_timeout = "0s"'}, "answer_timeout",
     "routes.0.answer_timeout is too small; write more than 0s"),
    # server, operate
    ({"more": '[server]\ntls_key = "/x"'}, "[server]",
     "server.tls_certificate is missing: half of a TLS pair; set tls_certificate and tls_key"),
    ({"more": f'[server]\ntls_certificate = "{__file__}"\ntls_key = "{__file__}"'},
     "tls_certificate",
     "server.tls_certificate and server.tls_key are no pair in PEM without a passphrase;"
     " name the certificate with its chain, and its own key"),
    ({"more": '[operate]\nlisten = ":9090"'}, "listen",
     'operate.listen is no address; write host and port, as "127.0.0.1:9090"'),
    ({"more": '[operate]\ntrusted_proxies = ["0.0.0.0/0"]'}, "trusted_proxies",
     "operate.trusted_proxies.0 trusts the whole world;"
     " name the networks of your own proxies"),
    ({"more": '[operate]\ntrusted_proxies = ["ten"]'}, "trusted_proxies",
     'operate.trusted_proxies.0 is no network; write one, as "10.0.0.0/8"'),
    # unknown keys
    ({"provider": 'client_scret = "x"'}, "client_scret",
     'provider.client_scret is an unknown key; did you mean "client_secret"?'),
    ({"more": "[telemetry]\nx = 1"}, "[telemetry]",
     "telemetry is an unknown key; remove it"),
    ({"route": '"a\\u0007b" = 1'}, "[[routes]]",
     "routes.0.a\\x07b is an unknown key; remove it"),
]  # fmt: skip


@pytest.mark.rule("D-03", "D-10")
@pytest.mark.parametrize(
    ("parts", "beginning", "expected"),
    FAULTS,
    ids=[fault.partition(";")[0] for *_, fault in FAULTS],
)
def test_a_fault_is_named_with_line_key_and_mend(
    parts: dict[str, str], beginning: str, expected: str
) -> None:
    text = _text(**parts)
    assert _faults(text) == [f"line {_line(text, beginning)}: {expected}"]


@pytest.mark.rule("D-10")
def test_a_fault_hides_no_other() -> None:
    """One wrong value in every section and in each of three routes, and what lies between them."""
    text = """
[provider]
issuer = "ftp://x"
client_id = ""
[session]
store = "memory:"
idle = "13h"
prefix = "?"
[keys]
current = "written here"
accepted = [{ env = "NOT_THERE" }]
[[routes]]
path = "/api"
upstream = "http://far.example"
strip = 1
[[routes]]
path = "/api"
[[routes]]
path = "no"
static = "/nowhere"
[operate]
listen = "9090"
"""
    keys = {fault.partition(": ")[2].partition(" ")[0] or fault for fault in _faults(text)}
    assert {key for key in keys if "." in key} == {
        "provider.issuer",
        "provider.client_id",
        "provider.client_secret",
        "session.store",
        "session.idle",
        "session.prefix",
        "keys.current",
        "keys.accepted.0",
        "routes.0.upstream",
        "routes.0.strip",
        "routes.1",
        "routes.1.path",
        "routes.2.path",
        "routes.2.static",
        "operate.listen",
    }
    assert any(fault.endswith("origin is missing; add it") for fault in _faults(text))


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        pytest.param(
            "",
            [
                "origin is missing; add it",
                "provider is missing; add [provider]",
                "session is missing; add [session]",
                "routes is missing; add [[routes]]",
                "keys is missing; add [keys]",
            ],
            id="an empty file",
        ),
        pytest.param(
            "a = 1\nb = \n", ["line 2: the file is no TOML; correct that line"], id="no TOML"
        ),
        pytest.param("a = 1\nb =", ["line 2: the file is no TOML; correct that line"], id="an end"),
    ],
)
def test_a_file_that_is_none(text: str, faults: list[str]) -> None:
    assert _faults(text) == faults


@pytest.mark.parametrize(
    ("raw", "fault"),
    [
        pytest.param('provider = "x"', "provider is no table", id="a value for a table"),
        pytest.param("routes = []", "routes holds no route", id="no routes"),
        pytest.param('routes = "x"', "routes holds no route", id="a value for routes"),
        pytest.param("routes = [1]", "routes.0 is no table", id="a value for a route"),
    ],
)
def test_a_value_where_a_table_belongs(raw: str, fault: str) -> None:
    assert any(fault in each for each in _faults(raw))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        pytest.param('"plain"', "is a secret written into the file", id="in the file"),
        pytest.param('{ env = "A", file = "B" }', "names no place", id="two places"),
        pytest.param("{ vault = 'x' }", "names no place", id="an unknown place"),
        pytest.param('{ env = "" }', "names no place", id="an empty name"),
        pytest.param('{ file = "/nowhere" }', "names a file that cannot be read", id="no file"),
        pytest.param('{ file = "/dev/null" }', "names a file that is empty", id="an empty file"),
        pytest.param('{ env = "s3cretPastedHere" }', "is not set; set it", id="not quoted"),
    ],
)
@pytest.mark.rule("T-05")
def test_a_secret_comes_from_a_place(value: str, message: str) -> None:
    text = _text().replace(
        'client_secret = { env = "BFF_TEST_SECRET" }', f"client_secret = {value}"
    )
    [fault] = _faults(text)
    assert "provider.client_secret " in fault
    assert message in fault


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigFaults, match="cannot be read; name a readable UTF-8 file"):
        load(tmp_path / "none.toml")


@given(total=st.integers(1, 60_000), deadline=st.integers(1, 30_000), lease=st.integers(1, 600_000))
def test_a_lease_that_is_accepted_outlives_all_that_a_refresh_may_take(
    total: int, deadline: int, lease: int
) -> None:
    timeouts = (total / 1000, deadline / 1000)
    assert lease_seconds(None, *timeouts) >= shortest_lease(*timeouts)
    # A token request, a fetch of keys, the write; and the answer to the request for the lease.
    needed = 2 * total + 2 * deadline
    accepted = not list(check_lease(lease / 1000, *timeouts))
    assert accepted == (lease / 1000 >= shortest_lease(*timeouts))
    if accepted:
        assert lease >= needed - 1e-3


def test_a_stop_must_leave_a_refresh_its_time_also_where_the_default_would_not() -> None:
    patient = 'total_timeout = "15s"'
    with pytest.raises(ConfigFaults, match=r"operate\.stop_deadline .* write 32s or more"):
        parse(_text(provider=patient))
    parse(_text(provider=patient, more='[operate]\nstop_deadline = "32s"'))


def test_a_pair_of_certificate_and_key_is_accepted(tmp_path: Path) -> None:
    certificate, key = write_pair(tmp_path)
    server = f'[server]\ntls_certificate = "{certificate}"\ntls_key = "{key}"'
    assert _faults(_text(more=server, provider=f'ca_file = "{certificate}"')) == []


@pytest.mark.rule("D-06", "P-05")
def test_what_only_dev_may_do(tmp_path: Path) -> None:
    text = _text(
        store="memory:", issuer="http://127.0.0.1:1", provider='client_authentication = "none"'
    )
    assert _faults(text, dev=True) == []
    assert len(_faults(text)) == 2
    off_loopback = text.replace("http://127.0.0.1:1", "https://login.example.com")
    assert len(_faults(off_loopback, dev=True)) == 1


@pytest.mark.parametrize(
    ("written", "origin"),
    [
        ("HTTPS://APP.Example.com", "https://app.example.com"),
        ("https://app.example.com:443/", "https://app.example.com"),
        ("https://app.example.com:8443", "https://app.example.com:8443"),
        ("http://localhost:80", "http://localhost"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_the_origin_is_as_browsers_write_it(written: str, origin: str) -> None:
    assert parse(_text(origin=written)).frontends[0].origin == origin


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("1500ms", 1.5), ("2s", 2.0), ("3m", 180.0), ("4h", 14400.0), ("1d", 86400.0)],
)
def test_a_duration_has_its_unit(written: str, seconds: float) -> None:
    more = f'[operate]\ndrain_delay = "{written}"'
    assert parse(_text(more=more)).operate.drain_delay == seconds


def _spoiled(secret: str) -> Iterator[str]:
    """Files with the secret in every wrong place, and in the right ones."""
    quoted = '"' + "".join(f"\\U{ord(char):08x}" for char in secret) + '"'
    place = 'client_secret = { env = "BFF_TEST_SECRET" }'
    for wrong in (quoted, f"{{ env = {quoted} }}", f"{{ file = {quoted} }}", f"[{quoted}]"):
        yield _text().replace(place, f"client_secret = {wrong}")
        yield _text(keys=f"accepted = [{wrong}]")
        yield _text().replace('store = "redis://127.0.0.1/0"', f"store = {wrong}")
    yield _text(keys='accepted = [{ env = "BFF_TEST_CANARY" }]')
    yield _text(keys=f"retired = [{quoted}]")
    yield _text().replace('store = "redis://127.0.0.1/0"', 'store = { env = "BFF_TEST_CANARY" }')
    yield _text().replace("BFF_TEST_SECRET", "BFF_TEST_CANARY")


@pytest.mark.rule("T-05")
@settings(deadline=None)  # a row reads two dozen files
@given(tail=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12))
def test_no_secret_is_in_any_fault_or_repr(tail: str) -> None:
    secret = f"canary-7f3a{tail}"
    os.environ["BFF_TEST_CANARY"] = secret.replace("\r", "")
    for text in _spoiled(secret):
        shown = ""
        try:
            shown = repr(parse(text))
        except ConfigFaults as faults:
            shown = f"{faults!r} {faults} {faults.faults!r} {faults.__cause__!r}"
        assert "canary-7f3a" not in shown


def test_a_check_waits_for_its_values() -> None:
    """No check speaks of a value that could not be read."""
    reading = read({}, dev=False)
    assert [each.key for each in check(reading)] == []
