"""What `/control/` can be told to do: each command takes a body of JSON and answers with some."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from bff.simulator.callback import CALLBACK_DEPARTURES
from bff.simulator.departures import ANSWER_DEPARTURES
from bff.simulator.faults import Fault
from bff.simulator.id_token import ID_TOKEN_DEPARTURES
from bff.simulator.logout_token import LOGOUT_TOKEN_DEPARTURES, logout_token, tell_clients
from bff.simulator.realm import Realm
from bff.simulator.switches import changed
from bff.simulator.userinfo import USERINFO_DEPARTURES

_ANSWERING: Final = (
    "discovery",
    "jwks",
    "par",
    "authorize",
    "choose",
    "consent",
    "token",
    "token:authorization_code",
    "token:refresh_token",
    "token:client_credentials",
    "token:urn:ietf:params:oauth:grant-type:token-exchange",
    "userinfo",
    "revoke",
    "end_session",
    "confirm",
)
DEPARTURES: Final[Mapping[str, Mapping[str, object]]] = {
    **dict.fromkeys(_ANSWERING, ANSWER_DEPARTURES),
    "id_token": ID_TOKEN_DEPARTURES,
    "id_token:authorization_code": ID_TOKEN_DEPARTURES,
    "id_token:refresh_token": ID_TOKEN_DEPARTURES,
    "userinfo_token": USERINFO_DEPARTURES,
    "logout_token": LOGOUT_TOKEN_DEPARTURES,
    "callback": CALLBACK_DEPARTURES,
}


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which requests are meant; without a name all of them."""

    endpoint: str | None = None
    count: int | None = None


class Rotation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whether yesterday's keys stay published."""

    keep: bool = True


class Person(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose grants."""

    sub: str


class Anybody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whose sessions; without a name everybody's."""

    sub: str | None = None


class LoggedOut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who is signed out, and for which client."""

    sub: str | None = None
    sid: str | None = None
    jti: str | None = None
    client_id: str | None = None


class Advance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the clock is put forward, in seconds."""

    advance: float


Command = Callable[[Realm, bytes], object]


def _set_faults(realm: Realm, body: bytes) -> object:
    sent = msgspec.json.decode(body, type=Fault | list[Fault])
    faults = sent if isinstance(sent, list) else [sent]
    for fault in faults:
        _refuse_idle(fault)
    return {"faults": [realm.faults.add(fault) for fault in faults]}


def _refuse_idle(fault: Fault) -> None:
    """A fault that would never do anything is a mistake of the test that sets it."""
    known = DEPARTURES.get(fault.endpoint)
    if known is None:
        raise msgspec.ValidationError(f"no endpoint {fault.endpoint!r}")
    if fault.departure is not None and fault.departure not in known:
        raise msgspec.ValidationError(f"{fault.endpoint} has no {fault.departure!r}")
    if fault.endpoint not in _ANSWERING and fault.troubles_connection:
        raise msgspec.ValidationError(f"{fault.endpoint} takes departure, error and count only")


def _clear(realm: Realm, body: bytes) -> object:
    named = msgspec.json.decode(body or b"{}", type=Named)
    realm.faults.clear(named.endpoint)
    return {"released": realm.faults.release(named.endpoint)}


def _release(realm: Realm, body: bytes) -> object:
    named = msgspec.json.decode(body or b"{}", type=Named)
    return {"released": realm.faults.release(named.endpoint, named.count)}


def _set_switches(realm: Realm, body: bytes) -> object:
    realm.switches = changed(realm.switches, msgspec.json.decode(body, type=dict[str, Any]))
    return msgspec.to_builtins(realm.switches)


def _reset_switches(realm: Realm, _body: bytes) -> object:
    realm.switches = realm.settings.switches
    return msgspec.to_builtins(realm.switches)


def _rotate_keys(realm: Realm, body: bytes) -> object:
    realm.keys.rotate(keep=msgspec.json.decode(body or b"{}", type=Rotation).keep)
    return realm.keys.jwks()


def _rotate_nonces(realm: Realm, _body: bytes) -> object:
    """The nonces that were told so far are stale."""
    realm.nonces.rotate()
    realm.api_nonces.rotate()
    return {}


def _revoke(realm: Realm, body: bytes) -> object:
    return {"revoked": realm.grants.revoke_where(sub=msgspec.json.decode(body, type=Person).sub)}


def _revoke_all(realm: Realm, _body: bytes) -> object:
    return {
        "revoked": sum(realm.grants.revoke_where(sub=each.sub) for each in realm.settings.accounts)
    }


def _expire(realm: Realm, body: bytes) -> object:
    sub = msgspec.json.decode(body or b"{}", type=Anybody).sub
    return {"expired": realm.grants.expire(sub)}


def _sign_out(realm: Realm, body: bytes) -> object:
    sub = msgspec.json.decode(body or b"{}", type=Anybody).sub
    return {"signed_out": realm.visits.sign_out_person(sub)}


def _logout_token(realm: Realm, body: bytes) -> object:
    who = msgspec.json.decode(body, type=LoggedOut)
    client = realm.settings.client(who.client_id or realm.settings.clients[0].client_id)
    if client is None:
        raise msgspec.ValidationError(f"no client {who.client_id!r}")
    token = logout_token(realm, client, sub=who.sub, sid=who.sid, jti=who.jti)
    return {"logout_token": token}


async def _backchannel_logout(realm: Realm, body: bytes) -> object:
    who = msgspec.json.decode(body, type=LoggedOut)
    return {"told": await tell_clients(realm, sub=who.sub, sid=who.sid)}


def _advance(realm: Realm, body: bytes) -> object:
    realm.clock.advance(msgspec.json.decode(body, type=Advance).advance)
    return {"now": realm.clock.now()}


def _reset(realm: Realm, _body: bytes) -> object:
    realm.reset()
    return {}


COMMANDS: Final[Mapping[str, Command]] = {
    "faults": _set_faults,
    "clear": _clear,
    "release": _release,
    "switches": _set_switches,
    "rotate-keys": _rotate_keys,
    "rotate-nonces": _rotate_nonces,
    "expire": _expire,
    "revoke": _revoke,
    "revoke-all": _revoke_all,
    "switches/reset": _reset_switches,
    "sign-out": _sign_out,
    "logout-token": _logout_token,
    "backchannel-logout": _backchannel_logout,
    "clock": _advance,
    "reset": _reset,
}
