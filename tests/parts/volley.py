"""Many requests in one moment: all connections are open before the first octet leaves."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.parts.browser import Browser

PATIENCE = 60.0  # seconds until an answer that must come is given up


@dataclass(frozen=True)
class Shot:
    """One request and the port it goes to."""

    port: int
    head: bytes


@dataclass(frozen=True)
class Hit:
    """What came back."""

    status: int
    body: bytes

    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document


def shot(port: int, host: str, cookie: str, path: str = "/api/token") -> Shot:
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {host}",
        f"Cookie: {cookie}",
        "X-CSRF: 1",
        "Connection: close",
    )
    return Shot(port, ("\r\n".join(lines) + "\r\n\r\n").encode())


def cookie_of(browser: Browser) -> str:
    return "; ".join(f"{name}={each.value}" for name, each in browser.cookies.items())


def volley(shots: Sequence[Shot]) -> list[Hit]:
    """The answers, in the order of the requests."""
    return asyncio.run(_volley(shots))


async def _volley(shots: Sequence[Shot]) -> list[Hit]:
    ready = asyncio.Barrier(len(shots))
    async with asyncio.timeout(PATIENCE):
        return await asyncio.gather(*(_one(each, ready) for each in shots))


async def _one(each: Shot, ready: asyncio.Barrier) -> Hit:
    reader, writer = await asyncio.open_connection("127.0.0.1", each.port)
    try:
        await ready.wait()
        writer.write(each.head)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
        await writer.wait_closed()
    return Hit(int(head.split(b" ")[1]), _dechunked(body) if b"chunked" in head.lower() else body)


def _dechunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        whole, body = whole + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return whole
