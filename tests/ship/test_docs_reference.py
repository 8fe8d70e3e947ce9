"""What docs/reference says of the code is what the code says now."""

import re
from pathlib import Path

import pytest

from bff.app import ENDPOINTS
from bff.browser import login
from bff.reference import PARTS, named, renewed
from bff.reference.endpoints import ACCOUNTS
from tests.ship.conftest import ROOT

FOLDER = ROOT / "docs/reference"
PAGES = sorted(FOLDER.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.name))
def test_a_page_is_fresh(page: Path) -> None:
    """If not: `make reference`."""
    text = page.read_text("utf-8")
    assert renewed(text) == text


def test_every_part_is_on_one_page() -> None:
    found = [name for page in PAGES for name in named(page.read_text("utf-8"))]
    assert sorted(found) == sorted(PARTS)


def test_a_part_that_nobody_makes_is_refused() -> None:
    with pytest.raises(KeyError):
        renewed("<!-- made: nothing -->\n<!-- end -->")


def test_no_endpoint_has_an_account_that_is_not_served() -> None:
    assert ACCOUNTS.keys() == {
        (method, path.decode()) for path, methods in ENDPOINTS.items() for method in methods
    }


def test_the_parameters_of_a_login_are_those_that_are_read() -> None:
    page = (FOLDER / "endpoints.md").read_text("utf-8")
    table = page.partition("## Parameters of a login\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == login._READ
