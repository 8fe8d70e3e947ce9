"""`provider.organization`: of which organisation of the provider's a person must come, and how a
login says so.
"""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field, model_validator

from bff.config.section import Section
from bff.config.values import fault

PLACE: Final = "{organization}"
_NAME: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,128}")  # as a scope may hold it
_FLOW: Final = frozenset(
    {
        "response_type", "response_mode", "client_id", "redirect_uri", "scope", "state", "nonce",
        "code_challenge", "code_challenge_method", "request", "request_uri", "dpop_jkt", "prompt",
        "login_hint", "acr_values", "max_age", "ui_locales", "resource",
    }
)  # fmt: skip


def _names(value: tuple[str, ...]) -> tuple[str, ...]:
    if not all(_NAME.fullmatch(name) for name in value):
        raise fault("holds what names no organisation", "write them as the claim does")
    return value


def _pattern(value: str) -> str:
    try:
        re.compile(value)
    except re.error:
        raise fault(
            "is no pattern", 'write one that must match the whole, as "org_[a-z0-9]+"'
        ) from None
    return value


def _parameter(value: str) -> str:
    if value in _FLOW:
        raise fault("is a parameter that the flow itself sets", "write the provider's own")
    return value


def _scope(value: str) -> str:
    if value.count(PLACE) != 1 or not _NAME.fullmatch(value):
        raise fault("is no scope with a place", f'write {PLACE} once, as "organization:{PLACE}"')
    return value


class Organization(Section):
    """What is asked for, in which claim the answer is, and which answers will do."""

    claim: Annotated[str, Field(min_length=1)]
    parameter: Annotated[str, Field(min_length=1), AfterValidator(_parameter)] | None = None
    scope: Annotated[str, AfterValidator(_scope)] | None = None
    value: str | None = None
    allowed: Annotated[tuple[str, ...], AfterValidator(_names)] = ()
    pattern: Annotated[str, AfterValidator(_pattern)] | None = None

    @model_validator(mode="after")
    def _names_some(self) -> "Organization":
        several = bool(self.allowed) or self.pattern is not None
        if (self.value is None) == (not several):
            raise fault(
                "does not say which organisations will do, or says it twice",
                "write value for one, or allowed or pattern for several",
            )
        if self.value is not None and not _NAME.fullmatch(self.value):
            raise fault("has a value that names no organisation", "write it as the claim does")
        return self
