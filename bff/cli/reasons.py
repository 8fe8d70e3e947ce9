"""What each reason of a refusal means, what a page does about it, and where the rule comes from.

Status and title are those of `problem`; this is what they leave out. Rows are those of the
conformance checklist.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bff.problem import Reason


@dataclass(frozen=True, slots=True)
class Account:
    """What a reason means, what the page should do, where it comes from."""

    means: str
    mend: str
    source: str


_SIGN_IN = "Send the person to `login_url`, and come back to where they were."
_BUG = "Nothing at run time: correct what sends the request."
_OPERATOR = "Nothing: it is for the operator. Say that it does not work just now."
_WAIT = "Try again after Retry-After. The session stays: nobody is signed out."
_AGAIN = "The page links to the start. A person who follows it signs in, or is signed in already."

ACCOUNTS: Final[Mapping[Reason, Account]] = {
    Reason.NO_SESSION: Account(
        "There is no session cookie, or one that we never signed.",
        _SIGN_IN,
        "S-06, E-03; RFC 9110 §15.5.2",
    ),
    Reason.SESSION_EXPIRED: Account(
        "The session was not used for `session.idle`, is older than `session.lifetime`, or could "
        "not be renewed any more. The store has forgotten it.",
        _SIGN_IN,
        "S-06, S-10, R-09",
    ),
    Reason.SESSION_ENDED: Account(
        "Somebody ended it: a logout here, in another browser, at the provider or by an operator, "
        "or a newer sign-in; or its key is retired.",
        _SIGN_IN,
        "S-06, O-03, C-13, T-04",
    ),
    Reason.REFRESH_REJECTED: Account(
        "The provider no longer takes the refresh token (invalid_grant), so the session is over.",
        _SIGN_IN,
        "R-06; RFC 6749 §5.2",
    ),
    Reason.REFRESH_INTERRUPTED: Account(
        "A refresh was cut off in the middle, the token was tried once more, and the provider has "
        "seen it already. The person did nothing wrong.",
        "Send the person to `login_url`: with `provider.silent_login` they are not asked.",
        "R-03, R-04; RFC 9700 §4.14.2",
    ),
    Reason.CROSS_SITE: Account(
        "Sec-Fetch-Site or Origin says that another site's page sent this.",
        "Call from the application's own origin. Seen without a cause of your own it is an attack.",
        "X-04, X-07; Fetch Metadata",
    ),
    Reason.NOT_SAME_ORIGIN: Account(
        "Nothing proves that our own page is asking: no Fetch Metadata, no Origin, no X-CSRF.",
        "Send `X-CSRF: 1` with every fetch; a program that is no browser must not use this way.",
        "X-02, X-05, X-06; RFC 10017 §6.1.3",
    ),
    Reason.FORBIDDEN: Account(
        "This cannot be asked for in this manner: a navigation endpoint by fetch, in a frame or "
        "ahead of time, or a service worker's script behind the API. Or the route's `require` asks "
        "for a claim that the session does not have.",
        "Navigate there (`location.assign`), in a window of its own, and do not prefetch it. Hide "
        "what the person may not do.",
        "L-10, A-14; Fetch Metadata; ASVS 8.2.1",
    ),
    Reason.INSUFFICIENT_SCOPE: Account(
        "The API, or its route's `scopes`, wants a scope that the session was not granted; `scope` "
        "names it.",
        "Send the person to `login_url`, if there is one: it asks for that scope too. Else hide "
        "what the person may not do, or ask for the scope in `provider.scopes`.",
        "A-05, L-13; RFC 6750 §3.1",
    ),
    Reason.STEP_UP_REQUIRED: Account(
        "The API, or the list of sessions, wants a fresher or stronger sign-in.",
        "Send the person to `login_url`, which asks the provider for that, and repeat the call.",
        "A-05, S-16; RFC 9470 §3",
    ),
    Reason.AMBIGUOUS_PATH: Account(
        "Two parsers could read the path differently: dots, backslashes, encoded slashes, another "
        "case.",
        _BUG,
        "Q-03; RFC 3986 §6.2.2",
    ),
    Reason.BAD_RETURN_TO: Account(
        "`return_to` is no path of this origin.",
        "Pass `location.pathname + location.search`, and nothing with a host.",
        "L-09; RFC 9700 §4.11.1",
    ),
    Reason.BAD_REQUEST: Account(
        "The request is malformed: by HTTP's own rules, by a parameter that is unknown or sent "
        "twice, or by a token where none may be; or it came without TLS, as a trusted proxy says.",
        _BUG,
        "D-03, L-12, C-06; RFC 9112",
    ),
    Reason.TRANSACTION_MISSING: Account(
        "The callback came to a browser that holds no such sign-in: cookies blocked, another "
        "browser, a bookmark, a forged link.",
        _AGAIN,
        "C-02, L-07; RFC 9700 §4.7.1",
    ),
    Reason.TRANSACTION_EXPIRED: Account(
        "More than ten minutes passed between the start of the sign-in and the callback.",
        _AGAIN,
        "C-02; RFC 9700 §4.7.1",
    ),
    Reason.STATE_MISMATCH: Account(
        "The cookie of this sign-in opens, but holds another `state`.",
        _AGAIN,
        "C-02; RFC 6749 §10.12",
    ),
    Reason.ISSUER_MISMATCH: Account(
        "`iss` of the callback is not `provider.issuer`, or is missing where it was promised.",
        "The page links to the start. Seen often: `bff check --online` compares the issuers.",
        "C-04; RFC 9207 §2.4",
    ),
    Reason.PROVIDER_ERROR: Account(
        "The provider ended the sign-in with an error, as when the person declined.",
        _AGAIN,
        "C-07, L-15; RFC 6749 §4.1.2.1",
    ),
    Reason.CODE_REJECTED: Account(
        "The token endpoint did not take the code: used already, or too old.",
        _AGAIN,
        "C-10; RFC 6749 §5.2",
    ),
    Reason.ID_TOKEN_INVALID: Account(
        "The ID token fails a check: signature, issuer, audience, time, nonce. The log says which.",
        _OPERATOR,
        "I-01; OpenID Connect Core §3.1.3.7",
    ),
    Reason.LOGIN_LOOP: Account(
        "Three sign-ins within a minute, and the browser still came without a session: it does "
        "not keep the cookie.",
        "Nothing: the page asks the person to allow cookies for this site.",
        "L-17",
    ),
    Reason.NO_ROUTE: Account(
        "No route and no endpoint has this path.",
        "Correct the path; `bff explain GET PATH --config FILE` shows the routes' view.",
        "Q-01; RFC 9110 §15.5.5",
    ),
    Reason.METHOD_NOT_ALLOWED: Account(
        "The route or endpoint does not take this method; Allow names those it takes.",
        "Correct the method, or add it to `routes.methods`.",
        "RFC 9110 §15.5.6",
    ),
    Reason.REQUEST_TIMEOUT: Account(
        "The head or the body did not arrive within `server.head_timeout` or "
        "`server.progress_timeout`.",
        "Send it again: the line is slow.",
        "RFC 9110 §15.5.9",
    ),
    Reason.BODY_TOO_LARGE: Account(
        "The body is larger than `routes.max_body`, or than an endpoint of ours reads.",
        "Send less; tell the person how large a file may be.",
        "Q-20; RFC 9110 §15.5.14",
    ),
    Reason.TARGET_TOO_LONG: Account(
        "Path and query are longer than we read.", "Send it in a body.", "RFC 9110 §15.5.15"
    ),
    Reason.EXPECTATION_FAILED: Account(
        "Expect asks for something other than 100-continue.", _BUG, "RFC 9110 §15.5.18"
    ),
    Reason.UNKNOWN_ORIGIN: Account(
        "Host is not the host of the configured `origin`.",
        "Nothing: the proxy in front must pass Host on, or `origin` is wrong.",
        "Q-12; RFC 9110 §15.5.20",
    ),
    Reason.WEBSOCKET_VERSION: Account(
        "The handshake names another version than 13.", _BUG, "RFC 6455 §4.4"
    ),
    Reason.HEADERS_TOO_LARGE: Account(
        "The header section is larger than we read; most often cookies have piled up.",
        "Delete cookies that the application sets itself.",
        "RFC 6585 §5",
    ),
    Reason.INTERNAL_ERROR: Account(
        "A fault of ours. The log has `crashed` under the same request_id.",
        _OPERATOR,
        "E-05; RFC 9110 §15.6.1",
    ),
    Reason.NOT_IMPLEMENTED: Account(
        "A method or a transfer coding that we do not know.", _BUG, "RFC 9110 §15.6.2"
    ),
    Reason.UPSTREAM_UNREACHABLE: Account(
        "No connection to the API, or it broke before an answer; `phase` says when.",
        "Try again what may be repeated. `bff check --online` asks the API's TLS.",
        "A-11; RFC 9110 §15.6.3",
    ),
    Reason.UPSTREAM_PROTOCOL: Account(
        "The API's answer breaks HTTP in a way that could be read twice.",
        _OPERATOR,
        "A-08; RFC 9112 §6.3",
    ),
    Reason.UPSTREAM_LOOP: Account(
        "The request has been through here already: `routes.upstream` leads back to us.",
        _OPERATOR,
        "RFC 9110 §7.6.3",
    ),
    Reason.STORE_UNAVAILABLE: Account(
        "Redis does not answer within `session.store_deadline`, or is no master.",
        _WAIT,
        "C-14, S-07, O-11",
    ),
    Reason.PROVIDER_UNAVAILABLE: Account(
        "The provider cannot be reached, is overloaded, or does not let us in.",
        _WAIT,
        "P-01, R-07, C-10",
    ),
    Reason.KEY_UNKNOWN: Account(
        "The session's key is not in this process's keyring: a rotation is half rolled out, or "
        "the key left `keys.accepted` too early.",
        "Try again after Retry-After. Where it lasts, `login_url` starts a new session.",
        "S-06, T-04",
    ),
    Reason.OVERLOADED: Account(
        "A bound of `limits`, `server.connections`, `routes.connections` or of the connections to "
        "the provider is reached.",
        _WAIT,
        "Q-24, C-03; RFC 9110 §15.6.4",
    ),
    Reason.DRAINING: Account(
        "This process is about to stop; another takes the next request.",
        "Try again after Retry-After.",
        "RFC 9110 §15.6.4",
    ),
    Reason.UPSTREAM_TIMEOUT: Account(
        "The API took longer than `routes.answer_timeout` or `idle_timeout`; `phase` says which.",
        "Try again what may be repeated.",
        "A-11; RFC 9110 §15.6.5",
    ),
}
