"""Reads the file: all its faults at once, or one frozen Config."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from bff.config.checks import check
from bff.config.faults import ConfigFaults, Fault
from bff.config.frontends import Part, apart, parts
from bff.config.model import (
    File,
    Limits,
    Logout,
    Operate,
    Refresh,
    Server,
    SessionSection,
)
from bff.config.places import place, places
from bff.config.preset import set_by_preset
from bff.config.profile import completed
from bff.config.provider_section import Provider
from bff.config.reading import read
from bff.config.route_section import Route
from bff.config.values import Origin
from bff.keys import Key, Keyring, parse_key

# Where a provider is, how it is trusted, and what it knows of us.
_OF_ONE: Final = frozenset(
    {
        "issuer", "client_id", "client_secret", "client_authentication", "client_keys",
        "client_assertion_audience", "client_certificate", "client_key", "ca_file", "algorithms",
        "resource", "dpop", "profile", "preset", "userinfo_signed",
    }
)  # fmt: skip

__all__ = ["Config", "ConfigFaults", "Fault", "FrontEnd", "load", "parse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEnd:
    """One application: its origin, its provider, its sessions and its routes."""

    name: str
    origin: Origin
    providers: Mapping[str, Provider]  # by name; the one of [provider] has none
    session: SessionSection
    refresh: Refresh
    logout: Logout
    routes: tuple[Route, ...]

    parts: tuple[Part, ...] = field(repr=False)  # how the file names its keys

    @property
    def default_provider(self) -> str | None:
        """Where a login goes that names none: the only one or the default; None: it must choose."""
        names = [name for name, each in self.providers.items() if each.default]
        return (names or list(self.providers))[0] if names or len(self.providers) == 1 else None

    @property
    def provider(self) -> Provider:
        """The only one, the default, or the first."""
        return self.providers[self.default_provider or next(iter(self.providers))]

    def place(self, key: str, provider: str = "") -> str:
        """One of its keys as the file has it; those of [provider] differ by the provider."""
        part = next((each for each in self.parts if each.provider == provider), self.parts[0])
        return part.place(key)

    @property
    def secure(self) -> bool:
        """Whether the public origin is https; otherwise it is loopback."""
        return self.origin.startswith("https:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole of a valid file. There is always a list of front ends, and no two on one host."""

    frontends: tuple[FrontEnd, ...]
    keyring: Keyring
    limits: Limits
    server: Server
    operate: Operate
    dev: bool


def load(path: Path, *, dev: bool = False, provider: Mapping[str, object] | None = None) -> Config:
    """The configuration in the file. Raises ConfigFaults with every fault in it.

    `provider`: stands in for the file's; what the file's says of what to ask for stays.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        whole = Fault(key=str(path), message="cannot be read", mend="name a readable UTF-8 file")
        raise ConfigFaults((whole,)) from None
    return parse(text, dev=dev, provider=provider)


def parse(text: str, *, dev: bool = False, provider: Mapping[str, object] | None = None) -> Config:
    """The configuration in the text of a file. Raises ConfigFaults with every fault in it."""
    found, faults = parts(_document(text))
    if provider is not None:
        first = [part for part in found if part.provider in ("", *part.providers[:1])]
        found = [_stood_in(part, provider) for part in first]
    found = [_completed(part) for part in found]
    read_parts: list[tuple[Part, Mapping[str, Any]]] = []
    for part in found:
        reading = read(part.document, dev=dev)
        faults += [part.named(fault) for fault in (*reading.faults, *check(reading))]
        read_parts.append((part, reading.values))
    faults += apart(read_parts)
    if faults:
        known = places(text)
        placed = {replace(each, line=place(each.key, known)): None for each in faults}
        raise ConfigFaults(tuple(sorted(placed, key=lambda each: each.line or len(text))))
    return _config([(part, _file(part, dev)) for part in found], dev)


def _file(part: Part, dev: bool) -> File:
    return File.model_validate(part.document, context={"dev": dev})


def _completed(part: Part) -> Part:
    """The part with what its provider's preset and profile set, where the file does not say."""
    if "provider" not in part.document:
        return part
    written = part.document["provider"]
    added = set_by_preset(written)
    provider = completed({**added, **written} if added else written)
    return replace(part, document={**part.document, "provider": provider}, preset=added)


def _stood_in(part: Part, provider: Mapping[str, object]) -> Part:
    """The part with another provider in its place; what is no table is left to be refused."""
    written = part.document.get("provider")
    if not isinstance(written, Mapping | None):
        return part
    kept = {name: value for name, value in (written or {}).items() if name not in _OF_ONE}
    document = {**part.document, "provider": kept | dict(provider)}
    routes = document.get("routes")
    if isinstance(routes, list):  # none of those that they name is there
        document["routes"] = [
            {key: value for key, value in each.items() if key != "provider"}
            if isinstance(each, Mapping)
            else each
            for each in routes
        ]
    return replace(part, document=document, provider="", providers=())


def _document(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        broken = Fault(
            key="the file",
            message="is no TOML",
            mend="correct that line",
            line=int(line[1]) if line else len(text.splitlines()),
        )
        raise ConfigFaults((broken,)) from None


def _config(files: "Files", dev: bool) -> Config:
    file = files[0][1]  # what is of the whole process is the same in all
    ring = Keyring(
        current=_key(file.keys.current),
        accepted=tuple(_key(secret) for secret in file.keys.accepted),
        retired=frozenset(file.keys.retired),
    )
    return Config(
        frontends=tuple(_frontend(group) for group in _grouped(files)),
        keyring=ring,
        limits=file.limits,
        server=file.server,
        operate=file.operate,
        dev=dev,
    )


Files = Sequence[tuple[Part, File]]


def _grouped(files: Files) -> list[Files]:
    """Those of each front end."""
    names = dict.fromkeys(part.name for part, _ in files)
    return [[each for each in files if each[0].name == name] for name in names]


def _frontend(group: Files) -> FrontEnd:
    part, file = group[0]
    return FrontEnd(
        name=part.name,
        parts=tuple(replace(each, document={}) for each, _ in group),  # it names secrets in dev
        origin=file.origin,
        providers={each.provider: its.provider for each, its in group},
        session=file.session,
        refresh=file.refresh,
        logout=file.logout,
        routes=file.routes,
    )


def _key(secret: SecretStr) -> Key:
    return parse_key(secret.get_secret_value())
