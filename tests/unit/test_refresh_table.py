"""What each answer of the token endpoint means, as total tables."""

import itertools
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.config.provider_section import RouteTokenWay
from bff.provider.token_answer import TokenAnswer
from bff.session.record import Identity, Session, Tokens
from bff.session.steps import ROUTE_STEPS, STEPS, Need, RouteStep, Step, is_dead, need


def session(*, issued_at: float, life: float | None, refresh_token: str | None = "r") -> Session:
    tokens = Tokens(
        access_token=secrets.token_hex(4),
        refresh_token=refresh_token,
        id_token="i",
        scope="openid",
        issued_at=issued_at,
        expires_at=None if life is None else issued_at + life,
        refresh_expires_at=None,
    )
    identity = Identity(
        iss="https://i",
        sub="s",
        sid=None,
        aud=("c",),
        azp=None,
        nonce=None,
        auth_time=None,
        acr=None,
        claims={},
    )
    return Session(frontend="default", identity=identity, tokens=tokens, created_at=issued_at)


def test_the_table_of_steps_is_total() -> None:
    assert STEPS.keys() == set(itertools.product(TokenAnswer, (False, True)))


@pytest.mark.rule("R-06")
def test_only_a_dead_refresh_token_ends_a_session() -> None:
    ends = {
        pair for pair, step in STEPS.items() if step in (Step.END_REJECTED, Step.END_INTERRUPTED)
    }
    assert ends == {(TokenAnswer.INVALID_GRANT, False), (TokenAnswer.INVALID_GRANT, True)}


def test_a_token_that_may_have_been_spent_is_interrupted_and_not_rejected() -> None:
    assert STEPS[TokenAnswer.INVALID_GRANT, True] is Step.END_INTERRUPTED
    assert STEPS[TokenAnswer.INVALID_GRANT, False] is Step.END_REJECTED


@pytest.mark.rule("R-12")
def test_every_answer_about_a_route_has_its_step_and_none_ends_the_session() -> None:
    ways: tuple[RouteTokenWay, ...] = ("refresh", "exchange")
    assert ROUTE_STEPS.keys() == set(itertools.product(TokenAnswer, ways))
    assert {ROUTE_STEPS[TokenAnswer.GRANTED, way] for way in ways} == {RouteStep.STORE}
    assert not {step.value for step in RouteStep} & {"end_rejected", "end_interrupted"}
    unsure = {pair for pair, step in ROUTE_STEPS.items() if step is RouteStep.BACK_OFF_UNSURE}
    assert unsure == {(TokenAnswer.UNSURE, "refresh")}  # an exchange spends nothing


@pytest.mark.parametrize(
    ("age", "life", "refresh_token", "expected"),
    [
        pytest.param(0, 300, "r", Need.NOTHING, id="a fresh token"),
        pytest.param(200, 300, "r", Need.NOTHING, id="before its last part"),
        pytest.param(260, 300, "r", Need.AHEAD, id="in its last part"),
        pytest.param(298, 300, "r", Need.AHEAD, id="just before its end"),
        pytest.param(299, 300, "r", Need.NOW, id="a moment before its end counts as over"),
        pytest.param(900, 300, "r", Need.NOW, id="long over"),
        pytest.param(298, 300, None, Need.NOTHING, id="nothing to renew it with, still good"),
        pytest.param(300, 300, None, Need.IMPOSSIBLE, id="nothing to renew it with, over"),
        pytest.param(9e9, None, "r", Need.NOTHING, id="a life that nobody knows"),
        pytest.param(0, 0, "r", Need.NOW, id="a life of nothing"),
    ],
)
def test_what_a_request_needs(
    age: float, life: float | None, refresh_token: str | None, expected: Need
) -> None:
    one = session(issued_at=1000, life=life, refresh_token=refresh_token)
    assert need(one, 1000 + age, ahead=0.2, jitter=0) is expected


@given(
    life=st.floats(1, 1e6), ahead=st.floats(0, 0.9), jitter=st.floats(0, 1), part=st.floats(0, 2)
)
def test_a_token_is_never_renewed_ahead_before_its_last_part_nor_used_after_its_end(
    life: float, ahead: float, jitter: float, part: float
) -> None:
    one = session(issued_at=0, life=life)
    found = need(one, life * part, ahead=ahead, jitter=jitter)
    if part >= 1:
        assert found is Need.NOW
    if found is Need.AHEAD:
        assert life * part >= life - min(1.0, life / 5) - ahead * life - 1e-6 * life
    if found is Need.NOW:
        assert life * part >= life - min(1.0, life / 5) - 1e-6 * life


@pytest.mark.rule("R-07")
@pytest.mark.parametrize(
    ("worked_at", "now", "over", "dead"),
    [
        pytest.param(None, 9e9, True, False, id="credentials that never worked"),
        pytest.param(999.0, 1003.0, True, False, id="they worked before the first one only"),
        pytest.param(1000.0, 1003.0, True, False, id="in the very moment of the first one"),
        pytest.param(1001.0, 1003.0, True, True, id="they have worked since the first one"),
        pytest.param(1001.0, 1003.0, False, False, id="while the access token is good"),
        pytest.param(1.0, 4599.0, True, False, id="an hour has not passed"),
        pytest.param(1.0, 4600.0, True, True, id="an hour has passed, and they did work once"),
        pytest.param(1.0, 4600.0, False, False, id="an hour has passed, the access token is good"),
    ],
)
def test_a_second_definite_400_proves_the_token_dead_only_if_it_cannot_be_the_secret(
    worked_at: float | None, now: float, over: bool, dead: bool
) -> None:
    assert is_dead(first_at=1000.0, worked_at=worked_at, now=now, over=over) is dead
