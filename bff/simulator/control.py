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
| `POST /control/switches/reset` | as at the start |
| `POST /control/rotate-keys` `{"keep"?: true}` | new keys sign; the old ones stay published |
| `POST /control/expire` `{"sub"?}` | access tokens of that person, or all, are good no more |
| `POST /control/revoke` `{"sub"}` | every grant of that person is dead |
| `POST /control/revoke-all` | every grant is dead |
| `POST /control/sign-out` `{"sub"?}` | provider sessions of that person, or all, are over |
| `POST /control/logout-token` `{"sub"?, "sid"?, "jti"?, "client_id"?}` | one to send by hand |
| `POST /control/backchannel-logout` `{"sub"?, "sid"?}` | sends one to every client; statuses |
| `POST /control/clock` `{"advance": seconds}` | it is later (or earlier) from now on |
| `GET /control/ledger?endpoint=&count=&timeout=` | entries, counters; waits for `count` entries |
| `GET /control/exchanges` | the last requests and answers, tokens only as their claims |
| `GET /control/exchanges/stream` | the same as server-sent events, and each new one |
| `GET /control/secrets` | every code, token, state, nonce, challenge, verifier, client secret |
| `POST /control/reset` | as after the start; signing keys and secrets stay |

A `Fault` is `{"endpoint", "at"?: "before" or "after", "count"?, "delay"?, "hold"?, "drop"?,
"status"?, "error"?, "body"?, "content_type"?, "retry_after"?, "departure"?}`. Endpoints:
`discovery`, `jwks`, `authorize`, `choose`, `consent`, `token`, `token:authorization_code`,
`token:refresh_token`, `token:client_credentials`,
`token:urn:ietf:params:oauth:grant-type:token-exchange`, `userinfo`, `revoke`, `end_session`,
`confirm` (departures: `departures`);
`id_token`, `id_token:authorization_code`, `id_token:refresh_token` (departures: `id_token`);
`userinfo_token`, of a signed answer (departures: `userinfo`);
`logout_token` (departures: `logout_token`);
`callback` (departures: `callback`; `error` sends that error instead of the code).
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bff.simulator.call import read_body
from bff.simulator.commands import COMMANDS, Command
from bff.simulator.realm import Realm

Question = Callable[[Realm, Request], Awaitable[object]]


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


async def _exchanges(realm: Realm, _request: Request) -> object:
    return msgspec.to_builtins(realm.exchanges.report())


async def _secrets(realm: Realm, _request: Request) -> object:
    return realm.secrets.report()


QUESTIONS: Final[Mapping[str, Question]] = {
    "faults": _faults,
    "held": _held,
    "switches": _switches,
    "ledger": _ledger,
    "exchanges": _exchanges,
    "secrets": _secrets,
}


def control_routes(realm: Realm) -> list[Route]:
    """The routes of the table above."""
    return [
        Route("/control/exchanges/stream", _stream(realm)),
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


def _stream(realm: Realm) -> Callable[[Request], Awaitable[Response]]:
    async def events() -> AsyncIterator[bytes]:
        async for exchange in realm.exchanges.follow():
            yield b"data: %s\n\n" % msgspec.json.encode(exchange)

    async def answer(request: Request) -> Response:
        headers = {"Cache-Control": "no-store"}
        return _refusal(request) or StreamingResponse(
            events(), headers=headers, media_type="text/event-stream"
        )

    return answer


def _done(realm: Realm, command: Command) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        refusal = _refusal(request)
        if refusal is not None:
            return refusal
        try:
            done = command(realm, await read_body(request))
            return JSONResponse(await done if inspect.isawaitable(done) else done)
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
