"""The SPA's own files: none outside the folder, none hidden, the shell for navigations only.

Starlette reads and serves; which file it may be, and what the answer carries, is decided here.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote

from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from bff.caller.request import BrowserRequest
from bff.config.load import FrontEnd
from bff.config.model import Route
from bff.problem import Headers, Reason, Refused, security_headers

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]

SHELL: Final = "index.html"
DEFAULT_CSP: Final = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; "
    "frame-ancestors 'none'; form-action 'self'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """One folder, served at one path."""

    files: StaticFiles
    prefix: str
    page: Headers = field(repr=False)  # added to HTML
    plain: Headers = field(repr=False)  # added to everything

    async def serve(
        self, request: BrowserRequest, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer with a file. Raises Refused: METHOD_NOT_ALLOWED, NO_ROUTE."""
        if request.method not in ("GET", "HEAD"):
            raise Refused(Reason.METHOD_NOT_ALLOWED, allow="GET, HEAD")
        response = self._find(request, scope)
        for name, value in self.plain:
            response.headers[name.decode()] = value.decode()
        if (response.media_type or "").startswith("text/html"):
            for name, value in self.page:
                response.headers[name.decode()] = value.decode()
        await response(scope, receive, send)

    def _find(self, request: BrowserRequest, scope: Scope) -> Response:
        # Decoding brings no separator and no dot segment: the route table has refused those.
        path = unquote(request.path.decode("ascii")[len(self.prefix) :]).lstrip("/")
        hidden = any(part.startswith(".") for part in path.split("/"))
        found = None if hidden else self._lookup(path or SHELL, scope)
        if found is None and request.is_navigation:
            found = self._lookup(SHELL, scope)
        if found is None:
            raise Refused(Reason.NO_ROUTE)
        return found

    def _lookup(self, path: str, scope: Scope) -> Response | None:
        try:
            full, about = self.files.lookup_path(path)
        except (OSError, ValueError):
            return None  # a name that no file can have
        if about is None or not full or not _is_file(about.st_mode):
            return None
        return self.files.file_response(full, about, scope)


def _is_file(mode: int) -> bool:
    return (mode & 0o170000) == 0o100000


def files(route: Route, frontend: FrontEnd) -> Files:
    """The files of a static route."""
    return Files(
        files=StaticFiles(directory=route.static, follow_symlink=False),
        prefix=route.path.rstrip("/"),
        page=[
            (b"content-security-policy", (route.content_security_policy or DEFAULT_CSP).encode()),
            (b"referrer-policy", b"strict-origin-when-cross-origin"),
            (b"cross-origin-opener-policy", b"same-origin"),
        ],
        plain=[*security_headers(secure=frontend.secure), (b"cache-control", b"no-cache")],
    )
