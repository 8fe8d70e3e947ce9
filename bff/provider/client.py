"""Client authentication: how a request to the authorization server shows that it is ours.

One method per request, the configured one, and never a credential in a URL (P-06). With a client
certificate the connection itself shows it (`call.provider_tls`).
"""

import base64
import secrets
from typing import Final
from urllib.parse import quote_plus

import jwt

from bff.config.client_keys import SigningKey
from bff.config.provider_section import Provider
from bff.provider.call import Fault, Form, Reply, Share
from bff.provider.dpop import DpopKey, htu_of, proof
from bff.provider.metadata import Metadata
from bff.provider.server import AuthorizationServer

ASSERTION_SECONDS: Final = 60  # of life, at most (P-07)
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


async def post_authenticated(
    server: AuthorizationServer,
    url: str,
    form: Form,
    *,
    metadata: Metadata,
    kind: str,
    share: Share = Share.OTHER,
    until: float | None = None,
    leaves_by: float | None = None,
    key: DpopKey | None = None,
) -> Reply | Fault:
    """The answer to a form POST of ours, as `ProviderHttp.post_form` has it.

    With a proof by `key`, if there is one; where the server asks for a nonce in it, once more with
    that, within the same time: it has not looked at the request yet (RFC 9449 §8).
    Raises Refused(OVERLOADED) if logins hold all of their share."""
    end = server.http.deadline() if until is None else until

    async def once() -> Reply | Fault:
        # Both are good once, so each request has its own.
        headers, sent = client_credentials(server.config, form, _assertion(server, metadata))
        if key is not None:
            headers["dpop"] = proof(
                key,
                htm="POST",
                htu=htu_of(url),
                now=server.clock.now(),
                nonce=server.nonces.newest(url),
            )
        reply = await server.http.post_form(
            url,
            sent,
            headers=headers,
            kind=kind,
            share=share,
            until=end,
            leaves_by=leaves_by,
        )
        if key is not None and isinstance(reply, Reply):
            server.nonces.heard(url, reply.dpop_nonce)
        return reply

    reply = await once()
    return await once() if key is not None and _asks_for_a_nonce(reply) else reply


def _asks_for_a_nonce(reply: Reply | Fault) -> bool:
    if isinstance(reply, Fault) or reply.dpop_nonce is None or not 400 <= reply.status < 500:
        return False
    return (reply.json_object() or {}).get("error") == "use_dpop_nonce"


def client_credentials(
    config: Provider, form: Form, assertion: str = ""
) -> tuple[dict[str, str], Form]:
    """Header fields and form of an authenticated request that would send `form`.

    `assertion`: for private_key_jwt, and good once."""
    secret = config.client_secret.get_secret_value() if config.client_secret else ""
    match config.client_authentication:
        case "client_secret_basic":
            # RFC 6749 §2.3.1: form-encoded first, so that a colon in either is no separator.
            pair = f"{quote_plus(config.client_id)}:{quote_plus(secret)}"
            return {"authorization": "Basic " + base64.b64encode(pair.encode()).decode()}, {**form}
        case "client_secret_post":
            return {}, {**form, "client_id": config.client_id, "client_secret": secret}
        case "private_key_jwt":
            shown = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
            return {}, {**form, "client_id": config.client_id, **shown}
        case "tls_client_auth" | "self_signed_tls_client_auth" | "none":
            return {}, {**form, "client_id": config.client_id}


def shown_credentials(config: Provider) -> str:
    """All that shows who we are, as one text: others know by it that theirs are the same (R-07).

    It is the secrets themselves, so only a keyed hash of it leaves the process."""
    secret, certificate = config.client_secret, config.client_certificate
    match config.client_authentication:
        case "private_key_jwt":
            key = config.client_keys[0]
            how = f"{config.client_assertion_audience} {config.client_assertion_type}"
            return f"{key.kid} {how} {key.certificate} {key.private_key.get_secret_value()}"
        case "tls_client_auth" | "self_signed_tls_client_auth" if certificate is not None:
            return certificate.read_text(encoding="latin-1")
        case _:
            return secret.get_secret_value() if secret else ""


def _assertion(server: AuthorizationServer, metadata: Metadata) -> str:
    config = server.config
    if config.client_authentication != "private_key_jwt":
        return ""
    by_endpoint = config.client_assertion_audience == "token_endpoint"
    return client_assertion(
        server.client_keys[0],
        client_id=config.client_id,
        audience=metadata.token_endpoint if by_endpoint else metadata.issuer,
        now=server.clock.now(),
        typ=config.client_assertion_type,
    )


def client_assertion(
    key: SigningKey,
    *,
    client_id: str,
    audience: str,
    now: float,
    typ: str = "client-authentication+jwt",
) -> str:
    """A JWT by which we authenticate once (RFC 7523 §2.2 and 3, as 7523bis §5 narrows it).

    `audience` stays a plain string: a list might name somebody else as well. `typ`: of its header.
    """
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": int(now),
        "exp": int(now) + ASSERTION_SECONDS,
        "jti": secrets.token_urlsafe(24),
    }
    header = {"typ": typ, "kid": key.kid}
    if key.thumbprint is not None:
        header["x5t#S256"] = key.thumbprint
    return jwt.encode(claims, key.private, algorithm=key.alg, headers=header)
