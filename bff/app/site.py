"""From a Config to one frozen Site: the only room that knows all the others."""

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field
from functools import partial

from bff.app.endpoints import refused_answer, refused_relay
from bff.browser.events import Events
from bff.browser.front import Front
from bff.caller.cookies import Cookies
from bff.caller.crowd import Crowd
from bff.caller.peer import Proxies
from bff.caller.transactions import Transactions
from bff.clock import StoreClock
from bff.config.certificates import client_tls
from bff.config.hosts import hosts
from bff.config.load import Config, FrontEnd
from bff.config.route_section import Route
from bff.config.store_url import StoreKind, parse_store_url
from bff.provider.known import Known
from bff.provider.server import close, open_server
from bff.relay.authorize import Relay
from bff.relay.observed import Observed
from bff.relay.route import RouteTable, route_table
from bff.relay.shown import Source
from bff.relay.static import Files, files
from bff.relay.upstream import Upstream
from bff.relay.way import relayed
from bff.session.access import access_rule
from bff.session.background import Background, Users
from bff.session.kept import KeptLogouts
from bff.session.memory import MemoryStore
from bff.session.people import People
from bff.session.provider_logout import ProviderLogouts
from bff.session.redis import RedisStore
from bff.session.route_spend import wanted_by
from bff.session.seal import Sealer
from bff.session.sessions import Sessions
from bff.session.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontSite:
    """One front end, ready to serve."""

    front: Front
    table: RouteTable
    ways: Mapping[str, Relay | Files] = field(repr=False)  # by the route's path
    events: Events = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """All that a process serves; swapped as a whole when the configuration changes."""

    config: Config
    hosts: Mapping[bytes, str]  # Host value → name of the front end
    fronts: Mapping[str, FrontSite] = field(repr=False)
    background: Background = field(repr=False)
    upstreams: tuple[Upstream, ...] = field(repr=False)
    stores: tuple[Store, ...] = field(repr=False)
    users: Users = field(repr=False)
    crowd: Crowd = field(repr=False)
    trusted: Proxies


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


def build(
    config: Config, kept: MutableMapping[str, KeptLogouts], former: Site | None = None
) -> Site:
    """The site of a configuration. Opens nothing yet; needs a running event loop.

    `kept` is what former sites could not carry out, by front end. From the `former` one go on what
    is known of providers, and the crowd, which is bounded as it was: this one may yet fail.
    """
    background, users = Background(), Users()
    crowd = Crowd(config.limits) if former is None else former.crowd
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
            servers=[
                open_server(frontend, clock, name, _known(former, frontend.name, provider.issuer))
                for name, provider in frontend.providers.items()
            ],
            background=background,
            kept=kept.setdefault(frontend.name, KeptLogouts()),
        )
        cookies = Cookies(frontend=frontend, keyring=config.keyring)
        ways = {
            route.path: _way(config, route, frontend, sessions, cookies, users, crowd)
            for route in frontend.routes
        }
        upstreams += [way.upstream for way in ways.values() if isinstance(way, Relay)]
        front = Front(
            frontend=frontend,
            cookies=cookies,
            transactions=Transactions(cookies=cookies),
            sessions=sessions,
            provider_logouts=ProviderLogouts(sessions),
            people=People(sessions),
            ticket_sealer=Sealer(config.keyring, "ticket", frontend.origin),
        )
        fronts[frontend.name] = FrontSite(
            front=front,
            table=route_table(frontend.routes),
            ways=ways,
            events=Events(
                front=front,
                users=users,
                streams=crowd.streams,
                refuse=partial(refused_answer, frontend),
            ),
        )
    return Site(
        config=config,
        hosts=hosts(config.frontends),
        fronts=fronts,
        background=background,
        upstreams=tuple(upstreams),
        stores=tuple(stores),
        users=users,
        crowd=crowd,
        trusted=Proxies(config.operate.trusted_proxies),
    )


def _known(former: Site | None, frontend: str, issuer: str) -> Known | None:
    """What that front end knew of the issuer."""
    here = None if former is None else former.fronts.get(frontend)
    their = None if here is None else here.front.sessions.dealings.get(issuer)
    return None if their is None else their.server.known


def _way(
    config: Config,
    route: Route,
    frontend: FrontEnd,
    sessions: Sessions,
    cookies: Cookies,
    users: Users,
    crowd: Crowd,
) -> Relay | Files:
    if route.upstream is None:
        return files(route, frontend)
    way = relayed(route, frontend, traced=config.operate.traces is not None)
    upstream = Upstream(
        route.upstream,
        connections=route.connections,
        connect_timeout=route.connect_timeout,
        tls=client_tls(route.ca_file, route.client_certificate, route.client_key)
        if way.upstream_origin.startswith("https:")
        else None,
    )
    return Relay(
        way=way,
        upstream=upstream,
        sessions=sessions,
        cookies=cookies,
        users=users,
        crowd=crowd,
        observed=Observed(frontend.name, route.path),
        refuse=partial(refused_relay, frontend, opened=route.navigation),
        rule=access_rule(route, tuple(frontend.providers.values())),
        own=_own(route, frontend, sessions),
    )


def _own(route: Route, frontend: FrontEnd, sessions: Sessions) -> Source | None:
    """Where a route gets its tokens; None: from the session, or it gets none."""
    if route.own_token:
        return sessions.route_tokens(route)
    provider = route.provider or frontend.default_provider
    if route.auth != "client" or provider is None:
        return None
    return sessions.client_tokens(provider, wanted_by(route))


async def close_site(site: Site, seconds: float) -> None:
    """Close all that a site holds, after what runs behind its answers: `seconds` at most."""
    await site.background.drain(seconds)
    for each in site.fronts.values():
        for their in each.front.sessions.dealings.values():
            await close(their.server)
    for upstream in site.upstreams:
        upstream.close()
    for store in site.stores:
        await store.close()
