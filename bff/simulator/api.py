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
| `GET /token` | `{"sub", "scope", "seconds_left", "fingerprint"}` of the access token |
| `POST /echo` | the body, streamed back as it comes |
"""

import hashlib
import itertools
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send
from typing_extensions import override

from bff.simulator.access_token import AccessTokens, Invalid
from bff.simulator.call import read_body

SAMPLES: Final = (
    ("Read the token endpoint's answer", True),
    ("Look for a token in the browser", False),
    ("Give up looking", False),
)


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list; `created` is an RFC 3339 time."""

    id: int
    title: str
    done: bool
    created: str


class NewTask(msgspec.Struct, frozen=True):
    """What POST takes."""

    title: str


class Tick(msgspec.Struct, frozen=True):
    """What PATCH takes."""

    done: bool


class Tasks:
    """Everybody's tasks, in memory."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._of_person: dict[str, dict[int, Task]] = {}

    def of(self, sub: str) -> dict[int, Task]:
        """One person's tasks by id; a new person begins with samples."""
        if sub not in self._of_person:
            self._of_person[sub] = {}
            for title, done in SAMPLES:
                self.add(sub, title, done=done)
        return self._of_person[sub]

    def add(self, sub: str, title: str, *, done: bool = False) -> Task:
        """The new task."""
        created = datetime.now(UTC).isoformat(timespec="seconds")
        task = Task(id=next(self._numbers), title=title, done=done, created=created)
        self.of(sub)[task.id] = task
        return task


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

    def protected(self, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
        """The Starlette endpoint that answers 401 or 403 (RFC 6750 §3) before the handler runs."""

        async def answer(request: Request) -> Response:
            try:
                claims = await self._tokens.verified(request.headers.getlist("authorization"))
            except Invalid as invalid:
                return _problem(401, "unauthorized", invalid.challenge)
            if not self._may(request.method, claims):
                challenge = f'Bearer error="insufficient_scope", scope="{self._write_scope}"'
                return _problem(403, "insufficient_scope", challenge)
            try:
                return await handler(request, claims)
            except msgspec.DecodeError as error:
                return _problem(400, str(error))

        return answer

    def _may(self, method: str, claims: Claims) -> bool:
        granted = str(claims.get("scope", "")).split()
        return method == "GET" or self._write_scope is None or self._write_scope in granted

    async def tasks(self, request: Request, claims: Claims) -> Response:
        """The list, or one more."""
        if request.method == "POST":
            title = msgspec.json.decode(await read_body(request), type=NewTask).title
            task = self._tasks.add(claims["sub"], title)
            return JSONResponse(msgspec.to_builtins(task), 201)
        mine = self._tasks.of(claims["sub"]).values()
        return JSONResponse({"tasks": msgspec.to_builtins(list(mine))})

    async def task(self, request: Request, claims: Claims) -> Response:
        """One task: ticked off or gone."""
        mine, number = self._tasks.of(claims["sub"]), request.path_params["id"]
        if number not in mine:
            return _problem(404, "no such task")
        if request.method == "DELETE":
            del mine[number]
            return Response(status_code=204)
        done = msgspec.json.decode(await read_body(request), type=Tick).done
        mine[number] = msgspec.structs.replace(mine[number], done=done)
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

    async def headers(self, request: Request) -> Response:
        """What arrived here, for whoever wonders what the BFF sends."""
        return JSONResponse(
            [[name, await self._shown(name, value)] for name, value in _pairs(request)]
        )

    async def _shown(self, name: str, value: str) -> str:
        if name != "authorization":
            return value
        scheme = value.partition(" ")[0]
        try:
            return f"{scheme} {fingerprint(await self._tokens.verified([value]))}"
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
) -> Starlette:
    """The API.

    `is_dead` says of a `jti` whether that token was revoked; most APIs cannot know. `write_scope`
    is demanded of every method but GET, where given."""
    api = Api(AccessTokens(issuer, audience, jwks_uri, is_dead), write_scope)
    return Starlette(
        routes=[
            Route("/", _open),
            Route("/headers", api.headers),
            Route("/tasks", api.protected(api.tasks), methods=["GET", "POST"]),
            Route("/tasks/{id:int}", api.protected(api.task), methods=["PATCH", "DELETE"]),
            Route("/token", api.protected(api.token)),
            Route("/echo", api.protected(api.echo), methods=["POST"]),
        ]
    )
