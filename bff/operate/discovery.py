"""What a provider's metadata promises and lacks (OpenID Connect Discovery, RFC 8414). Pure."""

from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from bff.config.faults import one_line
from bff.operate.finding import Finding, State, finding
from bff.provider.dpop import ALG
from bff.provider.metadata import Metadata
from bff.provider.pushed import is_pushed
from bff.provider.server import AuthorizationServer

_LONGEST = 200  # characters of another's issuer that are shown


def another_issuer(document: Mapping[str, object], issuer: str) -> Finding | None:
    """Both issuers if the document is not the configured one's, by so much as a slash (§4.3)."""
    theirs = document.get("issuer")
    if theirs == issuer:
        return None
    named = one_line(theirs[:_LONGEST]) if isinstance(theirs, str) else "none"
    said = f"provider.issuer is {issuer}, the document names {named}"
    return finding("provider metadata", said, right=False)


def promises(
    document: Mapping[str, object], metadata: Metadata, server: AuthorizationServer
) -> Iterator[Finding]:
    """What it announces of what we use."""
    # What a profile asks for must be there; else it is only told.
    lacking = State.WARN if server.config.profile == "none" else State.FAIL
    yield _authentication(document, server)
    yield _pushing(metadata, server)
    yield from _binding(document, server, lacking)
    announced = "S256" in _listed(document, "code_challenge_methods_supported")
    said = "S256 announced" if announced else "S256 not announced; it is sent all the same (L-05)"
    yield finding("PKCE", said, right=announced, otherwise=lacking)
    supported = metadata.iss_parameter_supported
    said = "announced" if supported else "not announced (RFC 9207)"
    wanted = server.config.profile != "none"
    yield finding("iss parameter", said, right=supported or not wanted)
    offered = metadata.end_session_endpoint is not None
    yield finding("end_session", "offered" if offered else "not offered: logout is here alone")
    offered = metadata.revocation_endpoint is not None
    yield finding("revocation", "offered" if offered else "not offered: tokens live to their end")


def _listed(document: Mapping[str, object], name: str) -> list[object]:
    value = document.get(name)
    return value if isinstance(value, list) else []


def _binding(
    document: Mapping[str, object], server: AuthorizationServer, lacking: State
) -> Iterator[Finding]:
    """Whether it can bind tokens as we want them bound (RFC 9449 §5.1, RFC 8705 §3.3)."""
    config = server.config
    if config.dpop:
        knows = ALG in _listed(document, "dpop_signing_alg_values_supported")
        said = "announced, with ES256" if knows else "not announced with ES256"
        yield finding("DPoP", said, right=knows, otherwise=lacking)
    elif config.profile != "none":
        binds = document.get("tls_client_certificate_bound_access_tokens") is True
        said = "announced" if binds else "not announced (RFC 8705)"
        yield finding("certificate-bound tokens", said, right=binds)


def _pushing(metadata: Metadata, server: AuthorizationServer) -> Finding:
    """Whether the authorization request goes behind the browser (RFC 9126)."""
    about = "pushed requests"
    offered = metadata.pushed_authorization_request_endpoint is not None
    used = is_pushed(server, metadata)
    if used and not offered:
        return finding(about, "required, and no endpoint for them: nobody can sign in", right=False)
    if used:
        how = "required" if metadata.requires_par else "offered"
        return finding(about, f"{how}, and used")
    said = (
        "offered, and switched off" if offered else "not offered: the browser carries the request"
    )
    return finding(about, said, right=not offered, otherwise=State.WARN)


def _authentication(document: Mapping[str, object], server: AuthorizationServer) -> Finding:
    """Whether it takes the way in which we show who we are (RFC 8414 §2)."""
    about, method = "token_endpoint_auth_method", server.config.client_authentication
    # Left out, the list means client_secret_basic alone; many leave it out and take more.
    listed = document.get("token_endpoint_auth_methods_supported")
    if not isinstance(listed, list):
        known = method == "client_secret_basic"
        said = f"{method}, and no list of those it takes"
        return finding(about, said, right=known, otherwise=State.WARN)
    if method not in listed:
        return finding(about, f"{method} is not one of those it takes", right=False)
    algs = document.get("token_endpoint_auth_signing_alg_values_supported")
    alg = server.client_keys[0].alg if method == "private_key_jwt" else None
    if alg is not None and isinstance(algs, list) and alg not in algs:
        return finding(about, f"{method} it takes, but not signed by {alg}", right=False)
    return finding(about, f"{method}, which it takes")


def our_origins(metadata: Metadata) -> dict[str, str]:
    """The https origins that we ourselves speak to: `host` or `host:port` → a URL there."""
    return _https(
        metadata.issuer,
        metadata.token_endpoint,
        metadata.jwks_uri,
        metadata.userinfo_endpoint,
        metadata.revocation_endpoint,
        metadata.pushed_authorization_request_endpoint,
    )


def origins(metadata: Metadata) -> dict[str, str]:
    """The same with those that only browsers are sent to."""
    browsers = _https(metadata.authorization_endpoint, metadata.end_session_endpoint)
    return our_origins(metadata) | browsers


def _https(*endpoints: str | None) -> dict[str, str]:
    https = [each for each in endpoints if each and urlsplit(each).scheme == "https"]
    return {urlsplit(each).netloc: each for each in https}
