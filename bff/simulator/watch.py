"""What surrounds every endpoint: faults on the way in and out, and the ledger.

The endpoint is a plain coroutine from a Call to a Response and knows of neither. Dropping a
connection is not in ASGI; the runner's protocol class puts a callable into
`scope["extensions"]["simulator.abort"]["call"]` that closes the transport without a byte.
"""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bff.simulator.binding import told_nonce
from bff.simulator.call import Call, read_body
from bff.simulator.departures import ANSWER_DEPARTURES
from bff.simulator.exchanges import Exchange, claims_in
from bff.simulator.faults import Fault
from bff.simulator.ledger import Entry, endpoint_names
from bff.simulator.realm import Realm
from bff.simulator.refusal import Refused

Handler = Callable[[Realm, Call], Awaitable[Response]]
Refusal = Callable[[Realm, Call, Refused], Response]

ABORT: Final = "simulator.abort"
# Where a person's browser comes by itself; the rest is asked by the client.
_OF_PERSONS: Final = frozenset({"authorize", "choose", "consent", "end_session", "confirm"})
NO_STORE: Final = {"Cache-Control": "no-store"}


def json_refusal(realm: Realm, call: Call, refused: Refused) -> Response:
    """The error response of the token and revocation endpoints (RFC 6749 §5.2)."""
    answer = refused.answer
    headers = NO_STORE | told_nonce(realm, refused=refused.reason)
    if answer.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="simulator", charset="UTF-8"'
    body = {"error": answer.error, "error_description": answer.description}
    return JSONResponse(body, answer.status, headers)


def watched(
    realm: Realm, endpoint: str, handler: Handler, refusal: Refusal = json_refusal
) -> Callable[[Request], Awaitable[Response]]:
    """The Starlette endpoint that runs `handler` under faults and writes the ledger."""

    async def answer(request: Request) -> Response:
        number, received_at = realm.ledger.number(), realm.clock.now()
        call = Call(request=request, body=await read_body(request))
        grant_type = call.grant_type if endpoint == "token" else None
        names = endpoint_names(endpoint, grant_type)
        name, fault = realm.faults.take(names)
        response = await _suffered(realm, call, names, fault, handler, refusal)
        await realm.ledger.write(
            Entry(
                number=number,
                endpoint=endpoint,
                method=request.method,
                grant_type=grant_type,
                client_id=call.client_id,
                authenticated=call.authenticated,
                processed=call.processed,
                outcome=call.outcome,
                status=None if fault.drop else response.status_code,
                fault=name,
                received_at=received_at,
                seconds=realm.clock.now() - received_at,
            )
        )
        realm.exchanges.add(
            Exchange(
                source="browser" if endpoint in _OF_PERSONS else "bff",
                target="provider",
                what=" ".join([request.method, *_words(endpoint, grant_type)]),
                status=None if fault.drop else response.status_code,
                note=call.outcome if name is None else "a fault was set",
                at=received_at,
                seconds=realm.clock.now() - received_at,
                claims=claims_in(response) if endpoint == "token" and name is None else {},
            )
        )
        return response

    return answer


def _words(endpoint: str, grant_type: str | None) -> list[str]:
    return [endpoint.replace("_", " "), *([f"({grant_type})"] if grant_type else [])]


async def _suffered(
    realm: Realm,
    call: Call,
    names: tuple[str, ...],
    fault: Fault,
    handler: Handler,
    refusal: Refusal,
) -> Response:
    if fault.at == "before":
        await realm.faults.suffer(names, fault)
    response = Response()
    if not fault.prevents:
        response = await _processed(realm, call, handler, refusal)
    if fault.at == "after":
        await realm.faults.suffer(names, fault)
    if fault.drop:
        await _drop(call.request)
    elif fault.status is not None:
        response = fault.answer(fault.status)
    elif fault.departure is not None:
        response = ANSWER_DEPARTURES[fault.departure](response)
    return response


async def _processed(realm: Realm, call: Call, handler: Handler, refusal: Refusal) -> Response:
    call.processed, call.outcome = True, "ok"
    try:
        return await handler(realm, call)
    except Refused as refused:
        call.outcome = refused.reason.value
        return refusal(realm, call, refused)


async def _drop(request: Request) -> None:
    """Closes the connection; what is answered afterwards goes nowhere."""
    request.scope["extensions"][ABORT]["call"]()
    while (await request.receive())["type"] != "http.disconnect":
        continue
