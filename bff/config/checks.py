"""What several values must keep together: a table of pure checks, each naming key and mend."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from bff.config.model import Keys, Logout, Operate, Provider, Route, Server, SessionSection
from bff.config.values import is_loopback
from bff.keys import Key, parse_key


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: its key, its line in the file (0: nowhere), what is wrong, how to mend it."""

    key: str
    message: str
    mend: str
    line: int = 0

    def text(self) -> str:
        """The fault as one line for a person."""
        place = f"line {self.line}: " if self.line else ""
        return f"{place}{self.key} {self.message}; {self.mend}"


Sections = Mapping[str, Any]
Check = Callable[[Sections, bool], Iterator[Fault]]


def _client_secret(sections: Sections, dev: bool) -> Iterator[Fault]:
    provider: Provider = sections["provider"]
    if provider.client_authentication == "none":
        if not (dev and is_loopback(urlsplit(provider.issuer).hostname)):
            yield Fault(
                key="provider.client_authentication",
                message='is "none": a public client',
                mend='use "client_secret_basic" and set client_secret',
            )
    elif provider.client_secret is None:
        yield Fault(
            key="provider.client_secret",
            message="is missing",
            mend='add { env = "BFF_CLIENT_SECRET" }',
        )


_LATER: Final = "is not supported yet"


def _store(sections: Sections, dev: bool) -> Iterator[Fault]:
    session: SessionSection = sections["session"]
    scheme = session.store.get_secret_value().partition(":")[0]
    if scheme in ("redis+sentinel", "redis+cluster"):
        yield Fault(
            key="session.store",
            message=f"{scheme} {_LATER}",
            mend="use redis:// or rediss:// for now",
        )
    elif scheme == "memory":
        if not dev:
            yield Fault(
                key="session.store",
                message="is memory: sessions would die with the process",
                mend='use "redis://host:6379/0"; memory: is for `bff dev`',
            )
    elif scheme not in ("redis", "rediss"):
        yield Fault(
            key="session.store",
            message="is no store",
            mend='write "redis://host:6379/0" or rediss://',
        )
    if session.idle > session.lifetime:
        yield Fault(
            key="session.idle", message="is longer than session.lifetime", mend="make it shorter"
        )


def _keys(sections: Sections, _dev: bool) -> Iterator[Fault]:
    keys: Keys = sections["keys"]
    found: dict[str, str] = {}
    named = [("keys.current", keys.current)]
    named += [(f"keys.accepted.{place}", secret) for place, secret in enumerate(keys.accepted)]
    for name, secret in named:
        key = _parsed(secret.get_secret_value())
        if key is None:
            yield Fault(key=name, message="is no key", mend="use one that `bff keys new` prints")
        elif key.kid in found:
            yield Fault(
                key=name, message=f"is the same key as {found[key.kid]}", mend="remove one of them"
            )
        elif key.kid in keys.retired:
            yield Fault(key=name, message="is listed in keys.retired too", mend="keep one of them")
        else:
            found[key.kid] = name


def _parsed(text: str) -> Key | None:
    try:
        return parse_key(text)
    except ValueError:
        return None


def _routes(sections: Sections, _dev: bool) -> Iterator[Fault]:
    seen: dict[str, int] = {}
    routes: tuple[Route, ...] = sections["routes"]
    for place, route in enumerate(routes):
        where = f"routes.{place}"
        if route.path in seen:
            yield Fault(
                key=f"{where}.path",
                message=f"{route.path} is a route already (routes.{seen[route.path]})",
                mend="remove one",
            )
        seen[route.path] = place
        yield from _target(where, route)
        if route.auth == "client":
            yield Fault(
                key=f"{where}.auth", message=f'"client" {_LATER}', mend='use "user" or "none"'
            )
    if len({path.lower() for path in seen}) < len(seen):
        yield Fault(
            key="routes", message="differ in letter case only", mend="choose clearly other paths"
        )


def _target(where: str, route: Route) -> Iterator[Fault]:
    if (route.upstream is None) == (route.static is None):
        yield Fault(key=where, message="needs one of upstream and static", mend="name exactly one")
    if route.static is not None and not route.static.is_dir():
        yield Fault(
            key=f"{where}.static", message="is no directory", mend="create it, or name another"
        )
    if route.upstream is not None:
        parts = urlsplit(route.upstream)
        if parts.scheme == "http" and not route.plaintext and not is_loopback(parts.hostname):
            yield Fault(
                key=f"{where}.upstream",
                message="is plain http off loopback: tokens would travel in the clear",
                mend="use https, or say plaintext = true where something else protects that hop",
            )


def _files(sections: Sections, _dev: bool) -> Iterator[Fault]:
    named = []
    if "provider" in sections:
        named.append(("provider.ca_file", sections["provider"].ca_file))
    if "server" in sections:
        server: Server = sections["server"]
        named += [
            ("server.tls_certificate", server.tls_certificate),
            ("server.tls_key", server.tls_key),
        ]
        if (server.tls_certificate is None) != (server.tls_key is None):
            yield Fault(
                key="server",
                message="has half of a TLS pair",
                mend="set tls_certificate and tls_key",
            )
    for place, route in enumerate(sections.get("routes", ())):
        named.append((f"routes.{place}.ca_file", route.ca_file))
    for key, path in named:
        if path is not None and not path.is_file():
            yield Fault(key=key, message="is no file", mend="create it, or name another")


def _logout(sections: Sections, _dev: bool) -> Iterator[Fault]:
    logout: Logout = sections["logout"]
    path = logout.return_to
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    if not plain or path == "/bff" or path.startswith("/bff/"):
        yield Fault(
            key="logout.return_to",
            message="is no path of the application",
            mend='write "/" or alike',
        )


def _trust(sections: Sections, _dev: bool) -> Iterator[Fault]:
    operate: Operate = sections["operate"]
    if any(network.prefixlen == 0 for network in operate.trusted_proxies):
        yield Fault(
            key="operate.trusted_proxies",
            message="trusts the whole world",
            mend="name the networks of your own proxies",
        )


# (the sections that must have been read, the check)
CHECKS: Final[tuple[tuple[frozenset[str], Check], ...]] = (
    (frozenset({"provider"}), _client_secret),
    (frozenset({"session"}), _store),
    (frozenset({"keys"}), _keys),
    (frozenset({"routes"}), _routes),
    (frozenset(), _files),
    (frozenset({"logout"}), _logout),
    (frozenset({"operate"}), _trust),
)
