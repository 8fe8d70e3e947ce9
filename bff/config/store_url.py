"""The URL of the store: which Redis, how many addresses it has, and as whom we come.

    redis://[user:password@]host[:port][/database]
    redis+sentinel://[user:password@]host[:port],…/master[/database]
    redis+cluster://[user:password@]host[:port],…

`rediss` in place of `redis` is TLS, to every server named. Options are refused: in other
libraries one of them turns verification off.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import unquote

from pydantic import SecretStr

from bff.config.faults import Fault

Address = tuple[str, int]

_PORTS: Final = {"redis": 6379, "redis+sentinel": 26379, "redis+cluster": 6379}
_HOST: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(\d{1,5}))?")
_MASTER: Final = re.compile(r"[A-Za-z0-9_.-]+")  # as sentinel.c has it


class StoreKind(StrEnum):
    """What stands at the addresses."""

    MEMORY = "memory"
    STANDALONE = "redis"
    SENTINEL = "redis+sentinel"
    CLUSTER = "redis+cluster"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreUrl:
    """A store, named."""

    kind: StoreKind
    addresses: tuple[Address, ...] = ()
    tls: bool = False
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    master: str = ""  # how the sentinels call it
    database: int = 0

    @property
    def replicas(self) -> int:
        """How many replicas a write is waited for, unless the configuration says."""
        return int(self.kind in (StoreKind.SENTINEL, StoreKind.CLUSTER))


def parse_store_url(text: str) -> StoreUrl:
    """The store that the URL names. Raises ValueError, without a word of the URL."""
    scheme, _, rest = text.partition(":")
    if scheme == "memory":
        return StoreUrl(kind=StoreKind.MEMORY)
    tls = scheme.startswith("rediss")
    kind = scheme.replace("rediss", "redis", 1) if tls else scheme
    if kind not in _PORTS or not rest.startswith("//") or not re.fullmatch(r"[!-~]+", text):
        raise ValueError
    if {"?", "#"} & set(rest):
        raise ValueError
    authority, _, path = rest.removeprefix("//").partition("/")
    userinfo, at, hosts = authority.rpartition("@")
    username, colon, password = userinfo.partition(":")
    if at and not (colon and password):
        raise ValueError  # a user without a password: nothing is sent, and nobody notices
    addresses = tuple(_address(host, _PORTS[kind]) for host in hosts.split(","))
    master, database = _path(StoreKind(kind), path)
    if kind == "redis" and len(addresses) > 1:
        raise ValueError
    return StoreUrl(
        kind=StoreKind(kind),
        addresses=addresses,
        tls=tls,
        username=unquote(username) or None,
        password=unquote(password) or None,
        master=master,
        database=database,
    )


def _address(text: str, default: int) -> Address:
    match = _HOST.fullmatch(text)
    port = int(match[2] or default) if match else 0
    if match is None or not 0 < port < 65536:
        raise ValueError
    return match[1].strip("[]"), port


def _path(kind: StoreKind, path: str) -> tuple[str, int]:
    """The sentinels' name of the master, and the database."""
    master = ""
    if kind is StoreKind.SENTINEL:
        master, _, path = path.partition("/")
        if not _MASTER.fullmatch(master):
            raise ValueError
    elif kind is StoreKind.CLUSTER and path:
        raise ValueError  # a cluster has one database
    if path and not (path.isascii() and path.isdigit() and len(path) < 5):
        raise ValueError
    return master, int(path or 0)


def store_faults(dev: bool, store: SecretStr) -> Iterator[Fault]:
    """What is wrong with the store's URL. It may hold a password, so it is not quoted."""
    text = store.get_secret_value()
    try:
        url = parse_store_url(text)
    except ValueError:
        shape = _SHAPES.get(text.partition(":")[0].replace("rediss", "redis", 1), _SHAPES["redis"])
        yield Fault(key="session.store", message="is no store", mend=f"write {shape}")
        return
    if url.kind is StoreKind.MEMORY and not dev:
        yield Fault(
            key="session.store",
            message="is memory: each worker would have its own, and sessions die with it",
            mend='use "redis://host:6379/0"; memory: is for `bff dev`',
        )


def sentinel_faults(store: SecretStr, sentinel_password: SecretStr | None) -> Iterator[Fault]:
    """A password for sentinels that nobody asks."""
    named = store.get_secret_value().partition(":")[0].endswith("+sentinel")
    if sentinel_password is not None and not named:
        yield Fault(
            key="session.sentinel_password",
            message="means nothing: session.store names no sentinels",
            mend="remove it, or name them in session.store",
        )


def trust_faults(store: SecretStr, ca_file: Path | None) -> Iterator[Fault]:
    """Certificates for servers that show none."""
    scheme = store.get_secret_value().partition(":")[0]
    if ca_file is not None and scheme in _PORTS:
        yield Fault(
            key="session.ca_file",
            message="means nothing: session.store speaks no TLS",
            mend="remove it, or write rediss in session.store",
        )


_SHAPES: Final = {
    "redis": '"redis://host:6379/0" or rediss://',
    "redis+sentinel": '"redis+sentinel://host:26379,host:26379/master/0" or rediss+sentinel://',
    "redis+cluster": '"redis+cluster://host:6379,host:6379" or rediss+cluster://',
}
