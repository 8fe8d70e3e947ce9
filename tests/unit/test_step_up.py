"""Whether a sign-in was as fresh and as strong as it was asked to be: a table of answers."""

import pytest

from bff.provider.identity import IdToken
from bff.provider.step_up import falls_short

NOW = 1_000_000.0
SKEW = 30


def id_token(*, auth_time: float | None = NOW, acr: str | None = None) -> IdToken:
    return IdToken(
        iss="i", sub="s", aud=("spa",), azp=None, nonce="n", sid=None, auth_time=auth_time,
        acr=acr, iat=NOW, exp=NOW + 60, claims={},
    )  # fmt: skip


@pytest.mark.rule("I-11")
@pytest.mark.parametrize(
    ("max_age", "auth_time", "short"),
    [
        pytest.param(60, NOW - 90, False, id="recent enough, with the skew"),
        pytest.param(60, NOW - 91, True, id="too long ago"),
        pytest.param(60, NOW - 90.5, True, id="too long ago by half a second"),
        pytest.param(60, None, True, id="required"),
        pytest.param(60, 0, True, id="0 is long ago"),
        pytest.param(0, NOW, False, id="just now"),
        pytest.param(0, NOW - 31, True, id="0 means just now"),
        pytest.param(None, None, False, id="nobody asked"),
    ],
)
def test_after_max_age_auth_time_is_that_recent(
    max_age: int | None, auth_time: float | None, short: bool
) -> None:
    token = id_token(auth_time=auth_time)
    found = falls_short(token, max_age=max_age, acr_values=None, earliest=NOW - SKEW)
    assert found == short


@pytest.mark.rule("I-11")
@pytest.mark.parametrize(
    ("acr_values", "acr", "short"),
    [
        pytest.param("2", "2", False, id="the one"),
        pytest.param("3 2", "2", False, id="one of several"),
        pytest.param("2", "1", True, id="another"),
        pytest.param("2", None, True, id="none"),
        pytest.param("22 urn:2", "2", True, id="a part of a value is none"),
        pytest.param("2", "2 3", True, id="a list is no value"),
        pytest.param("", "1", False, id="nothing was asked"),
        pytest.param(None, None, False, id="nobody asked"),
    ],
)
def test_after_acr_values_the_acr_is_one_of_them(
    acr_values: str | None, acr: str | None, short: bool
) -> None:
    token = id_token(acr=acr)
    found = falls_short(token, max_age=None, acr_values=acr_values, earliest=NOW - SKEW)
    assert found == short


@pytest.mark.rule("I-11")
def test_both_are_needed_where_both_were_asked_for() -> None:
    asked = {"max_age": 60, "acr_values": "2", "earliest": NOW - SKEW}
    assert not falls_short(id_token(acr="2"), **asked)  # type: ignore[arg-type]  # a table
    assert falls_short(id_token(acr="1"), **asked)  # type: ignore[arg-type]
    assert falls_short(id_token(acr="2", auth_time=None), **asked)  # type: ignore[arg-type]
