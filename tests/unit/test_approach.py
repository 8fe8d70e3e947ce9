"""How near a session's ends are: a table of moments, without a clock."""

from math import inf

import pytest

from bff.browser.approach import LATE, Cause, ends
from bff.config.model import SessionSection
from bff.session.record import Tokens
from bff.session.store import Live

NOW = 1_000_000.0


def section(**more: str) -> SessionSection:
    return SessionSection.model_validate({"store": "memory:", **more})


def live(idle: float, absolute: float, refresh: float | None = None) -> Live:
    refresh_at = None if refresh is None else NOW + refresh
    return Live(
        version="v", idle_at=NOW + idle, absolute_at=NOW + absolute, refresh_at=refresh_at,
        seen_at=NOW,
    )  # fmt: skip


def tokens(issued_at: float = NOW) -> Tokens:
    return Tokens(
        access_token="a", refresh_token="r", id_token="i", scope="openid", issued_at=issued_at,
        expires_at=issued_at + 300, refresh_expires_at=None,
    )  # fmt: skip


@pytest.mark.rule("W-08")
@pytest.mark.parametrize(
    ("keys", "lengths", "idle_ahead", "lifetime_ahead"),
    [
        pytest.param({}, (1800, 43200, None), 120, 120, id="two minutes"),
        pytest.param({"expiring": "5m"}, (1800, 43200, None), 300, 300, id="as configured"),
        pytest.param(
            {"idle": "2m", "expiring": "5m"}, (120, 43200, None), 60, 300, id="half of idle"
        ),
        pytest.param(
            {"idle": "1m", "lifetime": "2m"}, (60, 120, None), 30, 60, id="half of lifetime"
        ),
        pytest.param({}, (1800, 43200, 90), 120, 45, id="half of the refresh token's life"),
    ],
)
def test_a_warning_comes_ahead_and_never_in_the_first_half(
    keys: dict[str, str],
    lengths: tuple[float, float, float | None],
    idle_ahead: float,
    lifetime_ahead: float,
) -> None:
    found = ends(live(*lengths), tokens(), section(**keys))
    assert found.idle_at - found.idle_warned_at == idle_ahead
    assert found.lifetime_at - found.lifetime_warned_at == lifetime_ahead


@pytest.mark.rule("W-08")
@pytest.mark.parametrize(
    ("lengths", "after", "near"),
    [
        pytest.param((1800, 43200), 0, set(), id="long to go"),
        pytest.param((1800, 43200), 1680, {Cause.IDLE}, id="idle comes near"),
        pytest.param((50_000, 43200), 43_100, {Cause.LIFETIME}, id="sliding would not help"),
        pytest.param((43_150, 43200), 43_100, {Cause.IDLE, Cause.LIFETIME}, id="both"),
    ],
)
def test_only_an_end_that_will_come_is_near(
    lengths: tuple[float, float], after: float, near: set[Cause]
) -> None:
    assert ends(live(*lengths), tokens(), section()).near(NOW + after) == near


@pytest.mark.rule("W-08")
def test_what_is_due_comes_in_order_and_then_never() -> None:
    found = ends(live(1800, 43200), tokens(), section())
    due = [found.due(NOW)]
    while due[-1] != inf:
        due.append(found.due(due[-1]))
    assert due == [NOW + 1680, NOW + 1800 + LATE, NOW + 43_080, inf]


def test_a_slide_moves_the_idle_end_and_its_warning_and_nothing_else() -> None:
    before = ends(live(1800, 43200), tokens(), section())
    assert before.moved(live(2400, 43200)) == ends(live(2400, 43200), tokens(), section())


def test_seconds_are_whole_and_never_below_none() -> None:
    left = ends(live(10.9, 20), tokens(), section()).seconds_left
    assert left(NOW) == {"idle": 10, "lifetime": 20, "access_token": 300}
    assert left(NOW + 1000) == {"idle": 0, "lifetime": 0, "access_token": 0}
