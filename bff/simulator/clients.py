"""Client authentication at the token and revocation endpoints (RFC 6749 §2.3).

Exactly one method per request, compared in constant time; an unknown client costs the same as a
wrong secret and is told the same.
"""

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_plus

from bff.simulator.call import Call, Parameters
from bff.simulator.realm import Realm
from bff.simulator.refusal import Reason, Refused
from bff.simulator.settings import Client

_NOBODY: Final = secrets.token_urlsafe(32)  # compared with where the client is unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class _Credentials:
    method: str
    client_id: str
    client_secret: str = field(repr=False)


def authenticated_client(realm: Realm, call: Call, form: Parameters) -> Client:
    """The client that proved itself; the call remembers it for the ledger."""
    credentials = _credentials(call, form)
    call.client_id = credentials.client_id
    client = realm.settings.client(credentials.client_id)
    expected = _NOBODY if client is None else client.client_secret
    same = hmac.compare_digest(expected.encode(), credentials.client_secret.encode())
    if client is None or not same:
        raise Refused(Reason.CLIENT_AUTHENTICATION_WRONG)
    if credentials.method not in client.token_endpoint_auth_methods:
        raise Refused(Reason.CLIENT_AUTHENTICATION_METHOD)
    call.authenticated = True
    return client


def _credentials(call: Call, form: Parameters) -> _Credentials:
    header = call.request.headers.getlist("authorization")
    client_id, client_secret = form.get("client_id"), form.get("client_secret")
    if len(header) + (client_secret is not None) > 1:
        raise Refused(Reason.CLIENT_AUTHENTICATION_TWICE)
    if header:
        basic = _basic(header[0])
        if client_id not in (None, basic.client_id):
            raise Refused(Reason.CLIENT_AUTHENTICATION_TWICE)
        return basic
    if client_id is None or client_secret is None:
        raise Refused(Reason.CLIENT_AUTHENTICATION_MISSING)
    return _Credentials(
        method="client_secret_post", client_id=client_id, client_secret=client_secret
    )


def _basic(header: str) -> _Credentials:
    """Id and secret are form-encoded before they are joined (RFC 6749 §2.3.1)."""
    scheme, _, value = header.partition(" ")
    try:
        pair = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise Refused(Reason.CLIENT_AUTHENTICATION_WRONG) from None
    client_id, colon, client_secret = pair.partition(":")
    if scheme.lower() != "basic" or not colon:
        raise Refused(Reason.CLIENT_AUTHENTICATION_WRONG)
    return _Credentials(
        method="client_secret_basic",
        client_id=unquote_plus(client_id),
        client_secret=unquote_plus(client_secret),
    )
