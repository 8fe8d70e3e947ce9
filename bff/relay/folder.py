"""A folder of files: which of them a path names, opened, with what tells its states apart.

Everything here may wait for a disk and is called in a thread. A name leads out of the folder
neither by its text nor by a link; links that stay inside are followed, for that is how a whole
release is put in place at once.
"""

import errno
import hashlib
import os
import stat
import threading
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bff.relay.coding import IDENTITY, SUFFIXES

HASHED_OCTETS: Final = 16 * 1024 * 1024  # a larger file is not read for its tag
_PIECE: Final = 1024 * 1024
_KNOWN: Final = 4096  # tags that are remembered
_SETTLED: Final = 2.0  # seconds; a file that changed just now may change again unseen
# Builds that can be repeated set the times of all files to one moment, and that says nothing.
_SET: Final = 315_619_200  # 1980-01-02, for archives begin to count the day before

# Nothing there, nothing that may be read, a name that no file can have, or a thing that is none.
_NO_FILE: Final = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EACCES,
        errno.EISDIR,
        errno.ENXIO,  # a socket, or a device that is not there
        errno.ENODEV,
    }
)

Identity = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenFile:
    """One regular file, open for reading, in the coding it has."""

    descriptor: int
    about: os.stat_result
    coding: str

    def read(self, first: int, count: int) -> bytes:
        """At most so many octets from there on."""
        return os.pread(self.descriptor, count, first)

    def modified(self, now: float) -> int | None:
        """When it was changed, never in the future (RFC 9110 §8.8.2.1); None: nobody knows."""
        found = int(min(self.about.st_mtime, now))
        return found if found > _SET else None


class Folder:
    """A folder that is served, and the tags of the files in it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._tags: dict[Identity, bytes] = {}
        self._lock = threading.Lock()

    def open(self, path: str, codings: Sequence[str], opened: ExitStack) -> OpenFile | None:
        """The file at that relative path, in the first of the codings that is there.

        In none of them: as it is. `opened` closes it. None: there is no such file.
        """
        root = os.path.realpath(self._root)
        plain = _open(root, path, opened)
        if plain is None:
            return None
        for coding in codings:
            if coding == IDENTITY:
                break
            found = _open(root, path + SUFFIXES[coding], opened, coding)
            if found is not None:
                return found
        return plain

    def tag(self, file: OpenFile, now: float, mark: bytes) -> bytes:
        """The entity tag of the file as it is now.

        Of what it holds, so that all nodes agree and no build with set times deceives anybody; of
        a large file its time and length, which is a weak one (RFC 9110 §8.8.1). `mark` goes into
        it: what else the answer depends on.
        """
        about, coding = file.about, file.coding[:1].encode()
        if about.st_size > HASHED_OCTETS:
            return b'W/"%x-%x-%s%s"' % (about.st_mtime_ns, about.st_size, coding, mark)
        key = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
        digest = self._tags.get(key)
        if digest is None:
            digest = _digest(file)
            if now - max(about.st_mtime, about.st_ctime) > _SETTLED:
                self._remember(key, digest)
        return b'"%s-%s%s"' % (digest, coding, mark)

    def _remember(self, key: Identity, digest: bytes) -> None:
        with self._lock:
            if len(self._tags) >= _KNOWN:
                self._tags.pop(next(iter(self._tags)))
            self._tags[key] = digest


def _digest(file: OpenFile) -> bytes:
    digest = hashlib.sha256()
    first = 0
    while piece := file.read(first, _PIECE):
        digest.update(piece)
        first += len(piece)
    return digest.hexdigest()[:32].encode()


def _open(root: str, path: str, opened: ExitStack, coding: str = IDENTITY) -> OpenFile | None:
    try:
        full = os.path.realpath(os.path.join(root, path))
        if path.endswith("/") or os.path.commonpath([root, full]) != root:
            return None
        # Whatever is put there meanwhile: no link is followed, no pipe is waited for.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(full, flags)
    except ValueError:
        return None  # a name that no file can have
    except OSError as error:
        if error.errno in _NO_FILE:
            return None
        raise  # it may well be there: a 404 would be believed
    opened.callback(os.close, descriptor)
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode):
        return None
    return OpenFile(descriptor=descriptor, about=about, coding=coding)
