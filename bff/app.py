"""From a Config to one frozen Site and its ASGI application; the only room that knows the others.

A request comes from the door with its front end's name. Endpoints under /bff answer from a table,
relayed paths go to `relay`, the rest are the SPA's files. Every refusal becomes an answer here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from bff.browser.callback import callback
from bff.browser.front import (
    CALLBACK_URL,
    LOGIN_URL,
    LOGOUT_URL,
    PROVIDER_LOGOUT_URL,
    SESSION_URL,
    Front,
)
from bff.browser.login import login
from bff.browser.logout import logout
from bff.browser.provider_logout import provider_logout
from bff.browser.session import get_session, post_session
from bff.caller.cookies import Cookies
from bff.caller.peer import Network
from bff.caller.request import BrowserRequest
from bff.caller.same_origin import is_preflight
from bff.caller.transactions import Transactions
from bff.clock import StoreClock
from bff.config.load import Config, FrontEnd
from bff.config.model import Route
from bff.config.store_url import StoreKind, parse_store_url
from bff.journal.log import Event, crashed, on_behalf_of, tell
from bff.problem import Aborted, Answer, Reason, Refused, refusal
from bff.provider.server import close, open_server
from bff.relay.authorize import Relay
from bff.relay.exchange import relayed
from bff.relay.lane import Passage
from bff.relay.route import RouteTable, route_table
from bff.relay.static import Files, files
from bff.relay.upstream import Upstream
from bff.session.background import Background, Users
from bff.session.memory import MemoryStore
from bff.session.redis import RedisStore
from bff.session.seal import Sealer
from bff.session.sessions import Sessions
from bff.session.store import Store, StoreUnavailable
from bff.wire import Turn

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Endpoint = Callable[[Front, BrowserRequest], Awaitable[Answer]]

ENDPOINTS: Final[Mapping[bytes, Mapping[str, Endpoint]]] = {
    LOGIN_URL.encode(): {"GET": login},
    CALLBACK_URL.encode(): {"GET": callback},
    SESSION_URL.encode(): {"GET": get_session, "POST": post_session},
    LOGOUT_URL.encode(): {"POST": logout},
    PROVIDER_LOGOUT_URL.encode(): {"GET": provider_logout},
}
_PAGES: Final = frozenset(path for path in ENDPOINTS if path != SESSION_URL.encode())
_CSRF: Final = frozenset({Reason.CROSS_SITE, Reason.NOT_SAME_ORIGIN})


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontSite:
    """One front end, ready to serve."""

    front: Front
    table: RouteTable
    ways: Mapping[str, Relay | Files] = field(repr=False)  # by the route's path


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """All that a process serves; swapped as a whole when the configuration changes."""

    config: Config
    fronts: Mapping[str, FrontSite] = field(repr=False)
    background: Background = field(repr=False)
    upstreams: tuple[Upstream, ...] = field(repr=False)
    stores: tuple[Store, ...] = field(repr=False)
    users: Users = field(repr=False)


def _store(frontend: FrontEnd, clock: StoreClock) -> Store:
    section = frontend.session
    url = parse_store_url(section.store.get_secret_value())
    if url.kind is StoreKind.MEMORY:
        return MemoryStore(clock, deadline=section.store_deadline)
    password = section.sentinel_password
    return RedisStore(
        url,
        prefix=section.prefix,
        clock=clock,
        deadline=section.store_deadline,
        ca_file=None if section.ca_file is None else str(section.ca_file),
        replicas=section.wait_replicas,
        sentinel_password=None if password is None else password.get_secret_value(),
    )


def build(config: Config) -> Site:
    """The site of a configuration. Opens nothing yet; needs a running event loop."""
    background, users = Background(), Users()
    fronts: dict[str, FrontSite] = {}
    upstreams: list[Upstream] = []
    stores: list[Store] = []
    for frontend in config.frontends:
        clock = StoreClock()
        store = _store(frontend, clock)
        stores.append(store)
        sessions = Sessions(
            frontend=frontend,
            keyring=config.keyring,
            store=store,
            clock=clock,
            server=open_server(frontend, clock),
            background=background,
        )
        cookies = Cookies(frontend=frontend, keyring=config.keyring)
        ways = {
            route.path: _way(route, frontend, sessions, cookies, users) for route in frontend.routes
        }
        upstreams += [way.upstream for way in ways.values() if isinstance(way, Relay)]
        front = Front(
            frontend=frontend,
            cookies=cookies,
            transactions=Transactions(cookies=cookies),
            sessions=sessions,
            ticket_sealer=Sealer(config.keyring, "ticket", frontend.origin),
        )
        fronts[frontend.name] = FrontSite(
            front=front, table=route_table(frontend.routes), ways=ways
        )
    return Site(
        config=config,
        fronts=fronts,
        background=background,
        upstreams=tuple(upstreams),
        stores=tuple(stores),
        users=users,
    )


def _way(
    route: Route, frontend: FrontEnd, sessions: Sessions, cookies: Cookies, users: Users
) -> Relay | Files:
    if route.upstream is None:
        return files(route, frontend)
    upstream = Upstream(
        route.upstream,
        connections=route.connections,
        connect_timeout=route.connect_timeout,
        ca_file=None if route.ca_file is None else str(route.ca_file),
    )
    return Relay(
        way=relayed(route, frontend),
        upstream=upstream,
        sessions=sessions,
        cookies=cookies,
        users=users,
        refuse=partial(_refused, frontend),
    )


class Application:
    """The ASGI application over one Site."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._site: Site | None = None
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
        sessions, connections, and the keys that are no longer in the ring go with it.
        """
        former = self.site
        self._begin(config)
        leaving = asyncio.create_task(_leave(former))
        self._leaving[leaving] = former
        leaving.add_done_callback(self._leaving.pop)

    def _begin(self, config: Config) -> None:
        site = build(config)
        self.config, self._site = config, site
        for each in site.fronts.values():
            each.front.sessions.run()

    async def stop(self, seconds: float) -> None:
        """Let what runs behind the answers finish, `seconds` at most, and close everything."""
        leaving = dict(self._leaving)
        for task in leaving:
            task.cancel()  # what still waits for an upstream there would never let it go
        sites = (self.site, *leaving.values())
        await asyncio.gather(*(close_site(site, seconds) for site in sites))

    async def troubles(self) -> list[str]:
        """Why requests would not be served just now: "store", "provider"; empty: ready."""
        found: list[str] = []
        for each in self.site.fronts.values():
            try:
                await each.front.sessions.store.ping()
            except StoreUnavailable:
                found.append("store")
            try:
                await each.front.server.discovery.metadata()
            except Refused:
                found.append("provider")
        return found

    @property
    def trusted(self) -> Sequence[Network]:
        """The proxies whose word counts."""
        return self.site.config.operate.trusted_proxies

    def lane(self, frontend: str, request: BrowserRequest, turn: Turn) -> Passage | None:
        """Who answers a relayed request past ASGI; None for every other, the refused too."""
        here = self.site.fronts[frontend]
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
        here = site.fronts[scope["bff.frontend"]]
        request: BrowserRequest = scope["bff.request"]
        on_behalf_of(request.peer, request.request_id)
        try:
            answer = await _answer(here, request, scope, receive, send)
        except Refused as refused:
            answer = _refused(here.front.frontend, request, refused)
        except Aborted:
            raise
        except Exception as error:  # noqa: BLE001 - an exception in any check refuses (E-05)
            crashed(error, request_id=request.request_id)
            answer = _refused(here.front.frontend, request, Refused(Reason.INTERNAL_ERROR))
        if answer is not None:
            await send(
                {
                    "type": "http.response.start",
                    "status": answer.status,
                    "headers": answer.headers,
                }
            )
            await send({"type": "http.response.body", "body": answer.body})


async def _leave(former: Site) -> None:
    """Close a site that is no longer served, when its last request has been answered."""
    await former.users.gone()
    await close_site(former, former.config.operate.stop_deadline)


async def close_site(site: Site, seconds: float) -> None:
    """Close all that a site holds, after what runs behind its answers: `seconds` at most."""
    await site.background.drain(seconds)
    for each in site.fronts.values():
        await close(each.front.server)
    for upstream in site.upstreams:
        upstream.close()
    for store in site.stores:
        await store.close()


async def _answer(
    here: FrontSite, request: BrowserRequest, scope: Scope, receive: Receive, send: Send
) -> Answer | None:
    """The answer, or None where it has been sent already. Raises Refused."""
    route = here.table.match(request.path)
    if is_preflight(request):
        raise Refused(Reason.CROSS_SITE)
    if route is None:
        return await _endpoint(here.front, request)
    way = here.ways[route.path]
    if isinstance(way, Relay):  # the door gives these to the lane
        raise Refused(Reason.INTERNAL_ERROR)
    await way.serve(request, scope, receive, send)
    return None


async def _endpoint(front: Front, request: BrowserRequest) -> Answer:
    methods = ENDPOINTS.get(request.path)
    if methods is None:
        raise Refused(Reason.NO_ROUTE)
    endpoint = methods.get(request.method)
    if endpoint is None:
        raise Refused(Reason.METHOD_NOT_ALLOWED, allow=", ".join(methods))
    return await endpoint(front, request)


def _refused(frontend: FrontEnd, request: BrowserRequest, refused: Refused) -> Answer:
    if refused.reason in _CSRF:
        tell(
            Event.CSRF_REFUSED,
            reason=refused.reason.value,
            frontend=frontend.name,
        )
    return refusal(
        refused,
        request_id=request.request_id,
        secure=frontend.secure,
        as_page=request.is_navigation and request.path in _PAGES,
        login_url=LOGIN_URL,
    )
