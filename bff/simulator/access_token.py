"""How the small API reads an access token: a JWT of RFC 9068, verified against the JWKS (§4).

Keys are cached and fetched again when a token names one that is not among them.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import httpx
import jwt

ALGORITHMS: Final = ("RS256", "ES256")
TYPES: Final = ("at+jwt", "application/at+jwt")
CLAIMS: Final = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]


class Invalid(Exception):
    """No valid access token; `challenge` is the value of WWW-Authenticate (RFC 6750 §3)."""

    def __init__(self, description: str = "") -> None:
        super().__init__(description)
        error = f', error="invalid_token", error_description="{description}"' if description else ""
        self.challenge = f'Bearer realm="tasks"{error}'


class AccessTokens:
    """Verifies access tokens of one issuer for one audience."""

    def __init__(
        self, issuer: str, audience: str, jwks_uri: str, is_dead: Callable[[str], bool]
    ) -> None:
        self._issuer = issuer
        self._audience = audience
        self._jwks_uri = jwks_uri
        self._is_dead = is_dead
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetching = asyncio.Lock()

    async def verified(self, authorization: Sequence[str]) -> dict[str, Any]:
        """The claims behind the values of the Authorization header, or Invalid."""
        scheme, _, presented = authorization[0].partition(" ") if authorization else ("", "", "")
        if len(authorization) != 1 or scheme.lower() != "bearer":
            raise Invalid
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
