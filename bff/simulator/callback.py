"""The answer of the authorization endpoint: a redirect to the client, right or named wrong.

A fault on the endpoint `callback` takes effect here, on the parameters just before they leave.
"""

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlencode

from starlette.responses import RedirectResponse, Response

from bff.simulator.authorization_request import ReturnAddress
from bff.simulator.realm import Realm
from bff.simulator.refusal import Refused

Pairs = list[tuple[str, str]]


def _without(*names: str) -> Callable[[Pairs], Pairs]:
    return lambda pairs: [pair for pair in pairs if pair[0] not in names]


def _with(*more: tuple[str, str]) -> Callable[[Pairs], Pairs]:
    names = [name for name, _ in more]
    return lambda pairs: [*_without(*names)(pairs), *more]


CALLBACK_DEPARTURES: Final[Mapping[str, Callable[[Pairs], Pairs]]] = {
    "omit_iss": _without("iss"),
    "wrong_iss": _with(("iss", "https://evil.example")),
    "duplicate_iss": lambda pairs: [*pairs, ("iss", "https://evil.example")],
    "omit_state": _without("state"),
    "wrong_state": _with(("state", "not-the-state-of-the-request")),
    "omit_code": _without("code"),
    "wrong_code": _with(("code", "never-issued")),
    "duplicate_code": lambda pairs: [*pairs, ("code", "never-issued")],
    "code_and_error": lambda pairs: [*pairs, ("error", "server_error")],
    "server_error": lambda pairs: [*_without("code")(pairs), ("error", "server_error")],
    # Seen in the field, and right enough to be accepted:
    "more_parameters": lambda pairs: [*pairs, ("session_state", "a.b"), ("scope", "openid")],
}


def callback(realm: Realm, back: ReturnAddress, answer: Mapping[str, str]) -> Response:
    """The redirect with `code` or `error`, `state` and `iss` (RFC 9207 §2)."""
    pairs = list(answer.items())
    if back.state is not None:
        pairs.append(("state", back.state))
    pairs.append(("iss", realm.settings.issuer))
    _, fault = realm.faults.take(("callback",))
    if fault.departure is not None:
        pairs = CALLBACK_DEPARTURES[fault.departure](pairs)
    if fault.error is not None:
        pairs = [*_without("code")(pairs), ("error", fault.error)]
    joint = "&" if "?" in back.redirect_uri else "?"
    location = f"{back.redirect_uri}{joint}{urlencode(pairs)}"
    # 303, so that the POST of a form becomes a GET; nobody may keep the code.
    return RedirectResponse(location, 303, {"Cache-Control": "no-store"})


def refusal_callback(realm: Realm, back: ReturnAddress, refused: Refused) -> Response:
    """The redirect with `error` (RFC 6749 §4.1.2.1)."""
    answer = refused.answer
    return callback(realm, back, {"error": answer.error, "error_description": answer.description})
