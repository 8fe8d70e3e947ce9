"""Single values of the file: durations, sizes, secrets, origins, addresses. Parsed once, here."""

import ipaddress
import os
import re
from pathlib import Path
from typing import Annotated, Any, Final, NewType
from urllib.parse import urlsplit

from pydantic import BeforeValidator, SecretStr, ValidationInfo, WithJsonSchema
from pydantic_core import PydanticCustomError

Origin = NewType("Origin", str)  # scheme://host[:port], lower case, without a default port

_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_SIZES: Final = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
_DURATION: Final = re.compile(r"(\d+)(ms|s|m|h|d)")
_SIZE: Final = re.compile(r"(\d+)(B|KiB|MiB|GiB)")


def fault(message: str, mend: str) -> PydanticCustomError:
    """A fault of one value. Neither text quotes the value: it may be a secret."""
    return PydanticCustomError("bff", "{message}", {"message": message, "mend": mend})


def _duration(value: object) -> object:
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        if isinstance(value, float) and not isinstance(value, bool):
            return value  # a default, already in seconds
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
    if kind not in ("env", "file") or not isinstance(where, str):
        raise fault("names no place", 'write { env = "NAME" } or { file = "/path" }')
    return SecretStr(_from_place(kind, where))


def _from_place(kind: str, where: str) -> str:
    if kind == "env":
        found = os.environ.get(where, "")
        if not found:
            raise fault(f"environment variable {where} is not set", f"set {where}, or name another")
        return found
    try:
        found = Path(where).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise fault(f"file {where} cannot be read", "create it, readable by this user") from None
    if not found:
        raise fault(f"file {where} is empty", "put the secret into it")
    return found


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
    if not isinstance(value, str):
        raise fault("is no origin", mend)
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise fault("is no origin", mend) from None
    bare = not (parts.path.rstrip("/") or parts.query or parts.fragment or parts.username)
    if parts.scheme not in ("http", "https") or not parts.hostname or not bare:
        raise fault("is no origin", mend)
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise fault("is http and not loopback", "use https: cookies and tokens travel there")
    return canonical_origin(parts.scheme, parts.hostname, port)


def canonical_origin(scheme: str, host: str, port: int | None) -> str:
    """The origin as browsers write it (RFC 6454 §6.2): lower case, no default port."""
    default = {"http": 80, "https": 443}[scheme]
    shown = f"[{host}]" if ":" in host else host.lower()
    return f"{scheme}://{shown}" if port in (None, default) else f"{scheme}://{shown}:{port}"


def _server_url(value: object) -> object:
    """An absolute https URL, http on loopback only, without user info, query or fragment."""
    if not isinstance(value, str):
        raise fault("is no URL", 'write one, as "https://login.example.com"')
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise fault("is no URL", 'write one, as "https://login.example.com"') from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise fault("is no http(s) URL", 'write one, as "https://login.example.com"')
    if parts.username or parts.query or parts.fragment or "?" in value or "#" in value:
        raise fault("holds more than a host and a path", "leave out user, query and fragment")
    return value


def _issuer(value: object) -> object:
    _server_url(value)
    parts = urlsplit(str(value))
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise fault("is http and not loopback", "use https: secrets and tokens travel there")
    return value


def _network(value: object) -> object:
    try:
        return ipaddress.ip_network(str(value))
    except ValueError:
        raise fault("is no network", 'write one, as "10.0.0.0/8"') from None


def _address(value: object) -> object:
    host, colon, port = str(value).rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
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
OriginUrl = Annotated[
    Origin, BeforeValidator(_origin), WithJsonSchema({"type": "string", "format": "uri"})
]
ServerUrl = Annotated[
    str, BeforeValidator(_server_url), WithJsonSchema({"type": "string", "format": "uri"})
]
IssuerUrl = Annotated[
    str, BeforeValidator(_issuer), WithJsonSchema({"type": "string", "format": "uri"})
]
Network = Annotated[
    ipaddress.IPv4Network | ipaddress.IPv6Network,
    BeforeValidator(_network),
    WithJsonSchema({"type": "string"}),
]
Address = Annotated[tuple[str, int], BeforeValidator(_address), WithJsonSchema({"type": "string"})]
