"""A provider that fails is asked at a bounded rate, and one success ends that."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bff.provider.restraint import LONGEST, PATIENCE, PAUSE, Restraint


def failing(now: float = 0.0, *, retry_after: float | None = None) -> Restraint:
    restraint = Restraint()
    for _ in range(PATIENCE):
        assert restraint.admit(now)
    for _ in range(PATIENCE):
        restraint.fails(now, retry_after)
    return restraint


def test_a_provider_that_works_or_fails_now_and_then_is_asked_at_once() -> None:
    restraint = Restraint()
    for now in range(100):
        assert restraint.admit(now / 1000)
        restraint.fails(now / 1000, None)
        if now % (PATIENCE - 1) == 0:
            restraint.works()


@pytest.mark.rule("R-07")
def test_one_success_ends_the_holding_back_at_once() -> None:
    restraint = failing(retry_after=30)
    assert not restraint.admit(1.0)
    restraint.works()
    assert all(restraint.admit(1.0) for _ in range(10))


@pytest.mark.rule("R-07")
@pytest.mark.parametrize(("named", "waits"), [(7.0, 7.0), (LONGEST, LONGEST), (3600.0, LONGEST)])
def test_the_time_that_the_provider_names_is_kept_within_a_bound(
    named: float, waits: float
) -> None:
    restraint = failing(100.0, retry_after=named)
    assert restraint.wait(100.0) == waits
    assert not restraint.admit(100.0 + waits - 0.01)
    assert restraint.admit(100.0 + waits)


@pytest.mark.rule("R-07")
@given(steps=st.lists(st.floats(0, 0.2), min_size=1, max_size=200))
def test_while_it_fails_no_more_than_a_few_requests_a_second_leave(steps: list[float]) -> None:
    restraint, now, left = failing(), 0.0, 0
    for step in steps:
        now += step
        if restraint.admit(now):
            left += 1
            restraint.fails(now, None)
    assert left <= now / (PAUSE / 2) + 1


def test_the_pauses_differ() -> None:
    pauses = set()
    for _ in range(20):
        restraint = failing()
        restraint.admit(10.0)
        pauses.add(restraint.wait(10.0))
    assert len(pauses) > 1
    assert all(PAUSE / 2 <= pause <= PAUSE * 1.5 for pause in pauses)
