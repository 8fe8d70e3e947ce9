"""Client authentication at the endpoints that a client calls (RFC 6749 §2.3, RFC 8705 §2).

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

from cryptography import x509

from bff.simulator.call import Call, Parameters
from bff.simulator.client_assertion import check_assertion
from bff.simulator.realm import Realm
from bff.simulator.refusal import Reason, Refused
from bff.simulator.settings import Client

_NOBODY: Final = secrets.token_urlsafe(32)  # compared with where the client is unknown
_SECRETS: Final = frozenset({"client_secret_basic", "client_secret_post"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Credentials:
    method: str
    client_id: str
    client_secret: str = field(default="", repr=False)


def authenticated_client(realm: Realm, call: Call, form: Parameters) -> Client:
    """The client that proved itself; the call remembers it for the ledger."""
    credentials = _credentials(call, form)
    call.client_id = credentials.client_id
    client = realm.settings.client(credentials.client_id)
    if credentials.method in _SECRETS:
        _check_secret(client, credentials)
    if client is None:
        raise Refused(Reason.CLIENT_AUTHENTICATION_WRONG)
    method = credentials.method
    if method == "tls":
        method = _by_certificate(client, call.certificate or b"")
    if method not in client.token_endpoint_auth_methods:
        raise Refused(Reason.CLIENT_AUTHENTICATION_METHOD)
    if method == "private_key_jwt":
        check_assertion(realm, client, form)
    call.authenticated = True
    return client


def _check_secret(client: Client | None, credentials: _Credentials) -> None:
    expected = _NOBODY if client is None else client.client_secret or _NOBODY
    if not hmac.compare_digest(expected.encode(), credentials.client_secret.encode()):
        raise Refused(Reason.CLIENT_AUTHENTICATION_WRONG)


def _by_certificate(client: Client, der: bytes) -> str:
    """Which of the two methods of RFC 8705 §2 the certificate is; TLS has verified its chain."""
    if der in client.certificates:
        return "self_signed_tls_client_auth"
    subject = x509.load_der_x509_certificate(der).subject.rfc4514_string()
    if subject != client.tls_client_auth_subject_dn:
        raise Refused(Reason.CERTIFICATE_WRONG)
    return "tls_client_auth"


def _credentials(call: Call, form: Parameters) -> _Credentials:
    header = call.request.headers.getlist("authorization")
    client_id, client_secret = form.get("client_id"), form.get("client_secret")
    assertion = form.get("client_assertion")
    if len(header) + (client_secret is not None) + (assertion is not None) > 1:
        raise Refused(Reason.CLIENT_AUTHENTICATION_TWICE)
    if header:
        basic = _basic(header[0])
        if client_id not in (None, basic.client_id):
            raise Refused(Reason.CLIENT_AUTHENTICATION_TWICE)
        return basic
    if client_id is None:
        raise Refused(Reason.CLIENT_AUTHENTICATION_MISSING)
    if assertion is not None:
        return _Credentials(method="private_key_jwt", client_id=client_id)
    if client_secret is not None:
        return _Credentials(
            method="client_secret_post", client_id=client_id, client_secret=client_secret
        )
    if call.certificate is not None:
        return _Credentials(method="tls", client_id=client_id)
    raise Refused(Reason.CLIENT_AUTHENTICATION_MISSING)


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
