"""What a request needs of its tokens, and what an answer of the token endpoint means: tables.

Pure; `refresh` acts on them. Both tables are total, so that no answer can be forgotten.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from bff.problem import Reason
from bff.provider.token_answer import TokenAnswer
from bff.session.record import Session, due, expired
from bff.session.store import Release


class Need(StrEnum):
    """What a request needs before it can use the access token."""

    NOTHING = "nothing"
    AHEAD = "ahead"  # served at once, renewed behind it
    NOW = "now"
    IMPOSSIBLE = "impossible"  # over, and nothing to renew it with


def need(session: Session, now: float, *, ahead: float, jitter: float) -> Need:
    """What a request at `now` needs."""
    tokens = session.tokens
    if expired(tokens, now):
        return Need.IMPOSSIBLE if tokens.refresh_token is None else Need.NOW
    return Need.AHEAD if due(tokens, now, ahead=ahead, jitter=jitter) else Need.NOTHING


class Step(StrEnum):
    """What the owner of the lease does after an answer of the token endpoint."""

    STORE = "store"
    END_REJECTED = "end_rejected"
    END_INTERRUPTED = "end_interrupted"
    RELEASE_CLEAN = "release_clean"
    RELEASE_UNSURE = "release_unsure"
    RELEASE_400 = "release_400"


STEPS: Final[Mapping[tuple[TokenAnswer, bool], Step]] = {
    # (what the token endpoint said, whether the refresh token may have been spent before)
    (TokenAnswer.GRANTED, False): Step.STORE,
    (TokenAnswer.GRANTED, True): Step.STORE,
    (TokenAnswer.INVALID_GRANT, False): Step.END_REJECTED,
    (TokenAnswer.INVALID_GRANT, True): Step.END_INTERRUPTED,
    (TokenAnswer.CLIENT_REFUSED, False): Step.RELEASE_CLEAN,
    (TokenAnswer.CLIENT_REFUSED, True): Step.RELEASE_CLEAN,
    (TokenAnswer.DEFINITE_400, False): Step.RELEASE_400,
    (TokenAnswer.DEFINITE_400, True): Step.RELEASE_400,
    (TokenAnswer.UNSURE, False): Step.RELEASE_UNSURE,
    (TokenAnswer.UNSURE, True): Step.RELEASE_UNSURE,
    (TokenAnswer.PASSING, False): Step.RELEASE_CLEAN,
    (TokenAnswer.PASSING, True): Step.RELEASE_CLEAN,
}

PATIENCE_400: Final = 3600.0  # seconds


def is_dead(*, first_at: float, worked_at: float | None, now: float, over: bool) -> bool:
    """Whether a second definite 400 is as good as `invalid_grant` (R-07). Times in store time.

    Some providers answer a dead refresh token with an empty 400, and a wrong client secret too. So
    it counts only once the access token is `over`, and only if it cannot be the secret: our
    credentials have worked since the first one, or they did at some time and an hour has passed,
    for nobody is left on 503 for ever.
    """
    if not over or worked_at is None:
        return False
    return worked_at > first_at or now - first_at >= PATIENCE_400


ENDS: Final[Mapping[Step, Reason]] = {
    Step.END_REJECTED: Reason.REFRESH_REJECTED,
    Step.END_INTERRUPTED: Reason.REFRESH_INTERRUPTED,
}
RELEASES: Final[Mapping[Step, Release]] = {
    Step.RELEASE_CLEAN: Release.CLEAN,
    Step.RELEASE_UNSURE: Release.UNSURE,
    Step.RELEASE_400: Release.DEFINITE_400,
}
