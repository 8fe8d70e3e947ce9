"""Every endpoint: the table that serves them, and in words each of its rows."""

from typing import Final

from bff.app import ENDPOINTS
from bff.reference.markdown import code, table

_HEAD: Final = ("endpoint", "who asks", "what it does", "answer")
_REST: Final = {"/bff/callback/": "{provider}", "/bff/sessions/": "{handle}"}

# Who asks, what it does, how it answers when all is well.
ACCOUNTS: Final = {
    ("GET", "/bff/login"): (
        "navigation",
        "begins the authorization code flow with PKCE; from another site it asks for a click first",
        "303 to the provider",
    ),
    ("GET", "/bff/callback"): (
        "the provider's redirect",
        "ends it: a new session and its cookie",
        "200, a page that goes on to `return_to`",
    ),
    ("GET", "/bff/callback/"): (
        "the redirect of one of [several providers](../providers.md)",
        "the same",
        "the same",
    ),
    ("GET", "/bff/session"): (
        "fetch",
        "tells whether somebody is signed in; never slides the session",
        "200 in both cases",
    ),
    ("POST", "/bff/session"): ("fetch", "the same, and slides it: the person is there", "200"),
    ("POST", "/bff/logout"): (
        "fetch or form",
        "ends the session, deletes the cookie, revokes the refresh token",
        '200: `{"logout_url": …}` to a fetch, a page that goes there to a form',
    ),
    ("GET", "/bff/logout/provider"): (
        "navigation",
        "the `logout_url` of a logout: good once, for a minute, in this browser",
        "303 to the provider's `end_session_endpoint`, or to `logout.return_to`",
    ),
    ("GET", "/bff/events"): (
        "EventSource",
        "[tells](../sessions.md#events) what becomes of the session",
        "200, `text/event-stream`, until the session ends",
    ),
    ("GET", "/bff/sessions"): (
        "fetch",
        "[lists](../sessions.md#the-sessions-of-a-person) where this person is signed in",
        "200",
    ),
    ("DELETE", "/bff/sessions"): (
        "fetch",
        "ends all of them, or with `?except=current` all others; wants a recent sign-in",
        "204",
    ),
    ("DELETE", "/bff/sessions/"): (
        "fetch",
        "ends the one of that handle; wants a recent sign-in",
        "204, also where there is none",
    ),
    ("GET", "/bff/jwks"): (
        "the provider's servers",
        "shows the public halves of [our keys](../provider.md#who-we-are-to-it); 404 without any",
        "200, `application/jwk-set+json`",
    ),
    ("POST", "/bff/backchannel-logout"): (
        "the provider's servers",
        "[ends](../logout.md#the-provider-ends-a-session-back-channel) the sessions that a logout"
        " token names",
        "200 with an empty body; 400 with a JSON `error`",
    ),
    ("GET", "/bff/frontchannel-logout"): (
        "a frame of the provider's page",
        "[ends](../logout.md#the-provider-ends-a-session-front-channel) the sessions of `iss` and"
        " `sid`; 404 unless `logout.front_channel`",
        "200, whether or not one matched",
    ),
}


def endpoints() -> str:
    """A row for each. Raises KeyError for an endpoint without an account."""
    rows = (_row(method, path.decode()) for path, of in ENDPOINTS.items() for method in of)
    return table(_HEAD, rows)


def _row(method: str, path: str) -> tuple[str, ...]:
    return (code(f"{method} {path}{_REST.get(path, '')}"), *ACCOUNTS[method, path])
