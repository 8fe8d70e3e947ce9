"""Where in the file a key stands. The TOML parser does not tell, so the lines are read again.

Only a help for the reader of a fault: a key that is not found is shown at the table around it.
"""

import re
from typing import Final

_TABLE: Final = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]")
_KEY: Final = re.compile(r"""\s*((?:[A-Za-z0-9_.-]|"[^"]*"|'[^']*')+)\s*=""")


def places(text: str) -> dict[str, int]:
    """The line of each key, by its dotted name with places in lists as numbers from 0."""
    found: dict[str, int] = {}
    counts: dict[str, int] = {}
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        if head := _TABLE.match(line):
            table = _numbered(_bare(head[2]), head[1] == "[[", counts)
            _note(table, number, found)
        elif key := _KEY.match(line):
            _note(f"{table}.{_bare(key[1])}".lstrip("."), number, found)
    return found


def _note(name: str, number: int, found: dict[str, int]) -> None:
    """The first line that names a key is its place, and that of the tables around it."""
    while name:
        found.setdefault(name, number)
        name = name.rpartition(".")[0]


def place(key: str, known: dict[str, int]) -> int:
    """The line of the key, or of the nearest table around it; 0 if there is none."""
    while key and key not in known:
        key = key.rpartition(".")[0]
    return known.get(key, 0)


def _numbered(table: str, is_entry: bool, counts: dict[str, int]) -> str:
    """The table's name with its place in the list: `[routes.headers]` is of the last route."""
    if is_entry:
        counts[table] = counts.get(table, -1) + 1
        return f"{table}.{counts[table]}"
    for name, count in counts.items():
        if table.startswith(f"{name}."):
            return f"{name}.{count}{table[len(name) :]}"
    return table


def _bare(name: str) -> str:
    return re.sub(r"""["']|\s""", "", name)
