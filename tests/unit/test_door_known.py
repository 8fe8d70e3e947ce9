"""A head that is known by its octets: what the parser would say of it, and of nothing else."""

from collections.abc import Iterator

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.caller.request import SECTIONS_KEPT, Section, join_fields, section_of
from bff.door.known import OCTETS, known, learn, split
from bff.problem import Headers

FIELDS = b"Host: app.example\r\nCookie: bff=1.a.b\r\nAccept: */*\r\n\r\n"


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    known.forget()
    yield
    known.forget()


def section(method: str = "GET") -> Section:
    headers: Headers = [(b"host", b"app.example"), (b"cookie", b"bff=1.a.b"), (b"accept", b"*/*")]
    return section_of(method, headers, join_fields(headers)[0])


def head(target: bytes = b"/a", method: bytes = b"GET", version: bytes = b"HTTP/1.1") -> bytes:
    return b"%s %s %s\r\n%s" % (method, target, version, FIELDS)


def recognise(data: bytes) -> tuple[Section, bytes] | None:
    parts = split(data)
    found = None if parts is None else known.get(parts[0])
    return None if parts is None or found is None else (found, parts[1])


def teach(data: bytes, read: Section | None = None) -> None:
    """What comes twice is known."""
    for _ in range(2):
        if (parts := split(data)) is not None:
            learn(parts[0], read or section(), {b"app.example": "default"})


def test_what_was_learnt_is_known_with_another_target() -> None:
    first = section()
    teach(head(b"/a"), first)
    assert recognise(head(b"/a")) == (first, b"/a")
    assert recognise(head(b"/b?c=d%20e")) == (first, b"/b?c=d%20e")


@pytest.mark.parametrize(
    "other",
    [
        head(method=b"PUT"),
        head(method=b"HEAD"),
        head(version=b"HTTP/1.0"),
        head() + b"\r\n",
        head() + head(),
        head()[:-1],
        b"\r\n" + head(),
        head().replace(b"1.a.b", b"1.a.c"),
        head().replace(b"GET /", b"GET  /"),
        head().replace(b"GET ", b"GET\t"),
        head(b"a"),
        head(b"*"),
        head(b"http://app.example/a"),
        head(b""),
        head(b"/" + b"x" * OCTETS),
        b"",
    ],
)
def test_nothing_else_is(other: bytes) -> None:
    teach(head())
    assert recognise(other) is None


@pytest.mark.parametrize(
    "odd",
    [
        b"\r\n" + head(),
        head(version=b"HTTP/1.0"),
        head(b"http://app.example/a"),
        head(b"*"),
        head(method=b"PUT"),
        head(b"/" + b"x" * OCTETS),
    ],
)
def test_what_is_not_learnt(odd: bytes) -> None:
    teach(odd)
    assert len(known) == 0


def test_only_so_many_are_kept_and_the_oldest_goes_first() -> None:
    many = range(2 * SECTIONS_KEPT + 1)
    heads = [head().replace(b"1.a.b", b"1.a.%d" % number) for number in many]
    for each in heads:
        teach(each)
        assert len(known) <= 2 * SECTIONS_KEPT
    assert recognise(heads[0]) is None
    assert all(recognise(each) is not None for each in heads[-SECTIONS_KEPT:])


class Heard:
    """What a parser says of octets."""

    def __init__(self, data: bytes) -> None:
        self.targets: list[bytes] = []
        self.fields: list[tuple[bytes, bytes]] = []
        self.complete = 0
        self.refused = False
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.refused = True

    def on_url(self, url: bytes) -> None:
        self.targets.append(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_message_complete(self) -> None:
        self.complete += 1


OCTET = st.one_of(
    st.sampled_from(
        [b" ", b"\r\n", b"\r", b"\n", b"\t", b"\0", b"#", b"/", b"?", b":", b"HTTP/1.1"]
    ),
    st.binary(min_size=1, max_size=2),
    st.text("abc%", min_size=1, max_size=3).map(str.encode),
)


@given(parts=st.lists(OCTET, max_size=6))
def test_whatever_stands_for_the_target_is_known_only_as_what_the_parser_reads(
    parts: list[bytes],
) -> None:
    teach(head())
    data = head(b"/" + b"".join(parts))
    found = recognise(data)
    if found is not None:
        heard, usual = Heard(data), Heard(head())
        assert not heard.refused
        assert b"".join(heard.targets) == found[1]
        assert (heard.fields, heard.complete) == (usual.fields, 1)
