"""What a provider sends at logout, read: the form with a token, the query of a frame."""

import asyncio
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.browser.backchannel_logout import _sent
from bff.browser.frontchannel_logout import _named
from bff.problem import Reason, Refused
from tests.parts.requests import a_request

FORM = ("content-type", "application/x-www-form-urlencoded")
NAMES = st.sampled_from(["logout_token", "LOGOUT_TOKEN", "logout_token[]", "iss", "sid", "x"])
TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
PAIRS = st.lists(st.tuples(NAMES, TEXT), max_size=6)


def sent(body: bytes) -> str | None:
    async def read(limit: int) -> bytes:
        assert limit == 64 * 1024
        return body

    return asyncio.run(_sent(a_request("POST", FORM), read))


@pytest.mark.rule("B-01")
@given(PAIRS)
def test_the_token_is_the_one_value_of_its_name(pairs: list[tuple[str, str]]) -> None:
    values = [value for name, value in pairs if name == "logout_token"]
    assert sent(urlencode(pairs).encode()) == (values[0] if len(values) == 1 else None)


@pytest.mark.rule("B-01")
@given(st.binary(max_size=64))
def test_no_octets_are_too_odd_to_be_refused(body: bytes) -> None:
    found = sent(body)
    assert found is None or b"logout_token" in body or b"%" in body


@pytest.mark.rule("B-11")
@given(PAIRS)
def test_a_frame_must_name_each_once(pairs: list[tuple[str, str]]) -> None:
    values = {
        wanted: [value for name, value in pairs if name == wanted and value]
        for wanted in ("iss", "sid")
    }
    request = a_request(query=urlencode(pairs).encode())
    if all(len(found) == 1 for found in values.values()):
        assert _named(request) == (values["iss"][0], values["sid"][0])
    else:
        with pytest.raises(Refused) as refused:
            _named(request)
        assert refused.value.reason is Reason.BAD_REQUEST
