"""What every endpoint needs of its front end, and the answers they have in common."""

import json
from dataclasses import dataclass, field
from typing import Final

from bff.caller.cookies import Cookies
from bff.caller.request import NAVIGATE, BrowserRequest
from bff.caller.transactions import Transactions
from bff.clock import Clock
from bff.config.load import FrontEnd
from bff.problem import PAGE_HEADERS, Answer, Headers, Reason, Refused, page, security_headers
from bff.provider.server import AuthorizationServer
from bff.session.seal import Sealer
from bff.session.sessions import Sessions

LOGIN_URL: Final = "/bff/login"
LOGOUT_URL: Final = "/bff/logout"
CALLBACK_URL: Final = "/bff/callback"
SESSION_URL: Final = "/bff/session"
PROVIDER_LOGOUT_URL: Final = "/bff/logout/provider"

_VARY: Final = (b"vary", b"Sec-Fetch-Site, Sec-Fetch-Mode, Origin")
_NO_STORE: Final[Headers] = [(b"cache-control", b"no-store"), (b"referrer-policy", b"no-referrer")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """One front end, as its endpoints see it."""

    frontend: FrontEnd
    cookies: Cookies
    transactions: Transactions
    sessions: Sessions
    ticket_sealer: Sealer = field(repr=False)

    @property
    def clock(self) -> Clock:
        """Store time."""
        return self.sessions.clock

    @property
    def server(self) -> AuthorizationServer:
        """The authorization server of this front end."""
        return self.sessions.server

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
        link: tuple[str, str],
        go_to: str | None = None,
        more: Headers | None = None,
    ) -> Answer:
        """A page of ours."""
        body = page(title, sentences, link=link, go_to=go_to)
        return self._answer(200, [*PAGE_HEADERS, *(more or [])], body)

    def document(self, document: object, *, more: Headers | None = None) -> Answer:
        """A JSON document of ours."""
        body = json.dumps(document, separators=(",", ":")).encode()
        kind = (b"content-type", b"application/json")
        return self._answer(200, [kind, *_NO_STORE, *(more or [])], body)

    def see_other(self, location: str, *, more: Headers | None = None) -> Answer:
        """A redirect of a navigation: 303, never 307 or 308 (RFC 9700 §4.12)."""
        return self._answer(
            303, [(b"location", location.encode("ascii")), *_NO_STORE, *(more or [])], b""
        )

    def _answer(self, status: int, headers: Headers, body: bytes) -> Answer:
        length = (b"content-length", str(len(body)).encode())
        ours = security_headers(secure=self.frontend.secure)
        return Answer(status=status, headers=[*headers, *ours, _VARY, length], body=body)


def require_navigation(request: BrowserRequest) -> None:
    """Return if a person is going somewhere (L-10). Raises Refused(FORBIDDEN).

    A fetch would follow the redirect to the provider and fail; a prefetch or a frame would sign
    somebody in who never asked.
    """
    mode = request.get(b"sec-fetch-mode")
    destination = request.get(b"sec-fetch-dest")
    purpose = (request.get(b"sec-purpose") or b"") + (request.get(b"purpose") or b"")
    if mode not in (None, NAVIGATE) or destination not in (None, b"document"):
        raise Refused(Reason.FORBIDDEN)
    if b"prefetch" in purpose.lower():
        raise Refused(Reason.FORBIDDEN)
