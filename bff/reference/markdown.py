"""Markdown, as far as these parts need it."""

from collections.abc import Iterable, Sequence
from typing import Final

_SIGNS: Final = str.maketrans({sign: f"\\{sign}" for sign in "\\*[]<"})


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table. Cells are Markdown on one line."""
    return "\n".join([_row(head), _row(["---"] * len(head)), *map(_row, rows)])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(each.replace("|", "\\|") for each in cells) + " |"


def plain(text: str) -> str:
    """Text as it stands: none of it is markup, but for `code`."""
    parts = text.split("`")
    parts[::2] = [part.translate(_SIGNS) for part in parts[::2]]
    return "`".join(parts)


def code(text: str) -> str:
    """Text as code; nothing for no text."""
    return f"`{text}`" if text else ""
