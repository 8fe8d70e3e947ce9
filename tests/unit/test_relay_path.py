"""Paths, as properties: what passes has one reading, by whichever parser one takes."""

import posixpath
from urllib.parse import unquote, unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.caller.path import DECODINGS, plain_path
from bff.config.route_section import Route
from bff.problem import Reason, Refused
from bff.relay.route import route_table

PIECES = st.sampled_from(
    ["/", "//", ".", "..", "%2e", "%2f", "%5c", "\\", "%00", "%25", "%252e", "%252f", "%c0%ae",
     "%ff", "%41", "a", "api", "admin", "API", ";", ";x=1", "%3b", "%20", "~", "%7f", "#", "%23",
     "[", "]", "%5b", "%5D", "%3f", "%3F", "%253f"]
)  # fmt: skip
paths = st.lists(PIECES, max_size=8).map(lambda parts: "/" + "".join(parts))


@pytest.mark.rule("Q-03")
@given(path=paths)
def test_a_path_that_passes_is_left_alone_by_every_normaliser(path: str) -> None:
    try:
        plain_path(path.encode())
    except Refused:
        return
    for text in (path, unquote(path), unquote(unquote(path))):
        bare = "/".join(part.partition(";")[0].partition("?")[0] for part in text.split("/"))
        bare = bare.rstrip("/") if "?" in text else bare  # what was cut may have been a segment
        collapsed = posixpath.normpath(bare)
        assert collapsed.rstrip("/") == bare.rstrip("/") or bare.strip("/") == ""
        assert not {"\\", "\0", "#"} & set(text)
    assert unquote_to_bytes(path).count(b"/") == path.count("/")
    unquote_to_bytes(path).decode("utf-8")


TABLE = route_table(
    [
        Route(path="/api", upstream="http://127.0.0.1:1"),
        Route(path="/api/admin", upstream="http://127.0.0.1:1"),
        Route(path="/", upstream="http://127.0.0.1:1"),
    ]
)


@pytest.mark.rule("Q-03", "Q-01")
@given(path=paths)
def test_no_spelling_slips_past_a_stricter_route(path: str) -> None:
    try:
        route = TABLE.match(path.encode())
    except Refused:
        return
    careless = "/".join(part.partition(";")[0] for part in unquote(path).lower().split("/"))
    careless = careless.partition("?")[0]
    expected = "/"
    for prefix in ("/bff", "/api/admin", "/api"):
        if careless == prefix or careless.startswith(prefix + "/"):
            expected = prefix
            break
    assert ("/bff" if route is None else route.path) == expected


@pytest.mark.rule("Q-01")
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api", "/api"),
        ("/api/", "/api"),
        ("/api/x", "/api"),
        ("/apiary", "/"),
        ("/api/admin", "/api/admin"),
        ("/api/admin/x", "/api/admin"),
        ("/api/administrator", "/api"),
        ("/", "/"),
    ],
)
def test_routes_match_at_segment_borders_the_longest_first(path: str, expected: str) -> None:
    route = TABLE.match(path.encode())
    assert route is not None
    assert route.path == expected


@pytest.mark.rule("Q-03")
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        pytest.param("/api/titles/Who%3F", "/api", id="a question mark in a name"),
        pytest.param("/api/titles/Who%3F/x", "/api", id="and more after it"),
        pytest.param("/api/admin%3Fx", None, id="a stricter route, to whoever decodes first"),
        pytest.param("/bff%3f", None, id="our own"),
        pytest.param("/api/x/..%3Fy", None, id="a dot segment"),
        pytest.param("/api/x/..%3By%3F", None, id="one with a parameter"),
        pytest.param("/api/x%253Fy", None, id="encoded twice"),
        pytest.param("/api/100%2525", "/api", id="a percent sign, encoded twice"),
        pytest.param("/api/%252561", "/api", id="a letter, encoded three times"),
        pytest.param("/api/%25252561", None, id="four times"),
    ],
)
def test_a_question_mark_and_what_is_encoded_again_and_again(
    path: str, expected: str | None
) -> None:
    if expected is None:
        with pytest.raises(Refused) as caught:
            TABLE.match(path.encode())
        assert caught.value.reason is Reason.AMBIGUOUS_PATH
        return
    route = TABLE.match(path.encode())
    assert route is not None
    assert route.path == expected


def test_what_is_encoded_without_end_is_not_decoded_to_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each time costs a look at all of it, and it may be eight KiB of `25`."""
    times: list[int] = []

    def counted(text: bytes) -> bytes:
        times.append(len(text))
        return unquote_to_bytes(text)

    monkeypatch.setattr("bff.caller.path.unquote_to_bytes", counted)
    with pytest.raises(Refused):
        plain_path(b"/api/%" + b"25" * 4000 + b"2f")
    assert len(times) == DECODINGS
