"""`/control/`: trouble, switches and observation over HTTP, for tests and for the curious.

Bodies and answers are JSON. A browser on another site may not use it: such requests name their
site. Waiting calls answer 504 after `timeout` seconds (10).

| call | what it does |
| --- | --- |
| `POST /control/faults` | a `Fault` (see below) or a list of them; answers `{"faults": [id, …]}` |
| `GET /control/faults` | what is set, and how often each will still hit |
| `POST /control/clear` `{"endpoint"?}` | removes faults, releases what they held |
| `GET /control/held?endpoint=&count=1&timeout=` | waits until so many are held or delayed |
| `POST /control/release` `{"endpoint"?, "count"?}` | lets them go on, the oldest first |
| `GET /control/switches`, `POST /control/switches` `{name: value}` | habits: see `switches` |
| `POST /control/rotate-keys` `{"keep"?: true}` | new keys sign; the old ones stay published |
| `POST /control/revoke` `{"sub"}` | every grant of that person is dead |
| `POST /control/sign-out` `{"sub"?}` | provider sessions of that person, or all, are over |
| `POST /control/clock` `{"advance": seconds}` | it is later (or earlier) from now on |
| `GET /control/ledger?endpoint=&count=&timeout=` | entries, counters; waits for `count` entries |
| `GET /control/secrets` | every code, token, state, nonce, challenge, verifier, client secret |
| `POST /control/reset` | as after the start; signing keys and secrets stay |

A `Fault` is `{"endpoint", "at"?: "before" or "after", "count"?, "delay"?, "hold"?, "drop"?,
"status"?, "error"?, "body"?, "content_type"?, "retry_after"?, "departure"?}`. Endpoints:
`discovery`, `jwks`, `authorize`, `choose`, `consent`, `token`, `token:authorization_code`,
`token:refresh_token`, `userinfo`, `revoke`, `end_session`, `confirm` (departures: `departures`);
`id_token`, `id_token:authorization_code`, `id_token:refresh_token` (departures: `id_token`);
`callback` (departures: `callback`; `error` sends that error instead of the code).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bff.simulator.call import read_body
from bff.simulator.callback import CALLBACK_DEPARTURES
from bff.simulator.departures import ANSWER_DEPARTURES
from bff.simulator.faults import Fault
from bff.simulator.id_token import ID_TOKEN_DEPARTURES
from bff.simulator.realm import Realm
from bff.simulator.switches import changed

_ANSWERING: Final = (
    "discovery",
    "jwks",
    "authorize",
    "choose",
    "consent",
    "token",
    "token:authorization_code",
    "token:refresh_token",
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


class Advance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far the clock is put forward, in seconds."""

    advance: float


Command = Callable[[Realm, bytes], object]
Question = Callable[[Realm, Request], Awaitable[object]]


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


def _rotate_keys(realm: Realm, body: bytes) -> object:
    realm.keys.rotate(keep=msgspec.json.decode(body or b"{}", type=Rotation).keep)
    return realm.keys.jwks()


def _revoke(realm: Realm, body: bytes) -> object:
    return {"revoked": realm.grants.revoke_where(sub=msgspec.json.decode(body, type=Person).sub)}


def _sign_out(realm: Realm, body: bytes) -> object:
    sub = msgspec.json.decode(body or b"{}", type=Anybody).sub
    return {"signed_out": realm.visits.sign_out_person(sub)}


def _advance(realm: Realm, body: bytes) -> object:
    realm.clock.advance(msgspec.json.decode(body, type=Advance).advance)
    return {"now": realm.clock.now()}


def _reset(realm: Realm, _body: bytes) -> object:
    realm.reset()
    return {}


async def _held(realm: Realm, request: Request) -> object:
    endpoint = request.query_params["endpoint"]
    await realm.faults.wait_held(endpoint, int(request.query_params.get("count", "1")))
    return {"held": realm.faults.held(endpoint)}


async def _ledger(realm: Realm, request: Request) -> object:
    if "count" in request.query_params:
        endpoint, count = request.query_params["endpoint"], request.query_params["count"]
        await realm.ledger.wait_for(endpoint, int(count))
    return realm.ledger.report()


async def _faults(realm: Realm, _request: Request) -> object:
    return realm.faults.report()


async def _switches(realm: Realm, _request: Request) -> object:
    return msgspec.to_builtins(realm.switches)


async def _secrets(realm: Realm, _request: Request) -> object:
    return realm.secrets.report()


COMMANDS: Final[Mapping[str, Command]] = {
    "faults": _set_faults,
    "clear": _clear,
    "release": _release,
    "switches": _set_switches,
    "rotate-keys": _rotate_keys,
    "revoke": _revoke,
    "sign-out": _sign_out,
    "clock": _advance,
    "reset": _reset,
}
QUESTIONS: Final[Mapping[str, Question]] = {
    "faults": _faults,
    "held": _held,
    "switches": _switches,
    "ledger": _ledger,
    "secrets": _secrets,
}


def control_routes(realm: Realm) -> list[Route]:
    """The routes of the table above."""
    return [
        *(
            Route(f"/control/{name}", _asked(realm, question), methods=["GET"])
            for name, question in QUESTIONS.items()
        ),
        *(
            Route(f"/control/{name}", _done(realm, command), methods=["POST"])
            for name, command in COMMANDS.items()
        ),
    ]


def _refusal(request: Request) -> Response | None:
    if request.headers.get("sec-fetch-site") not in (None, "none", "same-origin"):
        return JSONResponse({"error": "another site may not use this"}, 403)
    return None


def _done(realm: Realm, command: Command) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        refusal = _refusal(request)
        if refusal is not None:
            return refusal
        try:
            return JSONResponse(command(realm, await read_body(request)))
        except msgspec.DecodeError as error:  # ValidationError is one
            return JSONResponse({"error": str(error)}, 400)

    return answer


def _asked(realm: Realm, question: Question) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        refusal = _refusal(request)
        if refusal is not None:
            return refusal
        try:
            async with asyncio.timeout(float(request.query_params.get("timeout", "10"))):
                return JSONResponse(await question(realm, request))
        except TimeoutError:
            return JSONResponse({"error": "it did not happen in time"}, 504)
        except (KeyError, ValueError):
            return JSONResponse({"error": "endpoint, count or timeout is wrong"}, 400)

    return answer
