"""What an access token of its own is asked for: scopes, and the API that it is for.

Under `token`, which asks. Pure, and made from the configuration alone.
"""

from dataclasses import dataclass

from bff.provider.call import Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a route wants of its token."""

    scopes: tuple[str, ...] = ()
    resource: str | None = None  # an absolute URI (RFC 8707 §2)
    audience: str | None = None  # the same by a name, for providers that know no resource

    @property
    def scope(self) -> str:
        """The scopes as they are sent (RFC 6749 §3.3)."""
        return " ".join(self.scopes)


def wanted_parameters(wanted: Wanted) -> Form:
    """Its parameters of a token request; what the route does not say, the provider chooses."""
    said = {"scope": wanted.scope, "resource": wanted.resource, "audience": wanted.audience}
    return {name: value for name, value in said.items() if value}
