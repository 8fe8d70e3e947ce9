"""Logout tokens: their draft, every named way to get them wrong, and the calls that bring them.

`control` mints one for a test to send; `logout` tells every client that has registered where to
(OpenID Connect Back-Channel Logout §2.4, §2.5). A fault on `logout_token` names a departure.
"""

import secrets
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final

import httpx

from bff.simulator.id_token import (
    EVENT,
    ID_TOKEN_DEPARTURES,
    Draft,
    at_times,
    draft_of,
    with_claims,
    with_header,
    without,
)
from bff.simulator.realm import Realm
from bff.simulator.settings import Client

PATIENCE: Final = 5.0  # seconds for a client to answer


def _no_typ(draft: Draft) -> None:
    del draft.header["typ"]


def _nobody(draft: Draft) -> None:
    draft.claims.pop("sub", None)
    draft.claims.pop("sid", None)


_SHARED: Final = (
    "wrong_iss", "wrong_aud", "missing_iss", "missing_aud", "missing_iat", "missing_exp", "expired",
    "future_iat", "old_iat", "alg_none", "hs256_public_key", "other_alg", "unknown_kid", "no_kid",
    "kid_of_another_key", "crit", "typ_at_jwt", "bad_signature", "other_sub", "oversized",
    "missing", "aud_list",
)  # fmt: skip
LOGOUT_TOKEN_DEPARTURES: Final[Mapping[str, Callable[[Draft], None]]] = {
    **{name: ID_TOKEN_DEPARTURES[name] for name in _SHARED},
    "eleven_minutes_old": at_times(iat=-660, exp=60),
    "nonce": with_claims(nonce="no logout token has one"),
    "missing_events": without("events"),
    "other_event": with_claims(events={"urn:simulator:another": {}}),
    "event_not_an_object": with_claims(events={EVENT: True}),
    "events_a_list": with_claims(events=[EVENT]),
    "missing_jti": without("jti"),
    "nobody": _nobody,
    "sub_not_a_string": with_claims(sub=17),
    # Seen in the field, and right enough to be accepted:
    "typ_jwt": with_header(typ="JWT"),
    "typ_absent": _no_typ,
    "more_claims": with_claims(trace={"of": ["another"]}, events={EVENT: {"more": 1}, "urn:b": 2}),
}


def logout_token(
    realm: Realm, client: Client, *, sub: str | None, sid: str | None, jti: str | None = None
) -> str | None:
    """A logout token for that client, as switches and faults want it."""
    now, switches = int(realm.clock.now()), realm.switches
    claims: dict[str, Any] = {
        "iss": realm.settings.issuer,
        "aud": client.client_id,
        "iat": now,
        "jti": jti or secrets.token_urlsafe(16),
        "events": {EVENT: {}},
    }
    if switches.logout_token_exp:
        claims["exp"] = now + 120
    named = {"sub": sub, "sid": sid}
    claims |= {name: value for name, value in named.items() if value is not None}
    draft = draft_of(claims, realm.keys, client.id_token_signed_response_alg, now)
    draft.header["typ"] = switches.logout_token_typ
    _, fault = realm.faults.take(("logout_token",))
    if fault.departure is not None:
        LOGOUT_TOKEN_DEPARTURES[fault.departure](draft)
    token = draft.signed()
    realm.secrets.add("logout_tokens", token)
    return token


async def tell_clients(
    realm: Realm, *, sub: str | None, sid: str | None
) -> dict[str, list[object]]:
    """What each client with a `backchannel_logout_uri` answered: a status, or an error's name."""
    told: dict[str, list[object]] = {}
    # Loopback http only: a context that trusts nobody spares reading all the CA files.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    async with httpx.AsyncClient(trust_env=False, verify=context, timeout=PATIENCE) as http:
        for client in realm.settings.clients:
            for _ in range(realm.switches.logout_tokens if client.backchannel_logout_uri else 0):
                form = {"logout_token": logout_token(realm, client, sub=sub, sid=sid) or ""}
                answered = told.setdefault(client.client_id, [])
                try:
                    reply = await http.post(client.backchannel_logout_uri or "", data=form)
                    answered.append(reply.status_code)
                except httpx.HTTPError as error:
                    answered.append(type(error).__name__)
    return told
