"""example-spa is checked by the TypeScript compiler, although no build step needs it."""

import gzip
import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from bff.problem import Reason

HERE: Final = Path(__file__).parent
SPA: Final = HERE.parents[1] / "example-spa"


def node_program(name: str) -> str:
    program = HERE / "node_modules/.bin" / name
    assert program.exists(), f"{name} is missing: run `make npm`, or `make test` for everything"
    return str(program)


def test_the_types_in_its_comments_hold() -> None:
    tsc = [node_program("tsc"), "--project", str(SPA), "--pretty", "false"]
    checked = subprocess.run(tsc, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_its_library_knows_every_reason() -> None:
    library = (SPA / "bff-client.js").read_text()
    listed = re.search(r"REASONS = .*?\(\[(.*?)\]\)", library, re.DOTALL)
    assert listed
    assert set(re.findall(r"'(\w+)'", listed[1])) == {reason.value for reason in Reason}


def test_nothing_in_it_comes_from_elsewhere() -> None:
    page = (SPA / "index.html").read_text()
    assert not re.findall(r'(?:src|href)="(?:\w+:)?//', page)
    assert not re.findall(r"<script(?![^>]* src=)|\son\w+=|\sstyle=", page), "inline code or style"


@pytest.mark.parametrize(
    ("entry", "bundled"),
    [
        pytest.param("bff-client.js", False, id="the library that others copy"),
        pytest.param("app.js", True, id="the whole app"),
    ],
)
def test_its_scripts_can_be_minified(
    entry: str, bundled: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    esbuild = [node_program("esbuild"), str(SPA / entry), "--minify", "--format=esm"]
    if bundled:
        esbuild.append("--bundle")
    minified = subprocess.run(esbuild, capture_output=True, check=True).stdout
    packed = len(gzip.compress(minified, mtime=0))
    with capsys.disabled():
        figure = f"{entry}: {len(minified)} octets minified, {packed} gzipped"
        print(f"\n{figure}")  # noqa: T201 -- a figure for whoever runs this
    assert packed < 12_000
