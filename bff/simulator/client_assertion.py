"""`private_key_jwt`: a client's assertion, checked to the letter of 7523bis §5 and FAPI 2.0.

Under `clients`. Each is good once; what is remembered of it is its `jti`.
"""

from typing import Any, Final

import jwt
import msgspec

from bff.simulator.call import Parameters
from bff.simulator.realm import Realm
from bff.simulator.refusal import Reason, Refused
from bff.simulator.settings import Client

TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
TYP: Final = "client-authentication+jwt"
ALGS: Final = ("PS256", "ES256", "EdDSA")
SECONDS: Final = 60  # of life, at most
AHEAD: Final = 10  # seconds by which the client's clock may be ahead (FAPI 2.0 §5.3.2.1)


def check_assertion(realm: Realm, client: Client, form: Parameters) -> None:
    """Return if the form's assertion is this client's, new and for us; raises Refused."""
    if form.get("client_assertion_type") != TYPE:
        raise Refused(Reason.ASSERTION_TYPE)
    assertion = form.required("client_assertion")
    realm.secrets.add("client_assertions", assertion)
    named = "x5t#S256" if realm.switches.assertion_by_certificate else "kid"
    claims = _signed_claims(client, assertion, named)
    _check_claims(realm, client, claims)
    if not realm.once.use("assertion", client.client_id, str(claims["jti"])):
        raise Refused(Reason.ASSERTION_REPLAYED)


def _signed_claims(client: Client, assertion: str, named: str) -> dict[str, Any]:
    """`named`: the header member that says which key; by its certificate goes with a plain type."""
    try:
        header = jwt.get_unverified_header(assertion)
    except jwt.PyJWTError:
        raise Refused(Reason.ASSERTION_MALFORMED) from None
    if header.get("alg") not in ALGS:
        raise Refused(Reason.ASSERTION_ALG)
    if header.get("typ") != (TYP if named == "kid" else "JWT"):
        raise Refused(Reason.ASSERTION_TYP)
    listed = [jwk for jwk in client.jwks if jwk.get(named, "") == header.get(named)]
    if not listed or listed[0].get("alg") != header["alg"]:
        raise Refused(Reason.ASSERTION_KEY)
    try:
        key = jwt.PyJWK(dict(listed[0]))
        found = jwt.PyJWS().decode_complete(assertion, key.key, algorithms=[header["alg"]])
        claims = msgspec.json.decode(found["payload"], type=dict[str, Any])
    except (jwt.PyJWTError, msgspec.DecodeError):
        raise Refused(Reason.ASSERTION_SIGNATURE) from None
    return claims


def _check_claims(realm: Realm, client: Client, claims: dict[str, Any]) -> None:
    if claims.get("iss") != client.client_id or claims.get("sub") != client.client_id:
        raise Refused(Reason.ASSERTION_ISS_SUB)
    wanted = {
        "issuer": realm.settings.issuer,
        "token_endpoint": f"{realm.settings.base}/token",
    }[realm.switches.assertion_audience]
    if claims.get("aud") != wanted:  # a plain string, and no list that holds it
        raise Refused(Reason.ASSERTION_AUD)
    now, iat, exp = realm.clock.now(), claims.get("iat"), claims.get("exp")
    if not isinstance(iat, int) or not isinstance(exp, int):
        raise Refused(Reason.ASSERTION_TIMES)
    if not now < exp <= iat + SECONDS or iat > now + AHEAD:
        raise Refused(Reason.ASSERTION_TIMES)
    if not isinstance(claims.get("jti"), str) or len(claims["jti"]) < 16:
        raise Refused(Reason.ASSERTION_JTI)
