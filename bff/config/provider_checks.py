"""What the values of [provider] must keep together: pure checks, each naming key and mend.

Under `checks`, which asks them.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from bff.config import profile
from bff.config.certificates import check_ca_file, check_pair
from bff.config.client_keys import check_client_keys
from bff.config.faults import Fault
from bff.config.provider_section import ClientAuthentication, ClientKey
from bff.config.values import is_loopback

Faults = Iterator[Fault]

_BY_SECRET: Final = frozenset({"client_secret_basic", "client_secret_post"})
_BY_CERTIFICATE: Final = frozenset({"tls_client_auth", "self_signed_tls_client_auth"})


def _public_client(dev: bool, issuer: str, authentication: ClientAuthentication) -> Faults:
    if authentication == "none" and not (dev and is_loopback(urlsplit(issuer).hostname)):
        yield Fault(
            key="provider.client_authentication",
            message='is "none": a public client',
            mend='use "private_key_jwt" and set client_keys',
        )


def _client_secret(authentication: ClientAuthentication, client_secret: SecretStr | None) -> Faults:
    wanted = authentication in _BY_SECRET
    if wanted and client_secret is None:
        yield Fault(
            key="provider.client_secret",
            message="is missing",
            mend='add client_secret = { env = "BFF_CLIENT_SECRET" }',
        )
    elif client_secret is not None and not wanted and authentication != "none":
        yield Fault(
            key="provider.client_secret",
            message=f'means nothing beside "{authentication}": it would be kept and never used',
            mend="remove it",
        )


def _client_keys(authentication: ClientAuthentication, keys: tuple[ClientKey, ...]) -> Faults:
    if authentication == "private_key_jwt" and not keys:
        yield Fault(
            key="provider.client_keys",
            message="is missing",
            mend='add client_keys = [{ kid = "…", private_key = { file = "…" } }]',
        )
    yield from check_client_keys(keys)


def _client_certificate(
    authentication: ClientAuthentication, certificate: Path | None, key: Path | None
) -> Faults:
    if authentication in _BY_CERTIFICATE and certificate is None and key is None:
        yield Fault(
            key="provider.client_certificate",
            message="is missing",
            mend="set client_certificate and client_key",
        )
    pair = ("client_certificate", certificate), ("client_key", key)
    yield from check_pair("provider", *pair)


_OF_RESOURCES: Final = (
    "authorization_endpoint", "token_endpoint", "identity_endpoint", "subject_claim",
)  # fmt: skip


def _identity(identity: str, *values: object) -> Faults:
    """Who says who signed in: an ID token of the issuer's, or a resource that the file names."""
    for name, value in zip(_OF_RESOURCES, values, strict=True):
        if identity == "userinfo" and value is None:
            yield Fault(
                key=f"provider.{name}",
                message='is missing beside identity = "userinfo"',
                mend="add it, as the provider's manual has it",
            )
        if identity == "openid" and value is not None:
            yield Fault(
                key=f"provider.{name}",
                message="means nothing here: an OpenID provider says it itself",
                mend='remove it, or say identity = "userinfo"',
            )


def _openid(identity: str, scopes: tuple[str, ...]) -> Faults:
    if identity == "openid" and "openid" not in scopes:
        yield Fault(
            key="provider.scopes",
            message="lacks the scope openid",
            mend='add "openid": this is OpenID Connect',
        )
    if identity == "userinfo" and "openid" in scopes:
        yield Fault(
            key="provider.scopes",
            message='asks for openid, and identity = "userinfo" takes no ID token',
            mend='write the scopes that this provider knows, as ["read:user"]',
        )


def _no_profile(identity: str, profile: str, userinfo: bool) -> Faults:
    for name, on in (("profile", profile != "none"), ("userinfo", userinfo)):
        if identity == "userinfo" and on:
            yield Fault(
                key=f"provider.{name}",
                message='is about OpenID Connect, and identity = "userinfo" is not',
                mend="remove it",
            )


def _signed(userinfo: bool, signed: bool) -> Faults:
    if signed and not userinfo:
        yield Fault(
            key="provider.userinfo_signed",
            message="means nothing where UserInfo is not asked",
            mend="set userinfo = true, or remove it",
        )


# (the keys that must have been read, the check; it gets their values)
PROVIDER_CHECKS: Final[tuple[tuple[tuple[str, ...], Callable[..., Faults]], ...]] = (
    (("dev", "provider.issuer", "provider.client_authentication"), _public_client),
    (("provider.client_authentication", "provider.client_secret"), _client_secret),
    (("provider.client_authentication", "provider.client_keys"), _client_keys),
    (
        ("provider.client_authentication", "provider.client_certificate", "provider.client_key"),
        _client_certificate,
    ),
    (("provider.profile", "provider.client_authentication"), profile.check_authentication),
    (("provider.profile", "provider.client_assertion_audience"), profile.check_audience),
    (("provider.profile", "provider.dpop", "provider.client_certificate"), profile.check_binding),
    (("provider.profile", "provider.pushed_authorization_requests"), profile.check_pushing),
    (("provider.profile", "provider.algorithms"), profile.check_algorithms),
    (
        (
            "provider.identity",
            *(f"provider.{name}" for name in _OF_RESOURCES),
        ),
        _identity,
    ),
    (("provider.identity", "provider.scopes"), _openid),
    (("provider.identity", "provider.profile", "provider.userinfo"), _no_profile),
    (("provider.userinfo", "provider.userinfo_signed"), _signed),
    (("provider.ca_file",), lambda path: check_ca_file("provider.ca_file", path)),
)
