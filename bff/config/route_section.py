"""`[[routes]]`: one prefix of paths and where it leads."""

import re
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from bff.config.access import Require, Scopes
from bff.config.hashed import DEFAULT, Templates
from bff.config.pages import Policy, SecurityHeaders
from bff.config.provider_section import ABSOLUTE_URI
from bff.config.section import Section
from bff.config.values import Count, Flag, Octets, Seconds, ServerUrl, fault

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2


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


def _folder(value: object) -> object:
    if value == "":
        raise fault("names no folder", 'write its path; the current one is "."')
    return value


def _set_headers(value: dict[str, str]) -> dict[str, str]:
    taken = {"host", "authorization", "cookie", "connection", "transfer-encoding", "content-length"}
    for name, text in value.items():
        if not _TOKEN.fullmatch(name) or name.lower() in taken:
            raise fault("sets a field that is not the route's", "remove it: the relay sets it")
        if not text.isascii() or not text.isprintable():
            raise fault("sets a field to what HTTP cannot carry", "use printable ASCII")
    return value


def _resource(value: str) -> str:
    if not ABSOLUTE_URI.fullmatch(value):
        raise fault(
            "is no absolute URI without a fragment",
            'write the API\'s own identifier, as "https://api.example.com/"',
        )
    return value


class Route(Section):
    """One prefix of paths and where it leads: an upstream, or files."""

    path: Annotated[str, AfterValidator(_route_path)]
    upstream: ServerUrl | None = None
    public_url: ServerUrl | None = None
    static: Annotated[Path, BeforeValidator(_folder)] | None = None
    strip: Flag = False
    auth: Literal["user", "optional", "client", "none"] = "user"
    provider: str | None = None
    anonymous: Flag = False
    resource: Annotated[str, AfterValidator(_resource)] | None = None
    audience: Annotated[str, Field(pattern=r"^[!-~]{1,256}$")] | None = None
    scopes: Scopes = ()
    require: Require = {}
    methods: Annotated[tuple[str, ...], AfterValidator(_methods)] = ()
    navigation: Flag = False
    documents: Flag = False
    plaintext: Flag = False
    ca_file: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None
    request_cookies: Annotated[tuple[str, ...], AfterValidator(_tokens)] = ()
    response_cookies: Annotated[tuple[str, ...], AfterValidator(_tokens)] = ()
    headers: Annotated[dict[str, str], AfterValidator(_set_headers)] = {}
    max_body: Octets = 100 * 1024 * 1024
    connect_timeout: Annotated[Seconds, Field(gt=0)] = 5.0
    answer_timeout: Annotated[Seconds, Field(gt=0)] = 60.0
    idle_timeout: Annotated[Seconds, Field(gt=0)] = 300.0
    connections: Annotated[Count, Field(ge=1, le=10_000)] = 256
    content_security_policy: Policy | None = None
    security_headers: SecurityHeaders = {}
    immutable: Templates = DEFAULT
    websocket: Flag = False
    websocket_message: Annotated[Octets, Field(ge=1)] = 1024 * 1024
    websocket_compression: Flag = False
    websocket_age: Annotated[Seconds, Field(gt=0)] = 24 * 3600.0
    websocket_expiry: Literal["keep", "close"] = "keep"

    @property
    def own_token(self) -> bool:
        """Whether a person's request gets a token that is for this route's API alone (R-12)."""
        personal = self.auth in ("user", "optional")
        return personal and (self.resource is not None or self.audience is not None)
