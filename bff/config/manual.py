"""What each key of the file means: the comments of full.toml, read beside the models.

full.toml is the one place where a key is described; config/bff.full.toml is a copy. Type,
default and bounds come from the models.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Final, get_args

from pydantic.fields import FieldInfo

from bff.config.model import File
from bff.config.route_section import Route
from bff.config.schema import SIZES, UNITS, schema, with_unit
from bff.config.section import Section

_KEY: Final = re.compile(r"#?([a-z_]+) = ")
_TABLE: Final = re.compile(r"\[+([a-z_]+)\]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One key as a person needs it; `default` and `bounds` as the file would write them."""

    key: str
    kind: str
    default: str
    bounds: str
    meaning: str
    table: str  # what the table is for


@cache
def manual() -> Mapping[str, Entry]:
    """Every key by its dotted name; the tables of `routes` are one."""
    comments = _comments((resources.files("bff.config") / "full.toml").read_text("utf-8"))
    properties = dict(_properties())
    return {
        key: Entry(
            key=key,
            kind=_kind(properties[key]),
            default=_default(about, properties[key]),
            bounds=_bounds(about, _kind(properties[key])),
            meaning=comments.get(key, ""),
            table=comments.get(key.rpartition(".")[0], ""),
        )
        for key, about in _fields(File)
    }


def _comments(text: str) -> dict[str, str]:
    """The comment right above each key and each table; of several the first counts."""
    found: dict[str, str] = {}
    table, lines = "", list[str]()
    for line in text.splitlines():
        if line.startswith("# "):
            lines.append(line[2:])
            continue
        if (named := _TABLE.match(line)) is not None:
            table = f"{named[1]}."
            found.setdefault(named[1], " ".join(lines))
        elif (key := _KEY.match(line)) is not None:
            found.setdefault(table + key[1], " ".join(lines).removeprefix("Example. "))
        lines = []
    return found


def _fields(section: type[Section], where: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, about in section.model_fields.items():
        kind = Route if name == "routes" else about.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _fields(kind, f"{where}{name}.")
        else:
            yield f"{where}{name}", about


def _properties() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every key as the schema has it."""
    document = schema()
    for name, about in document["properties"].items():
        table = about.get("$ref") or about.get("items", {}).get("$ref")
        if table is None:
            yield name, about
        else:
            inner = document["$defs"][table.rpartition("/")[2]]["properties"]
            yield from ((f"{name}.{key}", each) for key, each in inner.items())


def _kind(about: Mapping[str, Any]) -> str:
    if "$ref" in about:
        return "table"
    if "enum" in about:
        return " or ".join(about["enum"])
    if "oneOf" in about:
        plain = "text, or " if {"type": "string"} in about["oneOf"] else ""
        placed = "env" in str(about["oneOf"])
        return plain + ("{ env = … } or { file = … }" if placed else "table")
    pattern = str(about.get("pattern", ""))
    for sign, kind in (("ms", "duration"), ("KiB", "size")):
        if sign in pattern:
            return kind
    return _KINDS[str(about.get("type", ""))]


_KINDS: Final = {
    "": "text, or table",
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "array": "list",
    "object": "table",
}


def _default(about: FieldInfo, shown: Mapping[str, Any]) -> str:
    if about.is_required():
        return "none: must be set"
    if about.default is None:
        return "none"
    return toml(shown.get("default", about.default))


def toml(value: object) -> str:
    """The value as the file would write it."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f'"{value}"'
        case list() | tuple():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            inner = ", ".join(f"{key} = {toml(each)}" for key, each in value.items())
            return f"{{ {inner} }}" if inner else "{}"
        case _:
            return str(value)


_WORDS: Final = {"ge": "{} or more", "gt": "more than {}", "le": "{} at most", "lt": "less than {}"}


def _bounds(about: FieldInfo, kind: str) -> str:
    limits = [*_limits(about.metadata), *_limits(get_args(about.annotation))]
    return ", ".join(_WORDS[name].format(_measured(value, kind)) for name, value in limits)


def _limits(parts: object) -> Iterator[tuple[str, float]]:
    """Limits anywhere within an annotation, by pydantic's name for them."""
    for part in parts if isinstance(parts, list | tuple) else ():
        if isinstance(part, FieldInfo):
            yield from _limits(part.metadata)
        else:
            yield from ((name, getattr(part, name)) for name in _WORDS if hasattr(part, name))
            yield from _limits(get_args(part))


def _measured(value: float, kind: str) -> str:
    units = {"duration": UNITS, "size": SIZES}.get(kind)
    if units is None:
        return f"{value:g}"
    return with_unit(value, units) if value else "0"
