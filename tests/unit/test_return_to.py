"""The way back after a login: whatever is accepted stays on our own origin (row L-09)."""

import re
from urllib.parse import unquote, urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bff.browser.return_to import LONGEST, parse_return_to, parse_target_link_uri
from bff.config.values import Origin
from bff.problem import Reason, Refused
from tests.payloads import OPEN_REDIRECTS, OWN_PATHS, WAYS_BACK

ORIGIN = "https://app.example.com"
BASE = f"{ORIGIN}/bff/callback?code=1"


def resolved(raw: str) -> tuple[str, str]:
    """Origin and path to which a browser on our callback page would go (WHATWG URL, in short).

    Written from the standard and not from the code it judges: controls and spaces around go,
    tabs and newlines anywhere, a backslash is a slash, dot segments also where encoded.
    """
    url = re.sub(r"[\t\n\r]", "", raw.strip("".join(map(chr, range(0x21)))))
    if scheme := re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", url):
        if scheme[1].lower() not in ("http", "https"):
            return f"{scheme[1].lower()}:", ""
        rest = url[scheme.end() :].lstrip("/\\")
        host = re.split(r"[/\\?#]", rest, maxsplit=1)[0].rpartition("@")[2].lower()
        return f"{scheme[1].lower()}://{host}", ""
    path = re.split(r"[?#]", url, maxsplit=1)[0].replace("\\", "/")
    if path.startswith("//"):
        host = path.lstrip("/").partition("/")[0].rpartition("@")[2].lower()
        return f"https://{host}", ""
    segments = path.split("/") if path.startswith("/") else ["", "bff", *path.split("/")]
    kept: list[str] = []
    for segment in segments[1:]:
        plain = re.sub("%2e", ".", segment, flags=re.IGNORECASE)
        if plain == "..":
            kept = kept[:-1]
        elif plain != ".":
            kept.append(segment)
    return ORIGIN, "/" + "/".join(kept)


def is_ours(path: str) -> bool:
    """Whether a careless server, that decodes, cuts parameters and folds case, sees /bff."""
    first = unquote(path).split("/")[1].partition(";")[0].lower()
    return first == "bff"


PIECES = st.sampled_from(
    [
        *("/", "//", "\\", ".", "..", "%2f", "%5C", "%2e", "%252e", "%", "%25", ";", "@", ":", "?"),
        *(
            "#",
            "\t",
            "\n",
            "\r",
            "\x00",
            "\x7f",
            "\x85",
            " ",
            "bff",
            "BFF",
            "%62ff",
            "evil.example",
        ),
        *(
            "https:",
            "javascript:",
            "a",
            "é",
            "\u2028",
            "\uff0f",
            "\ufeff",
            "\U0001f36a",
            "'",
            '"',
            "<",
        ),
    ]
)
HOSTILE = st.one_of(
    st.lists(PIECES, max_size=8).map("".join),
    st.lists(PIECES, max_size=8).map(lambda pieces: "/" + "".join(pieces)),
    st.text(max_size=40),
    st.sampled_from([*OPEN_REDIRECTS, *OWN_PATHS]),
)


@pytest.mark.rule("L-09")
@pytest.mark.rule("F-04")
@given(raw=HOSTILE)
@example(raw="/\ud800")
def test_what_is_accepted_stays_on_our_origin_and_out_of_bff(raw: str) -> None:
    try:
        stored = parse_return_to(raw)
    except Refused:
        return
    for url in (raw, stored):
        origin, path = resolved(url)
        assert origin == ORIGIN
        assert not is_ours(path)
    assert re.fullmatch(r"/(?!/)[\x21-\x7e]*", stored)
    assert "\\" not in stored
    assert len(stored) <= LONGEST
    there = urlsplit(urljoin(BASE, stored))
    assert f"{there.scheme}://{there.netloc}" == ORIGIN


@pytest.mark.rule("L-09")
@given(raw=HOSTILE)
def test_a_way_back_means_the_same_when_it_is_read_again(raw: str) -> None:
    try:
        stored = parse_return_to(raw)
    except Refused:
        return
    assert parse_return_to(stored) == stored


@pytest.mark.rule("L-09")
@given(
    segments=st.lists(st.text("abcXYZ019-_~", min_size=1, max_size=9), max_size=5),
    query=st.text("ab=&/?:@%20", max_size=20).filter(lambda text: "%" not in text),
)
def test_an_ordinary_path_is_accepted_as_it_is(segments: list[str], query: str) -> None:
    path = "/" + "/".join(segments)
    if is_ours(path):
        return
    asked = f"{path}?{query}" if query else path
    assert parse_return_to(asked) == asked


@pytest.mark.rule("L-09")
@pytest.mark.rule("F-04")
@pytest.mark.parametrize("raw", [*OPEN_REDIRECTS, *OWN_PATHS], ids=ascii)
def test_no_way_back_leads_elsewhere(raw: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_return_to(raw)
    assert refused.value.reason is Reason.BAD_RETURN_TO
    assert refused.value.__cause__ is None


@pytest.mark.rule("L-09")
@pytest.mark.parametrize(("raw", "stored"), WAYS_BACK, ids=lambda text: text[:30])
def test_a_path_on_our_own_origin_is_kept_percent_encoded(raw: str, stored: str) -> None:
    assert parse_return_to(raw) == stored


@pytest.mark.rule("L-12")
@pytest.mark.parametrize("raw", ["/" + "a" * LONGEST, "/" + "é" * 400, "/" + "\U0001f36a" * 200])
def test_a_way_back_is_bounded_as_it_is_stored(raw: str) -> None:
    with pytest.raises(Refused) as refused:
        parse_return_to(raw)
    assert refused.value.reason is Reason.BAD_REQUEST


def test_there_are_more_than_a_hundred_of_them() -> None:
    assert len(set(OPEN_REDIRECTS)) > 150


# --- a third party's


def target(raw: str) -> str:
    return parse_target_link_uri(raw, Origin(ORIGIN))


@pytest.mark.rule("L-09")
@pytest.mark.parametrize("path", [raw for raw, _ in WAYS_BACK])
def test_a_url_of_our_origin_is_its_path(path: str) -> None:
    assert target(ORIGIN + path) == parse_return_to(path)


@pytest.mark.rule("L-09")
@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (ORIGIN, "/"),
        (f"{ORIGIN}?a=1", "/?a=1"),
        (f"{ORIGIN}#a", "/#a"),
        ("HTTPS://App.Example.com/Orders", "/Orders"),
    ],
)
def test_a_url_may_be_spelled_otherwise(raw: str, path: str) -> None:
    assert target(raw) == path


@pytest.mark.rule("L-09")
@pytest.mark.parametrize(
    "raw",
    [
        *(raw for raw in OPEN_REDIRECTS if raw not in (ORIGIN, f"{ORIGIN}/")),  # here they are ours
        *(ORIGIN + raw for raw in OPEN_REDIRECTS if raw[:1] in ("/", "\\", "@", ".")),
        *(ORIGIN + raw for raw in OWN_PATHS),
        *(ORIGIN + raw for raw in (":443/", ":8443/", "@evil.example/", ".evil.example/", "evil")),
        *(
            "",
            "/orders",
            "orders",
            "http://app.example.com/",
            "//app.example.com/",
            "https:/orders",
        ),
    ],
)
def test_a_url_that_leads_elsewhere_is_refused(raw: str) -> None:
    with pytest.raises(Refused) as caught:
        target(raw)
    assert caught.value.reason is Reason.BAD_RETURN_TO


@pytest.mark.rule("L-09")
@given(raw=st.lists(PIECES, max_size=8).map("".join))
def test_whatever_url_is_accepted_stays_at_home(raw: str) -> None:
    try:
        accepted = target(ORIGIN + raw)
    except Refused:
        return
    origin, path = resolved(accepted)
    assert origin == ORIGIN
    assert not is_ours(path)
