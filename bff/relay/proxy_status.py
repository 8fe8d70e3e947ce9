"""What a refusal of ours says to whoever reads logs of intermediaries: Proxy-Status (RFC 9209).

Only on relayed paths, and only where the answer was made here: a browser can tell the API's own
500 from ours. The types are the registered ones (§2.3).
"""

from collections.abc import Mapping
from typing import Final

from bff.problem import Answer, Reason, Refused

_DENIED: Final = "http_request_denied"  # by what this is configured to let through
_REQUEST: Final = "http_request_error"  # a 4xx in the place of the API
_INTERNAL: Final = "proxy_internal_error"  # nothing that the API had a part in

ERRORS: Final[Mapping[Reason, str]] = {
    Reason.NO_SESSION: _DENIED,
    Reason.SESSION_EXPIRED: _DENIED,
    Reason.SESSION_ENDED: _DENIED,
    Reason.REFRESH_REJECTED: _DENIED,
    Reason.REFRESH_INTERRUPTED: _DENIED,
    Reason.CROSS_SITE: _DENIED,
    Reason.NOT_SAME_ORIGIN: _DENIED,
    Reason.FORBIDDEN: _DENIED,
    Reason.INSUFFICIENT_SCOPE: _REQUEST,
    Reason.STEP_UP_REQUIRED: _REQUEST,
    Reason.AMBIGUOUS_PATH: _REQUEST,
    Reason.BAD_RETURN_TO: _REQUEST,
    Reason.BAD_REQUEST: _REQUEST,
    Reason.TRANSACTION_MISSING: _REQUEST,
    Reason.TRANSACTION_EXPIRED: _REQUEST,
    Reason.STATE_MISMATCH: _REQUEST,
    Reason.ISSUER_MISMATCH: _REQUEST,
    Reason.PROVIDER_ERROR: _REQUEST,
    Reason.CODE_REJECTED: _REQUEST,
    Reason.ID_TOKEN_INVALID: _REQUEST,
    Reason.LOGIN_LOOP: _REQUEST,
    Reason.NO_ROUTE: _REQUEST,
    Reason.METHOD_NOT_ALLOWED: _REQUEST,
    Reason.REQUEST_TIMEOUT: _REQUEST,
    Reason.BODY_TOO_LARGE: _REQUEST,
    Reason.TARGET_TOO_LONG: _REQUEST,
    Reason.EXPECTATION_FAILED: _REQUEST,
    Reason.UNKNOWN_ORIGIN: _REQUEST,
    Reason.WEBSOCKET_VERSION: _REQUEST,
    Reason.HEADERS_TOO_LARGE: _REQUEST,
    Reason.INTERNAL_ERROR: _INTERNAL,
    Reason.NOT_IMPLEMENTED: _REQUEST,
    Reason.UPSTREAM_UNREACHABLE: "destination_unavailable",
    Reason.UPSTREAM_PROTOCOL: "http_protocol_error",
    Reason.UPSTREAM_LOOP: "proxy_loop_detected",
    Reason.STORE_UNAVAILABLE: _INTERNAL,
    Reason.PROVIDER_UNAVAILABLE: _INTERNAL,
    Reason.KEY_UNKNOWN: _INTERNAL,
    Reason.OVERLOADED: "connection_limit_reached",
    Reason.DRAINING: _INTERNAL,
    Reason.UPSTREAM_TIMEOUT: "http_response_timeout",
}


def with_proxy_status(answer: Answer, refused: Refused) -> Answer:
    """That answer, which says `refused` on a relayed path, with the field added."""
    error = ERRORS[refused.reason]
    if refused.reason is Reason.UPSTREAM_UNREACHABLE and refused.phase != "connect":
        error = "connection_terminated"
    field = (b"proxy-status", f"bff; error={error}".encode())
    return Answer(status=answer.status, headers=[*answer.headers, field], body=answer.body)
