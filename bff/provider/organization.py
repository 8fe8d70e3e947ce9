"""Of which organisation a person signs in: asked for, and then found in the provider's answer.

Pure. What a login asks for must be among what the file lets it ask for; what comes back is never
taken for what was asked without being looked at.
"""

import re
from collections.abc import Mapping

from bff.config.organization import PLACE, Organization
from bff.provider.claims import Claims


def may_be(config: Organization, name: str) -> bool:
    """Whether the file knows that organisation."""
    if config.value is not None:
        return name == config.value
    by_pattern = config.pattern is not None and re.fullmatch(config.pattern, name) is not None
    return name in config.allowed or by_pattern


def can_ask(config: Organization | None, name: str) -> bool:
    """Whether a login may ask for it, and there is a way to say so."""
    if config is None or (config.parameter is None and config.scope is None):
        return False
    return may_be(config, name)


def parameters_for(config: Organization | None, name: str | None) -> Mapping[str, str]:
    """What the authorization request says of it."""
    if config is None or name is None or config.parameter is None:
        return {}
    return {config.parameter: name}


def scopes_for(config: Organization | None, name: str | None) -> tuple[str, ...]:
    """The same where the provider wants it in a scope."""
    if config is None or name is None or config.scope is None:
        return ()
    return (config.scope.replace(PLACE, name),)


def organization_in(config: Organization, claims: Claims) -> str | None:
    """The one organisation that the claims name: a text, or a list or table of exactly one."""
    said = claims.get(config.claim)
    if isinstance(said, list | dict):
        said = next(iter(said)) if len(said) == 1 else None
    return said if isinstance(said, str) and said else None


def fits(config: Organization, claims: Claims, *, asked: str | None) -> bool:
    """Whether the claims name an organisation that will do, and the one that was asked for."""
    found = organization_in(config, claims)
    return found is not None and may_be(config, found) and asked in (None, found)


def is_another(config: Organization | None, claims: Claims, own: str | None) -> bool:
    """Whether the claims of a refresh name another organisation than the session's.

    One that is silent contradicts nothing: providers leave claims out of such tokens.
    """
    if config is None or config.claim not in claims:
        return False
    found = organization_in(config, claims)
    if own is None:  # of a session from before the file asked
        return found is None or not may_be(config, found)
    return found != own
