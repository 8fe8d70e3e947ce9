"""Who may sign in, which client may ask, and where the simulator may listen.

Every other module of the room takes its facts from here; nothing here does I/O. The simulator
signs anybody in without a password, so it exists on loopback or not at all.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from bff.simulator.switches import Switches

SCOPES: Final[Mapping[str, str]] = {
    "openid": "Know who you are",
    "profile": "See your name and picture",
    "email": "See your e-mail address",
    "phone": "See your phone number",
    "offline_access": "Keep working for you while you are away",
    "tasks:read": "See your tasks",
    "tasks:write": "Add, change and delete your tasks",
}
# What a client cannot have for itself.
OF_PEOPLE: Final = frozenset({"openid", "profile", "email", "phone", "offline_access"})
SIGNING_ALGS: Final = ("RS256", "ES256", "RS512")


class SettingsError(ValueError):
    """A setting that the simulator refuses; the message names it and the mend."""


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address without brackets, can only be this machine."""
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):  # RFC 6761 §6.3
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person who can sign in by being chosen."""

    sub: str
    name: str
    given_name: str
    family_name: str
    email: str
    email_verified: bool = True
    phone_number: str = "+44 20 7946 0000"
    hue: int = 210  # of the avatar, in degrees of the colour wheel
    claims: Mapping[str, object] = field(default_factory=dict)  # more, in every ID token

    @property
    def initials(self) -> str:
        """What the avatar shows."""
        return (self.given_name[:1] + self.family_name[:1]).upper()


ACCOUNTS: Final = (
    Account(
        sub="ada",
        name="Ada Lovelace",
        given_name="Ada",
        family_name="Lovelace",
        email="ada@example.com",
        phone_number="+44 20 7946 0101",
        hue=268,
    ),
    Account(
        sub="grace",
        name="Grace Hopper",
        given_name="Grace",
        family_name="Hopper",
        email="grace@example.com",
        phone_number="+1 202 555 0102",
        hue=150,
    ),
    Account(
        sub="alan",
        name="Alan Turing",
        given_name="Alan",
        family_name="Turing",
        email="alan@example.com",
        email_verified=False,
        phone_number="+44 20 7946 0103",
        hue=20,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One registered client; its URIs are compared octet for octet."""

    client_id: str
    redirect_uris: tuple[str, ...]
    client_secret: str = field(default="", repr=False)
    jwks: tuple[Mapping[str, object], ...] = ()  # its public keys, for private_key_jwt
    tls_client_auth_subject_dn: str | None = None  # as RFC 4514 writes it
    certificates: tuple[bytes, ...] = ()  # in DER, for self_signed_tls_client_auth
    post_logout_redirect_uris: tuple[str, ...] = ()
    backchannel_logout_uri: str | None = None  # on loopback
    frontchannel_logout_uri: str | None = None
    client_name: str = "The application"
    scopes: tuple[str, ...] = tuple(SCOPES)
    token_endpoint_auth_methods: tuple[str, ...] = ("client_secret_basic", "client_secret_post")
    dpop_bound_access_tokens: bool = False  # true: nothing without a proof
    tls_client_certificate_bound_access_tokens: bool = False  # RFC 8705 §3
    id_token_signed_response_alg: str = "RS256"  # noqa: S105 -- registered metadata

    def __post_init__(self) -> None:
        for uri in (*self.redirect_uris, *self.post_logout_redirect_uris):
            parts = urlsplit(uri)
            if parts.scheme not in {"http", "https"} or not parts.hostname or "#" in uri:
                raise SettingsError(f"{uri!r}: a redirect URI is absolute and has no fragment")
        if not is_loopback(urlsplit(self.backchannel_logout_uri or "//localhost").hostname or ""):
            raise SettingsError("backchannel_logout_uri: the simulator calls loopback only")
        if self.id_token_signed_response_alg not in SIGNING_ALGS:
            raise SettingsError(f"id_token_signed_response_alg is one of {SIGNING_ALGS}")
        if not self.client_id or not set(self.token_endpoint_auth_methods) <= self._possible():
            raise SettingsError("a client needs an id and what its methods of authentication need")

    def _possible(self) -> set[str]:
        """The methods for which there is something to compare with."""
        needed: dict[str, object] = {
            "client_secret_basic": self.client_secret,
            "client_secret_post": self.client_secret,
            "private_key_jwt": self.jwks,
            "tls_client_auth": self.tls_client_auth_subject_dn,
            "self_signed_tls_client_auth": self.certificates,
        }
        return {method for method, known in needed.items() if known}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """One provider: raises SettingsError unless its issuer is `http` on loopback."""

    issuer: str
    clients: tuple[Client, ...]
    accounts: tuple[Account, ...] = ACCOUNTS
    audience: str = "urn:simulator:tasks"  # `aud` of the access tokens
    openid: bool = True  # False: OAuth 2.0 alone, with a resource that says who somebody is
    acr_values_supported: tuple[str, ...] = ("1", "2")
    code_seconds: int = 60
    mtls_base: str | None = None  # where it also answers, over TLS, and asks for a certificate
    switches: Switches = field(default_factory=Switches)  # as they are at the start and after reset

    def __post_init__(self) -> None:
        parts = urlsplit(self.issuer)
        if parts.scheme != "http" or not is_loopback(parts.hostname or ""):
            raise SettingsError(
                f"issuer {self.issuer!r}: the simulator signs anybody in and therefore runs on "
                "loopback only; use http://127.0.0.1:PORT or http://localhost:PORT"
            )
        if parts.query or parts.fragment or parts.username:
            raise SettingsError(
                f"issuer {self.issuer!r}: no query, fragment or user (Discovery §3)"
            )
        if len({client.client_id for client in self.clients}) != len(self.clients):
            raise SettingsError("two clients have the same client_id")
        if len({account.sub for account in self.accounts}) != len(self.accounts):
            raise SettingsError("two accounts have the same sub")

    @property
    def base(self) -> str:
        """The issuer without a final slash: what endpoint paths are appended to."""
        return self.issuer.rstrip("/")

    @property
    def origin(self) -> str:
        """Scheme, host and port of the issuer."""
        parts = urlsplit(self.issuer)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def path(self) -> str:
        """The issuer's path without a final slash, often empty."""
        return urlsplit(self.base).path

    def client(self, client_id: str | None) -> Client | None:
        """The client of that id, if registered."""
        return next((each for each in self.clients if each.client_id == client_id), None)

    def account(self, sub: str | None) -> Account | None:
        """The account of that `sub`, if there is one."""
        return next((each for each in self.accounts if each.sub == sub), None)
