"""example-spa is checked by the TypeScript compiler, although no build step needs it."""

import gzip
import re

import pytest

from bff.problem import Reason
from tests.spa.folder import SPA, minified, node_program, run

PAGES = ("index.html", "signed-in.html")


def test_the_types_in_its_comments_hold() -> None:
    run(node_program("tsc"), "--project", str(SPA), "--pretty", "false")


def test_its_library_knows_every_reason() -> None:
    library = (SPA / "bff-client/wire.js").read_text()
    listed = re.search(r"@typedef \{([^}]*)\} Refusal\b", library)
    assert listed
    assert set(re.findall(r"'(\w+)'", listed[1])) == {reason.value for reason in Reason}


@pytest.mark.parametrize("page", PAGES)
def test_nothing_in_it_comes_from_elsewhere(page: str) -> None:
    text = (SPA / page).read_text()
    assert not re.findall(r'(?:src|href)="(?:\w+:)?//', text)
    assert not re.findall(r"<script(?![^>]* src=)|<style|\son\w+=|\sstyle=", text), "inline"


@pytest.mark.parametrize("page", PAGES)
def test_what_its_pages_name_is_there(page: str) -> None:
    named = re.findall(r'(?:src|href)="/([\w./-]+)"', (SPA / page).read_text())
    assert named
    assert [name for name in named if not (SPA / name).is_file()] == []


@pytest.mark.parametrize(
    ("entry", "most"),
    [
        pytest.param("bff-client.js", 4_000, id="the library that others copy"),
        pytest.param("app.js", 16_000, id="the whole app"),
    ],
)
def test_its_scripts_are_small(entry: str, most: int, capsys: pytest.CaptureFixture[str]) -> None:
    script = minified(SPA / entry)
    packed = len(gzip.compress(script, mtime=0))
    with capsys.disabled():
        figure = f"{entry}: {len(script)} octets minified, {packed} gzipped"
        print(f"\n{figure}")  # noqa: T201 -- a figure for whoever runs this
    assert packed < most
