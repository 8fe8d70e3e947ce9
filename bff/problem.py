"""The closed set of refusals, and how each is said: reason → status, title, bytes.

Every room may refuse; only this one knows what a refusal looks like on the wire. Pure: used by
the door before there is an application, by the application, and by the relay (RFC 9457).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bff.page import PAGE_HEADERS, page

Headers = list[tuple[bytes, bytes]]


class Reason(StrEnum):
    """Why a request is refused. A shipped code never changes meaning."""

    NO_SESSION = "no_session"
    SESSION_EXPIRED = "session_expired"
    SESSION_ENDED = "session_ended"
    REFRESH_REJECTED = "refresh_rejected"
    REFRESH_INTERRUPTED = "refresh_interrupted"
    CROSS_SITE = "cross_site"
    NOT_SAME_ORIGIN = "not_same_origin"
    FORBIDDEN = "forbidden"
    INSUFFICIENT_SCOPE = "insufficient_scope"
    STEP_UP_REQUIRED = "step_up_required"
    AMBIGUOUS_PATH = "ambiguous_path"
    BAD_RETURN_TO = "bad_return_to"
    BAD_REQUEST = "bad_request"
    TRANSACTION_MISSING = "transaction_missing"
    TRANSACTION_EXPIRED = "transaction_expired"
    STATE_MISMATCH = "state_mismatch"
    ISSUER_MISMATCH = "issuer_mismatch"
    PROVIDER_ERROR = "provider_error"
    CODE_REJECTED = "code_rejected"
    ID_TOKEN_INVALID = "id_token_invalid"  # noqa: S105 - a reason code, not a password
    LOGIN_LOOP = "login_loop"
    NO_ROUTE = "no_route"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    REQUEST_TIMEOUT = "request_timeout"
    BODY_TOO_LARGE = "body_too_large"
    TARGET_TOO_LONG = "target_too_long"
    EXPECTATION_FAILED = "expectation_failed"
    UNKNOWN_ORIGIN = "unknown_origin"
    WEBSOCKET_VERSION = "websocket_version"
    HEADERS_TOO_LARGE = "headers_too_large"
    INTERNAL_ERROR = "internal_error"
    NOT_IMPLEMENTED = "not_implemented"
    UPSTREAM_UNREACHABLE = "upstream_unreachable"
    UPSTREAM_PROTOCOL = "upstream_protocol"
    UPSTREAM_LOOP = "upstream_loop"
    STORE_UNAVAILABLE = "store_unavailable"
    PROVIDER_UNAVAILABLE = "provider_unavailable"
    KEY_UNKNOWN = "key_unknown"
    OVERLOADED = "overloaded"
    DRAINING = "draining"
    UPSTREAM_TIMEOUT = "upstream_timeout"


@dataclass(frozen=True, slots=True)
class Problem:
    """What a reason says: the HTTP status, a title, and a sentence for a person."""

    status: int
    title: str
    sentence: str = "Please go back and try again."


_AGAIN = "Please start the sign-in again."
_LATER = "Please try again in a moment."

PROBLEMS: Final[Mapping[Reason, Problem]] = {
    Reason.NO_SESSION: Problem(401, "Sign in first", "You are not signed in."),
    Reason.SESSION_EXPIRED: Problem(401, "The session is over", "Please sign in again."),
    Reason.SESSION_ENDED: Problem(401, "The session was ended", "Please sign in again."),
    Reason.REFRESH_REJECTED: Problem(
        401, "The sign-in is no longer valid", "Please sign in again."
    ),
    Reason.REFRESH_INTERRUPTED: Problem(
        401, "The sign-in could not be renewed", "Please sign in again."
    ),
    Reason.CROSS_SITE: Problem(403, "The request came from another site"),
    Reason.NOT_SAME_ORIGIN: Problem(403, "Nothing proves that our own page is asking"),
    Reason.FORBIDDEN: Problem(403, "This is not allowed"),
    Reason.INSUFFICIENT_SCOPE: Problem(403, "More rights are needed"),
    Reason.STEP_UP_REQUIRED: Problem(
        403,
        "A fresh or stronger sign-in is needed",
        "The provider did not confirm one. You are signed in, or not, as you were before.",
    ),
    Reason.AMBIGUOUS_PATH: Problem(400, "The path could be read in two ways"),
    Reason.BAD_RETURN_TO: Problem(400, "The way back is not a path of this application"),
    Reason.BAD_REQUEST: Problem(400, "The request is malformed"),
    Reason.TRANSACTION_MISSING: Problem(400, "No sign-in was under way in this browser", _AGAIN),
    Reason.TRANSACTION_EXPIRED: Problem(400, "The sign-in took too long", _AGAIN),
    Reason.STATE_MISMATCH: Problem(400, "The answer belongs to another sign-in", _AGAIN),
    Reason.ISSUER_MISMATCH: Problem(400, "The answer came from another provider", _AGAIN),
    Reason.PROVIDER_ERROR: Problem(400, "The sign-in was not completed", _AGAIN),
    Reason.CODE_REJECTED: Problem(400, "The sign-in was already used or is too old", _AGAIN),
    Reason.ID_TOKEN_INVALID: Problem(400, "The provider's answer could not be trusted", _AGAIN),
    Reason.LOGIN_LOOP: Problem(
        400,
        "Signing in does not last",
        "You signed in several times within a minute and the browser still came without a session."
        " Please check that cookies are allowed for this site.",
    ),
    Reason.NO_ROUTE: Problem(404, "There is nothing here"),
    Reason.METHOD_NOT_ALLOWED: Problem(405, "The method is not allowed here"),
    Reason.REQUEST_TIMEOUT: Problem(408, "The request did not arrive in time"),
    Reason.BODY_TOO_LARGE: Problem(413, "The body is too large"),
    Reason.TARGET_TOO_LONG: Problem(414, "The request target is too long"),
    Reason.EXPECTATION_FAILED: Problem(417, "The expectation cannot be met"),
    Reason.UNKNOWN_ORIGIN: Problem(421, "No application is served under this host"),
    Reason.WEBSOCKET_VERSION: Problem(426, "Only WebSocket version 13 is spoken"),
    Reason.HEADERS_TOO_LARGE: Problem(431, "The header section is too large"),
    Reason.INTERNAL_ERROR: Problem(500, "Something went wrong here", _LATER),
    Reason.NOT_IMPLEMENTED: Problem(501, "This is not implemented"),
    Reason.UPSTREAM_UNREACHABLE: Problem(502, "The API cannot be reached", _LATER),
    Reason.UPSTREAM_PROTOCOL: Problem(502, "The API answered in a way nobody can trust", _LATER),
    Reason.UPSTREAM_LOOP: Problem(502, "The request came round in a circle", _LATER),
    Reason.STORE_UNAVAILABLE: Problem(503, "Sessions cannot be looked up just now", _LATER),
    Reason.PROVIDER_UNAVAILABLE: Problem(503, "The sign-in provider does not answer", _LATER),
    Reason.KEY_UNKNOWN: Problem(503, "The session's key is not here yet", _LATER),
    Reason.OVERLOADED: Problem(503, "Too much is going on", _LATER),
    Reason.DRAINING: Problem(503, "This process is about to stop", _LATER),
    Reason.UPSTREAM_TIMEOUT: Problem(504, "The API did not answer in time", _LATER),
}


class Refused(Exception):
    """One reason and at most the typed facts that its answer needs; never text of a peer."""

    def __init__(
        self,
        reason: Reason,
        *,
        allow: str | None = None,
        retry_after: int | None = None,
        phase: str | None = None,
        scope: str | None = None,
        login_query: str = "",
    ) -> None:
        super().__init__(reason.value)
        self.reason = reason
        self.allow = allow
        self.retry_after = retry_after
        self.phase = phase
        self.scope = scope
        self.login_query = login_query  # of the sign-in that would do


class Aborted(Exception):
    """An answer has begun and cannot be finished: the connection must break, not look complete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer: status, header fields and body."""

    status: int
    headers: Headers
    body: bytes


def security_headers(*, secure: bool) -> Headers:
    """What every answer of ours carries; `secure`: the public origin is https (RFC 6797)."""
    fields = [
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-resource-policy", b"same-origin"),
    ]
    if secure:
        fields.append((b"strict-transport-security", b"max-age=31536000"))
    return fields


def login_url_after(reason: Reason, login_url: str) -> str:
    """Where signing in begins after that refusal.

    Nobody ended an interrupted session: the provider's own is likely to be alive, and then the
    person need not be asked anything."""
    return f"{login_url}?prompt=none%20login" if reason is Reason.REFRESH_INTERRUPTED else login_url


RETRY_AFTER: Final = 2  # seconds; where nobody named a better time


def refusal(
    refused: Refused,
    *,
    request_id: str,
    secure: bool,
    as_page: bool = False,
    login_url: str | None = None,
    detail: str | None = None,
    link: tuple[str, str] = ("/", "To the application"),
    goes_on: bool = False,
) -> Answer:
    """The answer that says `refused`: a page for a navigation, else problem+json (RFC 9457 §3).

    `detail` is a sentence of ours or escaped text of the provider, shown on pages only; `goes_on`:
    the page follows its link by itself.
    """
    problem = PROBLEMS[refused.reason]
    headers = [*security_headers(secure=secure), *_facts(refused, problem.status)]
    if as_page:
        about = (*([detail] if detail else ()), problem.sentence)
        reference = f"Reason: {refused.reason} · Request: {request_id}"
        go_to = link[0] if goes_on else None
        body = page(problem.title, (*about, reference), link=link, go_to=go_to)
        headers += PAGE_HEADERS
    else:
        body = _problem_json(refused, problem, request_id, login_url)
        headers += [
            (b"content-type", b"application/problem+json"),
            (b"cache-control", b"no-store"),
            (b"referrer-policy", b"no-referrer"),
        ]
    headers += [
        (b"vary", b"Accept, Sec-Fetch-Site, Sec-Fetch-Mode, Origin"),
        (b"content-length", str(len(body)).encode()),
    ]
    return Answer(status=problem.status, headers=headers, body=body)


# Beside every 401, and every refusal that knows what a login should ask for.
_LOGIN_HELPS: Final = frozenset({Reason.KEY_UNKNOWN, Reason.STEP_UP_REQUIRED})


def _problem_json(
    refused: Refused, problem: Problem, request_id: str, login_url: str | None
) -> bytes:
    document: dict[str, object] = {
        # A tag URI (RFC 4151): absolute and ours without a host; the README lists them all.
        "type": f"tag:bff,2026:{refused.reason}",
        "title": problem.title,
        "status": problem.status,
        "reason": refused.reason,
        "request_id": request_id,
    }
    if refused.phase is not None:
        document["phase"] = refused.phase
    if refused.scope is not None:
        document["scope"] = refused.scope
    helps = problem.status == 401 or refused.reason in _LOGIN_HELPS or refused.login_query != ""
    if login_url is not None and helps:
        query = f"?{refused.login_query}" if refused.login_query else ""
        document["login_url"] = login_url_after(refused.reason, login_url) + query
    return json.dumps(document, separators=(",", ":")).encode()


def _facts(refused: Refused, status: int) -> Headers:
    fields: Headers = []
    if status == 401:
        fields.append((b"www-authenticate", b"BFF-Session"))
    if refused.allow is not None:
        fields.append((b"allow", refused.allow.encode()))
    if status == 503:
        fields.append((b"retry-after", str(refused.retry_after or RETRY_AFTER).encode()))
    if status == 426:
        fields += [(b"sec-websocket-version", b"13"), (b"upgrade", b"websocket")]
    return fields
