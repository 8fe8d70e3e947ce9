"""Which files are named after what they hold, so that a browser may keep them for ever.

A template reads as bundlers write theirs. Taking an ordinary name for a hash would leave people
with an old file for a year, missing one costs a question: so `[hash]` must look like no word.

No regular expression of the configuration is ever run. A template is matched by walking it once
with the set of places reached so far, so there is nothing to backtrack into.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from bff.config.values import fault

LONGEST: Final = 200  # characters of a template
MOST: Final = 32  # templates of one route

# Rollup and Vite write `name-DiwrgTda.js`, webpack and Parcel `name.4a6f2b1c.js` (Parcel and
# webpack in hex), webpack's assets and Nuxt nothing but the hash; esbuild and Angular eight
# characters of base32.
DEFAULT: Final = ("*-[HASH].*", "*-[hash].*", "*.[hash].*", "[hash].*")

_PIECE: Final = re.compile(r"\*\*|\*|\[hash:(\d{1,2})\]|\[hash\]|\[HASH\]|[^*\[\]]+")
_FOLDER: Final = re.compile(r"[^*\[\]/]+/")
_HEX: Final = re.compile(r"[0-9a-f]{8,64}")
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")
_BASE32: Final = re.compile(r"[A-Z2-7]{8}")
# Settings, mySettings, iPhone12, v2: what people call files.
_WORD: Final = re.compile(r"[A-Za-z]?[a-z]*(?:[A-Z][a-z]{2,})*[0-9]*")


@dataclass(frozen=True, slots=True)
class Template:
    """A template, taken apart. Without a folder in it, it is about the name of a file alone."""

    pieces: tuple[str, ...]
    whole: bool


def parse_template(raw: str) -> Template:
    """The template. Raises ValueError, with what is wrong as its text."""
    if not 0 < len(raw) <= LONGEST or not raw.isascii() or not raw.isprintable():
        raise ValueError("is no template")
    pieces: list[str] = []
    place = 0
    while place < len(raw):
        found = _PIECE.match(raw, place)
        if found is None or (found[1] and not 4 <= int(found[1]) <= 64):
            raise ValueError("holds what is neither text, *, ** nor a [hash]")
        pieces.append(found[0])
        place = found.end()
    if not {"", ".", ".."}.isdisjoint(raw.split("/")) or "\\" in raw:
        raise ValueError("is no path below the route's folder")
    if not any(piece.startswith("[") for piece in pieces) and not _FOLDER.match(raw):
        raise ValueError("names neither a [hash] nor a folder")
    return Template(tuple(pieces), "/" in raw)


@lru_cache(maxsize=4096)
def is_hashed(templates: tuple[str, ...], path: str) -> bool:
    """Whether one of the templates fits a path, given relative to the route's folder."""
    return any(_fits(parse_template(template), path) for template in templates)


def _fits(template: Template, path: str) -> bool:
    text = path if template.whole else path.rpartition("/")[2]
    places = {0}
    for piece in template.pieces:
        places = _after(piece, text, places)
    return len(text) in places


def _after(piece: str, text: str, places: set[int]) -> set[int]:
    """Where a match may be once it has passed the piece."""
    if piece in ("*", "**"):
        return _anything(text, places, within="/" if piece == "*" else "")
    if not piece.startswith("["):
        return {place + len(piece) for place in places if text.startswith(piece, place)}
    return {
        place + length
        for place in places
        for length in _lengths(piece)
        if place + length <= len(text) and _is_hash(piece, text[place : place + length])
    }


def _anything(text: str, places: set[int], *, within: str) -> set[int]:
    reached: set[int] = set()
    for place in range(len(text) + 1):
        goes_on = place - 1 in reached and (not within or text[place - 1] != within)
        if place in places or goes_on:
            reached.add(place)
    return reached


def _lengths(piece: str) -> Sequence[int]:
    if piece == "[HASH]":
        return (8,)
    return range(8, 65) if piece == "[hash]" else (int(piece[6:-1]),)


def _is_hash(piece: str, text: str) -> bool:
    if piece == "[HASH]":
        return _BASE32.fullmatch(text) is not None
    if not _BASE64URL.fullmatch(text):
        return False
    return piece != "[hash]" or _looks_hashed(text)


def _looks_hashed(text: str) -> bool:
    """Hex with digits and letters, or base64url of both cases that is no word."""
    digits = any(char.isdigit() for char in text)
    if _HEX.fullmatch(text):
        return digits and not text.isdigit()
    if len(text) > 22 or text == text.lower() or text == text.upper():
        return False
    if len(text) > 8 and not digits:
        return False
    return not all(_WORD.fullmatch(part) for part in re.split("[-_]", text))


def _templates(value: tuple[str, ...]) -> tuple[str, ...]:
    for template in value:
        try:
            parse_template(template)
        except ValueError as wrong:
            raise fault(
                f"holds a template that {wrong}",
                'write as your bundler does, as "*-[hash].*", "*.[hash:8].js" or "assets/**"',
            ) from None
    return value


Templates = Annotated[tuple[str, ...], Field(max_length=MOST), AfterValidator(_templates)]
