"""A plugin of pytest for processes that share all tests: a file is run by who comes to it first.

`-p tests.sharing --shared FOLDER --each FILE`: the folder, empty at first, is where they note what
they have taken; that one file all of them run. Each goes through all there is, in its own order: so
what one has not taken another has, and if all of them end well nothing was left out.
"""

from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--shared", type=Path)
    parser.addoption("--each", type=Path)


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """As pytest's own, but for what others have taken."""
    option = session.config.option
    if option.shared is None or session.testsfailed or option.collectonly:
        return None  # pytest's own knows what that means
    mine = ours(session.items, option.shared, session.config.rootpath / option.each)
    # One ahead: what a test leaves standing for the next depends on which that is.
    for item, following in pairwise(chain(mine, [None])):
        assert item is not None
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        if session.shouldfail:
            raise session.Failed(session.shouldfail)
        if session.shouldstop:
            raise session.Interrupted(session.shouldstop)
    return True


def ours(items: list[pytest.Item], shared: Path, each: Path) -> Iterator[pytest.Item]:
    """The tests of files that nobody else has taken, taken when their turn has come."""
    known = {each: True}
    for item in items:
        if item.path not in known:
            known[item.path] = _take(shared / "-".join(item.path.parts[1:]))
        if known[item.path]:
            yield item


def _take(note: Path) -> bool:
    """Whether nobody had it."""
    try:
        note.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
