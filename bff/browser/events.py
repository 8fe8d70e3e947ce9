"""GET /bff/events: the session's fate as server-sent events, for as long as a page listens (W-08).

An answer in its turn on a browser's connection, without ASGI: no task and no queue for each of
thousands of streams. One timer says what comes by itself; `following` tells of all else. What is
kept of the session is when it ends, and no token.
"""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from bff.browser.approach import Cause, Ends, ends
from bff.browser.front import EVENTS_URL, VARY, Front
from bff.caller.crowd import Count
from bff.caller.request import BrowserRequest
from bff.caller.same_origin import require_same_origin
from bff.journal.log import crashed, on_behalf_of
from bff.journal.metrics import REQUESTS, count, status_class
from bff.problem import Answer, Headers, Reason, Refused, security_headers
from bff.session.background import Users
from bff.session.following import Follower
from bff.session.opened import Found
from bff.session.store import Live
from bff.wire import Framed, Turn, answer_bytes, answer_lines

COMMENT_EVERY: Final = 15.0  # seconds of silence; proxies cut what is silent for longer
COMMENT: Final = b":\n\n"

_HEADERS: Final[Headers] = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-accel-buffering", b"no"),  # nginx would keep events until it has a buffer full
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """The event streams of one front end: whose they are, and how many may be open."""

    front: Front
    users: Users = field(repr=False)
    streams: Count
    held: "set[EventStream]" = field(default_factory=set, repr=False)
    refuse: Callable[[BrowserRequest, Refused], Answer] = field(repr=False)

    def end(self) -> None:
        """End all streams: another configuration is served, and their browsers come again to it.

        They would keep this one, its keys among it, for as long as anybody is signed in.
        """
        for stream in tuple(self.held):
            stream.drain()


class EventStream:
    """One of them."""

    __slots__ = (
        "_draining",
        "_ends",
        "_events",
        "_follower",
        "_framed",
        "_issued_at",
        "_live",
        "_near",
        "_opening",
        "_place",
        "_request",
        "_silent_since",
        "_timer",
        "_turn",
        "keep_alive",
        "response_complete",
    )

    def __init__(self, events: Events, request: BrowserRequest, turn: Turn) -> None:
        self._events = events
        self._request: BrowserRequest | None = request  # until the stream is open
        self._turn = turn
        self.keep_alive = turn.keep_alive
        self.response_complete = False
        self._draining = False
        self._place: str | None = None  # the session whose place among the streams is taken
        self._framed: Framed | None = None  # the answer, once it has begun
        self._follower: Follower | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._silent_since = 0.0  # by the loop's clock
        self._opening = False  # the record of a session that has been renewed
        self._issued_at: float
        self._live: Live
        self._ends: Ends
        self._near: frozenset[Cause] = frozenset()  # of which the page has been warned
        events.users.enter()
        events.held.add(self)

    @property
    def response_started(self) -> bool:
        """Whether the stream is open."""
        return self._framed is not None

    # As the door tells it.

    def start(self) -> None:
        """Its turn has come."""
        _ = self._turn.wire.spawn(self._open())

    def take_body(self, data: bytes) -> None:
        """The door lets no GET through that has one."""

    def end_body(self) -> None:
        """The request is here whole."""

    def flush(self) -> None:
        """Nothing waits for it."""

    def congested(self) -> None:
        """A browser that does not read what is so little is gone: it must not be collected."""
        if not self.response_complete and self._framed is not None:
            self._leave()
            self._turn.wire.break_off()

    def writable(self) -> None:
        """Nothing waits for it."""

    def gone(self) -> None:
        """The browser has gone."""
        if not self.response_complete:
            self._leave()

    def drain(self) -> None:
        """Nothing goes on here: the browser comes again. One that is opening says what there is."""
        self._draining = True
        if not self.response_complete and self._framed is not None:
            self._finish(b"")

    # The beginning.

    async def _open(self) -> None:
        request = self._request
        if request is None or self.response_complete:
            return
        on_behalf_of(request.peer, request.request_id)
        try:
            self._begin(await self._find(request))
        except Refused as refused:
            self._refuse(request, refused)
        except Exception as error:  # noqa: BLE001 - an exception in any check refuses (E-05)
            crashed(error, request_id=request.request_id)
            self._refuse(request, Refused(Reason.INTERNAL_ERROR))

    async def _find(self, request: BrowserRequest) -> Found:
        front = self._events.front
        require_same_origin(request, front.frontend.origin)
        session_id = front.cookies.read_session(request)
        self._events.streams.enter(session_id)
        self._place = session_id
        return await front.sessions.find(session_id)

    def _begin(self, found: Found) -> None:
        """The present state comes first; then whatever changes it."""
        if self.response_complete:
            return  # the browser has gone meanwhile
        front, wire = self._events.front, self._turn.wire
        self._framed = Framed(
            answer_lines(200, [*_HEADERS, *security_headers(secure=front.frontend.secure), VARY]),
            head_only=False,
            version=self._turn.version,
            keep_alive=False,  # after its end there is nothing to keep it for
            date=wire.date_line(),
        )
        self._count(200)
        self._request = None  # its cookie is not kept for hours
        self._take(found)
        self._say("session")
        self._follow(found)

    def _follow(self, found: Found) -> None:
        if self.response_complete:
            return  # the present state was too much for the browser
        if self._draining or self._turn.wire.draining:
            self._finish(b"")
            return
        sessions = self._events.front.sessions
        self._follower = sessions.follow(found, self._ended, self._seen)
        self._warn()

    def _refuse(self, request: BrowserRequest, refused: Refused) -> None:
        """Say why there is no stream. Once it is open, all that can be done is to break off."""
        if self.response_complete:
            return
        began = self._framed is not None
        self._leave()
        wire = self._turn.wire
        if began:
            wire.break_off()
            return
        answer = self._events.refuse(request, refused)
        self._count(answer.status)
        wire.transport.write(
            answer_bytes(answer, head_only=False, keep_alive=self.keep_alive, date=wire.date_line())
        )
        wire.answered(keep_alive=self.keep_alive, body_unread=False)

    def _count(self, status: int) -> None:
        name = self._events.front.frontend.name
        count(REQUESTS, name, EVENTS_URL, status_class(status))

    # What becomes of the session.

    def _take(self, found: Found) -> None:
        section = self._events.front.frontend.session
        self._live = found.live
        self._issued_at = found.session.tokens.issued_at
        self._ends = ends(found.live, found.session.tokens, section)

    def _seen(self, live: Live) -> None:
        """The store has been asked. Another version may have other tokens: the record tells."""
        if live.version != self._live.version:
            if not self._opening and self._place is not None:
                self._opening = True
                self._events.front.sessions.background.run(self._renewed(self._place))
        elif live != self._live:
            self._live, self._ends = live, self._ends.moved(live)
            if self._near - self._ends.near(self._events.front.clock.now()):
                self._say("session")
            self._warn()

    async def _renewed(self, session_id: str) -> None:
        """Say so if the tokens are others, unless that cannot be known yet: there is a next look.

        They are not where a route has got a token for itself.
        """
        try:
            found = await self._events.front.sessions.find(session_id)
        except Refused:
            return  # it has ended, or the store is away
        finally:
            self._opening = False
        if not self.response_complete and found.version != self._live.version:
            renewed = found.session.tokens.issued_at != self._issued_at
            self._take(found)
            if renewed:
                self._say("refreshed")
            self._warn()

    def _ended(self, reason: Reason) -> None:
        if not self.response_complete:
            self._finish(_event("ended", {"reason": reason.value}))

    def _warn(self) -> None:
        """Say which ends are near by now, and come back when another is."""
        front = self._events.front
        now = front.clock.now()
        near = self._ends.near(now)
        for cause in sorted(near - self._near):
            self._say("expiring", cause=cause)
        self._near = near
        self._wait(now)

    def _wait(self, now: float) -> None:
        if self.response_complete:
            return  # what was just said was too much for the browser
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        comment = self._silent_since + COMMENT_EVERY - loop.time()
        wait = min(comment, self._ends.due(now) - now)
        self._timer = loop.call_later(max(wait, 0.001), self._tick)

    def _tick(self) -> None:
        self._timer = None
        if asyncio.get_running_loop().time() >= self._silent_since + COMMENT_EVERY:
            self._write(COMMENT)
        if self._follower is not None and self._ends.at <= self._events.front.clock.now():
            self._follower.look()  # what nobody announces: it has expired, unless it was slid
        self._warn()

    # The octets.

    def _say(self, event: str, **more: object) -> None:
        left = self._ends.seconds_left(self._events.front.clock.now())
        self._write(_event(event, {**more, "seconds_left": left}))

    def _write(self, data: bytes) -> None:
        self._silent_since = asyncio.get_running_loop().time()
        if self._framed is not None and not self.response_complete:
            self._turn.wire.transport.write(self._framed.part(data, last=False))

    def _finish(self, data: bytes) -> None:
        """The last of the stream: it ends whole, and the browser may ask again."""
        self._leave()  # first: what is written may be too much for the browser, and it ends here
        if self._framed is not None:
            self._turn.wire.transport.write(self._framed.part(data, last=True))
        self._turn.wire.answered(keep_alive=False, body_unread=False)

    def _leave(self) -> None:
        """Give back all that was taken, once."""
        if self.response_complete:
            return
        self.response_complete = True
        self._events.users.leave()
        self._events.held.discard(self)
        if self._place is not None:
            self._events.streams.leave(self._place)
        if self._follower is not None:
            self._follower.leave()
        if self._timer is not None:
            self._timer.cancel()


def _event(name: str, document: object) -> bytes:
    return f"event: {name}\ndata: {json.dumps(document, separators=(',', ':'))}\n\n".encode()
