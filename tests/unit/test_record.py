"""What is remembered of a session: deadlines and token ages as functions of time."""

import dataclasses
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bff.session.record as record
from bff.provider.token_answer import TokenResponse
from bff.session.record import (
    Deadlines,
    Tokens,
    due,
    expired,
    good_until,
    refreshed,
    tokens_from,
)

TIMES = st.floats(0, 2e9, allow_nan=False)
LIVES = st.floats(0, 1e6, allow_nan=False)
MARK = "marker-secret"


def response(**more: object) -> TokenResponse:
    return TokenResponse(
        **{  # type: ignore[arg-type]
            "access_token": "new-at",
            "token_type": "Bearer",
            "refresh_token": "new-rt",
            "id_token": None,
            "scope": None,
            "expires_in": 60.0,
            "refresh_expires_in": None,
            **more,
        }
    )


def tokens(**more: object) -> Tokens:
    return Tokens(
        **{  # type: ignore[arg-type]
            "access_token": "at",
            "refresh_token": "rt",
            "id_token": "it",
            "scope": "openid",
            "issued_at": 0.0,
            "expires_at": 100.0,
            "refresh_expires_at": None,
            **more,
        }
    )


@pytest.mark.rule("S-10")
@pytest.mark.rule("S-12")
@given(now=TIMES, idle=LIVES, absolute=TIMES, refresh=st.none() | TIMES)
def test_a_record_ends_at_the_earliest_of_its_deadlines(
    now: float, idle: float, absolute: float, refresh: float | None
) -> None:
    end = Deadlines(idle=idle, absolute=absolute, refresh=refresh).end(now)
    assert end <= now + idle
    assert end <= absolute
    assert refresh is None or end <= refresh
    assert end in (now + idle, absolute, refresh)


@pytest.mark.rule("C-11")
@pytest.mark.parametrize(
    ("said", "assumed", "expires_at"),
    [(60.0, None, 1060.0), (60.0, 10.0, 1060.0), (None, 10.0, 1010.0), (None, None, None)],
)
def test_a_life_that_was_not_said_is_the_configured_assumption_or_unknown(
    said: float | None, assumed: float | None, expires_at: float | None
) -> None:
    made = tokens_from(
        response(expires_in=said),
        now=1000.0,
        asked_scope="a",
        id_token="",
        assume_expires_in=assumed,
    )
    assert made.expires_at == expires_at


@pytest.mark.rule("C-11")
@pytest.mark.parametrize(("said", "kept"), [(None, "asked"), ("less", "less")])
def test_a_missing_scope_means_what_was_asked(said: str | None, kept: str) -> None:
    made = tokens_from(
        response(scope=said), now=0.0, asked_scope="asked", id_token="", assume_expires_in=None
    )
    assert made.scope == kept


@pytest.mark.rule("R-03")
@pytest.mark.parametrize(
    ("answer", "refresh_token", "refresh_end"),
    [
        pytest.param({}, "new-rt", None, id="a new one, whose end is not said"),
        pytest.param({"refresh_expires_in": 9.0}, "new-rt", 1009.0, id="a new one and its end"),
        pytest.param({"refresh_token": None}, "rt", 500.0, id="none: the old one and its end"),
        pytest.param(
            {"refresh_token": None, "refresh_expires_in": 9.0}, "rt", 1009.0, id="only a new end"
        ),
    ],
)
def test_the_old_refresh_token_stays_when_the_answer_brings_none(
    answer: dict[str, object], refresh_token: str, refresh_end: float | None
) -> None:
    kept = refreshed(
        tokens(refresh_expires_at=500.0),
        response(**answer),
        now=1000.0,
        id_token=None,
        assume_expires_in=None,
    )
    assert (kept.access_token, kept.id_token) == ("new-at", "it")
    assert (kept.refresh_token, kept.refresh_expires_at) == (refresh_token, refresh_end)


@pytest.mark.rule("R-02")
@given(
    now=TIMES,
    life=st.floats(0, 1e5),
    at=st.text("abc", min_size=1),
    ahead=st.floats(0, 0.9),
    jitter=st.floats(0, 1),
)
def test_a_token_is_due_before_it_is_expired_and_never_after_a_whole_life(
    now: float, life: float, at: str, ahead: float, jitter: float
) -> None:
    held = tokens(access_token=at, issued_at=1000.0, expires_at=1000.0 + life)
    if expired(held, now):
        assert due(held, now, ahead=ahead, jitter=jitter)
        assert now >= 1000.0 + life - 1.0
    if now >= 1000.0 + life:
        assert expired(held, now)
    if now < 1000.0:
        assert not expired(held, now)


def test_a_token_of_unknown_life_is_used_until_it_is_refused() -> None:
    held = tokens(expires_at=None)
    assert not expired(held, 1e12)
    assert not due(held, 1e12, ahead=0.5, jitter=0.5)


def test_without_a_refresh_token_nothing_is_due() -> None:
    assert not due(tokens(refresh_token=None), 99.0, ahead=0.5, jitter=0.0)


@pytest.mark.rule("E-06")
@pytest.mark.parametrize(
    "kind", [record.Tokens, record.Identity, record.LoginTransaction, TokenResponse]
)
def test_no_repr_shows_a_secret(kind: type[typing.Any]) -> None:
    secret = {
        *("access_token", "refresh_token", "id_token", "state", "nonce", "code_verifier"),
        *("session_id", "sub", "sid", "claims", "return_to"),
    }
    fields = {field.name for field in dataclasses.fields(kind)}
    value = kind(**{name: MARK if name in secret else "plain" for name in fields})
    assert fields & secret
    assert MARK not in repr(value)


@pytest.mark.rule("R-09", "S-12")
@pytest.mark.parametrize(
    ("more", "end"),
    [
        pytest.param({}, None, id="nobody knows when the refresh token ends"),
        pytest.param({"refresh_expires_at": 500.0}, 500.0, id="with the refresh token"),
        pytest.param({"refresh_token": None}, 99.0, id="without one, with the access token"),
        pytest.param({"refresh_token": None, "expires_at": 2.0}, 1.6, id="of a short life"),
        pytest.param({"refresh_token": None, "expires_at": None}, None, id="of an unknown one"),
    ],
)
def test_tokens_are_good_until(more: dict[str, object], end: float | None) -> None:
    found = tokens(**more)
    assert good_until(found) == end
    if found.refresh_token is None and end is not None:
        assert expired(found, end)
        assert not expired(found, end - 0.001)
