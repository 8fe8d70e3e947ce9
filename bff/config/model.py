"""The sections of the file as frozen models. Names here are the keys of the file."""

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
)

from bff.config.values import (
    Address,
    Count,
    Flag,
    IssuerUrl,
    Network,
    Octets,
    OriginUrl,
    Seconds,
    Secret,
    ServerUrl,
    fault,
    read_secret,
)
from bff.keys import KEY_ID

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2

_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")  # RFC 6749 §3.3

Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"
]


class Section(BaseModel):
    """A table of the file: frozen, and an unknown key is a fault."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _scopes(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_SCOPE.fullmatch(scope) for scope in value):
        raise fault("holds what is no scope", 'write each by itself, as ["openid", "profile"]')
    if "openid" not in value:
        raise fault("lacks the scope openid", 'add "openid": this is OpenID Connect')
    return value


def _parameters(value: dict[str, str]) -> dict[str, str]:
    ours = {
        "response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce",
        "code_challenge", "code_challenge_method", "request", "request_uri", "client_secret",
    }  # fmt: skip
    if taken := sorted(ours & value.keys()):
        raise fault(f"sets {taken[0]}, which the flow itself sets", f"remove {taken[0]}")
    return value


class Provider(Section):
    """The authorization server, and who we are to it."""

    issuer: IssuerUrl
    client_id: Annotated[str, Field(min_length=1)]
    client_secret: Secret | None = None
    client_authentication: Literal["client_secret_basic", "client_secret_post", "none"] = (
        "client_secret_basic"
    )
    scopes: Annotated[tuple[str, ...], AfterValidator(_scopes)] = ("openid", "profile")
    parameters: Annotated[dict[str, str], AfterValidator(_parameters)] = {}
    userinfo: Flag = False
    silent_login: Flag = True
    ca_file: Path | None = None
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256",)
    trusted_audiences: tuple[str, ...] = ()
    clock_skew: Annotated[Seconds, Field(ge=0, le=60)] = 30.0
    connect_timeout: Annotated[Seconds, Field(gt=0, le=60)] = 3.0
    total_timeout: Annotated[Seconds, Field(gt=0, le=60)] = 10.0
    connections: Annotated[Count, Field(ge=2, le=1000)] = 20
    assume_expires_in: Annotated[Seconds, Field(gt=0)] | None = None


def _claims(value: tuple[str, ...]) -> tuple[str, ...]:
    inner = {
        "nonce",
        "at_hash",
        "c_hash",
        "s_hash",
        "sid",
        "aud",
        "azp",
        "exp",
        "iat",
        "nbf",
        "jti",
    }
    if taken := sorted(inner & set(value)):
        raise fault(f"would show {taken[0]} to the page", f"remove {taken[0]}: it is not for pages")
    return value


def _store(value: object, info: ValidationInfo) -> object:
    """A URL, or the place of one; a password is never written into the file (T-05)."""
    if isinstance(value, str) and "@" not in value:
        return SecretStr(value)
    return read_secret(value, info)


_STORE_SCHEMA: Final[dict[str, Any]] = {
    "oneOf": [
        {"type": "string"},
        {
            "type": "object",
            "properties": {"env": {"type": "string"}, "file": {"type": "string"}},
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        },
    ]
}


class SessionSection(Section):
    """What we remember of a browser, where, and for how long."""

    # A URL with a password in it is a secret, so it is held as one wherever it came from.
    store: Annotated[SecretStr, BeforeValidator(_store), WithJsonSchema(_STORE_SCHEMA)]
    ca_file: Path | None = None
    store_deadline: Annotated[Seconds, Field(gt=0, le=30)] = 1.0
    wait_replicas: Annotated[Count, Field(ge=0, le=10)] | None = None
    sentinel_password: Secret | None = None
    prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,40}$")] = "bff"
    idle: Annotated[Seconds, Field(ge=1)] = 1800.0
    lifetime: Annotated[Seconds, Field(ge=1, le=34_560_000)] = 43200.0
    claims: Annotated[tuple[str, ...], AfterValidator(_claims)] = ("name", "picture")
    persistent: Flag = False


class Refresh(Section):
    """When tokens are renewed: in the last part of their life, spread so that no herd forms."""

    ahead: Annotated[float, Field(ge=0, le=0.9, strict=True)] = 0.2
    jitter: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.5
    lease: Annotated[Seconds, Field(gt=0, le=600)] | None = None


class Logout(Section):
    """What happens around the end of a session."""

    return_to: str = "/"
    revoke_access_token: Flag = False
    revoke_former: Flag = False
    clear_site_data: Flag = False


def _key_ids(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(KEY_ID.fullmatch(kid) for kid in value):
        raise fault("is no key id", "write the eight hex digits that `bff keys new` showed")
    return value


class Keys(Section):
    """The keyring's lines, as `bff keys new` prints them."""

    current: Secret
    accepted: tuple[Secret, ...] = ()
    retired: Annotated[tuple[str, ...], AfterValidator(_key_ids)] = ()


def _tokens(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_TOKEN.fullmatch(name) for name in value):
        raise fault("holds a name that HTTP does not know", "use letters, digits and -")
    return value


def _methods(value: tuple[str, ...]) -> tuple[str, ...]:
    if {"CONNECT", "TRACE"} & {method.upper() for method in value}:
        raise fault("lists CONNECT or TRACE", "remove it: it is never relayed")
    return tuple(method.upper() for method in _tokens(value))


def _route_path(value: str) -> str:
    segments = value.split("/")[1:]
    plain = all(
        re.fullmatch(r"[A-Za-z0-9_~.-]+", part) and part not in (".", "..") for part in segments
    )
    if value != "/" and not (value.startswith("/") and plain):
        raise fault("is no path prefix", 'write plain segments, as "/api" or "/api/admin"')
    if value.lower() == "/bff" or value.lower().startswith("/bff/"):
        raise fault("lies under /bff", "choose another path: /bff is ours")
    return value


def _set_headers(value: dict[str, str]) -> dict[str, str]:
    taken = {"host", "authorization", "cookie", "connection", "transfer-encoding", "content-length"}
    for name, text in value.items():
        if not _TOKEN.fullmatch(name) or name.lower() in taken:
            raise fault("sets a field that is not the route's", "remove it: the relay sets it")
        if not text.isascii() or not text.isprintable():
            raise fault("sets a field to what HTTP cannot carry", "use printable ASCII")
    return value


class Route(Section):
    """One prefix of paths and where it leads: an upstream, or files."""

    path: Annotated[str, AfterValidator(_route_path)]
    upstream: ServerUrl | None = None
    static: Path | None = None
    strip: Flag = False
    auth: Literal["user", "optional", "client", "none"] = "user"
    methods: Annotated[tuple[str, ...], AfterValidator(_methods)] = ()
    navigation: Flag = False
    documents: Flag = False
    plaintext: Flag = False
    ca_file: Path | None = None
    request_cookies: Annotated[tuple[str, ...], AfterValidator(_tokens)] = ()
    response_cookies: Annotated[tuple[str, ...], AfterValidator(_tokens)] = ()
    headers: Annotated[dict[str, str], AfterValidator(_set_headers)] = {}
    max_body: Octets = 100 * 1024 * 1024
    connect_timeout: Annotated[Seconds, Field(gt=0)] = 5.0
    answer_timeout: Annotated[Seconds, Field(gt=0)] = 60.0
    idle_timeout: Annotated[Seconds, Field(gt=0)] = 300.0
    connections: Annotated[Count, Field(ge=1, le=10_000)] = 256
    content_security_policy: str | None = None


class Server(Section):
    """The public side: TLS where it ends here, and how long a browser may take."""

    tls_certificate: Path | None = None
    tls_key: Path | None = None
    head_timeout: Annotated[Seconds, Field(gt=0)] = 10.0
    progress_timeout: Annotated[Seconds, Field(gt=0)] = 30.0
    keep_alive: Annotated[Seconds, Field(gt=0)] = 75.0


class Operate(Section):
    """The operations address, whom to believe, how to stop."""

    listen: Address = ("127.0.0.1", 9090)
    trusted_proxies: tuple[Network, ...] = ()
    drain_delay: Annotated[Seconds, Field(ge=0)] = 5.0
    stop_deadline: Annotated[Seconds, Field(gt=0)] = 30.0


class File(Section):
    """The whole file. `[frontends.NAME]` is known, so that it can be refused by name."""

    origin: OriginUrl
    provider: Provider
    session: SessionSection
    keys: Keys
    routes: Annotated[tuple[Route, ...], Field(min_length=1)]
    refresh: Refresh = Refresh()
    logout: Logout = Logout()
    server: Server = Server()
    operate: Operate = Operate()
