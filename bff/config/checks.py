"""What several values must keep together: a table of pure checks, each naming key and mend.

A check is asked only where every value that it needs could be read.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network
from itertools import accumulate
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import SecretStr

from bff.config.access import claims_in_scope
from bff.config.certificates import check_ca_file, check_client_pair, check_tls
from bff.config.faults import Fault
from bff.config.lease import check_lease, check_stop
from bff.config.paths import check_folder
from bff.config.profile import check_route
from bff.config.provider_checks import PROVIDER_CHECKS
from bff.config.reading import Reading
from bff.config.store_url import sentinel_faults, store_faults, trust_faults
from bff.config.values import is_loopback
from bff.keys import Key, parse_key

Faults = Iterator[Fault]
Check = Callable[..., Faults]


def check(reading: Reading) -> Faults:
    """The faults that lie between values."""
    for needed, judge in CHECKS:
        if reading.values.keys() >= set(needed):
            yield from judge(*(reading.values[key] for key in needed))
    yield from _keys(reading)
    yield from _paths(reading)
    for place in range(reading.routes):
        yield from _route(f"routes.{place}", reading)


def _idle(idle: float, lifetime: float) -> Faults:
    if idle > lifetime:
        yield Fault(
            key="session.idle", message="is longer than session.lifetime", mend="make it shorter"
        )


def _logout(return_to: str) -> Faults:
    plain = return_to.startswith("/") and not return_to.startswith(("//", "/\\"))
    own = return_to == "/bff" or return_to.startswith("/bff/")
    if not (plain and return_to.isprintable()) or own:
        yield Fault(
            key="logout.return_to",
            message="is no path of the application",
            mend='write a path, as "/" or "/goodbye"',
        )


def _trust(networks: tuple[IPv4Network | IPv6Network, ...]) -> Faults:
    for place, network in enumerate(networks):
        if network.prefixlen == 0:
            yield Fault(
                key=f"operate.trusted_proxies.{place}",
                message="trusts the whole world",
                mend="name the networks of your own proxies",
            )


def _traces(collector: str | None) -> Faults:
    if collector is not None and not _is_installed("opentelemetry", "exporter", "otlp"):
        yield Fault(
            key="operate.traces",
            message="needs what is not installed",
            mend='pip install "bff[otel]" (an image: docs/traces.md), or remove the key',
        )


def _is_installed(*parts: str) -> bool:
    """Whether there is such a package; one at a time, since a parent that is not there raises."""
    names = accumulate(parts, lambda outer, inner: f"{outer}.{inner}")
    return all(find_spec(name) is not None for name in names)


# (the keys that must have been read, the check; it gets their values)
CHECKS: Final[tuple[tuple[tuple[str, ...], Check], ...]] = (
    *PROVIDER_CHECKS,
    (("dev", "session.store"), store_faults),
    (("session.store", "session.sentinel_password"), sentinel_faults),
    (("session.store", "session.ca_file"), trust_faults),
    (("session.ca_file",), partial(check_ca_file, "session.ca_file")),
    (("session.idle", "session.lifetime"), _idle),
    (("refresh.lease", "provider.total_timeout", "session.store_deadline"), check_lease),
    (("operate.stop_deadline", "provider.total_timeout", "session.store_deadline"), check_stop),
    (("server.tls_certificate", "server.tls_key"), check_tls),
    (("logout.return_to",), _logout),
    (("operate.trusted_proxies",), _trust),
    (("operate.traces",), _traces),
)


def _keys(reading: Reading) -> Faults:
    """Each line must be a key, each key must stand there once."""
    named: list[tuple[str, SecretStr]] = []
    if "keys.current" in reading.values:
        named.append(("keys.current", reading.values["keys.current"]))
    accepted: tuple[SecretStr, ...] = reading.values.get("keys.accepted", ())
    named += [(f"keys.accepted.{place}", secret) for place, secret in enumerate(accepted)]
    found: dict[str, str] = {}
    for name, secret in named:
        key = _parsed(secret.get_secret_value())
        if key is None:
            yield Fault(key=name, message="is no key", mend="use one that `bff keys new` prints")
        elif key.kid in found:
            yield Fault(
                key=name, message=f"is the same key as {found[key.kid]}", mend="remove one of them"
            )
        elif key.kid in reading.values.get("keys.retired", ()):
            yield Fault(key=name, message="is listed in keys.retired too", mend="keep one of them")
        else:
            found[key.kid] = name


def _parsed(text: str) -> Key | None:
    try:
        return parse_key(text)
    except ValueError:
        return None


def _paths(reading: Reading) -> Faults:
    """No two routes may have one path, in whatever case: one would hide the other."""
    seen: dict[str, tuple[str, str]] = {}
    for place in range(reading.routes):
        key = f"routes.{place}.path"
        path = reading.values.get(key)
        if path is None:
            continue
        first, other = seen.setdefault(path.lower(), (key, path))
        if first == key:
            continue
        if other == path:
            message, mend = f"{path} is a route already ({first})", "remove one of them"
        else:
            message, mend = f"differs from {first} in letter case only", "choose another path"
        yield Fault(key=key, message=message, mend=mend)


# Keys of a route that say how its upstream is spoken to; of files they would promise too much.
_OF_UPSTREAMS: Final = (
    "public_url", "strip", "auth", "provider", "anonymous", "resource", "audience", "scopes",
    "require", "methods", "navigation", "documents",
    "plaintext", "ca_file", "client_certificate", "client_key", "request_cookies",
    "response_cookies", "headers",
    "websocket", "websocket_message", "websocket_compression", "websocket_age", "websocket_expiry",
    "max_body", "connect_timeout", "answer_timeout", "idle_timeout", "connections",
)  # fmt: skip
# Keys of a route that are about its token: which `auth` they go with, the likeliest first.
_OF_TOKENS: Final[Mapping[str, tuple[str, ...]]] = {
    "provider": ("client",),
    "anonymous": ("client",),
    "resource": ("user", "optional", "client"),
    "audience": ("user", "optional", "client"),
}
# Keys of a route that say what its files carry; an upstream sends its own.
_OF_FILES: Final = ("content_security_policy", "security_headers", "immutable")


def _route(where: str, reading: Reading) -> Faults:
    values = {
        key.removeprefix(f"{where}."): value
        for key, value in reading.values.items()
        if key.startswith(f"{where}.")
    }
    if {"upstream", "static"} <= values.keys():
        yield from _target(where, values["upstream"], values["static"])
    if values.get("static") is not None:
        yield from _files(where, values, reading.written)
    elif values.get("upstream") is not None:
        yield from _upstream(where, values, reading)


def _target(where: str, upstream: str | None, static: Path | None) -> Faults:
    if (upstream is None) == (static is None):
        yield Fault(
            key=where, message="needs one of upstream and static", mend="name exactly one of them"
        )


def _files(where: str, values: Mapping[str, Any], written: set[str]) -> Faults:
    yield from check_folder(f"{where}.static", values["static"])
    for name in _OF_UPSTREAMS:
        open_to_all = name == "auth" and values.get(name) == "none"
        if f"{where}.{name}" in written and not open_to_all and values.get("upstream") is None:
            yield Fault(
                key=f"{where}.{name}",
                message="means nothing beside static: files are served to everybody",
                mend="remove it",
            )


def _rule(where: str, values: Mapping[str, Any]) -> Faults:
    auth = values.get("auth", "user")
    ours = auth == "client"  # then the scopes are those of our own token
    for name in ("scopes", "require"):
        has_session = auth == "user" or (ours and not values.get("anonymous"))
        if values.get(name) and not (has_session or (ours and name == "scopes")):
            yield Fault(
                key=f"{where}.{name}",
                message="is asked of a session, and this route is open without one",
                mend='remove it, or use auth = "user"',
            )
    if ours and any(claims_in_scope(scope) for scope in values.get("scopes", ())):
        yield Fault(
            key=f"{where}.scopes",
            message="names a claim, and a token of our own has no person",
            mend="write the scope as it is asked for",
        )
    for name, auths in _OF_TOKENS.items():
        if values.get(name) and auth not in auths:
            yield Fault(
                key=f"{where}.{name}",
                message=f'is about a token that a route with auth = "{auth}" does not get',
                mend=f'remove it, or use auth = "{auths[0]}"',
            )


def _upstream(where: str, values: Mapping[str, Any], reading: Reading) -> Faults:
    parts = urlsplit(values["upstream"])
    if parts.scheme == "http" and not is_loopback(parts.hostname) and not values.get("plaintext"):
        yield Fault(
            key=f"{where}.upstream",
            message="is plain http off loopback: tokens would travel in the clear",
            mend="use https, or say plaintext = true where something else protects that hop",
        )
    yield from _rule(where, values)
    for name in _OF_FILES:
        if f"{where}.{name}" in reading.written:
            yield Fault(
                key=f"{where}.{name}",
                message="means nothing beside upstream: the application sends its own",
                mend="remove it",
            )
    yield from _sockets(where, values)
    yield from check_ca_file(f"{where}.ca_file", values.get("ca_file"))
    if values.get("auth") != "none":
        yield from check_route(where, reading.values, values.get("client_certificate"))
    if {"client_certificate", "client_key"} <= values.keys():
        yield from check_client_pair(
            where, parts.scheme, values["client_certificate"], values["client_key"]
        )


def _sockets(where: str, values: Mapping[str, Any]) -> Faults:
    methods = values.get("methods")
    if values.get("websocket") and methods and "GET" not in methods:
        yield Fault(
            key=f"{where}.websocket",
            message=f"means nothing: it takes a GET, which {where}.methods does not list",
            mend='add "GET", or remove it',
        )
