"""The ASGI application over one Site, which is swapped as a whole when the configuration changes.

A request comes from the door with its front end's name. Endpoints under /bff answer from a table,
relayed paths go to `relay`, the rest are the SPA's files. Every refusal becomes an answer here.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from bff.app.body import body_reader
from bff.app.endpoints import endpoint, endpoint_name, refused_answer, refused_relay
from bff.app.plain import is_unsafe, to_secure
from bff.app.site import FrontSite, Site, build, close_site
from bff.browser.events import EventStream
from bff.browser.front import EVENTS_URL
from bff.caller.peer import Proxies
from bff.caller.request import BrowserRequest
from bff.caller.same_origin import is_preflight
from bff.config.load import Config
from bff.journal.log import crashed, on_behalf_of
from bff.journal.metrics import REQUESTS, count, status_class
from bff.journal.trace import served
from bff.problem import Aborted, Answer, Reason, Refused, refusal
from bff.provider.metadata import Discovery
from bff.relay.authorize import Relay
from bff.relay.lane import Passage
from bff.session.kept import KeptLogouts
from bff.session.store import StoreUnavailable
from bff.wire import Answering, Turn

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Application:
    """The ASGI application over one Site."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._site: Site | None = None
        self._kept: dict[str, KeptLogouts] = {}  # by front end; another Site forgets none
        self._leaving: dict[asyncio.Task[None], Site] = {}  # until their last request is answered

    @property
    def site(self) -> Site:
        """What is served. Only between `start` and `stop`."""
        if self._site is None:
            raise RuntimeError("the application has not been started")
        return self._site

    async def start(self) -> None:
        """Begin to listen to the store. Neither it nor the provider need be there yet."""
        self._begin(self.config)

    def swap(self, config: Config) -> None:
        """Serve another configuration from the next request on.

        What is being answered finishes on the former site, which is closed after it: opened
        sessions, connections, and the keys that are no longer in the ring go with it. Event streams
        end, and come again; other streams end if their cookie's key is no longer in the ring.
        """
        former = self.site
        self._begin(config)
        for each in former.fronts.values():
            each.events.end()
        for site in (former, *self._leaving.values()):
            for each in site.fronts.values():
                each.front.sessions.rekey(config.keyring)
        leaving = asyncio.create_task(_leave(former))
        self._leaving[leaving] = former
        leaving.add_done_callback(self._leaving.pop)

    def _begin(self, config: Config) -> None:
        site = build(config, self._kept, self._site)
        site.crowd.bound(config.limits)
        self.config, self._site = config, site
        for each in site.fronts.values():
            each.front.sessions.run()
            each.front.provider_logouts.run()

    async def stop(self, seconds: float) -> None:
        """Let what runs behind the answers finish, `seconds` at most, and close everything."""
        leaving = dict(self._leaving)
        for task in leaving:
            task.cancel()  # what still waits for an upstream there would never let it go
        sites = (self.site, *leaving.values())
        await asyncio.gather(*(close_site(site, seconds) for site in sites))

    async def troubles(self) -> list[str]:
        """Why requests would not be served just now: "store", "provider"; empty: ready."""
        site = self.site
        found: list[str] = []
        for each in site.fronts.values():
            try:
                await each.front.sessions.store.ping()
            except StoreUnavailable:
                found.append("store")
        if not await _knows_a_provider(site):
            found.append("provider")
        return list(dict.fromkeys(found))

    @property
    def leaving(self) -> tuple[Site, ...]:
        """What was served before, and still has requests or streams."""
        return tuple(self._leaving.values())

    @property
    def hosts(self) -> Mapping[bytes, str]:
        """Which front end answers for which host."""
        return self.site.hosts

    @property
    def trusted(self) -> Proxies:
        """The proxies whose word counts."""
        return self.site.trusted

    def lane(self, frontend: str, request: BrowserRequest, turn: Turn) -> Answering | None:
        """Who answers past ASGI: relayed requests, event streams. None for all else.

        Raises Refused where a WebSocket is not to be.
        """
        here = self.site.fronts[frontend]
        if is_unsafe(here.front.frontend, request):
            if turn.upgrade:
                raise Refused(Reason.BAD_REQUEST)
            return None
        if request.path == EVENTS_URL.encode() and request.method == "GET" and not turn.upgrade:
            return EventStream(here.events, request, turn)
        try:
            route = here.table.match(request.path)
        except Refused:
            return None
        way = None if route is None else here.ways[route.path]
        return Passage(way, request, turn) if isinstance(way, Relay) else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI)."""
        site = self.site
        with site.users:
            await self._serve(site, scope, receive, send)

    async def _serve(self, site: Site, scope: Scope, receive: Receive, send: Send) -> None:
        request: BrowserRequest = scope["bff.request"]
        here = site.fronts.get(scope["bff.frontend"])
        if here is None:  # taken away while the request waited for its turn
            unknown = Refused(Reason.UNKNOWN_ORIGIN)
            await _say(send, refusal(unknown, request_id=request.request_id, secure=True))
            return
        on_behalf_of(request.peer, request.request_id)
        seen = _Seen(here, request)
        try:
            answer = await _answer(here, request, receive, seen.begun_by(send))
        except Refused as refused:
            refuse = refused_relay if _is_relayed(here, request.path) else refused_answer
            answer = refuse(here.front.frontend, request, refused)
        except Aborted:
            raise
        except Exception as error:  # noqa: BLE001 - an exception in any check refuses (E-05)
            crashed(error, request_id=request.request_id)
            answer = refused_answer(here.front.frontend, request, Refused(Reason.INTERNAL_ERROR))
        if answer is not None:
            seen.answered(answer.status)
            await _say(send, answer)


async def _say(send: Send, answer: Answer) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
    await send({"type": "http.response.body", "body": answer.body})


async def _knows_a_provider(site: Site) -> bool:
    """Whether any provider of any front end has ever been known.

    To ask for more would take all replicas away in an outage of a provider, and with them everybody
    who is signed in. Until one is known all are asked, and nobody waits for those that are silent;
    then what is known is kept young, and the others are asked when somebody needs them.
    """
    every = [
        their.server.discovery
        for each in site.fronts.values()
        for their in each.front.sessions.dealings.values()
    ]
    known = [each for each in every if each.known]
    asking = [asyncio.create_task(_is_known(each)) for each in known or every]
    try:
        for answer in asyncio.as_completed(asking):
            if await answer:
                return True
        return False
    finally:
        for task in asking:
            task.cancel()


async def _is_known(discovery: Discovery) -> bool:
    """Whether there has ever been metadata, once it has been asked for where that is due."""
    with contextlib.suppress(Refused):
        await discovery.metadata()
    return discovery.known


class _Seen:
    """What is counted and traced of one request that is answered here."""

    def __init__(self, here: FrontSite, request: BrowserRequest) -> None:
        self._frontend = here.front.frontend.name
        self._name = _name(here, request.path)
        self._span = served(request.method, self._name, request.beside)

    def begun_by(self, send: Send) -> Send:
        """The same, and it tells here which answer has begun."""

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.answered(message["status"])
            await send(message)

        return told

    def answered(self, status: int) -> None:
        """An answer has begun."""
        count(REQUESTS, self._frontend, self._name, status_class(status))
        if self._span is not None:
            self._span.end(status)


def _name(here: FrontSite, path: bytes) -> str:
    """The route or the endpoint as the configuration names it; empty: neither."""
    try:
        route = here.table.match(path)
    except Refused:
        return ""
    return endpoint_name(path) if route is None else route.path


async def _leave(former: Site) -> None:
    """Close a site that is no longer served, when its last request has been answered."""
    await former.users.gone()
    await close_site(former, former.config.operate.stop_deadline)


async def _answer(
    here: FrontSite, request: BrowserRequest, receive: Receive, send: Send
) -> Answer | None:
    """The answer, or None where it has been sent already. Raises Refused."""
    route = here.table.match(request.path)
    if is_unsafe(here.front.frontend, request):
        way = None if route is None else here.ways[route.path]
        if isinstance(way, Relay) and not way.way.route.documents:
            return way.refuse(request, Refused(Reason.BAD_REQUEST))
        return to_secure(here.front.frontend, request, pages=way is not None)
    if is_preflight(request):
        raise Refused(Reason.CROSS_SITE)
    if route is None:
        return await endpoint(here.front, request, body_reader(receive))
    way = here.ways[route.path]
    if isinstance(way, Relay):  # the door gives these to the lane
        raise Refused(Reason.INTERNAL_ERROR)
    await way.serve(request, receive, send)
    return None


def _is_relayed(here: FrontSite, path: bytes) -> bool:
    """Whether a path that was not matched would be read as one that is relayed."""
    prefixes = [way.way.prefix for way in here.ways.values() if isinstance(way, Relay)]
    return not path.startswith(b"/bff/") and any(path.startswith(each + b"/") for each in prefixes)
