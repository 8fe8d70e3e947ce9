"""The ID token: its draft, its signature, and every named way to get it wrong.

`token` drafts it; a fault on the endpoint `id_token` names a departure. Most departures must make a
client refuse; the last ones are seen at real providers and must not.
"""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from bff.simulator.keys import Signer, SigningKey, compact

EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"


@dataclass(slots=True, kw_only=True)
class Draft:
    """An ID token before its signature; departures change it in place."""

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


def _claims(**changes: object) -> Callable[[Draft], None]:
    return lambda draft: draft.claims.update(changes)


def _without(claim: str) -> Callable[[Draft], None]:
    def departure(draft: Draft) -> None:
        draft.claims.pop(claim, None)

    return departure


def _times(**offsets: int) -> Callable[[Draft], None]:
    """Claims at so many seconds from now."""
    return lambda draft: draft.claims.update(
        {name: draft.now + offset for name, offset in offsets.items()}
    )


def _header(**changes: object) -> Callable[[Draft], None]:
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
    "wrong_iss": _claims(iss="https://evil.example"),
    "wrong_aud": _claims(aud="another-client"),
    "extra_aud": _extra_aud,
    "wrong_azp": _claims(azp="another-client"),
    "wrong_nonce": _claims(nonce="not-the-nonce-of-the-request"),
    "missing_nonce": _without("nonce"),
    "missing_iss": _without("iss"),
    "missing_sub": _without("sub"),
    "missing_aud": _without("aud"),
    "missing_exp": _without("exp"),
    "missing_iat": _without("iat"),
    "expired": _times(iat=-7_200, exp=-3_600),
    "future_iat": _times(iat=3_600, exp=7_200),
    "old_iat": _times(iat=-86_400),
    "old_auth_time": _times(auth_time=-86_400),
    "alg_none": _alg_none,
    "hs256_public_key": _hs256_public_key,
    "other_alg": _other_alg,  # valid, but not the algorithm that the client registered
    "unknown_kid": _header(kid="unknown"),
    "no_kid": _no_kid,  # ambiguous: several keys are published
    "kid_of_another_key": _kid_of_another_key,
    "crit": _header(crit=["urn:simulator:unknown"]),
    "typ_at_jwt": _header(typ="at+jwt"),
    "bad_signature": _bad_signature,
    "bad_at_hash": _claims(at_hash="AAAAAAAAAAAAAAAAAAAAAA"),
    "other_sub": _claims(sub="somebody-else"),
    "other_acr": _claims(acr="0"),
    "missing": _missing,
    "events": _claims(events={EVENT: {}}),
    "oversized": _claims(padding="x" * 2_000_000),
    # Seen in the field, and right enough to be accepted:
    "aud_list": _aud_list,
    "auth_time_float": _auth_time_float,
    "auth_time_absent": _without("auth_time"),
    "auth_time_zero": _claims(auth_time=0),
    "at_hash_absent": _without("at_hash"),
    "sid_absent": _without("sid"),
}
