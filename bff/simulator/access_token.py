"""How the small API reads an access token: a JWT of RFC 9068, verified against the JWKS (§4).

Keys are cached and fetched again when a token names one that is not among them.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import httpx
import jwt
from starlette.requests import HTTPConnection

from bff.simulator.dpop import Habit, Nonces, Proven, thumbprint_of
from bff.simulator.once import Once
from bff.simulator.refusal import Reason, Refused

ALGORITHMS: Final = ("RS256", "ES256")
TYPES: Final = ("at+jwt", "application/at+jwt")
CLAIMS: Final = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]


class Invalid(Exception):
    """No valid access token; `headers` hold the challenge (RFC 6750 §3, RFC 9449 §7.1)."""

    def __init__(
        self,
        description: str = "",
        *,
        scheme: str = "Bearer",
        error: str = "invalid_token",
        nonce: str | None = None,
    ) -> None:
        super().__init__(description)
        said = f', error="{error}", error_description="{description}"' if description else ""
        self.headers = {"WWW-Authenticate": f'{scheme} realm="tasks"{said}'}
        if nonce is not None:
            self.headers["DPoP-Nonce"] = nonce


@dataclass(frozen=True, slots=True, kw_only=True)
class Proofs:
    """How proofs are judged, where tokens are bound to keys: what the API remembers and demands."""

    once: Once = field(default_factory=Once)
    nonces: Nonces = field(default_factory=Nonces)
    habit: Callable[[], Habit] = lambda: "never"
    public_url: str | None = None  # where it believes to be, if that is not what Host says


class AccessTokens:
    """Verifies access tokens of one issuer for one audience."""

    def __init__(
        self,
        issuer: str,
        audience: str,
        jwks_uri: str,
        is_dead: Callable[[str], bool],
        proofs: Proofs | None = None,
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._jwks_uri = jwks_uri
        self._is_dead = is_dead
        self._proofs = proofs or Proofs()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetching = asyncio.Lock()

    async def verified(self, request: HTTPConnection) -> dict[str, Any]:
        """The claims of the token that a request shows, and has the right to, or Invalid."""
        authorization = request.headers.getlist("authorization")
        scheme, _, presented = authorization[0].partition(" ") if authorization else ("", "", "")
        if len(authorization) != 1 or scheme.lower() not in ("bearer", "dpop"):
            raise Invalid
        claims = await self.claims(presented)
        jkt = claims.get("cnf", {}).get("jkt")
        if (jkt is None) != (scheme.lower() == "bearer"):
            raise Invalid("not a token of that scheme")
        if jkt is not None and jkt != self._proven(request, presented):
            raise Invalid("bound to another key", scheme="DPoP")
        return claims

    def _proven(self, request: HTTPConnection, presented: str) -> str:
        base = str(request.base_url).rstrip("/").replace("ws", "http", 1)
        proven = Proven(
            proofs=tuple(request.headers.getlist("dpop")),
            method=str(request.scope.get("method", "GET")),  # a WebSocket begins as one
            url=(self._proofs.public_url or base) + request.url.path,
            now=datetime.now(UTC).timestamp(),
            access_token=presented,
        )
        proofs, habit = self._proofs, self._proofs.habit()
        try:
            return thumbprint_of(proven, proofs.once, proofs.nonces, habit)
        except Refused as refused:
            wanted = proofs.nonces.current if refused.reason is Reason.DPOP_NONCE else None
            answer = refused.answer
            raise Invalid(
                answer.description, scheme="DPoP", error=answer.error, nonce=wanted
            ) from None

    def told(self) -> dict[str, str]:
        """The field by which a success tells the next nonce."""
        if self._proofs.habit() == "never":
            return {}
        self._proofs.nonces.rotate()
        return {"DPoP-Nonce": self._proofs.nonces.current}

    async def claims(self, presented: str) -> dict[str, Any]:
        """What a token says, if it is one; whoever shows it. Raises Invalid."""
        try:
            header = jwt.get_unverified_header(presented)
            key = await self._key(str(header.get("kid")))
            if header.get("typ") not in TYPES or header.get("alg") != key.algorithm_name:
                raise Invalid("not an access token")
            claims: dict[str, Any] = jwt.decode(
                presented,
                key,
                algorithms=[alg for alg in ALGORITHMS if alg == key.algorithm_name],
                audience=self._audience,
                issuer=self._issuer,
                options={"require": CLAIMS},
            )
        except jwt.ExpiredSignatureError:
            raise Invalid("expired") from None
        except jwt.PyJWTError:
            raise Invalid("not valid") from None
        if self._is_dead(str(claims["jti"])):
            raise Invalid("revoked")
        return claims

    async def _key(self, kid: str) -> jwt.PyJWK:
        async with self._fetching:
            if kid not in self._keys:
                self._keys = await self._fetched()
        if kid not in self._keys:
            raise Invalid("unknown key")
        return self._keys[kid]

    async def _fetched(self) -> dict[str, jwt.PyJWK]:
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
                answer = await http.get(self._jwks_uri)
            keys = [jwt.PyJWK(jwk) for jwk in answer.raise_for_status().json()["keys"]]
        except (httpx.HTTPError, ValueError, KeyError, jwt.PyJWTError):
            raise Invalid("no keys to verify with") from None
        return {str(key.key_id): key for key in keys}
