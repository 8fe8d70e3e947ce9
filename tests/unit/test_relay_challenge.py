"""What a challenge asks for: whatever an upstream says, the login that is named can be had."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.browser.login import LoginRequest, read_login_request
from bff.config.values import Origin
from bff.problem import Reason, Refused
from bff.relay.challenge import refusal_in

ANYTHING = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=600)
WORD = st.text(string.ascii_letters + string.digits + ":/.-_&=%#?+", min_size=1, max_size=20)


def read(query: str) -> LoginRequest:
    """As the login that the URL begins."""
    origin = Origin("https://app.example.com")
    return read_login_request(query.encode("ascii"), origin=origin)


def step_up(acr_values: str, max_age: str) -> Refused:
    challenge = (
        "Bearer error=insufficient_user_authentication, "
        f'acr_values="{acr_values}", max_age="{max_age}"'
    )
    refused = refusal_in(401, [(b"www-authenticate", challenge.encode("latin-1"))])
    assert refused is not None
    assert refused.reason is Reason.STEP_UP_REQUIRED
    return refused


@given(acr_values=st.lists(WORD, min_size=1, max_size=5), max_age=st.integers(0, 999_999_999))
def test_a_login_is_asked_for_what_the_challenge_asks_for(
    acr_values: list[str], max_age: int
) -> None:
    refused = step_up(" ".join(acr_values), str(max_age))
    asked = read(refused.login_query)
    assert (asked.acr_values, asked.max_age) == (" ".join(acr_values), max_age)


@pytest.mark.rule("A-05")
@pytest.mark.parametrize(
    ("may_ask", "query"),
    [
        pytest.param(None, "acr_values=gold%202&max_age=60", id="whatever it is"),
        pytest.param({"1", "2"}, "acr_values=2&max_age=60", id="one of two"),
        pytest.param({"1"}, "max_age=60", id="neither"),
    ],
)
def test_a_login_is_asked_for_no_more_than_the_file_lets_it(
    may_ask: set[str] | None, query: str
) -> None:
    challenge = b'error=insufficient_user_authentication, acr_values="gold 2", max_age=60'
    refused = refusal_in(401, [(b"www-authenticate", b"Bearer " + challenge)], may_ask)
    assert refused is not None
    assert refused.login_query == query


@given(acr_values=ANYTHING, max_age=ANYTHING)
def test_a_login_takes_whatever_comes_of_a_challenge(acr_values: str, max_age: str) -> None:
    asked = read(step_up(acr_values, max_age).login_query)
    assert asked.return_to == "/"
    assert asked.prompt is asked.login_hint is asked.ui_locales is None


@given(challenge=st.binary(max_size=300), status=st.integers(200, 599))
def test_any_octets_are_read_without_harm(challenge: bytes, status: int) -> None:
    refused = refusal_in(status, [(b"www-authenticate", challenge)])
    assert refused is None or (status in (401, 403) and b"insufficient_" in challenge)
