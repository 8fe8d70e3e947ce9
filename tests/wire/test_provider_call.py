"""How a call to the provider can end, against a peer that misbehaves on a real socket.

The peer here serves the other `test_provider_*` files of this folder too.
"""

import asyncio
import functools
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, ParamSpec
from urllib.parse import parse_qs

import pytest
import structlog.testing

from bff.config.load import parse
from bff.keys import new_key
from bff.provider.call import Fault, ProviderHttp, Reply, Share
from bff.provider.server import AuthorizationServer, close, open_server
from tests.parts.redis_process import free_port


class SetClock:
    """A clock that stands where it is put."""

    time = 1_000_000.0

    def now(self) -> float:
        return self.time


@dataclass(frozen=True)
class Asked:
    """One request as the peer got it."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        read = parse_qs(self.body.decode(), keep_blank_values=True, strict_parsing=True)
        return {name: values[0] for name, values in read.items() if len(values) == 1}


P = ParamSpec("P")
Script = Callable[[asyncio.StreamWriter], Awaitable[None]]


def http(
    status: int, document: object = None, *, kind: str = "application/json", **fields: object
) -> bytes:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    extra = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in fields.items())
    head = f"HTTP/1.1 {status} X\r\ncontent-type: {kind}\r\n{extra}content-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def drop(_writer: asyncio.StreamWriter) -> None:
    """Process the request, and go away without a word."""
    raise ConnectionError


class Peer:
    """A provider made of scripts, one per path: bytes to send, or a coroutine that sends them."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []
        self.answers: dict[str, bytes | Script] = {}
        self.connections = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def count(self, path: str) -> int:
        return sum(asked.target.partition("?")[0] == path for asked in self.asked)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                method, target, _ = head[0].split(" ")
                pairs = (line.split(": ", 1) for line in head[1:] if line)
                fields = {name.lower(): value for name, value in pairs}
                body = await reader.readexactly(int(fields.get("content-length", "0")))
                self.asked.append(Asked(method, target, fields, body))
                answer = self.answers.get(target.partition("?")[0], http(404))
                if isinstance(answer, bytes):
                    writer.write(answer)
                    await writer.drain()
                else:
                    await answer(writer)
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            return  # the other side, or the script, or the test is done
        finally:
            self._tasks.discard(task)
            writer.close()

    async def end(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)


CONFIG = f"""
origin = "http://localhost:8080"
provider = {{ issuer = "http://localhost:1", client_id = "spa", client_secret = "canary-secret" }}
session = {{ store = "memory:" }}
keys = {{ current = "{new_key()}" }}
routes = [ {{ path = "/api", upstream = "http://127.0.0.1:1" }} ]
"""


@asynccontextmanager
async def provider(
    *,
    path: str = "",
    clock: SetClock | None = None,
    tls: ssl.SSLContext | None = None,
    **settings: Any,
) -> AsyncIterator[tuple[Peer, AuthorizationServer]]:
    """A peer whose issuer has this path, and the server value to speak with it."""
    peer = Peer()
    listening = await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=tls)
    port = listening.sockets[0].getsockname()[1]
    peer.url = f"http{'s' if tls else ''}://127.0.0.1:{port}"
    issuer = peer.url + path
    peer.answers[f"{path.rstrip('/')}/.well-known/openid-configuration"] = http(
        200, metadata_document(peer.url, issuer)
    )
    frontend = parse(CONFIG, dev=True).frontends[0]
    config = frontend.provider.model_copy(update={"issuer": issuer, **settings})
    server = open_server(replace(frontend, providers={"": config}), clock or SetClock())
    try:
        yield peer, server
    finally:
        await close(server)
        listening.close()
        await peer.end()
        await listening.wait_closed()


def metadata_document(url: str, issuer: str) -> dict[str, object]:
    return {
        "issuer": issuer,
        "authorization_endpoint": f"{url}/authorize",
        "token_endpoint": f"{url}/token",
        "jwks_uri": f"{url}/jwks",
        "userinfo_endpoint": f"{url}/userinfo",
        "revocation_endpoint": f"{url}/revoke",
    }


def in_a_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


async def post(http_client: ProviderHttp, url: str, share: Share = Share.OTHER) -> Reply | Fault:
    form = {"code": "canary-code"}
    headers = {"authorization": "Basic canary-secret"}
    return await http_client.post_form(url, form, headers=headers, kind="token", share=share)


@pytest.mark.rule("P-04")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@in_a_loop
async def test_a_redirect_is_not_followed(status: int) -> None:
    async with provider() as (peer, server), provider() as (other, _):
        for path in ("/token", "/jwks"):
            peer.answers[path] = http(status, location=f"{other.url}/stolen")
        answers = [
            await post(server.http, f"{peer.url}/token"),
            await server.http.get(f"{peer.url}/jwks", kind="jwks_uri"),
        ]
        assert [isinstance(each, Reply) and each.status for each in answers] == [status, status]
        assert other.asked == []


@pytest.mark.rule("P-04")
@in_a_loop
async def test_no_cookie_is_kept() -> None:
    async with provider() as (peer, server):
        peer.answers["/jwks"] = http(200, {}, set_cookie="a=b; Path=/")
        for _ in range(2):
            await server.http.get(f"{peer.url}/jwks", kind="jwks_uri")
        assert peer.count("/jwks") == 2
        assert all("cookie" not in asked.headers for asked in peer.asked)


@in_a_loop
async def test_the_proxies_of_the_environment_are_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    async with provider() as (peer, server):
        peer.answers["/jwks"] = http(200, {})
        reply = await server.http.get(f"{peer.url}/jwks", kind="jwks_uri")
        assert isinstance(reply, Reply)


async def stall(_writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


def patience(answer: bytes | Script) -> dict[str, Any]:
    """Settings under which an answer that never comes is given up in time for a test."""
    return {"total_timeout": 1.0, "connect_timeout": 1.0} if answer is stall else {}


async def half(writer: asyncio.StreamWriter) -> None:
    writer.write(http(200, {"access_token": "canary-token"})[:-3])
    await writer.drain()
    raise ConnectionError


async def nonsense(writer: asyncio.StreamWriter) -> None:
    writer.write(b"SMTP ready\r\n\r\n")


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        await writer.drain()


@pytest.mark.rule("P-11")
@pytest.mark.rule("E-06")
@pytest.mark.rule("E-09")
@pytest.mark.parametrize(
    "script",
    [
        pytest.param(stall, id="an answer that never comes"),
        pytest.param(drop, id="a connection dropped after the request was processed"),
        pytest.param(half, id="an answer cut off"),
        pytest.param(nonsense, id="an answer that is no HTTP"),
        pytest.param(endless, id="an answer without end"),
        pytest.param(http(200, b"x" * (1024 * 1024 + 1)), id="an answer over 1 MiB"),
        pytest.param(
            http(200, b"", content_encoding="gzip"), id="an answer compressed all the same"
        ),
    ],
)
@in_a_loop
async def test_what_may_have_been_processed_is_unsure_and_told_once(script: bytes | Script) -> None:
    async with provider(**patience(script)) as (peer, server):
        peer.answers["/token"] = script
        with structlog.testing.capture_logs() as lines:
            assert await post(server.http, f"{peer.url}/token?q=canary-query") is Fault.UNSURE
        assert peer.count("/token") == 1
        assert [(line["event"], line["endpoint"]) for line in lines] == [
            ("provider_failed", "token")
        ]
        assert "canary" not in str(lines)


@pytest.mark.rule("P-11")
@in_a_loop
async def test_an_answer_of_exactly_1_mib_is_read() -> None:
    async with provider() as (peer, server):
        peer.answers["/jwks"] = http(200, b"x" * (1024 * 1024), retry_after="7")
        reply = await server.http.get(f"{peer.url}/jwks", kind="jwks_uri")
        assert isinstance(reply, Reply)
        assert (len(reply.body), reply.retry_after) == (1024 * 1024, 7)


NOBODY = [
    pytest.param(lambda: f"http://127.0.0.1:{free_port()}/token", id="nobody listens there"),
    pytest.param(lambda: "https://nobody.invalid/token", id="no host has the name (RFC 6761 §6.4)"),
]


@pytest.mark.rule("E-09")
@pytest.mark.parametrize("nobody", NOBODY)
@in_a_loop
async def test_what_reached_nobody_was_not_sent(nobody: Callable[[], str]) -> None:
    async with provider() as (_, server):
        with structlog.testing.capture_logs() as lines:
            assert await post(server.http, nobody()) is Fault.NOT_SENT
        (line,) = lines
        assert line["code"] == "not_sent"
        # ConnectTimeout where the one who knows the names is silent.
        assert line["error"].startswith("Connect")
