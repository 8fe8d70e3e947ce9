"""Which key the tokens of a request to the provider are bound to (RFC 9449 §5, §10)."""

import hashlib

from bff.simulator.call import Call
from bff.simulator.dpop import Proven, thumbprint_of
from bff.simulator.keys import b64url
from bff.simulator.realm import Realm
from bff.simulator.refusal import Reason, Refused
from bff.simulator.settings import Client


def proven_jkt(
    realm: Realm, call: Call, client: Client | None, path: str, *, access_token: str | None = None
) -> str | None:
    """The thumbprint of the key that made the request's proof; None: it has none.

    `path`: of the endpoint, below the address that the request came to. Raises Refused."""
    if not realm.switches.dpop:
        return None
    proofs = tuple(call.request.headers.getlist("dpop"))
    for each in proofs:
        realm.secrets.add("dpop_proofs", each)
    if not proofs and access_token is None and not (client and client.dpop_bound_access_tokens):
        return None
    base = realm.settings.base if call.certificate is None else realm.settings.mtls_base
    request = Proven(
        proofs=proofs,
        method=call.request.method,
        url=f"{base}/{path}",
        now=realm.clock.now(),
        access_token=access_token,
    )
    return thumbprint_of(request, realm.once, realm.nonces, realm.switches.dpop_nonces)


def agreed(bound: str | None, proven: str | None) -> str | None:
    """The key of both; raises Refused if what is bound to one was brought with another, or none."""
    if bound is not None and bound != proven:
        raise Refused(Reason.DPOP_MISSING if proven is None else Reason.DPOP_ANOTHER_KEY)
    return proven


def told_nonce(realm: Realm, *, refused: Reason | None = None) -> dict[str, str]:
    """The field by which the provider tells its nonce: a new one after each success (§8.2)."""
    habit = realm.switches.dpop_nonces
    if habit == "never" or refused not in (None, Reason.DPOP_NONCE):
        return {}
    if refused is None:
        realm.nonces.rotate()
    return {"DPoP-Nonce": realm.nonces.current}


def shown_certificate(call: Call, client: Client) -> str | None:
    """The thumbprint of the certificate that the client's tokens are bound to (RFC 8705 §3.1)."""
    if not client.tls_client_certificate_bound_access_tokens:
        return None
    if call.certificate is None:
        raise Refused(Reason.CERTIFICATE_WRONG)
    return b64url(hashlib.sha256(call.certificate).digest())


def check_certificate(call: Call, bound: str | None) -> None:
    """Return if a token comes with the certificate that it is bound to; raises Refused."""
    if bound is not None and bound != b64url(hashlib.sha256(call.certificate or b"").digest()):
        raise Refused(Reason.BEARER_INVALID)
