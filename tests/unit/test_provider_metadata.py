"""Metadata, client authentication, places for logins: what is decided before anything is sent."""

import base64
from typing import Any
from urllib.parse import unquote_plus, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bff.config.provider_section import Provider
from bff.config.values import is_loopback
from bff.problem import Reason, Refused
from bff.provider.call import Fault, Reply, login_bound, read_retry_after
from bff.provider.client import client_credentials
from bff.provider.logins import LoginBounds
from bff.provider.metadata import oauth_metadata_urls, openid_configuration_url, read_metadata
from bff.provider.revocation import next_try, read_revocation

ISSUER = "https://login.example/realm/"
DOCUMENT: dict[str, object] = {
    "issuer": ISSUER,
    "authorization_endpoint": "https://login.example/authorize?x=1",
    "token_endpoint": "https://login.example/token",
    "jwks_uri": "https://keys.example/jwks",
    "userinfo_endpoint": "https://login.example/userinfo",
    "revocation_endpoint": "https://login.example/revoke",
    "end_session_endpoint": "https://login.example/end",
    "authorization_response_iss_parameter_supported": True,
    "id_token_signing_alg_values_supported": ["none", "RS256"],
}


@pytest.mark.rule("P-01")
@pytest.mark.parametrize(
    ("issuer", "configuration", "oauth"),
    [
        pytest.param(
            "https://a.example",
            "https://a.example/.well-known/openid-configuration",
            ("https://a.example/.well-known/oauth-authorization-server",),
            id="a host alone",
        ),
        pytest.param(
            "https://a.example/",
            "https://a.example/.well-known/openid-configuration",
            ("https://a.example/.well-known/oauth-authorization-server",),
            id="a final slash is taken off",
        ),
        pytest.param(
            "https://a.example/o/r/",
            "https://a.example/o/r/.well-known/openid-configuration",
            (
                "https://a.example/.well-known/oauth-authorization-server/o/r",
                "https://a.example/o/r/.well-known/oauth-authorization-server",
            ),
            id="a path stays",
        ),
    ],
)
def test_where_metadata_is(issuer: str, configuration: str, oauth: tuple[str, ...]) -> None:
    assert openid_configuration_url(issuer) == configuration
    assert oauth_metadata_urls(issuer) == oauth


@pytest.mark.rule("P-01")
@pytest.mark.rule("F-11")
@pytest.mark.rule("F-09")
def test_a_document_of_the_configured_issuer_is_read() -> None:
    metadata = read_metadata(DOCUMENT, ISSUER)
    assert metadata.issuer == ISSUER
    assert metadata.authorization_endpoint == "https://login.example/authorize?x=1"
    assert metadata.jwks_uri == "https://keys.example/jwks"
    assert metadata.iss_parameter_supported
    assert not metadata.requires_par


@pytest.mark.rule("P-01")
@pytest.mark.rule("P-02")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"issuer": ISSUER.rstrip("/")}, id="an issuer without our slash"),
        pytest.param({"issuer": "https://LOGIN.example/realm/"}, id="an issuer in other case"),
        pytest.param({"issuer": None}, id="no issuer"),
        pytest.param({"token_endpoint": None}, id="no token endpoint"),
        pytest.param({"token_endpoint": 7}, id="a token endpoint that is a number"),
        pytest.param({"token_endpoint": "http://login.example/token"}, id="plain http"),
        pytest.param({"token_endpoint": "http://127.0.0.1.evil.example/"}, id="a false loopback"),
        pytest.param({"token_endpoint": "https://u:p@login.example/"}, id="user info"),
        pytest.param({"token_endpoint": "https://login.example/#a"}, id="a fragment"),
        pytest.param({"token_endpoint": "https://login.example:port/"}, id="no port"),
        pytest.param({"token_endpoint": "https://[::1/"}, id="half an address"),
        pytest.param({"token_endpoint": "https://" + "a" * 64 + ".example/"}, id="a long label"),
        pytest.param({"token_endpoint": "https:///token"}, id="no host"),
        pytest.param({"token_endpoint": "/token"}, id="a path alone"),
        pytest.param({"token_endpoint": "ftp://login.example/"}, id="another scheme"),
        pytest.param({"token_endpoint": "https://login.example/\n"}, id="a line feed"),
        pytest.param({"token_endpoint": "https://login.example\\@evil.example/"}, id="a backslash"),
        pytest.param({"token_endpoint": "https://lögin.example/"}, id="not ASCII"),
        pytest.param({"jwks_uri": "http://login.example/jwks"}, id="keys over plain http"),
        pytest.param({"authorization_endpoint": ""}, id="nowhere to send the browser"),
    ],
)
def test_a_document_that_cannot_be_trusted_is_not_used(change: dict[str, object]) -> None:
    with pytest.raises(Refused) as refused:
        read_metadata({**DOCUMENT, **change}, ISSUER)
    assert refused.value.reason is Reason.PROVIDER_UNAVAILABLE


@pytest.mark.rule("P-02")
def test_an_optional_endpoint_over_plain_http_counts_as_absent_but_not_on_loopback() -> None:
    plain = {"revocation_endpoint": "http://login.example/revoke", "userinfo_endpoint": []}
    loopback = {"end_session_endpoint": "http://[::1]:9400/end"}
    metadata = read_metadata({**DOCUMENT, **plain, **loopback}, ISSUER)
    assert metadata.revocation_endpoint is None
    assert metadata.userinfo_endpoint is None
    assert metadata.end_session_endpoint == "http://[::1]:9400/end"


@pytest.mark.rule("P-08")
@pytest.mark.rule("F-07")
def test_the_aliases_are_for_what_we_call_and_only_with_a_certificate() -> None:
    named = (
        "token_endpoint",
        "revocation_endpoint",
        "userinfo_endpoint",
        "pushed_authorization_request_endpoint",
    )
    document = DOCUMENT | {
        **{name: f"https://login.example/{name}" for name in named},
        "mtls_endpoint_aliases": {
            **{name: f"https://mtls.example/{name}" for name in named},
            "authorization_endpoint": "https://mtls.example/authorize",
            "jwks_uri": "https://mtls.example/jwks",
        },
    }
    plain, shown = (read_metadata(document, ISSUER, mtls=mtls) for mtls in (False, True))
    assert plain == read_metadata({**document, "mtls_endpoint_aliases": {}}, ISSUER, mtls=True)
    assert {name: getattr(shown, name) for name in named} == {
        name: f"https://mtls.example/{name}" for name in named
    }
    # Where browsers go there is no certificate, and the keys are everybody's.
    assert shown.authorization_endpoint == plain.authorization_endpoint
    assert shown.jwks_uri == plain.jwks_uri


@pytest.mark.rule("P-02")
@pytest.mark.parametrize("aliases", [None, "x", [], {"token_endpoint": "http://mtls.example/t"}])
def test_an_alias_that_is_no_safe_endpoint_is_none(aliases: object) -> None:
    document = DOCUMENT | {"mtls_endpoint_aliases": aliases}
    assert read_metadata(document, ISSUER, mtls=True) == read_metadata(DOCUMENT, ISSUER)


def test_required_pushed_requests_are_noticed() -> None:
    document = {**DOCUMENT, "require_pushed_authorization_requests": True}
    assert read_metadata(document, ISSUER).requires_par


@given(st.text() | st.from_regex(r"https?://[a-z0-9.\[\]:@/?#%\\-]{0,30}", fullmatch=True))
def test_no_endpoint_is_used_that_is_neither_https_nor_on_loopback(url: str) -> None:
    metadata = read_metadata({**DOCUMENT, "revocation_endpoint": url}, ISSUER)
    if metadata.revocation_endpoint is not None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.scheme == "https" or is_loopback(parts.hostname)
        assert "@" not in parts.netloc


def provider(**settings: Any) -> Provider:
    return Provider(issuer="https://login.example", client_id="a:b %+", **settings)


@pytest.mark.rule("P-06")
@given(st.text(min_size=1, max_size=60))
def test_basic_authentication_carries_any_secret(secret: str) -> None:
    config = provider().model_copy(update={"client_secret": SecretStr(secret)})
    headers, form = client_credentials(config, {"a": "b"})
    assert form == {"a": "b"}
    scheme, _, encoded = headers["authorization"].partition(" ")
    user, _, password = base64.b64decode(encoded).decode().partition(":")
    assert (scheme, unquote_plus(user), unquote_plus(password)) == ("Basic", "a:b %+", secret)


@pytest.mark.rule("P-06")
@pytest.mark.parametrize(
    ("method", "form"),
    [
        pytest.param(
            "client_secret_post",
            {"a": "b", "client_id": "a:b %+", "client_secret": "p :%+"},
            id="in the form",
        ),
        pytest.param("none", {"a": "b", "client_id": "a:b %+"}, id="not at all"),
    ],
)
def test_other_methods_use_the_form_alone(method: str, form: dict[str, str]) -> None:
    config = provider().model_copy(
        update={"client_authentication": method, "client_secret": SecretStr("p :%+")}
    )
    assert client_credentials(config, {"a": "b"}) == ({}, form)


@pytest.mark.rule("C-03")
@pytest.mark.parametrize(("connections", "places"), [(2, 1), (3, 2), (4, 3), (20, 15), (100, 75)])
def test_logins_have_three_quarters_of_the_connections(connections: int, places: int) -> None:
    assert login_bound(provider(connections=connections)) == places


@pytest.mark.rule("C-03")
def test_one_address_has_half_of_the_places_and_gets_them_back() -> None:
    bounds = LoginBounds(4)
    with bounds.place("a", 0), bounds.place("a", 0):
        with pytest.raises(Refused) as refused, bounds.place("a", 0):
            pass
        assert refused.value.reason is Reason.OVERLOADED
        with bounds.place("b", 0), bounds.place("b", 0), pytest.raises(Refused):
            bounds.place("c", 0).__enter__()
    with bounds.place("a", 0), bounds.place("c", 0):
        pass


@pytest.mark.rule("C-03")
def test_one_address_begins_half_of_the_logins_of_ten_seconds() -> None:
    bounds = LoginBounds(1)
    for _ in range(10):
        with bounds.place("a", 3):
            pass
    with pytest.raises(Refused), bounds.place("a", 9.9):
        pass
    for _ in range(10):
        with bounds.place("b", 9.9):
            pass
    with pytest.raises(Refused), bounds.place("c", 9.9):
        pass
    with bounds.place("a", 10):
        pass


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        pytest.param(None, None, None, id="absent"),
        pytest.param(" 7 ", None, 7, id="seconds"),
        pytest.param("0", None, 0, id="at once"),
        pytest.param("99999999999999999999", None, 3600, id="an hour at most"),
        pytest.param("-1", None, None, id="negative"),
        pytest.param("1.5", None, None, id="a fraction"),
        pytest.param("soon", "Sun, 06 Nov 1994 08:49:37 GMT", None, id="a word"),
        pytest.param(
            "Sun, 06 Nov 1994 08:49:47 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", 10, id="a date"
        ),
        pytest.param(
            "Sun, 06 Nov 1994 08:49:27 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", 0, id="a past date"
        ),
        pytest.param("Sun, 06 Nov 1994 08:49:47 GMT", None, None, id="a date of unknown distance"),
    ],
)
def test_retry_after(value: str | None, date: str | None, seconds: int | None) -> None:
    assert read_retry_after(value, date) == seconds


@given(st.text(max_size=40), st.text(max_size=40) | st.none())
def test_retry_after_is_never_more_than_an_hour(value: str, date: str | None) -> None:
    assert (read_retry_after(value, date) or 0) in range(3601)


def reply(status: int, retry_after: int | None = None) -> Reply:
    return Reply(status=status, content_type="", body=b"", retry_after=retry_after)


@pytest.mark.rule("O-05")
@pytest.mark.parametrize(
    ("ended", "tries", "pause"),
    [
        pytest.param(reply(503, 7), 1, 7, id="503 is tried again when it says"),
        pytest.param(reply(503, 3600), 1, 60, id="but within a minute"),
        pytest.param(reply(503), 2, 2, id="or soon"),
        pytest.param(reply(429, 0), 2, 0, id="429 likewise"),
        pytest.param(reply(502), 1, 2, id="nor is it the server who says 502"),
        pytest.param(reply(504), 1, 2, id="or 504"),
        pytest.param(Fault.UNSURE, 1, 2, id="a lost answer: revoking twice does no harm"),
        pytest.param(Fault.NOT_SENT, 1, 2, id="nobody there"),
        pytest.param(reply(503, 7), 3, None, id="a few times, and no more"),
        pytest.param(reply(400), 1, None, id="unsupported_token_type is not repeated"),
        pytest.param(reply(302), 1, None, id="a redirect is an error"),
        pytest.param(reply(500), 1, None, id="a broken endpoint is left alone"),
    ],
)
def test_when_to_revoke_again(ended: Reply | Fault, tries: int, pause: int | None) -> None:
    assert next_try(read_revocation(ended), tries) == pause
