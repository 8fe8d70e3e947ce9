"""The opening handshake of a WebSocket, towards the browser and towards the upstream, decided.

Pure. The two are handshakes of their own: another key, another choice of extensions, and only
the person's token instead of the cookie (RFC 6455 §4).
"""

import base64
import binascii
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

from wsproto.extensions import PerMessageDeflate

from bff.caller.request import BrowserRequest
from bff.problem import Headers, Reason, Refused
from bff.relay.framing import AnswerHead
from bff.relay.headers import to_browser

VERSION: Final = b"13"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 §5.6.2
_DEFLATE: Final = b"permessage-deflate"
# RFC 7692 §7.1. 8 is left out: zlib makes no raw stream with so small a window.
_PARAMETER: Final = re.compile(
    rb"(?:server|client)_no_context_takeover"
    rb"|(?:server|client)_max_window_bits=(?:9|1[0-5])|client_max_window_bits"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the browser wants, and the key of our own handshake with the upstream."""

    key: bytes = field(repr=False)
    upstream_key: bytes = field(repr=False)
    subprotocols: tuple[bytes, ...]
    deflate: bytes | None  # the offer of compression, where the route allows it
    compression: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """Both handshakes done: the head for the browser, and each side's compression."""

    head: bytes = field(repr=False)
    browser: PerMessageDeflate | None
    upstream: PerMessageDeflate | None


def read_handshake(request: BrowserRequest, *, compression: bool) -> Wanted:
    """The browser's half (RFC 6455 §4.2.1). Raises Refused: BAD_REQUEST, WEBSOCKET_VERSION."""
    if (
        request.method != "GET"
        or b"websocket" not in _tokens(request.get(b"upgrade"))
        or b"upgrade" not in _tokens(request.get(b"connection"))
    ):
        raise Refused(Reason.BAD_REQUEST)
    version = request.get(b"sec-websocket-version")
    if version is None:
        raise Refused(Reason.BAD_REQUEST)
    if version != VERSION:
        raise Refused(Reason.WEBSOCKET_VERSION)
    subprotocols = _subprotocols(request.get(b"sec-websocket-protocol"))
    return Wanted(
        key=_key(request.get(b"sec-websocket-key")),
        upstream_key=base64.b64encode(secrets.token_bytes(16)),
        subprotocols=subprotocols,
        deflate=_offer(request.get(b"sec-websocket-extensions")) if compression else None,
        compression=compression,
    )


def _tokens(value: bytes | None) -> list[bytes]:
    return [part.strip(b" \t").lower() for part in (value or b"").split(b",")]


def _key(value: bytes | None) -> bytes:
    try:
        if value is not None and len(base64.b64decode(value, validate=True)) == 16:
            return value
    except binascii.Error:
        pass
    raise Refused(Reason.BAD_REQUEST)


def _subprotocols(value: bytes | None) -> tuple[bytes, ...]:
    if value is None:
        return ()
    names = tuple(part.strip(b" \t") for part in value.split(b","))
    if len(set(names)) != len(names) or not all(_TOKEN.fullmatch(name) for name in names):
        raise Refused(Reason.BAD_REQUEST)
    return names


def _offer(value: bytes | None) -> bytes | None:
    """The first offer of compression that we understand whole; others are declined."""
    return next(filter(_is_deflate, (value or b"").split(b",")), None)


def _is_deflate(extension: bytes) -> bool:
    name, *parameters = (part.strip(b" \t") for part in extension.split(b";"))
    names = [parameter.partition(b"=")[0] for parameter in parameters]
    return (
        name == _DEFLATE
        and len(set(names)) == len(names)
        and all(_PARAMETER.fullmatch(parameter) for parameter in parameters)
    )


def upstream_fields(wanted: Wanted) -> bytes:
    """The field lines that make the upstream request a handshake (RFC 6455 §4.1)."""
    lines = [
        b"connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n",
        b"sec-websocket-key: %s\r\n" % wanted.upstream_key,
    ]
    if wanted.subprotocols:
        lines.append(b"sec-websocket-protocol: %s\r\n" % b", ".join(wanted.subprotocols))
    if wanted.compression:
        lines.append(b"sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n")
    return b"".join(lines)


def agree(wanted: Wanted, answer: AnswerHead, *, cookies: frozenset[bytes]) -> Agreed:
    """What both handshakes come to, after the upstream's 101.

    `cookies`: the names that the route lets the upstream set. Raises Refused(UPSTREAM_PROTOCOL)
    for an answer that fits not what was asked (RFC 6455 §4.1).
    """
    subprotocol = _one(answer.headers, b"sec-websocket-protocol")
    extensions = _one(answer.headers, b"sec-websocket-extensions")
    if (
        (_one(answer.headers, b"upgrade") or b"").lower() != b"websocket"
        or b"upgrade" not in _tokens(_one(answer.headers, b"connection"))
        or _one(answer.headers, b"sec-websocket-accept") != accept(wanted.upstream_key)
        or (subprotocol is not None and subprotocol not in wanted.subprotocols)
        or (extensions is not None and not (wanted.compression and _is_deflate(extensions)))
    ):
        raise Refused(Reason.UPSTREAM_PROTOCOL, phase="answer")
    upstream = None
    if extensions is not None:
        upstream = PerMessageDeflate()
        upstream.finalize(extensions.decode("ascii"))
    browser, agreed_to = _accept_deflate(wanted.deflate)
    lines = [
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n",
        b"sec-websocket-accept: %s\r\n" % accept(wanted.key),
        b"" if subprotocol is None else b"sec-websocket-protocol: %s\r\n" % subprotocol,
        agreed_to,
    ]
    passed, _ = to_browser(answer.headers, cookies=cookies)
    lines += [b"set-cookie: %s\r\n" % value for name, value in passed if name == b"set-cookie"]
    return Agreed(head=b"".join(lines), browser=browser, upstream=upstream)


def accept(key: bytes) -> bytes:
    """What a key is answered by; SHA-1 proves here that it was read, and no more."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def _one(headers: Headers, name: bytes) -> bytes | None:
    """The field's value; several of them are none that fits."""
    values = [value for found, value in headers if found == name]
    return values[0] if len(values) == 1 else (b", ".join(values) if values else None)


def _accept_deflate(offer: bytes | None) -> tuple[PerMessageDeflate | None, bytes]:
    if offer is None:
        return None, b""
    extension = PerMessageDeflate()
    parameters = extension.accept(offer.decode("ascii"))
    if not isinstance(parameters, str):
        return None, b""
    line = "; ".join(filter(None, ("permessage-deflate", parameters)))
    return extension, b"sec-websocket-extensions: %s\r\n" % line.encode()
