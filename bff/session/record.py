"""Session, Tokens, LoginTransaction: frozen values; deadlines are pure functions of store time.

What the store keeps sealed. Times are seconds since the epoch in store time; nothing here reads
a clock, opens a socket or knows a cookie.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import inf
from typing import Final

from bff.provider.identity import OriginalClaims
from bff.provider.token_answer import TokenResponse, TokenType
from bff.session.seal import hash_of

TRANSACTION_SECONDS: Final = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What the provider gave for this session. Access and refresh tokens are opaque (T-07)."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    id_token: str = field(repr=False)
    scope: str
    issued_at: float
    expires_at: float | None  # None: the provider did not say, and no assumption is configured
    refresh_expires_at: float | None
    token_type: TokenType = "Bearer"  # noqa: S105 - its name


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteToken:
    """A person's access token for the routes that want one for themselves (R-12)."""

    access_token: str = field(repr=False)
    asked: str  # the scope that it was asked with, which may be made of claims
    scope: str
    issued_at: float
    expires_at: float | None  # as of `Tokens`
    token_type: TokenType = "Bearer"  # noqa: S105 - its name


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who signed in, and what of the ID token a later one is held to (OpenID Core §12.2)."""

    iss: str
    sub: str = field(repr=False)
    sid: str | None = field(repr=False)
    aud: tuple[str, ...]
    azp: str | None
    nonce: str | None = field(repr=False)
    auth_time: float | None
    acr: str | None
    claims: Mapping[str, object] = field(repr=False)  # only those that /bff/session may show
    # Those that the rules of routes look at; no page sees them.
    held: Mapping[str, object] = field(default_factory=dict, repr=False)
    organization: str | None = None  # where the file asks for one


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One person in one browser."""

    frontend: str
    identity: Identity
    tokens: Tokens
    created_at: float
    prompted: bool = False  # its login had the provider ask the person anew (prompt=login)
    dpop_key: str | None = field(default=None, repr=False)  # what its tokens are bound to
    # By what each was asked for (`Wanted.name`, as the file has it); gone with the session.
    route_tokens: Mapping[str, RouteToken] = field(default_factory=dict, repr=False)

    @property
    def person(self) -> str:
        """A name for who it is, so that a page can tell one person from the next (S-15).

        The same for `iss` and `sub` at this front end in every session and replica, and no other
        front end's. Without a key on purpose: it must outlive every rotation, or a page would
        take its person for somebody else. It is no secret: whoever has it can try guesses of
        `sub`, but only a page of this very person has it, and of others it says nothing. The tag
        that stands for them in the log is another, and has a key.
        """
        octets = hash_of("bff/1/person", self.frontend, self.identity.iss, self.identity.sub)
        return base64.urlsafe_b64encode(octets[:16]).decode().rstrip("=")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginTransaction:
    """One attempt to sign in, bound to the browser by a sealed cookie (L-06)."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    code_verifier: str = field(repr=False)
    issuer: str
    return_to: str = field(repr=False)
    started_at: float
    session_id: str | None = field(repr=False)  # of the session that was live when it began
    silent: bool = False  # prompt=none was asked
    falls_on: bool = False  # and if that cannot be, a login as usual follows
    max_age: int | None = None
    acr_values: str | None = None
    prompted: bool = False  # prompt=login was asked
    organization: str | None = None  # asked for
    more_scopes: tuple[str, ...] = ()  # asked for beside those of every login
    dpop_key: str | None = field(default=None, repr=False)  # of the session that is to begin


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """When a record ends: the earliest of them is the TTL of its key in the store."""

    idle: float  # seconds without activity, a length
    absolute: float  # a time
    refresh: float | None  # a time: the newest refresh token's end, where the provider says one

    def end(self, now: float) -> float:
        """The time at which the record ends if nothing happens after `now`."""
        ends = (now + self.idle, self.absolute, self.refresh)
        return min(end for end in ends if end is not None)


def tokens_from(
    response: TokenResponse,
    *,
    now: float,
    asked_scope: str,
    id_token: str,
    assume_expires_in: float | None,
) -> Tokens:
    """The tokens of a first answer to what was asked at `now`.

    A missing `scope` means what was asked (RFC 6749 §5.1); a missing `expires_in` means the
    configured assumption, or that nobody knows.
    """
    life = response.expires_in if response.expires_in is not None else assume_expires_in
    return Tokens(
        access_token=response.access_token,
        refresh_token=response.refresh_token,
        id_token=id_token,
        scope=response.scope if response.scope is not None else asked_scope,
        issued_at=now,
        expires_at=None if life is None else now + life,
        refresh_expires_at=_refresh_end(response, now),
        token_type=response.token_type,
    )


def refreshed(
    tokens: Tokens,
    response: TokenResponse,
    *,
    now: float,
    id_token: str | None,
    assume_expires_in: float | None,
) -> Tokens:
    """The tokens to keep after a refresh that was asked for at `now`.

    The old refresh token stays when the answer brings none (RFC 6749 §6), and with it its end.
    """
    fresh = tokens_from(
        response,
        now=now,
        asked_scope=tokens.scope,
        id_token=id_token or tokens.id_token,
        assume_expires_in=assume_expires_in,
    )
    if response.refresh_token is not None:
        return fresh
    end = fresh.refresh_expires_at or tokens.refresh_expires_at
    return replace(fresh, refresh_token=tokens.refresh_token, refresh_expires_at=end)


def _refresh_end(response: TokenResponse, now: float) -> float | None:
    return None if response.refresh_expires_in is None else now + response.refresh_expires_in


def route_token_from(
    response: TokenResponse,
    *,
    now: float,
    asked: str,
    own_scope: str,
    assume_expires_in: float | None,
) -> RouteToken:
    """What of an answer to a request at `now` is a route's; missing members as in `tokens_from`.

    Who asked for no scope, and is told none, has the session's own.
    """
    life = response.expires_in if response.expires_in is not None else assume_expires_in
    return RouteToken(
        access_token=response.access_token,
        asked=asked,
        scope=response.scope if response.scope is not None else asked or own_scope,
        issued_at=now,
        expires_at=None if life is None else now + life,
        token_type=response.token_type,
    )


def rotated(tokens: Tokens, response: TokenResponse, *, now: float, id_token: str | None) -> Tokens:
    """The session's own tokens after a refresh for a route: all but the access token may be new."""
    fresh = refreshed(tokens, response, now=now, id_token=id_token, assume_expires_in=None)
    return replace(
        fresh,
        access_token=tokens.access_token,
        token_type=tokens.token_type,
        scope=tokens.scope,
        issued_at=tokens.issued_at,
        expires_at=tokens.expires_at,
    )


def expired(tokens: Tokens | RouteToken, now: float) -> bool:
    """Whether the access token is past its end. One of unknown life is tried until refused."""
    return tokens.expires_at is not None and now >= _usable_until(tokens, tokens.expires_at)


def good_until(tokens: Tokens) -> float | None:
    """When they are of no more use, which ends the session; None: nobody knows.

    Without a refresh token that is the end of the access token (R-09).
    """
    if tokens.refresh_token is not None:
        return tokens.refresh_expires_at
    return None if tokens.expires_at is None else _usable_until(tokens, tokens.expires_at)


def due(tokens: Tokens | RouteToken, now: float, *, ahead: float, jitter: float) -> bool:
    """Whether the token is in the last part of its life, where it is renewed behind the caller.

    `ahead` is that part as a fraction of the whole life; up to `jitter` of it is taken off, by a
    number drawn from the token itself, so that sessions of one minute do not renew in one second
    and every process agrees about one session.
    """
    return _renewable(tokens) and now >= quiet_until(tokens, ahead=ahead, jitter=jitter)


def _renewable(tokens: Tokens | RouteToken) -> bool:
    return isinstance(tokens, RouteToken) or tokens.refresh_token is not None


def quiet_until(tokens: Tokens | RouteToken, *, ahead: float, jitter: float) -> float:
    """Until when a request needs nothing but the access token as it is."""
    if tokens.expires_at is None:
        return inf
    end = _usable_until(tokens, tokens.expires_at)
    if not _renewable(tokens):
        return end
    part = ahead * (tokens.expires_at - tokens.issued_at)
    return end - part * (1 - jitter * _spread(tokens.access_token))


def _usable_until(tokens: Tokens | RouteToken, expires_at: float) -> float:
    """A moment before the end: `exp` counts whole seconds, and the call takes time to arrive."""
    return expires_at - min(1.0, (expires_at - tokens.issued_at) / 5)


def _spread(access_token: str) -> float:
    digest = hashlib.sha256(b"bff/1/jitter/" + access_token.encode()).digest()
    return digest[0] / 255


def original_claims(identity: Identity) -> OriginalClaims:
    """What the ID token of a refresh is held to (OpenID Connect Core §12.2)."""
    return OriginalClaims(
        iss=identity.iss,
        sub=identity.sub,
        aud=identity.aud,
        azp=identity.azp,
        nonce=identity.nonce,
        auth_time=identity.auth_time,
    )
