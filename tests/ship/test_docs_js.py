"""Every `js` block is JavaScript, and calls only what there is; an `html` block is a page of ours.

What it calls is exported by example-spa's client library, or by a module that it imports, or is the
browser's, or stands in the block itself. What a reader has to bring is named here.
"""

import json
import re
import subprocess
from collections.abc import Mapping
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

from typing_extensions import override

from bff.app import ENDPOINTS
from tests.ship.conftest import ROOT
from tests.ship.fenced import Block, every

HERE: Final = Path(__file__).parent
SPA: Final = ROOT / "example-spa"
BROWSERS: Final = frozenset(
    {"fetch", "WebSocket", "EventSource", "Response", "encodeURIComponent", "if", "catch", "for"}
)
READERS: Final = frozenset({"ask", "save", "show"})  # a function of the application's own
# By the last part of what an `import` names; the bindings need their frameworks to be loaded.
MODULES: Final = {"bff-client": "bff-client.js", "bff-client.js": "bff-client.js"}
BINDINGS: Final = {"react": "bindings/react.js", "vue": "bindings/vue.js"}
_IMPORT: Final = re.compile(r"^import \{ ([\w, ]+) \} from '([^']+)';", re.MULTILINE)


@cache
def exported(file: str) -> Mapping[str, list[str]]:
    """The names that a module of example-spa exports, each with its methods."""
    if file in BINDINGS.values():
        text = (SPA / file).read_text()
        return {name: [] for name in re.findall(r"^export (?:function|const) (\w+)", text, re.M)}
    command = ["node", str(HERE / "names.mjs"), (SPA / file).as_uri()]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


@every("js")
def test_it_is_javascript(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "block.mjs"
    file.write_text(block.text)
    done = subprocess.run(["node", "--check", file], capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr.decode()


@every("js")
def test_it_calls_what_there_is(block: Block) -> None:
    library = exported("bff-client.js")
    known = set(library) | BROWSERS | READERS
    for names, place in _IMPORT.findall(block.text):
        last = place.rpartition("/")[2]
        offered = exported((MODULES | BINDINGS)[last])
        assert set(names.split(", ")) <= offered.keys(), place
        known |= offered.keys()
    known |= set(re.findall(r"(?:const|let|function) (\w+)", block.text))
    code = re.sub(r"//.*|'[^'\n]*'", "", block.text)
    assert set(re.findall(r"(?<![\w.])(\w+)\(", code)) <= known
    for name, method in re.findall(r"(?<![\w.])(\w+)\.(\w+)\(", code):
        assert method in library.get(name, [method]), f"{name}.{method}"


class _Page(HTMLParser):
    """The forms and scripts of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[tuple[str, str]] = []
        self.inline: list[str] = []
        self._script = False

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append((found["method"].upper(), found["action"]))
        self._script = tag == "script"

    @override
    def handle_data(self, data: str) -> None:
        if self._script and data.strip():
            self.inline.append(data)


@every("html")
def test_it_is_a_page_that_runs_under_our_policy(block: Block) -> None:
    page = _Page()
    page.feed(block.text)
    assert page.inline == [], "the default policy runs no inline script"
    for method, action in page.forms:
        assert method in ENDPOINTS[action.encode()]
