"""Reads the file: all its faults at once, or one frozen Config.

Each section is read by itself, so that a fault in one does not hide those of another.
"""

import difflib
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import SecretStr, TypeAdapter, ValidationError

from bff.config.checks import CHECKS, Fault
from bff.config.model import File, Logout, Operate, Provider, Refresh, Route, Server, SessionSection
from bff.config.values import Origin
from bff.keys import Key, Keyring, parse_key


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


class ConfigFaults(Exception):
    """The file cannot be used; `faults` says all that is wrong with it."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        super().__init__("; ".join(each.text() for each in faults))
        self.faults = faults


_MENDS: Final = {
    "missing": "add it",
    "extra_forbidden": "remove it, or correct its spelling",
    "bool_type": "write true or false",
    "tuple_type": "write a list in [ ]",
    "too_short": "add at least one",
}


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
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        broken = Fault(
            key="the file",
            message="is no TOML",
            mend="correct that line",
            line=int(line[1]) if line else 0,
        )
        raise ConfigFaults((broken,)) from None
    sections, faults = _sections(document, dev)
    for needed, check in CHECKS:
        if needed <= sections.keys():
            faults += check(sections, dev)
    if faults:
        places = _places(text)
        raise ConfigFaults(tuple(_placed(each, places) for each in faults))
    return _config(sections, dev)


def _sections(document: dict[str, Any], dev: bool) -> tuple[dict[str, Any], list[Fault]]:
    sections: dict[str, Any] = {}
    faults: list[Fault] = []
    for name in document.keys() - File.model_fields.keys():
        faults.append(_unknown(name))
    for name, about in File.model_fields.items():
        if name not in document:
            if about.is_required():
                faults.append(Fault(key=name, message="is missing", mend="add it"))
            else:
                sections[name] = about.default
            continue
        kind: Any = about.annotation
        for constraint in about.metadata:
            kind = Annotated[kind, constraint]
        try:
            sections[name] = TypeAdapter(kind).validate_python(document[name], context={"dev": dev})
        except ValidationError as error:
            faults += [_field_fault(name, each) for each in error.errors(include_url=False)]
    return sections, faults


def _unknown(name: str) -> Fault:
    if name == "frontends":
        return Fault(
            key=name, message="is not supported yet", mend="put its keys at the top of the file"
        )
    near = difflib.get_close_matches(name, File.model_fields, n=1)
    mend = f'did you mean "{near[0]}"?' if near else "remove it"
    return Fault(key=name, message="is an unknown key", mend=mend)


def _field_fault(section: str, error: Any) -> Fault:
    """One fault from one of pydantic's; the value itself is never quoted."""
    parts = [str(part) for part in error["loc"] if not _is_branch(part)]
    key = ".".join((section, *parts))
    if error["type"] == "extra_forbidden":
        return Fault(key=key, message="is an unknown key", mend=_MENDS["extra_forbidden"])
    if error["type"] == "bff":
        return Fault(key=key, message=error["ctx"]["message"], mend=error["ctx"]["mend"])
    if error["type"] == "missing":
        return Fault(key=key, message="is missing", mend=_MENDS["missing"])
    if error["type"] == "literal_error":
        return Fault(key=key, message="is not a choice", mend=f"write {error['ctx']['expected']}")
    message = error["msg"][0].lower() + error["msg"][1:]
    return Fault(
        key=key,
        message=f"is not right: {message}",
        mend=_MENDS.get(error["type"], "correct the value"),
    )


def _is_branch(part: object) -> bool:
    """Pydantic names branches of unions in a location; the file has no such key."""
    return isinstance(part, str) and ("[" in part or "(" in part)


_TABLE: Final = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?")
_KEY: Final = re.compile(r"^\s*([A-Za-z0-9_.-]+)\s*=")


def _places(text: str) -> dict[str, int]:
    """The line of each key of the file, by its dotted name with list places as numbers."""
    places: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if head := _TABLE.match(line):
            table = head[2]
            if head[1] == "[[":
                place = counts[table] = counts.get(table, -1) + 1
                table = f"{table}.{place}"
            places.setdefault(table, number)
        elif key := _KEY.match(line):
            places.setdefault(f"{table}.{key[1]}".lstrip("."), number)
    return places


def _placed(fault: Fault, places: dict[str, int]) -> Fault:
    """The fault with the line of its key, or of the nearest table around it."""
    name = fault.key
    while name and name not in places:
        name = name.rpartition(".")[0]
    return Fault(key=fault.key, message=fault.message, mend=fault.mend, line=places.get(name, 0))


def _config(sections: dict[str, Any], dev: bool) -> Config:
    keys = sections["keys"]
    ring = Keyring(
        current=_key(keys.current),
        accepted=tuple(_key(secret) for secret in keys.accepted),
        retired=frozenset(keys.retired),
    )
    frontend = FrontEnd(
        name="default",
        origin=sections["origin"],
        provider=sections["provider"],
        session=sections["session"],
        refresh=sections["refresh"],
        logout=sections["logout"],
        routes=sections["routes"],
    )
    return Config(
        frontends=(frontend,),
        keyring=ring,
        server=sections["server"],
        operate=sections["operate"],
        dev=dev,
    )


def _key(secret: SecretStr) -> Key:
    return parse_key(secret.get_secret_value())
