"""[provider]: the authorization server, and who we are to it."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from bff.config.organization import Organization
from bff.config.section import Section
from bff.config.values import Count, EndpointUrl, Flag, IssuerUrl, Seconds, Secret, fault

_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 §3.3
ABSOLUTE_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!$-;=?-Z_a-z~%\[\]]+")  # RFC 3986 §4.3

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]

ClientAuthentication = Literal[
    "client_secret_basic",
    "client_secret_post",
    "private_key_jwt",
    "tls_client_auth",
    "self_signed_tls_client_auth",
    "none",
]

Profile = Literal["none", "fapi2"]

RouteTokenWay = Literal["refresh", "exchange"]

# Each has its file in presets/.
Preset = Literal[
    "auth0", "authentik", "cognito", "curity", "duende", "entra", "github", "google", "hydra",
    "keycloak", "okta", "ping", "zitadel",
]  # fmt: skip


def _scopes(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_SCOPE.fullmatch(scope) for scope in value):
        raise fault("holds what is no scope", 'write each by itself, as ["openid", "profile"]')
    return value


def _parameters(value: dict[str, str]) -> dict[str, str]:
    ours = {
        "response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce",
        "code_challenge", "code_challenge_method", "request", "request_uri", "client_secret",
        "client_assertion", "client_assertion_type", "dpop_jkt", "resource",
    }  # fmt: skip
    if taken := sorted(ours & value.keys()):
        raise fault(f"sets {taken[0]}, which the flow itself sets", f"remove {taken[0]}")
    return value


def _resources(value: tuple[str, ...]) -> tuple[str, ...]:
    """Absolute URIs without a fragment (RFC 8707 §2)."""
    for uri in value:
        if not ABSOLUTE_URI.fullmatch(uri):
            raise fault(
                "holds what is no absolute URI without a fragment",
                'write the API\'s own identifier, as ["https://api.example.com/"]',
            )
    return value


def _words(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_SCOPE.fullmatch(word) for word in value):
        raise fault("holds what is no single word", 'write each by itself, as ["1", "2"]')
    return value


class ClientKey(Section):
    """A key pair of ours; `private_key` in PEM without a passphrase, perhaps with a certificate."""

    kid: Annotated[str, Field(pattern=r"^[A-Za-z0-9._~-]{1,64}$")]
    private_key: Secret
    certificate: Path | None = None


class Provider(Section):
    """The authorization server, and who we are to it."""

    title: Annotated[str, Field(min_length=1, max_length=80)] | None = None
    default: Flag = False
    preset: Preset | None = None
    issuer: IssuerUrl
    profile: Profile = "none"
    identity: Literal["openid", "userinfo"] = "openid"
    authorization_endpoint: EndpointUrl | None = None
    token_endpoint: EndpointUrl | None = None
    revocation_endpoint: EndpointUrl | None = None
    end_session_endpoint: EndpointUrl | None = None
    identity_endpoint: EndpointUrl | None = None
    subject_claim: Annotated[str, Field(min_length=1)] | None = None
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: Secret | None = None
    client_authentication: ClientAuthentication = "client_secret_basic"
    client_keys: tuple[ClientKey, ...] = ()
    client_assertion_audience: Literal["issuer", "token_endpoint"] = "issuer"
    client_assertion_type: Literal["client-authentication+jwt", "JWT"] = "client-authentication+jwt"
    client_certificate: Path | None = None
    client_key: Path | None = None
    scopes: Annotated[tuple[str, ...], AfterValidator(_scopes)] = ("openid", "profile")
    resource: Annotated[tuple[str, ...], AfterValidator(_resources)] = ()
    route_tokens: RouteTokenWay = "refresh"
    acr_values: Annotated[tuple[str, ...], AfterValidator(_words)] | None = None
    pushed_authorization_requests: Flag = True
    dpop: Flag = False
    organization: Organization | None = None
    parameters: Annotated[dict[str, str], AfterValidator(_parameters)] = {}
    userinfo: Flag = False
    userinfo_signed: Flag = False
    silent_login: Flag = True
    ca_file: Path | None = None
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256",)
    trusted_audiences: tuple[str, ...] = ()
    clock_skew: Annotated[Seconds, Field(ge=0, le=60)] = 30.0
    connect_timeout: Annotated[Seconds, Field(gt=0, le=60)] = 3.0
    total_timeout: Annotated[Seconds, Field(gt=0, le=60)] = 10.0
    connections: Annotated[Count, Field(ge=2, le=1000)] = 20
    assume_expires_in: Annotated[Seconds, Field(gt=0)] | None = None
    logout_return_parameter: Literal["post_logout_redirect_uri", "logout_uri"] = (
        "post_logout_redirect_uri"
    )
    strict_logout_typ: Flag = False
    logout_exp_required: Flag = True
