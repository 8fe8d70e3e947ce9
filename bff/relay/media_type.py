"""What kind of file a name promises, whatever machine and version of Python this is."""

import mimetypes
from collections.abc import Mapping
from typing import Final

# What the tables of Python's versions do not agree upon, or do not know.
_MORE: Final[Mapping[str, str]] = {
    ".js": "text/javascript", ".mjs": "text/javascript", ".cjs": "text/javascript",
    ".map": "application/json", ".webmanifest": "application/manifest+json",
    ".wasm": "application/wasm", ".woff": "font/woff", ".woff2": "font/woff2",
    ".ttf": "font/ttf", ".otf": "font/otf", ".avif": "image/avif", ".webp": "image/webp",
    ".ico": "image/vnd.microsoft.icon", ".md": "text/markdown", ".xhtml": "application/xhtml+xml",
}  # fmt: skip
_UNKNOWN: Final = "application/octet-stream"


def _table() -> mimetypes.MimeTypes:
    table = mimetypes.MimeTypes()  # Python's own, without the files of this machine
    for suffix, kind in _MORE.items():
        table.add_type(kind, suffix)
    return table


_TABLE: Final = _table()


def media_type(path: str) -> str:
    """The Content-Type of a file, in whatever coding it goes out."""
    kind, coding = _TABLE.guess_type(path)
    if coding is not None:
        # Asked for by its own name, a compressed file is that file and no coding of another.
        return "application/gzip" if coding == "gzip" else _UNKNOWN
    if kind is None:
        return _UNKNOWN
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
