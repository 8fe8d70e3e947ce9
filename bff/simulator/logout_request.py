"""A logout request that has passed every check, and the checks (RP-Initiated Logout §2, §3).

Pure. A hint may have expired, for people sign out late, but its signature must be ours.
"""

from dataclasses import dataclass, field
from typing import Any

import jwt

from bff.simulator.call import Parameters
from bff.simulator.keys import Keys
from bff.simulator.refusal import Reason, Refused
from bff.simulator.settings import SIGNING_ALGS, Client, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class LogoutRequest:
    """Where to go afterwards, and whose session it is about."""

    hinted_sub: str | None
    hinted_sid: str | None
    client_id: str | None  # as sent
    post_logout_redirect_uri: str | None
    state: str | None = field(repr=False)


def hinted_claims(settings: Settings, keys: Keys, id_token_hint: str) -> dict[str, Any]:
    """The claims of an ID token that we signed, however old, or Refused."""
    try:
        header = jwt.get_unverified_header(id_token_hint)
        # One without a kid is ours too, where that is a habit.
        key = keys.find(str(header["kid"])) if "kid" in header else keys.signing(header["alg"])
        if key is None:
            raise Refused(Reason.ID_TOKEN_HINT)
        claims: dict[str, Any] = jwt.decode(
            id_token_hint,
            key.public_key,
            algorithms=[alg for alg in SIGNING_ALGS if alg == key.alg],
            issuer=settings.issuer,
            options={
                "require": ["iss", "sub", "aud"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_aud": False,  # compared with client_id by the caller
            },
        )
    except (jwt.PyJWTError, KeyError):
        raise Refused(Reason.ID_TOKEN_HINT) from None
    if header.get("typ") == "at+jwt":
        raise Refused(Reason.ID_TOKEN_HINT)
    if isinstance(claims["aud"], list) and len(claims["aud"]) == 1:
        claims["aud"] = claims["aud"][0]
    return claims


def logout_request(
    settings: Settings, keys: Keys, sent: Parameters, *, way_back: str
) -> LogoutRequest:
    """The request, or Refused: nothing is redirected to an address we do not know."""
    sent.refuse_repetition()
    own = way_back != "post_logout_redirect_uri"
    if own and sent.get("id_token_hint"):
        raise Refused(Reason.HINT_UNKNOWN)
    hint = sent.get("id_token_hint")
    claims = hinted_claims(settings, keys, hint) if hint else {}
    client_id = sent.get("client_id")
    if claims and client_id not in (None, claims["aud"]):
        raise Refused(Reason.CLIENT_OF_ANOTHER_HINT)
    uri = sent.required(way_back) if own else sent.get(way_back)
    _refuse_address(settings.client(client_id or claims.get("aud")), uri)
    return LogoutRequest(
        hinted_sub=claims.get("sub"),
        hinted_sid=claims.get("sid"),
        client_id=client_id,
        post_logout_redirect_uri=uri,
        state=sent.get("state"),
    )


def _refuse_address(client: Client | None, uri: str | None) -> None:
    if uri is not None and (client is None or uri not in client.post_logout_redirect_uris):
        raise Refused(Reason.POST_LOGOUT_REDIRECT_URI)
