"""Files and folders that the configuration names: whether they are there, for this user.

Under `checks`.
"""

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from bff.config.faults import Fault


def check_file(key: str, path: Path) -> Iterator[Fault]:
    """The faults of a file that is to be read."""
    yield from _check(key, path, stat.S_ISREG, "file", os.R_OK)


def check_folder(key: str, path: Path) -> Iterator[Fault]:
    """The faults of a folder whose files are to be read."""
    yield from _check(key, path, stat.S_ISDIR, "directory", os.X_OK)


def _check(
    key: str, path: Path, is_kind: Callable[[int], bool], kind: str, right: int
) -> Iterator[Fault]:
    try:
        there, open_to_us = is_kind(path.stat().st_mode), os.access(path, right)
    except PermissionError:  # a folder on the way there is closed to this user
        there, open_to_us = True, False
    except (OSError, ValueError):  # too long for a name, or no name at all
        there = open_to_us = False
    if not there:
        yield Fault(key=key, message=f"is no {kind}", mend="create it, or name another")
    elif not open_to_us:
        yield Fault(
            key=key, message="cannot be read by this user", mend="give it the right to read it"
        )
