"""What a test asks of a browser, whichever engine it has.

Scripts run in the page as the body of an async function; what they return travels as JSON.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

PATIENCE = 30.0  # seconds until something that must come is given up


@dataclass(frozen=True)
class Kept:
    """A cookie as the engine keeps it."""

    name: str
    value: str
    path: str
    secure: bool
    http_only: bool
    same_site: str  # in lower case
    session: bool  # no end of its own


class Engine(Protocol):
    """One window of a browser that nobody has used before."""

    def go(self, url: str) -> None:
        """As typed into the address bar."""
        ...

    def back(self) -> None:
        """As by the button."""
        ...

    def cookies(self) -> list[Kept]:
        """Those that the page's site would get."""
        ...

    def evaluate(self, function: str) -> str:
        """What an async function without arguments returns, which must be a text."""
        ...


def run(engine: Engine, script: str) -> Any:
    """What the body of an async function returns in the page."""
    wrapped = f"async () => JSON.stringify((await (async () => {{ {script} }})()) ?? null)"
    return json.loads(engine.evaluate(wrapped))


def until(engine: Engine, script: str, wanted: Callable[[Any], bool] = bool) -> Any:
    """The same again and again, until it is as wanted; also while the page is another already."""
    end, last = time.monotonic() + PATIENCE, "nothing yet"
    while time.monotonic() < end:
        try:
            found = run(engine, script)
        except Exception as error:  # noqa: BLE001 - the page went away under the question
            last = type(error).__name__
        else:
            if wanted(found):
                return found
            last = repr(found)
        time.sleep(0.1)
    raise AssertionError(f"never as wanted; at last {last}")


def arrive(engine: Engine, url: str) -> None:
    """Wait until the page of that address, whatever its query, is there whole."""
    script = (
        "const at = location.origin + location.pathname;"
        "return document.readyState === 'complete' ? at : ''"
    )
    until(engine, script, lambda at: at == url)
