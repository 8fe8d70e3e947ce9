"""What an access token of its own is asked for: scopes, and the API that it is for.

Under `token`, which asks. Pure, and made from the configuration alone.
"""

from dataclasses import dataclass
from typing import Final

from bff.provider.call import Form

EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - a type
# What an exchange may say that it issued: a JWT is an access token here as well (RFC 8693 §3).
ISSUED: Final = frozenset({ACCESS_TOKEN, "urn:ietf:params:oauth:token-type:jwt"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a route wants of its token."""

    scopes: tuple[str, ...] = ()
    resource: str | None = None  # an absolute URI (RFC 8707 §2)
    audience: str | None = None  # the same by a name, for providers that know no resource

    @property
    def name(self) -> str:
        """It as one text: routes that want the same share a token."""
        return "\n".join((self.scope, self.resource or "", self.audience or ""))

    @property
    def scope(self) -> str:
        """The scopes as they are sent (RFC 6749 §3.3)."""
        return " ".join(self.scopes)


def wanted_parameters(wanted: Wanted) -> Form:
    """Its parameters of a token request; what the route does not say, the provider chooses."""
    said = {"scope": wanted.scope, "resource": wanted.resource, "audience": wanted.audience}
    return {name: value for name, value in said.items() if value}
