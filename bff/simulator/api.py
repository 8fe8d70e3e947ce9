"""The small API behind the BFF: a list of tasks per person, for a valid access token only.

It stands for the company's own services and knows of the provider nothing but issuer and JWKS.

| call | answer |
| --- | --- |
| `GET /` | open: `{"api": "tasks"}` |
| `GET /headers` | open: every request header as it arrived, the token replaced by its fingerprint |
| `GET /tasks` | `{"tasks": [{"id", "title", "done", "created"}]}` |
| `POST /tasks` `{"title"}` | 201 and the task |
| `PATCH /tasks/{id}` `{"done"}` | the task |
| `DELETE /tasks/{id}` | 204 |
| `DELETE /tasks` | 204, for who signed in within the last minute; else 401 as RFC 9470 §3 has it |
| `GET /token` | `{"sub", "scope", "seconds_left", "fingerprint"}` of the access token |
| `POST /echo` | the body, streamed back as it comes |
| `POST /uploads` | 201 `{"octets"}`: how many came; they are kept nowhere |
| `GET /live` | `text/event-stream` of `task` `{"what", "title", "at"}`, after one `hello` |
| `GET /chat` | a WebSocket: what one says, all hear as `{"sub", "text", "at"}` |
"""

import hashlib
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from typing_extensions import override

from bff.simulator.access_token import AccessTokens, Invalid, Proofs
from bff.simulator.call import read_body
from bff.simulator.company import Company
from bff.simulator.feed import Feed
from bff.simulator.tasks import Tasks

FRESH: Final = 60  # seconds; a sign-in that is older must be repeated before all tasks go


class NewTask(msgspec.Struct, frozen=True):
    """What POST takes."""

    title: str


class Tick(msgspec.Struct, frozen=True):
    """What PATCH takes."""

    done: bool


Claims = dict[str, Any]
Handler = Callable[[Request, Claims], Awaitable[Response]]


def fingerprint(claims: Claims) -> str:
    """Eight hex digits by which a page can tell two access tokens apart without seeing them."""
    return hashlib.sha256(str(claims["jti"]).encode()).hexdigest()[:8]


def _problem(status: int, error: str, challenge: str = "") -> Response:
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    return JSONResponse({"error": error}, status, headers)


class Api:
    """The handlers; each gets the claims of a verified access token."""

    def __init__(self, tokens: AccessTokens, write_scope: str | None) -> None:
        self._tokens = tokens
        self._write_scope = write_scope
        self._tasks = Tasks()
        self._feed = Feed()
        self._company = Company()

    def protected(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """The Starlette endpoint that answers 401 or 403 (RFC 6750 §3) before the handler runs."""

        async def answer(request: Request) -> Response:
            try:
                claims = await self._tokens.verified(request)
            except Invalid as invalid:
                return JSONResponse({"error": "unauthorized"}, 401, invalid.headers)
            if not self._may(request.method, claims):
                challenge = f'Bearer error="insufficient_scope", scope="{self._write_scope}"'
                return _problem(403, "insufficient_scope", challenge)
            try:
                response = await handler(request, claims)
            except msgspec.DecodeError as error:
                return _problem(400, str(error))
            if "cnf" in claims:
                response.headers.update(self._tokens.told())
            return response

        return answer

    def _may(self, method: str, claims: Claims) -> bool:
        granted = str(claims.get("scope", "")).split()
        return method == "GET" or self._write_scope is None or self._write_scope in granted

    async def tasks(self, request: Request, claims: Claims) -> Response:
        """The list, one more, or none any longer."""
        if request.method == "DELETE":
            return self._no_tasks(claims)
        if request.method == "POST":
            title = msgspec.json.decode(await read_body(request), type=NewTask).title
            task = self._tasks.add(claims["sub"], title)
            self._feed.tell(claims["sub"], "added", title)
            return JSONResponse(msgspec.to_builtins(task), 201)
        mine = self._tasks.of(claims["sub"]).values()
        return JSONResponse({"tasks": msgspec.to_builtins(list(mine))})

    def _no_tasks(self, claims: Claims) -> Response:
        if datetime.now(UTC).timestamp() - claims.get("auth_time", 0) > FRESH:
            challenge = f'Bearer error="insufficient_user_authentication", max_age={FRESH}'
            return _problem(401, "insufficient_user_authentication", challenge)
        self._tasks.of(claims["sub"]).clear()
        self._feed.tell(claims["sub"], "emptied", "")
        return Response(status_code=204)

    async def task(self, request: Request, claims: Claims) -> Response:
        """One task: ticked off or gone."""
        mine, number = self._tasks.of(claims["sub"]), request.path_params["id"]
        if number not in mine:
            return _problem(404, "no such task")
        if request.method == "DELETE":
            self._feed.tell(claims["sub"], "deleted", mine.pop(number).title)
            return Response(status_code=204)
        done = msgspec.json.decode(await read_body(request), type=Tick).done
        mine[number] = msgspec.structs.replace(mine[number], done=done)
        self._feed.tell(claims["sub"], "done" if done else "not done", mine[number].title)
        return JSONResponse(msgspec.to_builtins(mine[number]))

    async def token(self, _request: Request, claims: Claims) -> Response:
        """What may be known about the access token."""
        return JSONResponse(
            {
                "sub": claims["sub"],
                "scope": claims.get("scope", ""),
                "seconds_left": math.ceil(claims["exp"] - datetime.now(UTC).timestamp()),
                "fingerprint": fingerprint(claims),
            }
        )

    async def echo(self, request: Request, _claims: Claims) -> Response:
        """The body, as it comes."""
        content_type = request.headers.get("content-type", "application/octet-stream")
        return _Echo(headers={"Content-Type": content_type})

    async def uploads(self, request: Request, _claims: Claims) -> Response:
        """How many octets came."""
        octets = 0
        try:
            async for piece in request.stream():
                octets += len(piece)
        except ClientDisconnect:  # cancelled; nobody reads this answer
            return Response(status_code=400)
        return JSONResponse({"octets": octets}, 201)

    async def live(self, _request: Request, claims: Claims) -> Response:
        """What happens to this person's tasks, as it happens."""
        return StreamingResponse(
            self._feed.follow(claims["sub"]),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store"},
        )

    async def chat(self, socket: WebSocket) -> None:
        """A place among those who talk, for a valid access token."""
        try:
            claims = await self._tokens.verified(socket)
        except Invalid as invalid:
            refusal = JSONResponse({"error": "unauthorized"}, 401, invalid.headers)
            await socket.send_denial_response(refusal)
            return
        await self._company.join(socket, str(claims["sub"]))

    async def headers(self, request: Request) -> Response:
        """What arrived here, for whoever wonders what the BFF sends."""
        return JSONResponse(
            [[name, await self._shown(name, value)] for name, value in _pairs(request)]
        )

    async def _shown(self, name: str, value: str) -> str:
        if name == "dpop":
            return "(a proof)"
        if name != "authorization":
            return value
        scheme, _, presented = value.partition(" ")
        try:
            return f"{scheme} {fingerprint(await self._tokens.claims(presented))}"
        except Invalid:
            return f"{scheme} (not valid)"


def _pairs(request: Request) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw
    ]


class _Echo(Response):
    """Sends each piece of the request's body as it arrives.

    Not a StreamingResponse: that one waits for a disconnect meanwhile and so takes the pieces."""

    @override
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [header for header in self.raw_headers if header[0] != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        more = True
        while more:
            piece = await receive()
            if piece["type"] == "http.disconnect":
                return
            more = piece.get("more_body", False)
            body = {"type": "http.response.body", "body": piece["body"], "more_body": more}
            await send(body)


async def _open(_request: Request) -> Response:
    return JSONResponse({"api": "tasks"})


def api_app(
    *,
    issuer: str,
    audience: str,
    jwks_uri: str,
    is_dead: Callable[[str], bool] = lambda _jti: False,
    write_scope: str | None = None,
    proofs: Proofs | None = None,
) -> Starlette:
    """The API.

    `is_dead` says of a `jti` whether that token was revoked; most APIs cannot know. `write_scope`
    is demanded of every method but GET, where given. `proofs`: where tokens are bound to keys."""
    api = Api(AccessTokens(issuer, audience, jwks_uri, is_dead, proofs), write_scope)
    return Starlette(
        routes=[
            Route("/", _open),
            Route("/headers", api.headers),
            Route("/tasks", api.protected(api.tasks), methods=["GET", "POST", "DELETE"]),
            Route("/tasks/{id:int}", api.protected(api.task), methods=["PATCH", "DELETE"]),
            Route("/token", api.protected(api.token)),
            Route("/echo", api.protected(api.echo), methods=["POST"]),
            Route("/uploads", api.protected(api.uploads), methods=["POST"]),
            Route("/live", api.protected(api.live)),
            WebSocketRoute("/chat", api.chat),
        ]
    )
