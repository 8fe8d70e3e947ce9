"""The SPA's own files: none outside the folder, none hidden, the shell for navigations only.

`folder` opens, `coding` and `conditional` decide, here the answer is put together and sent in
pieces. What waits for a disk runs in a thread.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import unquote

from bff.caller.request import BrowserRequest
from bff.config.hashed import is_hashed
from bff.config.load import FrontEnd
from bff.config.pages import DEFAULT_DIRECTIVES, DEFAULT_PAGE_HEADERS, policy_text
from bff.config.route_section import Route
from bff.problem import Aborted, Headers, Reason, Refused, security_headers
from bff.relay.coding import IDENTITY, codings
from bff.relay.conditional import Part, Validators, decide
from bff.relay.folder import Folder, OpenFile
from bff.relay.headers import is_document
from bff.relay.media_type import media_type

T = TypeVar("T")
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SHELL: Final = "index.html"
PIECE: Final = 128 * 1024  # octets read at once; what a slow browser keeps here
DEFAULT_CSP: Final = policy_text(DEFAULT_DIRECTIVES)
FOR_EVER: Final = b"public, max-age=31536000, immutable"
ASK_AGAIN: Final = b"no-cache"
_PAGES: Final = ("text/html", "application/xhtml+xml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, ready but for what is left of its body."""

    status: int
    headers: Headers = field(repr=False)
    file: OpenFile
    piece: bytes = field(repr=False)  # of the body, its beginning
    first: int  # where the rest begins
    left: int  # how long it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """One folder, served at one path."""

    folder: Folder
    prefix: str
    immutable: tuple[str, ...]
    page: Headers = field(repr=False)  # of documents
    plain: Headers = field(repr=False)  # of everything else
    mark: bytes  # of what documents carry: with another policy, a page is another one

    async def serve(self, request: BrowserRequest, receive: Receive, send: Send) -> None:
        """Answer with a file. Raises Refused: METHOD_NOT_ALLOWED, NO_ROUTE."""
        if request.method not in ("GET", "HEAD"):
            raise Refused(Reason.METHOD_NOT_ALLOWED, allow="GET, HEAD")
        with ExitStack() as opened:
            reply = await _in_thread(partial(self._reply, request, opened))
            await send(
                {"type": "http.response.start", "status": reply.status, "headers": reply.headers}
            )
            await send(_body(reply.piece, more=reply.left > 0))
            if reply.left:
                await _send_rest(reply, receive, send)

    def _reply(self, request: BrowserRequest, opened: ExitStack) -> Reply:
        """The answer, up to the first piece of its body. In a thread."""
        # Decoding brings no separator and no dot segment: the route table has refused those.
        path = unquote(request.path.decode("ascii")[len(self.prefix) :]).lstrip("/") or SHELL
        wanted = codings(request.get(b"accept-encoding"))
        hidden = any(part.startswith(".") for part in path.split("/"))
        file = None if hidden else self.folder.open(path, wanted, opened)
        vary = b"Accept-Encoding"
        if file is None and request.is_navigation:
            path, vary = SHELL, b"Accept, Accept-Encoding, Sec-Fetch-Mode"
            file = self.folder.open(path, wanted, opened)
        if file is None:
            raise Refused(Reason.NO_ROUTE)
        return self._about(request, path, file, vary)

    def _about(self, request: BrowserRequest, path: str, file: OpenFile, vary: bytes) -> Reply:
        now = datetime.now(UTC).timestamp()
        kind = media_type(path)
        document = is_document([(b"content-type", kind.encode())])
        validators = Validators(
            tag=self.folder.tag(file, now, self.mark if document else b""),
            modified=file.modified(now),
            size=file.about.st_size,
        )
        part = decide(request, validators, now)
        headers = [*(self.page if document else self.plain), (b"vary", vary)]
        if part.status in (412, 416):
            headers += _failed(part, validators.size)
        else:
            kept = is_hashed(self.immutable, path) and not kind.startswith(_PAGES)
            headers += _validators(validators, kept=kept)
            headers += [] if part.status == 304 else _content(part, kind, file)
        count = min(part.count, PIECE) if request.method == "GET" else 0
        piece = file.read(part.first, count) if count else b""
        if len(piece) < count:
            raise Refused(Reason.INTERNAL_ERROR)  # cut off since it was opened
        left = part.count - count if request.method == "GET" else 0
        return Reply(
            status=part.status,
            headers=headers,
            file=file,
            piece=piece,
            first=part.first + count,
            left=left,
        )


def _failed(part: Part, size: int) -> Headers:
    """What is said where nothing of the file goes out, and nobody is to keep."""
    fields = [(b"content-length", b"0"), (b"cache-control", b"no-store")]
    if part.status == 416:
        fields.append((b"content-range", b"bytes */%d" % size))
    return fields


def _validators(file: Validators, *, kept: bool) -> Headers:
    """What a browser keeps the file by, and for how long."""
    fields = [(b"cache-control", FOR_EVER if kept else ASK_AGAIN), (b"etag", file.tag)]
    if (last_modified := file.last_modified) is not None:
        fields.append((b"last-modified", last_modified))
    return fields


def _content(part: Part, kind: str, file: OpenFile) -> Headers:
    """What belongs to the body that goes out."""
    fields = [
        (b"content-length", b"%d" % part.count),
        (b"accept-ranges", b"bytes"),
        (b"content-type", kind.encode()),
    ]
    if file.coding != IDENTITY:
        fields.append((b"content-encoding", file.coding.encode()))
    if part.status == 206:
        last = part.first + part.count - 1
        about = (part.first, last, file.about.st_size)
        fields.append((b"content-range", b"bytes %d-%d/%d" % about))
    return fields


def _body(data: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


async def _send_rest(reply: Reply, receive: Receive, send: Send) -> None:
    """Piece by piece, as fast as the browser takes them and for as long as it is there."""
    gone = asyncio.create_task(_until_gone(receive))
    try:
        first, left = reply.first, reply.left
        while left and not gone.done():
            piece = await _in_thread(partial(reply.file.read, first, min(left, PIECE)))
            if not piece:
                raise Aborted  # cut off meanwhile: what was promised cannot be sent
            first, left = first + len(piece), left - len(piece)
            await send(_body(piece, more=left > 0))
    finally:
        gone.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _in_thread(work: Callable[[], T]) -> T:
    """What the work returns. Whoever is cancelled meanwhile waits for the thread all the same:
    what it reads must not be closed under it."""
    job = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(job)
    except asyncio.CancelledError:
        await asyncio.wait([job])
        _ = job.cancelled() or job.exception()  # nobody is left to be told
        raise
    finally:
        del job  # what it failed with knows that it was here: no ring shall be left


def files(route: Route, frontend: FrontEnd) -> Files:
    """The files of a static route."""
    always = security_headers(secure=frontend.secure)
    policy = {"content-security-policy": route.content_security_policy or DEFAULT_CSP}
    page = _with(always, {**DEFAULT_PAGE_HEADERS, **policy, **route.security_headers})
    return Files(
        folder=Folder(Path(route.static or "")),
        prefix=route.path.rstrip("/"),
        immutable=route.immutable,
        page=page,
        plain=_with(always, route.security_headers),
        mark=hashlib.sha256(repr(page).encode()).hexdigest()[:8].encode(),
    )


def _with(always: Headers, more: dict[str, str]) -> Headers:
    fields = dict(always)
    fields |= {name.encode(): value.encode() for name, value in more.items()}
    return list(fields.items())
