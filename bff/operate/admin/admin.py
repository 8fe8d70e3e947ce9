"""GET /admin, /admin/people and POST /admin/people: the thin shell around the pages.

Between the operations address and what the supervisor knows. Without a password in the
configuration there is no page.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

from bff.caller.peer import Proxies, client_address, request_id, unmapped
from bff.config.model import Operate
from bff.journal.log import Event, on_behalf_of, tell
from bff.operate.admin import forgery
from bff.operate.admin.credential import Attempts, knows
from bff.operate.admin.desk import TROUBLES, Desk, NotDone
from bff.operate.admin.overview import SPANS, Known, overview
from bff.operate.admin.page import STYLE, answer, message, page, see_other
from bff.operate.admin.people import SUBJECT, Question, notice, people, search
from bff.operate.admin.words import counted
from bff.problem import Answer

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]

BODY: Final = 8192  # octets of a form
PATIENCE: Final = 5.0  # seconds for a form to arrive


@dataclass(frozen=True, slots=True)
class Admin:
    """The page. `known`: what the supervisor knows now."""

    operate: Callable[[], Operate]
    known: Callable[[], Known]
    desk: Desk
    _attempts: Attempts = field(default_factory=Attempts, repr=False)
    _key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    async def __call__(self, scope: Message, receive: Receive) -> Answer | None:
        """The answer to a request under /admin; None: the page is off."""
        operate = self.operate()
        if operate.admin_password is None:
            return None
        headers: dict[bytes, bytes] = dict(scope["headers"])
        hop = unmapped(scope["client"][0]) if scope.get("client") else "unknown"
        trusted = Proxies(operate.trusted_proxies)
        peer = client_address(hop, headers.get(b"x-forwarded-for"), trusted)
        given = headers.get(b"x-request-id")
        on_behalf_of(peer, request_id(given, hop=hop, trusted=trusted))
        password = operate.admin_password.get_secret_value()
        refused = self._refused(headers.get(b"authorization"), password, peer)
        return refused or await self._answer(scope, headers, receive)

    def _refused(self, authorization: bytes | None, password: str, peer: str) -> Answer | None:
        now = time.monotonic()
        if self._attempts.too_many(peer, now):
            said = message(429, "Too many attempts", "Wait a few seconds, then try again.")
            said.headers.append((b"retry-after", b"2"))
            return said
        if knows(authorization, password):
            return None
        if authorization is not None:  # a browser asks without one first
            self._attempts.wrong(peer, now)
            tell(Event.ADMIN_REFUSED, reason="password")
        said = message(401, "Who is there?", "This page needs the operator's password.")
        said.headers.append((b"www-authenticate", b'Basic realm="bff", charset="UTF-8"'))
        return said

    async def _answer(
        self, scope: Message, headers: dict[bytes, bytes], receive: Receive
    ) -> Answer:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        ways: dict[tuple[str, str], Callable[[], Awaitable[Answer]]] = {
            ("/admin", "GET"): lambda: self._overview(_fields(scope["query_string"])),
            ("/admin/style.css", "GET"): _style,
            ("/admin/people", "GET"): lambda: self._people(_fields(scope["query_string"])),
            ("/admin/people", "POST"): lambda: self._end(headers, receive),
        }
        way = ways.get((scope["path"], method))
        if way is not None:
            return await way()
        allowed = [each for path, each in ways if path == scope["path"]]
        if not allowed:
            return message(404, "There is nothing here", "The pages are above.")
        said = message(405, "Not like that", "The method is not allowed here.")
        said.headers.append((b"allow", ", ".join(allowed).encode()))
        return said

    async def _overview(self, asked: dict[str, str]) -> Answer:
        span = asked.get("hours", "1")
        return page("Overview", overview(self.known(), span if span in SPANS else "1"), at="/admin")

    async def _people(self, asked: dict[str, str]) -> Answer:
        frontends = self.desk.frontends()
        question = Question(
            frontend=asked.get("frontend") or frontends[0],
            subject=asked.get("subject", "")[:SUBJECT],
            page=_number(asked.get("page", "1")) or 1,
        )
        content, status = search(question, frontends), 200
        if "ended" in asked:
            content += notice(f"{counted(_number(asked['ended']))} ended.")
        if "subject" in asked:
            found, status = await self._found(question)
            content += found
        return page("People", content, at="/admin/people", status=status)

    async def _found(self, question: Question) -> tuple[str, int]:
        try:
            found = await self.desk.find(question.frontend, question.subject)
        except NotDone as not_done:
            status, text = TROUBLES[not_done.trouble]
            return notice(text, bad=True), status
        token = forgery.token(
            self._key, (question.frontend, question.subject), int(time.monotonic())
        )
        return people(question, found, token), 200

    async def _end(self, headers: dict[bytes, bytes], receive: Receive) -> Answer:
        if not forgery.from_here(headers):
            return self._forged()
        body = await _form(receive)
        if body is None:
            return message(413, "Too much", "That is no form of this page.")
        asked = _fields(body)
        frontend, subject = asked.get("frontend", ""), asked.get("subject", "")
        now = int(time.monotonic())
        if not forgery.is_ours(asked.get("token", ""), self._key, (frontend, subject), now):
            return self._forged()
        try:
            count = await self.desk.end(frontend, subject, asked.get("handle", ""))
        except NotDone as not_done:
            status, text = TROUBLES[not_done.trouble]
            return message(status, "Not done", text)
        question = Question(frontend=frontend, subject=subject, page=1)
        return see_other(question.address(1, ended=str(count)))

    def _forged(self) -> Answer:
        tell(Event.ADMIN_REFUSED, reason="form")
        text = "It was not sent from this page, or the page is too old. Search again, and end then."
        return message(403, "Not done", text)


async def _style() -> Answer:
    return answer(200, b"text/css; charset=utf-8", STYLE)


async def _form(receive: Receive) -> bytes | None:
    """The body; None: it is too long, too slow, or its sender is gone."""
    body = b""
    try:
        async with asyncio.timeout(PATIENCE):
            while len(body) <= BODY:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                body += message.get("body", b"")
                if not message.get("more_body", False):
                    return body if len(body) <= BODY else None
    except TimeoutError:
        return None
    return None


def _fields(text: bytes) -> dict[str, str]:
    """The fields of a form or a query, the last of each name; what is no UTF-8 is replaced."""
    try:
        found = parse_qs(
            text.decode("ascii"), keep_blank_values=True, errors="replace", max_num_fields=20
        )
    except ValueError:
        return {}
    return {name: values[-1] for name, values in found.items()}


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0
