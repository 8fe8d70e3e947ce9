"""`provider.preset`: what a known provider needs where the file is silent.

Before `profile`, whose checks judge the whole. Each preset is one file in presets/, and each key in
it has its reason and its source in the comment above.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final, get_args

from bff.config.provider_section import Preset

PRESETS: Final[tuple[str, ...]] = get_args(Preset)
_SOURCE: Final = "Source: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """What a provider does in its own way; `line`: what settles it, empty where no key does."""

    line: str
    why: str
    sources: tuple[str, ...]


@cache
def text(name: str) -> str:
    """The file of a preset."""
    return (resources.files("bff.config") / "presets" / f"{name}.toml").read_text("utf-8")


@cache
def keys(name: str) -> Mapping[str, Any]:
    """What the preset says of [provider]; nothing, where the name is none."""
    return MappingProxyType(tomllib.loads(text(name)) if name in PRESETS else {})


def title(name: str) -> str:
    """What the provider is called."""
    return text(name).partition("\n")[0].removeprefix("# ").partition(".")[0]


def departures(name: str) -> tuple[Departure, ...]:
    """What its file tells, paragraph by paragraph."""
    _, *paragraphs = text(name).strip().split("\n\n")
    return tuple(_departure(paragraph.splitlines()) for paragraph in paragraphs)


def _departure(lines: list[str]) -> Departure:
    told = [line.removeprefix("# ") for line in lines if line.startswith("#")]
    return Departure(
        line="\n".join(line for line in lines if not line.startswith("#")),
        why=" ".join(line for line in told if not line.startswith(_SOURCE)),
        sources=tuple(line.removeprefix(_SOURCE) for line in told if line.startswith(_SOURCE)),
    )


def set_by_preset(written: object) -> Mapping[str, Any]:
    """What its preset adds to the table [provider]: the keys that do not stand in it."""
    name = written.get("preset") if isinstance(written, Mapping) else None
    if not isinstance(written, Mapping) or not isinstance(name, str):
        return {}
    return {key: value for key, value in keys(name).items() if key not in written}
