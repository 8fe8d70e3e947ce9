"""Every link of the manual leads somewhere, and every page can be found from its entry."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ship.conftest import ROOT
from tests.ship.fenced import PAGES, prose

ENTRY = ROOT / "docs/README.md"


def anchors(page: Path) -> set[str]:
    """Of a page's headings, as they are linked to."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each).lower().replace(" ", "-") for each in headings}


def links(page: Path) -> Iterator[tuple[Path, str]]:
    """The files that a page leads to, with the anchors on them."""
    text = re.sub(r"`[^`]*`", lambda code: re.sub(r"[\[\]()]", "", code[0]), prose(page))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"https?://", link):
            place, _, anchor = link.partition("#")
            yield (page.parent / place).resolve() if place else page, anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), target
        assert target.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(target), f"{target}#{anchor}"


def test_a_page_of_the_manual_is_named_on_its_entry() -> None:
    named = {target for target, _ in links(ENTRY)}
    assert {page for page in PAGES if page.is_relative_to(ROOT / "docs")} - {ENTRY} <= named


def test_the_readme_leads_to_the_entry() -> None:
    assert ENTRY in {target for target, _ in links(ROOT / "README.md")}


def test_a_page_that_is_named_elsewhere_exists() -> None:
    """In the code, in what is shipped beside it, in the changelog."""
    places = [*(ROOT / "bff").rglob("*.py"), *(ROOT / "config").rglob("*"), *ROOT.glob("*.md")]
    files = [place for place in places if place.is_file()]
    named = {
        (str(file.relative_to(ROOT)), page)
        for file in files
        for page in re.findall(r"\bdocs/[\w/-]+\.md", file.read_text("utf-8"))
    }
    assert len(named) > 20
    assert sorted(each for each in named if not (ROOT / each[1]).exists()) == []
