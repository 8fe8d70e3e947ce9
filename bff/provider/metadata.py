"""The authorization server's metadata: where its endpoints are (OpenID Connect Discovery 1.0).

The issuer comes from configuration, every endpoint from here (P-02). `read_metadata` decides,
`Discovery` fetches and keeps.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

import httpx

from bff.clock import Clock
from bff.config.provider_section import Provider
from bff.config.values import is_loopback
from bff.journal.log import Event, tell
from bff.problem import Reason, Refused
from bff.provider.cached import Cached, Copy
from bff.provider.call import Fault, ProviderHttp, answered_object

OPENID_CONFIGURATION: Final = "/.well-known/openid-configuration"
OAUTH_METADATA: Final = "/.well-known/oauth-authorization-server"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What of the metadata is used, names as there; an absent endpoint is None."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str  # empty: there are none
    userinfo_endpoint: str | None
    revocation_endpoint: str | None
    pushed_authorization_request_endpoint: str | None
    end_session_endpoint: str | None
    iss_parameter_supported: bool  # authorization_response_iss_parameter_supported (RFC 9207)
    requires_par: bool  # require_pushed_authorization_requests (RFC 9126)


def openid_configuration_url(issuer: str) -> str:
    """Where the metadata of `issuer` is: after its path, whose final slash is taken off."""
    return issuer.rstrip("/") + OPENID_CONFIGURATION


def oauth_metadata_urls(issuer: str) -> tuple[str, ...]:
    """Where RFC 8414 metadata may be: before the path (§3.1), or after it, as some have it."""
    parts = urlsplit(issuer)
    inserted = f"{parts.scheme}://{parts.netloc}{OAUTH_METADATA}{parts.path.rstrip('/')}"
    appended = issuer.rstrip("/") + OAUTH_METADATA
    return (inserted,) if inserted == appended else (inserted, appended)


def read_metadata(document: Mapping[str, object], issuer: str, *, mtls: bool = False) -> Metadata:
    """The metadata in the document.

    `mtls`: we show a certificate, so that what we call ourselves is at its
    `mtls_endpoint_aliases`, where it has them (RFC 8705 §5).

    Raises Refused(PROVIDER_UNAVAILABLE) if it is another issuer's, by so much as a slash
    (Discovery §4.3), or lacks an endpoint that a login needs. An endpoint that is neither https
    nor on loopback counts as absent.
    """
    if document.get("issuer") != issuer:
        raise Refused(Reason.PROVIDER_UNAVAILABLE)
    called = _with_aliases(document) if mtls else document
    return Metadata(
        issuer=issuer,
        authorization_endpoint=_required(document, "authorization_endpoint"),
        token_endpoint=_required(called, "token_endpoint"),
        jwks_uri=_required(document, "jwks_uri"),
        userinfo_endpoint=_endpoint(called, "userinfo_endpoint"),
        revocation_endpoint=_endpoint(called, "revocation_endpoint"),
        pushed_authorization_request_endpoint=_endpoint(
            called, "pushed_authorization_request_endpoint"
        ),
        end_session_endpoint=_endpoint(document, "end_session_endpoint"),
        iss_parameter_supported=(
            document.get("authorization_response_iss_parameter_supported") is True
        ),
        requires_par=document.get("require_pushed_authorization_requests") is True,
    )


def _with_aliases(document: Mapping[str, object]) -> Mapping[str, object]:
    """The document with the aliases in place of what they stand for; unsafe ones are none."""
    aliases = document.get("mtls_endpoint_aliases")
    if not isinstance(aliases, Mapping):
        return document
    return {**document, **{name: url for name in aliases if (url := _endpoint(aliases, name))}}


def _required(document: Mapping[str, object], name: str) -> str:
    found = _endpoint(document, name)
    if found is None:
        raise Refused(Reason.PROVIDER_UNAVAILABLE)
    return found


def _endpoint(document: Mapping[str, object], name: str) -> str | None:
    value = document.get(name)
    return value if isinstance(value, str) and _is_safe(value) else None


def _is_safe(url: str) -> bool:
    if not url.isascii() or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        _ = parts.port
        # Whatever the client could not send is refused here, and not in the midst of a login.
        host = httpx.URL(url).host
        host.encode("idna")
    except (ValueError, httpx.InvalidURL):
        return False
    if parts.username is not None or "#" in url or not host or host != parts.hostname:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))


def written_metadata(config: Provider) -> Metadata | None:
    """What the file says of a provider that has no metadata; None for all others."""
    if config.identity != "userinfo":
        return None
    return Metadata(
        issuer=config.issuer,
        authorization_endpoint=config.authorization_endpoint or "",
        token_endpoint=config.token_endpoint or "",
        jwks_uri="",
        userinfo_endpoint=None,
        revocation_endpoint=config.revocation_endpoint,
        pushed_authorization_request_endpoint=None,
        end_session_endpoint=config.end_session_endpoint,
        iss_parameter_supported=False,
        requires_par=False,
    )


class Discovery:
    """The metadata of the configured issuer, kept for an hour and renewed in the background."""

    def __init__(
        self, config: Provider, http: ProviderHttp, clock: Clock, copy: Copy[Metadata]
    ) -> None:
        self._config = config
        self._issuer = config.issuer
        self._mtls = config.client_certificate is not None
        self._http = http
        # The second document only tells where to revoke: it may not hold up a login for long.
        self._patience = config.connect_timeout
        self._written = written_metadata(config)
        self._cached = Cached(self._fetch, clock, copy)

    @property
    def known(self) -> bool:
        """Whether there has ever been metadata, whatever became of the provider since."""
        return self._written is not None or self._cached.known

    async def metadata(self) -> Metadata:
        """The metadata. Raises Refused(PROVIDER_UNAVAILABLE) if it is not to be had."""
        return self._written or await self._cached.value()

    async def close(self) -> None:
        """End a fetch that is under way."""
        await self._cached.close()

    async def _fetch(self) -> Metadata | None:
        reply = await self._http.get(
            openid_configuration_url(self._issuer), kind="openid_configuration"
        )
        if isinstance(reply, Fault):
            return None
        document = answered_object(reply)
        if document is None:
            _tell("unreadable", reply.status)
            return None
        try:
            found = read_metadata(document, self._issuer, mtls=self._mtls)
        except Refused:
            mismatch = document.get("issuer") != self._issuer
            if mismatch:
                self._cached.forget()  # whoever answers there now is not the one we knew
            _tell("issuer_mismatch" if mismatch else "endpoint_missing", reply.status)
            return None
        found = self._with_unannounced(found)
        return found if found.revocation_endpoint else await self._with_revocation(found)

    def _with_unannounced(self, found: Metadata) -> Metadata:
        """The same with the endpoints that the file names: it has the last word."""
        config = self._config
        return replace(
            found,
            revocation_endpoint=config.revocation_endpoint or found.revocation_endpoint,
            end_session_endpoint=config.end_session_endpoint or found.end_session_endpoint,
        )

    async def _with_revocation(self, found: Metadata) -> Metadata:
        """The same with a revocation endpoint, if RFC 8414 metadata has one; harmless if not."""
        try:
            async with asyncio.timeout(self._patience):
                for url in oauth_metadata_urls(self._issuer):
                    document = answered_object(await self._http.get(url, kind="oauth_metadata"))
                    if document is not None and document.get("issuer") == self._issuer:
                        called = _with_aliases(document) if self._mtls else document
                        endpoint = _endpoint(called, "revocation_endpoint")
                        if endpoint is not None:
                            return replace(found, revocation_endpoint=endpoint)
        except TimeoutError:
            _tell("oauth_metadata_late")
        return found


def _tell(code: str, status: int | None = None) -> None:
    tell(Event.PROVIDER_FAILED, endpoint="openid_configuration", code=code, status=status)
