"""No snippet escapes: every block is fenced, and in a language that has a test."""

import re
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests.ship.fenced import BLOCKS, PAGES, Block, every, prose

HERE: Final = Path(__file__).parent
# What a block is called, and where it is tested.
LANGUAGES: Final = {
    "toml": "test_docs_toml.py",
    "sh": "test_docs_shell.py",
    "console": "test_docs_console.py",
    "http": "test_docs_http.py",
    "json": "test_docs_http.py",
    "js": "test_docs_js.py",
    "html": "test_docs_js.py",
    "nginx": "test_docs_nginx.py",
    "redis": "test_docs_redis.py",
    "text": "test_docs_blocks.py",  # a picture
}
# What a line begins with that somebody is meant to type, or that a machine is meant to read.
_COMMANDS: Final = re.compile(
    r"^\s*(\$ |(bff|make|curl|docker|kubectl|systemctl|pip|npm|openssl|redis-cli|sudo) |<\w|\[\w)"
)


def test_every_language_has_a_test_and_every_test_a_block() -> None:
    assert Counter(block.language for block in BLOCKS).keys() == LANGUAGES.keys()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_test_of_a_language_takes_every_block_of_it(language: str) -> None:
    asked = re.findall(r"@every\((.*?)\)", (HERE / LANGUAGES[language]).read_text())
    assert any(f'"{language}"' in each for each in asked)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_page_has_no_other_kind_of_block(page: Path) -> None:
    """No tildes, no fence that is never closed, no block that is one by being indented."""
    rest = prose(page)
    assert "```" not in rest
    assert "~~~" not in rest
    assert not re.search(r"(?:\A|\n)[ \t]*\n(?: {4}|\t)(?! *[-*\d])", rest)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_row_of_a_table_has_as_many_cells_as_its_head(page: Path) -> None:
    for table in re.findall(r"(?:^\|.*\n)+", prose(page), re.MULTILINE):
        cells = [len(re.findall(r"(?<!\\)\|", row)) for row in table.splitlines()]
        assert set(cells) == {cells[0]}, table


@every("text")
def test_a_picture_is_nothing_to_type(block: Block) -> None:
    assert [line for line in block.text.splitlines() if _COMMANDS.match(line)] == []
