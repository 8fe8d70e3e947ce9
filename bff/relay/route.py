"""The route table; refuses every path that two parsers could read differently.

Routes, and `/bff` beside them, are matched on the raw octets. If the route would be another one
after decoding, cutting parameters or folding case, somebody may be slipping past a stricter one.
"""

from collections.abc import Sequence
from typing import Final

from bff.again import remembered
from bff.caller.path import plain_path
from bff.config.route_section import Route
from bff.problem import Reason, Refused

OWN: Final = b"/bff"
PATH_OCTETS: Final = 512  # of a path whose route is remembered


class RouteTable:
    """The routes of one front end, the longest prefix first; None stands for `/bff`."""

    def __init__(self, prefixes: Sequence[tuple[bytes, Route | None]]) -> None:
        self._prefixes = prefixes
        # Pure, and asked on every request.
        self.match = remembered(4096, octets=PATH_OCTETS)(self._match)

    def _match(self, path: bytes) -> Route | None:
        """The route of a raw path, None for `/bff`. Raises Refused: AMBIGUOUS_PATH, NO_ROUTE."""
        plain = plain_path(path)
        route = self._longest(path)
        if self._longest(plain, folded=True) is not route:
            raise Refused(Reason.AMBIGUOUS_PATH)
        if route is _NOWHERE:
            raise Refused(Reason.NO_ROUTE)
        return route

    def _longest(self, path: bytes, *, folded: bool = False) -> Route | None:
        for prefix, route in self._prefixes:
            wanted = prefix.lower() if folded else prefix
            if path == wanted or path.startswith(wanted if wanted == b"/" else wanted + b"/"):
                return route
        return _NOWHERE


_NOWHERE: Final = Route.model_construct(path="")


def route_table(routes: Sequence[Route]) -> RouteTable:
    """The table of those routes and of `/bff`."""
    prefixes: list[tuple[bytes, Route | None]] = [(OWN, None)]
    prefixes += [(route.path.encode(), route) for route in routes]
    return RouteTable(sorted(prefixes, key=lambda each: len(each[0]), reverse=True))
