"""Every key of the file: from the models, and the comments of full.toml."""

from typing import Final

from bff.config.manual import Entry, manual
from bff.reference.markdown import code, plain, table

_HEAD: Final = ("key", "type", "default", "bounds", "what for")
_TITLES: Final = {"": "The file itself", "routes": "[[routes]]"}


def configuration() -> str:
    """A table for each table of the file."""
    tables: dict[str, list[Entry]] = {}
    for key, entry in manual().items():
        tables.setdefault(key.rpartition(".")[0], []).append(entry)
    return "\n\n".join(_table(name, entries) for name, entries in tables.items())


def _table(name: str, entries: list[Entry]) -> str:
    parts = [f"## {_TITLES.get(name, f'[{name}]')}", plain(entries[0].table)]
    return "\n\n".join([part for part in parts if part] + [table(_HEAD, map(_row, entries))])


def _row(entry: Entry) -> tuple[str, ...]:
    default = entry.default if entry.default.startswith("none") else code(entry.default)
    name = entry.key.rpartition(".")[2]
    return (code(name), entry.kind, default, entry.bounds, plain(entry.meaning))
