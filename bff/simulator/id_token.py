"""The ID token: its draft, its signature, and every named way to get it wrong.

`token` drafts it; a fault on the endpoint `id_token` names a departure. Most departures must make a
client refuse; the last ones are seen at real providers and must not.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bff.simulator.keys import Keys, Signer, SigningKey, compact

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(slots=True, kw_only=True)
class Draft:
    """A token before its signature; departures change it in place."""

    claims: dict[str, Any] = field(repr=False)
    key: SigningKey
    other_key: SigningKey  # published too, of another key type
    now: int
    header: dict[str, Any] = field(default_factory=dict)
    signer: Signer | None = None
    absent: bool = False

    def __post_init__(self) -> None:
        self.header = {"alg": self.key.alg, "kid": self.key.kid, "typ": "JWT"}

    def signed(self) -> str | None:
        """The compact token, or None where a departure leaves it out."""
        if self.absent:
            return None
        return compact(self.header, self.claims, self.signer or self.key.sign)


def draft_of(claims: dict[str, Any], keys: Keys, alg: str, now: int) -> Draft:
    """A right token of these claims, to be signed with `alg` at `now` (seconds)."""
    other = "ES256" if alg == "RS256" else "RS256"
    return Draft(claims=claims, key=keys.signing(alg), other_key=keys.signing(other), now=now)


def with_claims(**changes: object) -> Callable[[Draft], None]:
    """These claims instead."""
    return lambda draft: draft.claims.update(changes)


def without(claim: str) -> Callable[[Draft], None]:
    """All but that claim."""

    def departure(draft: Draft) -> None:
        draft.claims.pop(claim, None)

    return departure


def at_times(**offsets: int) -> Callable[[Draft], None]:
    """Claims at so many seconds from now."""
    return lambda draft: draft.claims.update(
        {name: draft.now + offset for name, offset in offsets.items()}
    )


def with_header(**changes: object) -> Callable[[Draft], None]:
    """These members of the header instead."""
    return lambda draft: draft.header.update(changes)


def _extra_aud(draft: Draft) -> None:
    draft.claims["aud"] = [draft.claims["aud"], "another-client"]


def _aud_list(draft: Draft) -> None:
    draft.claims["aud"] = [draft.claims["aud"]]


def _auth_time_float(draft: Draft) -> None:
    draft.claims["auth_time"] = float(draft.claims["auth_time"]) + 0.5


def _alg_none(draft: Draft) -> None:
    draft.header = {"alg": "none", "typ": "JWT"}
    draft.signer = lambda _message: b""


def _hs256_public_key(draft: Draft) -> None:
    draft.header["alg"] = "HS256"
    pem = draft.key.public_pem
    draft.signer = lambda message: hmac.digest(pem, message, hashlib.sha256)


def _bad_signature(draft: Draft) -> None:
    sign = draft.key.sign
    draft.signer = lambda message: sign(message + b"!")


def _foreign_key(draft: Draft) -> None:
    draft.signer = Keys.stranger(draft.key.alg).sign


def _no_kid(draft: Draft) -> None:
    del draft.header["kid"]


def _kid_of_another_key(draft: Draft) -> None:
    draft.header["kid"] = draft.other_key.kid


def _other_alg(draft: Draft) -> None:
    draft.header.update(alg=draft.other_key.alg, kid=draft.other_key.kid)
    draft.signer = draft.other_key.sign


def _missing(draft: Draft) -> None:
    draft.absent = True


ID_TOKEN_DEPARTURES: Final[Mapping[str, Callable[[Draft], None]]] = {
    "wrong_iss": with_claims(iss="https://evil.example"),
    "wrong_aud": with_claims(aud="another-client"),
    "extra_aud": _extra_aud,
    "wrong_azp": with_claims(azp="another-client"),
    "wrong_nonce": with_claims(nonce="not-the-nonce-of-the-request"),
    "missing_nonce": without("nonce"),
    "missing_iss": without("iss"),
    "missing_sub": without("sub"),
    "missing_aud": without("aud"),
    "missing_exp": without("exp"),
    "missing_iat": without("iat"),
    "expired": at_times(iat=-7_200, exp=-3_600),
    "future_iat": at_times(iat=3_600, exp=7_200),
    "old_iat": at_times(iat=-86_400),
    "old_auth_time": at_times(auth_time=-86_400),
    "alg_none": _alg_none,
    "hs256_public_key": _hs256_public_key,
    "other_alg": _other_alg,  # valid, but not the algorithm that the client registered
    "unknown_kid": with_header(kid="unknown"),
    "no_kid": _no_kid,  # ambiguous: several keys are published
    "kid_of_another_key": _kid_of_another_key,
    "crit": with_header(crit=["urn:simulator:unknown"]),
    "typ_at_jwt": with_header(typ="at+jwt"),
    "bad_signature": _bad_signature,
    "foreign_key": _foreign_key,  # under the id of one that is published
    "bad_at_hash": with_claims(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "other_sub": with_claims(sub="somebody-else"),
    "other_acr": with_claims(acr="0"),
    "other_organization": with_claims(org_id="org_other"),
    "missing": _missing,
    "events": with_claims(events={EVENT: {}}),
    "oversized": with_claims(padding="x" * 2_000_000),
    # Seen in the field, and right enough to be accepted:
    "aud_list": _aud_list,
    "auth_time_float": _auth_time_float,
    "auth_time_absent": without("auth_time"),
    "auth_time_zero": with_claims(auth_time=0),
    "at_hash_absent": without("at_hash"),
    "sid_absent": without("sid"),
}
