"""Preconditions in their order, and one range (RFC 9110 §13, §14)."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.relay.conditional import Validators, decide
from tests.parts.requests import a_request

NOW = 1_700_000_100.0
CHANGED = 1_700_000_000
THEN = formatdate(CHANGED, usegmt=True)
BEFORE = formatdate(CHANGED - 1, usegmt=True)
LATER = formatdate(CHANGED + 1, usegmt=True)
FILE = Validators(tag=b'"abc"', modified=CHANGED, size=100)
WEAK = Validators(tag=b'W/"abc"', modified=CHANGED, size=100)
TIMELESS = Validators(tag=b'"abc"', modified=None, size=100)


@pytest.mark.parametrize(
    ("file", "fields", "status"),
    [
        pytest.param(FILE, [], 200, id="no condition"),
        pytest.param(FILE, [("if-none-match", '"abc"')], 304, id="known"),
        pytest.param(FILE, [("if-none-match", 'W/"abc"')], 304, id="weakly known"),
        pytest.param(WEAK, [("if-none-match", '"abc"')], 304, id="a weak one of ours"),
        pytest.param(FILE, [("if-none-match", '"x", "abc"')], 304, id="one of several"),
        pytest.param(FILE, [("if-none-match", '"x"'), ("if-none-match", '"abc"')], 304, id="twice"),
        pytest.param(FILE, [("if-none-match", '"a,b", "x"')], 200, id="a comma in a tag"),
        pytest.param(FILE, [("if-none-match", "*")], 304, id="anything"),
        pytest.param(FILE, [("if-none-match", "abc")], 200, id="without its quotes"),
        pytest.param(FILE, [("if-none-match", '"abd"')], 200, id="another"),
        pytest.param(FILE, [("if-modified-since", THEN)], 304, id="not changed since"),
        pytest.param(FILE, [("if-modified-since", LATER)], 304, id="nor since later"),
        pytest.param(FILE, [("if-modified-since", BEFORE)], 200, id="changed since"),
        pytest.param(FILE, [("if-modified-since", "yesterday")], 200, id="no date"),
        pytest.param(FILE, [("if-modified-since", "Tue Nov 14 22:13:20 2023")], 304, id="asctime"),
        pytest.param(
            FILE, [("if-modified-since", "Tuesday, 14-Nov-23 22:13:20 GMT")], 304, id="RFC 850"
        ),
        pytest.param(TIMELESS, [("if-modified-since", LATER)], 200, id="nobody knows when"),
        pytest.param(
            FILE, [("if-none-match", '"x"'), ("if-modified-since", LATER)], 200,
            id="the tag counts, not the date",
        ),
        pytest.param(
            FILE, [("if-none-match", '"abc"'), ("if-modified-since", BEFORE)], 304,
            id="the tag counts, not the date, the other way round",
        ),
        pytest.param(FILE, [("if-match", '"abc"')], 200, id="as expected"),
        pytest.param(FILE, [("if-match", "*")], 200, id="anything is expected"),
        pytest.param(FILE, [("if-match", '"x"')], 412, id="not as expected"),
        pytest.param(FILE, [("if-match", 'W/"abc"')], 412, id="weakly as expected will not do"),
        pytest.param(WEAK, [("if-match", 'W/"abc"')], 412, id="nor where ours is weak"),
        pytest.param(FILE, [("if-match", '"x"'), ("if-none-match", '"abc"')], 412, id="first"),
        pytest.param(FILE, [("if-unmodified-since", THEN)], 200, id="not changed since then"),
        pytest.param(FILE, [("if-unmodified-since", BEFORE)], 412, id="changed since then"),
        pytest.param(TIMELESS, [("if-unmodified-since", BEFORE)], 200, id="nobody knows"),
        pytest.param(
            FILE, [("if-match", '"abc"'), ("if-unmodified-since", BEFORE)], 200,
            id="the tag counts there too",
        ),
        pytest.param(FILE, [("if-none-match", '"abc"'), ("range", "bytes=0-1")], 304, id="known"),
        pytest.param(FILE, [("range", "bytes=0-1"), ("if-range", '"abc"')], 206, id="same state"),
        pytest.param(FILE, [("range", "bytes=0-1"), ("if-range", '"x"')], 200, id="another state"),
        pytest.param(FILE, [("range", "bytes=0-1"), ("if-range", 'W/"abc"')], 200, id="weak"),
        pytest.param(WEAK, [("range", "bytes=0-1"), ("if-range", 'W/"abc"')], 200, id="ours weak"),
        pytest.param(FILE, [("range", "bytes=0-1"), ("if-range", THEN)], 206, id="that date"),
        pytest.param(FILE, [("range", "bytes=0-1"), ("if-range", LATER)], 200, id="not later"),
        pytest.param(
            Validators(tag=b'"abc"', modified=int(NOW), size=100),
            [("range", "bytes=0-1"), ("if-range", formatdate(int(NOW), usegmt=True))], 200,
            id="within the second of its change a date says little",
        ),
        pytest.param(TIMELESS, [("range", "bytes=0-1"), ("if-range", THEN)], 200, id="no date"),
    ],
)  # fmt: skip
def test_conditions_in_their_order(
    file: Validators, fields: list[tuple[str, str]], status: int
) -> None:
    assert decide(a_request("GET", *fields), file, NOW).status == status


@pytest.mark.parametrize(
    ("wanted", "size", "status", "octets"),
    [
        ("bytes=0-0", 100, 206, (0, 1)),
        ("bytes=10-19", 100, 206, (10, 10)),
        ("bytes=90-", 100, 206, (90, 10)),
        ("bytes=90-1000", 100, 206, (90, 10)),
        ("bytes=-10", 100, 206, (90, 10)),
        ("bytes=-1000", 100, 206, (0, 100)),
        ("Bytes= 0-9 ", 100, 206, (0, 10)),
        ("bytes=100-", 100, 416, (0, 0)),
        ("bytes=-0", 100, 416, (0, 0)),
        ("bytes=0-", 0, 416, (0, 0)),
        ("bytes=-5", 0, 200, (0, 0)),
        ("bytes=9-5", 100, 200, (0, 100)),
        ("bytes=-", 100, 200, (0, 100)),
        ("bytes=0-1,3-4", 100, 200, (0, 100)),
        ("items=0-1", 100, 200, (0, 100)),
        ("bytes=0x1-2", 100, 200, (0, 100)),
        ("bytes=+1-2", 100, 200, (0, 100)),
        ("bytes=0-" + "9" * 40, 100, 200, (0, 100)),
    ],
)
def test_one_range(wanted: str, size: int, status: int, octets: tuple[int, int]) -> None:
    file = Validators(tag=b'"abc"', modified=None, size=size)
    part = decide(a_request("GET", ("range", wanted)), file, NOW)
    assert (part.status, (part.first, part.count)) == (status, octets)


def test_only_get_knows_ranges() -> None:
    part = decide(a_request("HEAD", ("range", "bytes=0-1")), FILE, NOW)
    assert (part.status, part.count) == (200, 100)


@given(
    content=st.binary(max_size=50),
    first=st.integers(0, 60) | st.none(),
    last=st.integers(0, 60) | st.none(),
)
def test_a_range_is_what_slicing_gives(content: bytes, first: int | None, last: int | None) -> None:
    shown = ("" if first is None else str(first), "" if last is None else str(last))
    file = Validators(tag=b'"abc"', modified=None, size=len(content))
    part = decide(a_request("GET", ("range", "bytes={}-{}".format(*shown))), file, NOW)
    if first is not None:
        expected = content[first:] if last is None else content[first : last + 1]
    else:
        expected = content[-last:] if last else b""
    if part.status == 206:
        assert content[part.first : part.first + part.count] == expected
        assert expected
    elif part.status == 200:
        assert part.count == len(content)
    else:
        assert expected == b""
