"""Codes, access tokens and refresh token families: what was issued and whether it still holds.

In memory, for one event loop. A grant is one consent of one person to one client; everything issued
under it dies with it. Values are frozen and replaced; the registry alone knows what is spent.
"""

import hashlib
import hmac
import itertools
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from bff.simulator.keys import b64url
from bff.simulator.refusal import Reason, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What one person allowed one client; `auth_time` in seconds since the epoch."""

    grant_id: str
    client_id: str
    sub: str
    sid: str
    scope: tuple[str, ...]
    auth_time: int
    acr: str
    nonce: str | None = field(repr=False)
    resource: tuple[str, ...] = ()  # what its tokens may be for
    dpop_jkt: str | None = None  # the key that they are bound to
    x5t: str | None = None  # the certificate that they are bound to


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """An authorization code's bindings (RFC 6749 §4.1.2, RFC 7636 §4.4)."""

    grant: Grant
    redirect_uri: str
    code_challenge: str = field(repr=False)
    expires_at: float
    spent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshToken:
    """One member of a family; `spent_at` is set when it has been exchanged."""

    grant: Grant
    expires_at: float
    spent_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessToken:
    """What an access token stands for."""

    grant: Grant
    scope: tuple[str, ...]
    jti: str
    expires_at: float


class Grants:
    """The registry. Times are seconds since the epoch."""

    def __init__(self) -> None:
        self._codes: dict[str, Code] = {}
        self._refresh: dict[str, RefreshToken] = {}
        self._access: dict[str, AccessToken] = {}
        self._of_jti: dict[str, AccessToken] = {}
        self._dead_grants: set[str] = set()
        self._dead_jtis: set[str] = set()

    def issue_code(
        self, grant: Grant, *, redirect_uri: str, code_challenge: str, expires_at: float
    ) -> str:
        """A new code, good once."""
        code = secrets.token_urlsafe(32)
        self._codes[code] = Code(
            grant=grant,
            redirect_uri=redirect_uri,
            code_challenge=code_challenge,
            expires_at=expires_at,
        )
        return code

    def redeem(
        self, code: str, *, client_id: str, redirect_uri: str, code_verifier: str, now: float
    ) -> Grant:
        """The grant behind a code, or Refused; a replay revokes it (RFC 6749 §4.1.2)."""
        known = self._codes.get(code)
        if known is None:
            raise Refused(Reason.CODE_UNKNOWN)
        if known.grant.client_id != client_id:
            raise Refused(Reason.CODE_OF_ANOTHER_CLIENT)  # unspent: else anyone could burn it
        if known.spent:
            self.revoke(known.grant)
            raise Refused(Reason.CODE_REPLAYED)
        self._codes[code] = replace(known, spent=True)
        if now >= known.expires_at:
            raise Refused(Reason.CODE_EXPIRED)
        if redirect_uri != known.redirect_uri:
            raise Refused(Reason.CODE_REDIRECT_URI)
        challenge = b64url(hashlib.sha256(code_verifier.encode()).digest())
        if not hmac.compare_digest(challenge, known.code_challenge):
            raise Refused(Reason.CODE_VERIFIER)
        return self._alive(known.grant)

    def issue_refresh_token(self, grant: Grant, *, expires_at: float) -> str:
        """A new member of the grant's family."""
        token = secrets.token_urlsafe(32)
        self._refresh[token] = RefreshToken(grant=grant, expires_at=expires_at)
        return token

    def present(
        self, token: str, *, client_id: str, grace: int, revokes: bool, now: float
    ) -> RefreshToken:
        """The refresh token, if it may be exchanged now; a reuse `revokes` the grant.

        Does not spend it: the request may yet be refused for another reason."""
        known = self._refresh.get(token)
        if known is None:
            raise Refused(Reason.REFRESH_TOKEN_UNKNOWN)
        if known.grant.client_id != client_id:
            raise Refused(Reason.REFRESH_TOKEN_OF_ANOTHER_CLIENT)
        if known.spent_at is not None and now >= known.spent_at + grace:
            if revokes:
                self.revoke(known.grant)
            raise Refused(Reason.REFRESH_TOKEN_REUSED)
        if now >= known.expires_at:
            raise Refused(Reason.REFRESH_TOKEN_EXPIRED)
        self._alive(known.grant)
        return known

    def spend(self, token: str, *, now: float) -> None:
        """From now on (plus the grace) this refresh token betrays a thief."""
        known = self._refresh[token]
        self._refresh[token] = replace(known, spent_at=known.spent_at or now)

    def record_access_token(self, token: str, access: AccessToken) -> None:
        """Remembers an access token that has been signed."""
        self._access[token] = self._of_jti[access.jti] = access

    def access_token(self, token: str, *, now: float) -> AccessToken | None:
        """The access token, unless it is unknown, expired or revoked."""
        known = self._access.get(token)
        if known is None or now >= known.expires_at or self.is_dead(known.jti):
            return None
        return known

    def is_dead(self, jti: str) -> bool:
        """Whether the access token of that `jti` was revoked, alone or with its grant."""
        known = self._of_jti.get(jti)
        return jti in self._dead_jtis or (
            known is not None and known.grant.grant_id in self._dead_grants
        )

    def expire(self, sub: str | None) -> int:
        """How many access tokens, of a person or of everybody, are good no more."""
        jtis = {
            access.jti for access in self._access.values() if sub is None or access.grant.sub == sub
        } - self._dead_jtis
        self._dead_jtis |= jtis
        return len(jtis)

    def kill_access_tokens(self, grant: Grant) -> None:
        """Only the access tokens issued so far."""
        self._dead_jtis.update(
            access.jti
            for access in self._access.values()
            if access.grant.grant_id == grant.grant_id
        )

    def revoke(self, grant: Grant) -> None:
        """Everything under the grant is dead."""
        self._dead_grants.add(grant.grant_id)

    def revoke_token(self, token: str, *, client_id: str) -> bool:
        """Whether the token was known and is dead now (RFC 7009 §2.1)."""
        refresh, access = self._refresh.get(token), self._access.get(token)
        known = refresh or access
        if known is None:
            return False
        if known.grant.client_id != client_id:
            raise Refused(Reason.TOKEN_OF_ANOTHER_CLIENT)
        if access is not None:
            self._dead_jtis.add(access.jti)
        else:
            self.revoke(known.grant)
        return True

    def revoke_where(self, *, sub: str | None = None, sid: str | None = None) -> int:
        """How many living grants of a person or of a provider session died."""
        issued: Iterable[Code | RefreshToken | AccessToken] = itertools.chain(
            self._codes.values(), self._refresh.values(), self._access.values()
        )
        mine = {
            each.grant.grant_id for each in issued if each.grant.sub == sub or each.grant.sid == sid
        } - self._dead_grants
        self._dead_grants |= mine
        return len(mine)

    def _alive(self, grant: Grant) -> Grant:
        if grant.grant_id in self._dead_grants:
            raise Refused(Reason.GRANT_REVOKED)
        return grant
