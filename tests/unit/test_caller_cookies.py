"""Cookies: names, attributes, what is read and what is forged (rows S-01 to S-06)."""

import base64
import re
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bff.caller.cookies import Cookies, pairs
from bff.config.load import FrontEnd
from bff.keys import Keyring, new_key, parse_key
from bff.problem import Reason, Refused
from tests.parts.config import config
from tests.parts.requests import a_request

RING = Keyring(
    current=parse_key(new_key()), accepted=(parse_key(new_key()),), retired=frozenset({"deadbeef"})
)


def cookies(origin: str = "https://app.example.com", ring: Keyring = RING) -> Cookies:
    parsed = config(issuer="https://login.example.com", api="https://api.internal", origin=origin)
    frontend: FrontEnd = parsed.frontends[0]
    return Cookies(frontend=frontend, keyring=ring)


OURS = cookies()
NAME = "__Host-Http-bff"


def value_of(line: tuple[bytes, bytes]) -> str:
    return line[1].decode().partition("=")[2].partition(";")[0]


def read(value: str, jar: Cookies = OURS) -> str:
    return jar.read_session(a_request("GET", ("cookie", f"{jar.name()}={value}")))


TOKEN = st.text(st.sampled_from("abcXYZ019-_.!~*"), min_size=1, max_size=12)
VALUE = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters=";"), max_size=20
)


@given(given_pairs=st.lists(st.tuples(TOKEN, VALUE), max_size=8))
def test_pairs_are_read_as_they_were_written(given_pairs: list[tuple[str, str]]) -> None:
    header = "; ".join(f"{name}={value}" for name, value in given_pairs)
    assert list(pairs(a_request("GET", ("cookie", header)))) == given_pairs
    apart = [("cookie", f"{name}={value}") for name, value in given_pairs]
    assert list(pairs(a_request("GET", *apart))) == given_pairs


@given(header=st.text(st.characters(codec="latin-1"), max_size=80))
def test_no_header_is_a_crash_or_a_session(header: str) -> None:
    request = a_request("GET", ("cookie", header))
    for name, value in pairs(request):
        assert f"{name}={value}" in header
    with pytest.raises(Refused):
        OURS.read_session(request)


@pytest.mark.rule("S-04")
@given(octets=st.binary(min_size=32, max_size=32))
def test_what_was_signed_is_read_again(octets: bytes) -> None:
    session_id = base64.urlsafe_b64encode(octets).decode().rstrip("=")
    line = OURS.session(session_id)
    assert len(line[1]) < 200
    assert read(value_of(line)) == session_id


GOOD = value_of(OURS.session(secrets.token_urlsafe(32)))


@pytest.mark.rule("S-04")
@pytest.mark.rule("S-06")
@given(place=st.integers(0, len(GOOD) - 1), char=st.characters(codec="latin-1"))
def test_no_other_character_anywhere_is_the_same_cookie(place: int, char: str) -> None:
    forged = GOOD[:place] + char + GOOD[place + 1 :]
    if forged == GOOD:
        return
    with pytest.raises(Refused) as refused:
        read(forged)
    assert refused.value.reason in (Reason.NO_SESSION, Reason.KEY_UNKNOWN)
    if place > 8:
        assert refused.value.reason is Reason.NO_SESSION
    assert refused.value.__cause__ is None


@pytest.mark.rule("S-04")
@given(text=st.text(st.characters(codec="latin-1"), max_size=120))
def test_no_text_that_somebody_made_up_is_a_session(text: str) -> None:
    more = text.replace(";", "").strip(" \t")  # what ends a pair, and the space around one
    for forged in (more, f"{RING.current.kid}.{more}", f"{GOOD}{more or 'x'}"):
        with pytest.raises(Refused) as refused:
            read(forged)
        assert refused.value.reason in (Reason.NO_SESSION, Reason.KEY_UNKNOWN)


@pytest.mark.rule("S-06")
@pytest.mark.rule("T-04")
@pytest.mark.parametrize(
    ("kid", "reason"),
    [
        ("deadbeef", Reason.SESSION_ENDED),
        ("00000000", Reason.KEY_UNKNOWN),
        ("DEADBEEF", Reason.NO_SESSION),
        ("deadbee", Reason.NO_SESSION),
        ("deadbeef\n", Reason.NO_SESSION),
        ("", Reason.NO_SESSION),
        (RING.accepted[0].kid, Reason.NO_SESSION),  # another key's signature under its id
    ],
)
def test_the_key_id_says_what_a_cookie_is_worth(kid: str, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        read(f"{kid}{GOOD[8:]}")
    assert refused.value.reason is reason


@pytest.mark.rule("T-04")
def test_an_accepted_key_opens_and_never_signs() -> None:
    before = Keyring(current=RING.accepted[0])
    value = value_of(cookies(ring=before).session("an-id"))
    assert read(value) == "an-id"
    assert value_of(OURS.session("an-id")).startswith(RING.current.kid)


@pytest.mark.rule("T-03")
def test_a_cookie_of_another_origin_is_forged() -> None:
    others = cookies("http://localhost:8080")
    for value, jar in ((GOOD, others), (value_of(others.session("an-id")), OURS)):
        with pytest.raises(Refused) as refused:
            read(value, jar)
        assert refused.value.reason is Reason.NO_SESSION


@pytest.mark.rule("S-05")
@pytest.mark.rule("E-08")
@pytest.mark.parametrize(
    ("header", "why"), [(f"{NAME}={GOOD}; {NAME}={GOOD}", "twice"), (f"{NAME}=x", "forged")]
)
def test_a_forged_or_doubled_cookie_is_audited_without_its_value(header: str, why: str) -> None:
    with capture_logs() as lines, pytest.raises(Refused):
        OURS.read_session(a_request("GET", ("cookie", header)))
    (line,) = lines
    assert (line["event"], line["reason"], line["audit"]) == ("cookie_forged", why, True)
    assert GOOD not in str(line)


@pytest.mark.rule("S-05")
def test_no_cookie_is_no_news() -> None:
    with capture_logs() as lines, pytest.raises(Refused):
        OURS.read_session(a_request("GET", ("cookie", f"{NAME.upper()}={GOOD}")))
    assert lines == []


@pytest.mark.rule("S-01")
@pytest.mark.rule("S-02")
@pytest.mark.rule("S-03")
@pytest.mark.parametrize(
    ("origin", "secure"), [("https://a.example", True), ("http://localhost:1", False)]
)
def test_every_line_says_all_its_attributes(origin: str, secure: bool) -> None:
    jar = cookies(origin)
    for line in (
        jar.session("x"),
        jar.no_session(),
        jar.line("n", "v", same_site="Lax", max_age=5),
    ):
        _, *attributes = line[1].decode().split("; ")
        assert {"Path=/", "HttpOnly"} <= set(attributes)
        assert ("Secure" in attributes) == secure
        assert len([each for each in attributes if each.startswith("SameSite=")]) == 1
        assert not re.search("domain|expires", line[1].decode(), re.IGNORECASE)
    assert jar.name().startswith("__Host-Http-") == secure
