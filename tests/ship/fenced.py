"""The pages of the manual, and every fenced block on them: what the tests of the manual walk."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
from typing_extensions import override

from tests.ship.conftest import ROOT

PAGES: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FENCE: Final = re.compile(r"^```(.*)\n((?:(?!```).*\n)*)```$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """One block, where it stands, and what its fence calls it."""

    page: str  # from the root of the repository
    line: int  # of the fence
    language: str
    text: str

    @override
    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def on(page: Path) -> list[Block]:
    """The blocks of a page."""
    text = page.read_text("utf-8")
    return [
        Block(
            page=str(page.relative_to(ROOT)),
            line=text.count("\n", 0, found.start()) + 1,
            language=found[1],
            text=found[2],
        )
        for found in _FENCE.finditer(text)
    ]


BLOCKS: Final = [block for page in PAGES for block in on(page)]


def prose(page: Path) -> str:
    """A page without its blocks."""
    return _FENCE.sub("", page.read_text("utf-8"))


def every(*languages: str) -> pytest.MarkDecorator:
    """A test for each block in one of these languages."""
    wanted = [block for block in BLOCKS if block.language in languages]
    return pytest.mark.parametrize("block", wanted, ids=str)
