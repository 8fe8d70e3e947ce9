"""What every endpoint needs of its front end, and the answers they have in common."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bff.caller.cookies import Cookies
from bff.caller.request import NAVIGATE, BrowserRequest
from bff.caller.transactions import Transactions
from bff.clock import Clock
from bff.config.load import FrontEnd
from bff.page import PAGE_HEADERS, page
from bff.problem import Answer, Headers, Reason, Refused, security_headers
from bff.provider.server import AuthorizationServer
from bff.session.people import People
from bff.session.provider_logout import ProviderLogouts
from bff.session.seal import Sealer
from bff.session.sessions import Sessions

LOGIN_URL: Final = "/bff/login"
LOGOUT_URL: Final = "/bff/logout"
CALLBACK_URL: Final = "/bff/callback"
SESSION_URL: Final = "/bff/session"
PROVIDER_LOGOUT_URL: Final = "/bff/logout/provider"
EVENTS_URL: Final = "/bff/events"
SESSIONS_URL: Final = "/bff/sessions"
JWKS_URL: Final = "/bff/jwks"
BACKCHANNEL_LOGOUT_URL: Final = "/bff/backchannel-logout"
FRONTCHANNEL_LOGOUT_URL: Final = "/bff/frontchannel-logout"

# Reads a request's body of at most so many octets. Raises Refused(BODY_TOO_LARGE), Aborted.
BodyReader = Callable[[int], Awaitable[bytes]]

VARY: Final = (b"vary", b"Sec-Fetch-Site, Sec-Fetch-Mode, Origin")
_NO_STORE: Final[Headers] = [(b"cache-control", b"no-store"), (b"referrer-policy", b"no-referrer")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """One front end, as its endpoints see it."""

    frontend: FrontEnd
    cookies: Cookies
    transactions: Transactions
    sessions: Sessions
    provider_logouts: ProviderLogouts
    people: People
    ticket_sealer: Sealer = field(repr=False)

    @property
    def clock(self) -> Clock:
        """Store time."""
        return self.sessions.clock

    @property
    def server(self) -> AuthorizationServer:
        """The authorization server of this front end; of several the default, or the first."""
        return self.sessions.dealings[self.frontend.provider.issuer].server

    def server_named(self, name: str) -> AuthorizationServer | None:
        """The one of that name among several; the only one has none."""
        provider = self.frontend.providers.get(name)
        return None if provider is None else self.server_of(provider.issuer)

    def server_of(self, issuer: str) -> AuthorizationServer | None:
        """The one with that issuer."""
        found = self.sessions.dealings.get(issuer)
        return None if found is None else found.server

    def session_id(self, request: BrowserRequest) -> str | None:
        """The session id that the request carries, if it carries a good one."""
        try:
            return self.cookies.read_session(request)
        except Refused:
            return None

    def page(
        self,
        title: str,
        sentences: tuple[str, ...],
        *,
        link: tuple[str, str] | None = None,
        choices: Sequence[tuple[str, str]] = (),
        go_to: str | None = None,
        more: Headers | None = None,
    ) -> Answer:
        """A page of ours."""
        body = page(title, sentences, link=link, choices=choices, go_to=go_to)
        return self._answer(200, [*PAGE_HEADERS, *(more or [])], body)

    def document(
        self,
        document: object,
        *,
        more: Headers | None = None,
        status: int = 200,
        kind: bytes = b"application/json",
    ) -> Answer:
        """A JSON document of ours."""
        body = json.dumps(document, separators=(",", ":")).encode()
        return self._answer(status, [(b"content-type", kind), *_NO_STORE, *(more or [])], body)

    def nothing(self) -> Answer:
        """200 with an empty body."""
        return self._answer(200, list(_NO_STORE), b"")

    def no_content(self) -> Answer:
        """204: it is done, and there is nothing to say (RFC 9110 §15.3.5)."""
        return self._answer(204, list(_NO_STORE), b"")

    def framed(self, ancestors: str) -> Answer:
        """An empty page that pages of those origins alone may show in a frame."""
        policy = (
            "default-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'; "
            f"frame-ancestors {ancestors}"
        )
        headers = [
            (b"content-type", b"text/html; charset=utf-8"),
            (b"content-security-policy", policy.encode()),
            (b"cross-origin-opener-policy", b"same-origin"),
            *_NO_STORE,
        ]
        return self._answer(200, headers, b"<!doctype html><title>Done</title>")

    def see_other(self, location: str, *, more: Headers | None = None) -> Answer:
        """A redirect of a navigation: 303, never 307 or 308 (RFC 9700 §4.12)."""
        return self._answer(
            303, [(b"location", location.encode("ascii")), *_NO_STORE, *(more or [])], b""
        )

    def _answer(self, status: int, headers: Headers, body: bytes) -> Answer:
        fields = [*headers, *security_headers(secure=self.frontend.secure), VARY]
        if status != 204:  # which has none, not even one of length 0 (RFC 9110 §8.6)
            fields.append((b"content-length", str(len(body)).encode()))
        return Answer(status=status, headers=fields, body=body)


def require_navigation(request: BrowserRequest) -> None:
    """Return if a person is going somewhere (L-10). Raises Refused(FORBIDDEN).

    A fetch would follow the redirect to the provider and fail; a prefetch or a frame would sign
    somebody in who never asked.
    """
    mode = request.get(b"sec-fetch-mode")
    destination = request.get(b"sec-fetch-dest")
    if mode not in (None, NAVIGATE) or destination not in (None, b"document"):
        raise Refused(Reason.FORBIDDEN)
    refuse_prefetch(request)


def refuse_prefetch(request: BrowserRequest) -> None:
    """Return if somebody wants the answer now. Raises Refused(FORBIDDEN)."""
    purpose = (request.get(b"sec-purpose") or b"") + (request.get(b"purpose") or b"")
    if b"prefetch" in purpose.lower():
        raise Refused(Reason.FORBIDDEN)
