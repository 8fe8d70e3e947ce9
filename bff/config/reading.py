"""A parsed document, key by key: every value that is right, and a fault for each that is not.

One value is read at a time, so that no fault hides another; what several values must keep
together is judged afterwards, on those that could be read (`checks`).
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from bff.config.faults import Fault
from bff.config.model import File
from bff.config.route_section import Route
from bff.config.section import Section


@dataclass(slots=True)
class Reading:
    """`values`: by dotted key, defaults too; `written`: the keys that stand in the file."""

    values: dict[str, Any] = field(default_factory=dict, repr=False)
    written: set[str] = field(default_factory=set)
    routes: int = 0
    faults: list[Fault] = field(default_factory=list)

    def add(self, key: str, message: str, mend: str) -> None:
        """One more fault."""
        self.faults.append(Fault(key=key, message=message, mend=mend))


_TABLES: Final = {
    "provider": "add [provider]",
    "session": "add [session]",
    "keys": "add [keys]",
    "routes": "add [[routes]]",
}


def read(document: Mapping[str, Any], *, dev: bool) -> Reading:
    """Everything in the document that can be read, and all that cannot."""
    reading = Reading(values={"dev": dev})
    _table(File, document, "", reading)
    return reading


def _table(section: type[Section], table: object, where: str, reading: Reading) -> None:
    if not isinstance(table, Mapping):
        reading.add(where, "is no table", f"write [{where}] and its keys below")
        return
    for name in sorted(table.keys() - section.model_fields.keys()):
        key = f"{where}.{name}".lstrip(".")
        reading.add(key, *_unknown(name, section))
    for name, about in section.model_fields.items():
        key = f"{where}.{name}".lstrip(".")
        if name in table:
            reading.written.add(key)
            _read(section, name, key, table[name], reading)
        elif about.is_required():
            reading.add(key, "is missing", _TABLES.get(key, "add it"))
        elif inner := _section(about):
            _table(inner, {}, key, reading)
        else:
            reading.values[key] = about.default


def _read(section: type[Section], name: str, key: str, raw: object, reading: Reading) -> None:
    inner = _section(section.model_fields[name])
    if inner is not None:
        _table(inner, raw, key, reading)
    elif section.model_fields[name].annotation == tuple[Route, ...]:
        _routes(raw, key, reading)
    else:
        _field(section, name, key, raw, reading)


def _section(about: FieldInfo) -> type[Section] | None:
    kind = about.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) else None


def _routes(raw: object, key: str, reading: Reading) -> None:
    if not isinstance(raw, Sequence) or isinstance(raw, str) or not raw:
        reading.add(key, "holds no route", "write [[routes]], once for each route")
        return
    reading.routes = len(raw)
    for place, each in enumerate(raw):
        _table(Route, each, f"{key}.{place}", reading)


def _field(section: type[Section], name: str, key: str, raw: object, reading: Reading) -> None:
    try:
        reading.values[key] = _adapter(section, name).validate_python(
            raw, context={"dev": reading.values["dev"]}
        )
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        inner = any(each["loc"] for each in errors)
        for each in errors:
            if inner and each["type"] == "too_short":
                continue  # pydantic counts only the entries that are right
            parts = [str(part) for part in each["loc"] if not _is_branch(part)]
            timed = isinstance(raw, str)
            reading.add(".".join((key, *parts)), *_wrong(each["type"], each, timed=timed))


@lru_cache(maxsize=512)
def _adapter(section: type[Section], name: str) -> TypeAdapter[Any]:
    about = section.model_fields[name]
    kind: Any = about.annotation
    for constraint in about.metadata:
        kind = Annotated[kind, constraint]
    return TypeAdapter(kind)


def _is_branch(part: object) -> bool:
    """Pydantic names branches of unions in a location; the file has no such key."""
    return isinstance(part, str) and ("[" in part or "(" in part)


def _unknown(name: str, section: type[Section]) -> tuple[str, str]:
    near = difflib.get_close_matches(name, section.model_fields, n=1)
    return "is an unknown key", f'did you mean "{near[0]}"?' if near else "remove it"


# What pydantic found → (what is wrong, the mend); braces take pydantic's own facts, never a value.
_WRONG: Final = {
    "bool_type": ("is neither true nor false", "write true or false"),
    "int_type": ("is no whole number", "write a number without quotes"),
    "float_type": ("is no number", "write a number without quotes"),
    "string_type": ("is no text", "write it in quotes"),
    "tuple_type": ("is no list", "write a list in [ ]"),
    "dict_type": ("is no table", "write a table in { }"),
    "path_type": ("is no path", "write it in quotes"),
    "too_short": ("is empty", "add at least {min_length}"),
    "too_long": ("holds too much", "write {max_length} at most"),
    "string_too_short": ("is empty", "write at least {min_length} character"),
    "string_pattern_mismatch": ("holds what it may not", "it must match {pattern}"),
    "literal_error": ("is not a choice", "write {expected}"),
    "greater_than": ("is too small", "write more than {gt}{unit}"),
    "greater_than_equal": ("is too small", "write {ge}{unit} or more"),
    "less_than_equal": ("is too large", "write {le}{unit} or less"),
    "missing": ("is missing", "add it"),
    "extra_forbidden": ("is an unknown key", "remove it"),
    "bff": ("{message}", "{mend}"),
}


def _wrong(kind: str, error: Mapping[str, Any], *, timed: bool) -> tuple[str, str]:
    message, mend = _WRONG.get(kind, ("is not right", "see config/bff.full.toml"))
    facts = {
        name: f"{fact:g}" if isinstance(fact, float) else fact
        for name, fact in error.get("ctx", {}).items()
    }
    facts["unit"] = "s" if timed else ""
    return message.format_map(facts), mend.format_map(facts)
