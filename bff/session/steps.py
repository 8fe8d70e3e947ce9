"""What a request needs of its tokens, and what an answer of the token endpoint means: tables.

Pure; `refresh` acts on them. Both tables are total, so that no answer can be forgotten.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from bff.config.provider_section import RouteTokenWay
from bff.problem import Reason
from bff.provider.token_answer import TokenAnswer
from bff.session.record import RouteToken, Session, due, expired
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


def need_for(token: RouteToken | None, now: float, *, ahead: float, jitter: float) -> Need:
    """The same of a token that a route has for itself."""
    if token is None or expired(token, now):
        return Need.NOW
    return Need.AHEAD if due(token, now, ahead=ahead, jitter=jitter) else Need.NOTHING


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
    (TokenAnswer.NOT_TO_BE_HAD, False): Step.RELEASE_400,
    (TokenAnswer.NOT_TO_BE_HAD, True): Step.RELEASE_400,
    (TokenAnswer.DEFINITE_400, False): Step.RELEASE_400,
    (TokenAnswer.DEFINITE_400, True): Step.RELEASE_400,
    (TokenAnswer.UNSURE, False): Step.RELEASE_UNSURE,
    (TokenAnswer.UNSURE, True): Step.RELEASE_UNSURE,
    (TokenAnswer.PASSING, False): Step.RELEASE_CLEAN,
    (TokenAnswer.PASSING, True): Step.RELEASE_CLEAN,
}

# Refused, without a word by which the token could be told to be dead.
DEFINITE_400S: Final = frozenset({TokenAnswer.NOT_TO_BE_HAD, TokenAnswer.DEFINITE_400})
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


class RouteStep(StrEnum):
    """What the owner of the lease does after an answer about a token for one route (R-12)."""

    STORE = "store"
    REFUSE = "refuse"  # this route alone: the session lives, and so does everything else of it
    PROVE = "prove"  # it may be the session's own tokens: they are renewed, and then once more
    LATER = "later"  # of this route alone, and nobody else is held back
    BACK_OFF = "back_off"
    BACK_OFF_UNSURE = "back_off_unsure"


# No answer about a route ends a session: a provider says `invalid_grant` also where a person has
# not consented to one API. Only a refresh for the session itself is a proof.
ROUTE_STEPS: Final[Mapping[tuple[TokenAnswer, RouteTokenWay], RouteStep]] = {
    (TokenAnswer.GRANTED, "refresh"): RouteStep.STORE,
    (TokenAnswer.GRANTED, "exchange"): RouteStep.STORE,
    (TokenAnswer.INVALID_GRANT, "refresh"): RouteStep.PROVE,
    (TokenAnswer.INVALID_GRANT, "exchange"): RouteStep.PROVE,
    (TokenAnswer.CLIENT_REFUSED, "refresh"): RouteStep.LATER,
    (TokenAnswer.CLIENT_REFUSED, "exchange"): RouteStep.LATER,
    (TokenAnswer.NOT_TO_BE_HAD, "refresh"): RouteStep.REFUSE,
    (TokenAnswer.NOT_TO_BE_HAD, "exchange"): RouteStep.REFUSE,
    # `invalid_request` is how an exchange refuses the token it is shown (RFC 8693 §2.2.2).
    (TokenAnswer.DEFINITE_400, "refresh"): RouteStep.PROVE,
    (TokenAnswer.DEFINITE_400, "exchange"): RouteStep.PROVE,
    (TokenAnswer.UNSURE, "refresh"): RouteStep.BACK_OFF_UNSURE,
    (TokenAnswer.UNSURE, "exchange"): RouteStep.BACK_OFF,  # nothing was there to be spent
    (TokenAnswer.PASSING, "refresh"): RouteStep.BACK_OFF,
    (TokenAnswer.PASSING, "exchange"): RouteStep.BACK_OFF,
}
