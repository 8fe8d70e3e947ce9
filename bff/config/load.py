"""Reads the file: all its faults at once, or one frozen Config."""

import re
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bff.config.checks import check
from bff.config.faults import ConfigFaults, Fault
from bff.config.model import File, Logout, Operate, Provider, Refresh, Route, Server, SessionSection
from bff.config.places import place, places
from bff.config.reading import read
from bff.config.values import Origin
from bff.keys import Key, Keyring, parse_key

__all__ = ["Config", "ConfigFaults", "Fault", "FrontEnd", "load", "parse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEnd:
    """One application: its origin, its provider, its sessions and its routes."""

    name: str
    origin: Origin
    provider: Provider
    session: SessionSection
    refresh: Refresh
    logout: Logout
    routes: tuple[Route, ...]

    @property
    def secure(self) -> bool:
        """Whether the public origin is https; otherwise it is loopback."""
        return self.origin.startswith("https:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole of a valid file. There is always a list of front ends; today it holds one."""

    frontends: tuple[FrontEnd, ...]
    keyring: Keyring
    server: Server
    operate: Operate
    dev: bool


def load(path: Path, *, dev: bool = False) -> Config:
    """The configuration in the file. Raises ConfigFaults with every fault in it."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        whole = Fault(key=str(path), message="cannot be read", mend="name a readable UTF-8 file")
        raise ConfigFaults((whole,)) from None
    return parse(text, dev=dev)


def parse(text: str, *, dev: bool = False) -> Config:
    """The configuration in the text of a file. Raises ConfigFaults with every fault in it."""
    document = _document(text)
    reading = read(document, dev=dev)
    faults = [*reading.faults, *check(reading)]
    if faults:
        known = places(text)
        placed = (replace(each, line=place(each.key, known)) for each in faults)
        raise ConfigFaults(tuple(sorted(placed, key=lambda each: each.line or len(text))))
    return _config(File.model_validate(document, context={"dev": dev}), dev)


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


def _config(file: File, dev: bool) -> Config:
    ring = Keyring(
        current=_key(file.keys.current),
        accepted=tuple(_key(secret) for secret in file.keys.accepted),
        retired=frozenset(file.keys.retired),
    )
    frontend = FrontEnd(
        name="default",
        origin=file.origin,
        provider=file.provider,
        session=file.session,
        refresh=file.refresh,
        logout=file.logout,
        routes=file.routes,
    )
    return Config(
        frontends=(frontend,), keyring=ring, server=file.server, operate=file.operate, dev=dev
    )


def _key(secret: SecretStr) -> Key:
    return parse_key(secret.get_secret_value())
