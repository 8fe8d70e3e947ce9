"""Single values of the file: durations, sizes, secrets, origins, addresses. Parsed once, here."""

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Final, NewType
from urllib.parse import SplitResult, urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

Origin = NewType("Origin", str)  # scheme://host[:port], lower case, without a default port

ADMIN_PASSWORD: Final = 16  # characters that it has at least

_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZES: Final = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_DURATION: Final = re.compile(r"(\d+)(ms|s|m|h|d)")
_SIZE: Final = re.compile(r"(\d+)(B|KiB|MiB|GiB)")
_VARIABLE: Final = re.compile(r"[A-Z_][A-Z0-9_]{0,63}")
_PATH: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~%!$&'()*+,;=:@/"
_HOST: Final = re.compile(r"[a-z0-9_]([a-z0-9._-]*[a-z0-9_])?")  # an IDN comes as xn--


def fault(message: str, mend: str) -> PydanticCustomError:
    """A fault of one value. Neither text quotes the value: it may be a secret."""
    return PydanticCustomError("bff", "{message}", {"message": message, "mend": mend})


def _duration(value: object) -> object:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise fault("is no duration", 'write a number with a unit, as "30s", "10m" or "12h"')
    return int(match[1]) * float(_UNITS[match[2]])


def _size(value: object) -> object:
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise fault("is no size", 'write a number with a unit, as "64KiB" or "100MiB"')
    return int(match[1]) * _SIZES[match[2]]


def read_secret(value: object, info: ValidationInfo) -> object:
    """The secret itself, from where the file says it is. The file never holds it (T-05)."""
    context: dict[str, Any] = info.context or {}
    if isinstance(value, str):
        if context.get("dev"):
            return SecretStr(value)
        raise fault(
            "is a secret written into the file",
            'name the place instead: { env = "NAME" } or { file = "/path" }',
        )
    if not isinstance(value, dict) or len(value) != 1:
        raise fault("names no place", 'write { env = "NAME" } or { file = "/path" }')
    ((kind, where),) = value.items()
    if kind not in ("env", "file") or not isinstance(where, str) or not where:
        raise fault("names no place", 'write { env = "NAME" } or { file = "/path" }')
    return SecretStr(_from_place(kind, where))


def _from_place(kind: str, where: str) -> str:
    """Only what can hardly be the secret itself, pasted into the wrong place, is quoted."""
    if kind == "env":
        found = os.environ.get(where, "")
        if not found:
            name = where if _VARIABLE.fullmatch(where) else "it"
            raise fault("names an environment variable that is not set", f"set {name}")
        return found
    try:
        found = Path(where).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        raise fault(
            "names a file that cannot be read", "create it, readable by this user"
        ) from None
    if not found:
        raise fault("names a file that is empty", "put the secret into it")
    return found


def _long(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value()) < ADMIN_PASSWORD:
        raise fault(
            f"is shorter than {ADMIN_PASSWORD} characters",
            "make one with `openssl rand -base64 24`: a program keeps it, nobody types it",
        )
    return value


def is_loopback(host: str | None) -> bool:
    """Whether the host names this machine: localhost, its subdomains, or a loopback address."""
    if host is None:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _origin(value: object) -> object:
    mend = 'write scheme and host only, as "https://app.example.com"'
    parts = _parts(value, "origin", mend)
    if parts.path.rstrip("/") or {"?", "#", "@"} & set(str(value)):
        raise fault("is no origin", mend)
    host = parts.hostname or ""
    if parts.scheme == "http" and not is_loopback(host):
        raise fault("is http and not loopback", "use https: cookies and tokens travel there")
    return canonical_origin(parts.scheme, host, parts.port)


def _parts(value: object, what: str, mend: str) -> SplitResult:
    """The parts of an absolute http(s) URL with a plain host."""
    # `urlsplit` silently takes out tabs and line ends.
    clean = isinstance(value, str) and re.fullmatch(r"[\x21-\x7e]+", value) is not None
    try:
        parts = urlsplit(str(value) if clean else "")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise fault(f"is no {what}", mend) from None
    plain = _HOST.fullmatch(host) is not None or _is_address(host)
    if parts.scheme not in ("http", "https") or not plain or port == 0:
        raise fault(f"is no {what}", mend)
    return parts


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def canonical_origin(scheme: str, host: str, port: int | None) -> str:
    """The origin as browsers write it (RFC 6454 §6.2): lower case, no default port."""
    default = {"http": 80, "https": 443}[scheme]
    shown = f"[{host}]" if ":" in host else host.lower()
    return f"{scheme}://{shown}" if port in (None, default) else f"{scheme}://{shown}:{port}"


def _server_url(value: object) -> object:
    """An absolute http(s) URL without user info, query or fragment."""
    parts = _parts(value, "http(s) URL", 'write one, as "https://login.example.com"')
    if {"?", "#", "@"} & set(str(value)):
        raise fault("holds more than a host and a path", "leave out user, query and fragment")
    if parts.path.strip(_PATH):
        raise fault("has a path that HTTP cannot carry", "percent-encode it")
    return value


def _endpoint(value: object) -> object:
    mend = 'write an absolute URL, as "https://login.example.com/oauth/token"'
    parts = _parts(value, "endpoint", mend)
    if {"#", "@"} & set(str(value)):
        raise fault("is no endpoint", mend)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise fault("is http and not loopback", "use https: secrets and tokens travel there")
    return value


def _issuer(value: object) -> object:
    _server_url(value)
    parts = urlsplit(str(value))
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise fault("is http and not loopback", "use https: secrets and tokens travel there")
    return value


def _network(value: object) -> object:
    try:
        return ipaddress.ip_network(value if isinstance(value, str) else "")
    except ValueError:
        raise fault("is no network", 'write one, as "10.0.0.0/8"') from None


def _address(value: object) -> object:
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise fault("is no address", 'write host and port, as "127.0.0.1:9090"')
    return (host.strip("[]"), int(port))


_PATTERN_DURATION = {"type": "string", "pattern": r"^\d+(ms|s|m|h|d)$"}
_SECRET_SCHEMA: Final[dict[str, Any]] = {
    "oneOf": [
        {
            "type": "object",
            "properties": {kind: {"type": "string"}},
            "required": [kind],
            "additionalProperties": False,
        }
        for kind in ("env", "file")
    ]
}

Seconds = Annotated[float, BeforeValidator(_duration), WithJsonSchema(_PATTERN_DURATION)]
Octets = Annotated[
    int,
    BeforeValidator(_size),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(B|KiB|MiB|GiB)$"}),
]
Secret = Annotated[SecretStr, BeforeValidator(read_secret), WithJsonSchema(_SECRET_SCHEMA)]
AdminPassword = Annotated[
    SecretStr,
    AfterValidator(_long),
    BeforeValidator(read_secret),
    WithJsonSchema(_SECRET_SCHEMA),
]
OriginUrl = Annotated[
    Origin, BeforeValidator(_origin), WithJsonSchema({"type": "string", "format": "uri"})
]
ServerUrl = Annotated[
    str, BeforeValidator(_server_url), WithJsonSchema({"type": "string", "format": "uri"})
]
EndpointUrl = Annotated[
    str, BeforeValidator(_endpoint), WithJsonSchema({"type": "string", "format": "uri"})
]
IssuerUrl = Annotated[
    str, BeforeValidator(_issuer), WithJsonSchema({"type": "string", "format": "uri"})
]
Flag = Annotated[bool, Field(strict=True)]
Count = Annotated[int, Field(strict=True)]
Network = Annotated[
    ipaddress.IPv4Network | ipaddress.IPv6Network,
    BeforeValidator(_network),
    WithJsonSchema({"type": "string"}),
]
Address = Annotated[tuple[str, int], BeforeValidator(_address), WithJsonSchema({"type": "string"})]
