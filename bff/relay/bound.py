"""A token that is bound to a key goes up with a proof, and with the API's nonce (RFC 9449 §7, §9).

Only for such tokens: a bearer token never comes this way. Pure, but that a proof is random.
"""

import re
from typing import Final

from bff.caller.request import BrowserRequest
from bff.problem import Headers
from bff.provider.dpop import Nonces, proof, read_nonce
from bff.relay.exchange import public_target
from bff.relay.shown import Shown
from bff.relay.way import Relayed

_WANTS_NONCE: Final = re.compile(rb"""\berror\s*=\s*"?use_dpop_nonce\b""")


def proof_for(
    way: Relayed, request: BrowserRequest, shown: Shown, nonces: Nonces, now: float
) -> bytes | None:
    """The proof for one request with that token; None: the token needs none."""
    if shown.proof_key is None:
        return None
    return proof(
        shown.proof_key,
        htm=request.method,
        htu=public_target(way, request),
        now=now,
        nonce=nonces.newest(way.upstream_origin),
        access_token=shown.bearer,
    ).encode()


def nonce_in(headers: Headers) -> str | None:
    """The nonce that an API has sent; of several, or of what is none, none."""
    values = [value for name, value in headers if name == b"dpop-nonce"]
    return read_nonce(values[0].decode("latin-1")) if len(values) == 1 else None


def wants_nonce(status: int, headers: Headers) -> bool:
    """Whether an API refuses a proof for its nonce alone (§9)."""
    challenges = b", ".join(value for name, value in headers if name == b"www-authenticate")
    return status == 401 and _WANTS_NONCE.search(challenges) is not None
