"""The Date field, which uvicorn makes once a second."""

from collections.abc import Sequence

_made: tuple[object, bytes] = (None, b"")


def date_line(fields: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The Date line among uvicorn's default fields; another list means another second."""
    global _made
    known, line = _made
    if known is not fields:
        line = b"".join([b"date: %s\r\n" % value for name, value in fields if name == b"date"])
        _made = (fields, line)
    return line
