"""Whether a route leads to a front end that a person is working on, on this very machine.

Such a server runs whatever it is given and hands out source files. What it needs beyond other
upstreams is therefore tied to loopback on both sides.
"""

from urllib.parse import urlsplit

from bff.config.route_section import Route
from bff.config.values import is_loopback


def is_dev_server(route: Route, origin: str) -> bool:
    """Whether the route has pages of its own, nobody's rights, and all of it is on loopback."""
    return has_open_pages(route) and is_loopback(urlsplit(origin).hostname)


def has_open_pages(route: Route) -> bool:
    """The same, whatever the public origin."""
    return (
        route.auth == "none"
        and route.navigation
        and route.documents
        and not route.request_cookies
        and is_loopback(urlsplit(route.upstream or "").hostname)
    )
