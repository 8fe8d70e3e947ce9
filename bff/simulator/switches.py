"""What the provider does differently from now on, until it is switched back.

Faults hit single requests; a switch is a habit, taken from what real providers do. Set at the start
in `Settings`, changed at run time by `POST /control/switches`.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec


class Switches(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Times are in seconds; a scope or metadata member is named as on the wire."""

    access_token_seconds: int = 20
    id_token_seconds: int = 300
    refresh_token_seconds: int = 86_400
    rotate: bool = True
    reuse_revokes: bool = True  # a spent refresh token ends the grant; else it is just refused
    rotation_grace_seconds: int = 0  # a spent refresh token is still good that long
    send_refresh_token_again: bool = True  # matters only where tokens are not rotated
    access_token_dies_at_refresh: bool = False
    end_session_revokes: bool = False  # else refresh tokens live on until revoked
    end_session_returns: Literal["always", "with_client_id", "with_state", "never"] = "always"
    end_session_parameter: Literal["post_logout_redirect_uri", "logout_uri"] = (
        "post_logout_redirect_uri"  # or else, and then it has never heard of hints
    )
    end_session_asks: bool = False  # a page of its own in between, in spite of a good hint
    logout_token_typ: str = "logout+jwt"  # noqa: S105 -- a media type
    logout_token_exp: bool = True
    logout_tokens: int = 1  # so many different ones for one logout
    id_token_at_refresh: bool = True
    nonce_at_refresh: bool = False
    profile_in_id_token: bool = True  # else name, e-mail and phone only in UserInfo
    userinfo_signed: bool = False  # UserInfo answers with a JWT
    omit_expires_in: bool = False
    omit_scope: bool = False
    refresh_expires_in: bool = False  # tell the refresh token's life in the answer
    token_type: str = "Bearer"  # noqa: S105 -- a name from RFC 6750
    dpop: bool = True  # else nobody here has ever heard of it, and proofs mean nothing
    dpop_nonces: Literal["never", "on_success", "demanded"] = "never"  # of the provider
    api_dpop_nonces: Literal["never", "on_success", "demanded"] = "never"
    par: Literal["absent", "offered", "required"] = "absent"
    assertion_audience: Literal["issuer", "token_endpoint"] = "issuer"  # and nothing else
    assertion_by_certificate: bool = False  # plain JWT, the key named by x5t#S256
    token_exchange: bool = True
    exchange_issues: str | None = "urn:ietf:params:oauth:token-type:access_token"  # null: not said
    exchange_refuses: tuple[str, ...] = ()  # targets that it does not know
    empty_refusals: bool = False  # the token endpoint refuses with an empty 400, whatever it is
    drop_scopes: tuple[str, ...] = ()  # granted less than asked
    discovery: Mapping[str, Any] = {}  # laid over the metadata; null omits the member


def changed(switches: Switches, wanted: Mapping[str, object]) -> Switches:
    """The switches with `wanted` laid over.

    Raises msgspec.ValidationError, which names the switch, for a wrong name or type."""
    return msgspec.convert({**msgspec.to_builtins(switches), **wanted}, Switches)
