"""The structured log: one JSON line per event on stdout, and the audit events among them.

Redaction by construction: a line holds only fields whose names stand in `FIELDS`, sessions and
people appear as keyed hashes, exceptions as their type and place, never their message.
"""

import hashlib
import hmac
import logging
import sys
import traceback
from collections.abc import MutableMapping
from contextvars import ContextVar
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import structlog


class Event(StrEnum):
    """What a line is about. Those of `AUDIT` are for the auditor and keep their meaning."""

    LOGIN = "login"
    LOGIN_FAILED = "login_failed"
    LOGOUT = "logout"
    REFRESHED = "refreshed"
    REFRESH_REJECTED = "refresh_rejected"
    REFRESH_FAILED = "refresh_failed"
    PROVIDER_LOGOUT = "provider_logout"
    PROVIDER_LOGOUT_REFUSED = "provider_logout_refused"
    CSRF_REFUSED = "csrf_refused"
    COOKIE_FORGED = "cookie_forged"
    RECORD_REFUSED = "record_refused"
    SESSION_KILLED = "session_killed"
    ADMIN_REFUSED = "admin_refused"
    ACCESS_REFUSED = "access_refused"
    REVOCATION_FAILED = "revocation_failed"
    TRACES_FAILED = "traces_failed"
    PROVIDER_FAILED = "provider_failed"
    STORE_FAILED = "store_failed"
    UPSTREAM_FAILED = "upstream_failed"
    CRASHED = "crashed"
    WARNED = "warned"
    STARTED = "started"
    STOPPED = "stopped"
    RELOADED = "reloaded"
    RELOAD_REFUSED = "reload_refused"
    WORKER_DIED = "worker_died"
    WORKER_HUNG = "worker_hung"


AUDIT: Final = frozenset(
    {
        Event.LOGIN,
        Event.LOGIN_FAILED,
        Event.LOGOUT,
        Event.REFRESH_REJECTED,
        Event.PROVIDER_LOGOUT,
        Event.PROVIDER_LOGOUT_REFUSED,
        Event.CSRF_REFUSED,
        Event.COOKIE_FORGED,
        Event.RECORD_REFUSED,
        Event.SESSION_KILLED,
        Event.ADMIN_REFUSED,
        Event.ACCESS_REFUSED,
    }
)

FIELDS: Final = frozenset(
    {
        "frontend",
        "peer",
        "request_id",
        "session",
        "person",
        "reason",
        "error",
        "where",
        "endpoint",
        "status",
        "operation",
        "count",
        "seconds",
        "kid",
        "address",
        "pid",
        "worker",
        "key",
        "mend",
        "code",
    }
)


def configure(*, human: bool) -> None:
    """Set up the process's log; `human`: readable lines for a terminal instead of JSON."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _utc_time,
            _only_known_fields,
            structlog.dev.ConsoleRenderer(colors=False)
            if human
            else structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    quiet_libraries()


def quiet_libraries() -> None:
    """httpx logs URLs at INFO, httpcore `Set-Cookie` at DEBUG: at no root level may they speak."""
    for name in ("httpx", "httpcore", "asyncio", "redis", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.setLevel(logging.ERROR)
    logging.getLogger("uvicorn.access").disabled = True


def on_behalf_of(peer: str, request_id: str) -> None:
    """From here on, what this task and those it starts do is done for that request (E-08)."""
    _request.set((peer, request_id))


def tell(event: Event, **fields: object) -> None:
    """Write one line. An unknown field is left out: what nobody named cannot leak."""
    if event in AUDIT:
        peer, request_id = _request.get()
        fields = {"audit": True, "peer": peer, "request_id": request_id, **fields}
    _write(event.value, fields, error=event in _ERRORS)


def crashed(error: BaseException, **fields: object) -> None:
    """Write that something broke: the exception's type and where, never its message."""
    frames = traceback.extract_tb(error.__traceback__)
    where = [f"{frame.filename.rsplit('/', 1)[-1]}:{frame.lineno}" for frame in frames[-6:]]
    _write(
        Event.CRASHED.value,
        {**fields, "error": type(error).__name__, "where": " ".join(where)},
        error=True,
    )


def tag(log_key: bytes, *parts: str) -> str:
    """A keyed hash that names a session or a person in the log, and nobody outside it."""
    message = b"".join(len(part.encode()).to_bytes(4) + part.encode() for part in parts)
    return hmac.digest(log_key, message, hashlib.sha256).hex()[:16]


_ERRORS: Final = frozenset(
    {
        Event.PROVIDER_FAILED,
        Event.STORE_FAILED,
        Event.UPSTREAM_FAILED,
        Event.REFRESH_FAILED,
        Event.REVOCATION_FAILED,
        Event.TRACES_FAILED,
        Event.RECORD_REFUSED,
        Event.RELOAD_REFUSED,
        Event.WORKER_DIED,
        Event.WORKER_HUNG,
    }
)

_log = structlog.get_logger("bff")
_request: ContextVar[tuple[str | None, str | None]] = ContextVar("request", default=(None, None))


def _write(event: str, fields: dict[str, object], *, error: bool) -> None:
    if error:
        _log.error(event, **fields)
    else:
        _log.info(event, **fields)


def _utc_time(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    line["time"] = datetime.now(UTC).isoformat(timespec="milliseconds")
    return line


def _only_known_fields(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    always = {"event", "time", "level", "audit"}
    return {name: _plain(value) for name, value in line.items() if name in FIELDS | always}


def _plain(value: object) -> object:
    """One event is one line: control characters from outside are escaped, length is bounded."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)[:200]
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
