"""What connections, streams and long bodies cost in memory: 5,000 of each, and 2 GiB each way.

    python benchmarks/streams.py [--count 5000] [--gib 2]

One worker with Redis, real sessions. Memory is what the worker holds (VmRSS), beside an upstream
and a client of this program, which only keep their ends open.
"""

import argparse
import asyncio
import base64
import contextlib
import hashlib
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import peers
from benchmarks.relay import signed_in
from bff.simulator import Client, Plan, Switches, running

MEBI = 1024 * 1024
ROUTE = """
websocket = true
max_body = "4GiB"

[limits]
streams = 20000
streams_per_session = 20000
"""
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


# --- the upstream: a process of its own, so that its memory is nobody else's


async def upstream(port: int) -> None:
    server = await asyncio.start_server(_serve, "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
            fields = dict(line.split(b": ", 1) for line in head[1:] if b": " in line)
            await _answer(head[0].split(b" ")[1], fields, reader, writer)


async def _answer(
    path: bytes,
    fields: dict[bytes, bytes],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    if path == b"/1k":
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1024\r\n\r\n" + bytes(1024))
    elif path == b"/events":
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
            b"transfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n"
        )
    elif path.startswith(b"/down/"):
        size = int(path[6:])
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // MEBI):
            writer.write(bytes(MEBI))
            await writer.drain()
    elif path == b"/up":
        left = int(fields[b"content-length"])
        while left:
            left -= len(await reader.readexactly(min(left, MEBI)))
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    elif path == b"/ws":
        key = fields[b"sec-websocket-key"] + GUID
        accept = base64.b64encode(hashlib.sha1(key, usedforsecurity=False).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\n"
            b"connection: Upgrade\r\nsec-websocket-accept: " + accept + b"\r\n\r\n"
        )
    await writer.drain()


# --- the load


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def hold(port: int, cookie: str, path: str, count: int, *, socket: bool) -> list[Stream]:
    """So many streams, open and idle."""
    lines = [f"GET {path} HTTP/1.1", f"Host: localhost:{port}", f"Cookie: {cookie}"]
    if socket:
        lines += [
            f"Origin: http://localhost:{port}", "Connection: Upgrade", "Upgrade: websocket",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: c2l4dGVlbiBvY3RldHMuLg==",
        ]  # fmt: skip
    else:
        lines.append("Sec-Fetch-Site: same-origin")
    head = "\r\n".join([*lines, "\r\n"]).encode()
    wanted = b"HTTP/1.1 101" if socket else b"HTTP/1.1 200"
    gate = asyncio.Semaphore(100)

    async def one() -> Stream:
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=4096)
            writer.write(head)
            answer = await reader.readuntil(b"\r\n\r\n")
            if not answer.startswith(wanted):
                raise RuntimeError(answer.split(b"\r\n")[0].decode())
            if path == "/api/1k":
                await reader.readexactly(1024)
            return reader, writer

    return list(await asyncio.gather(*(one() for _ in range(count))))


async def move(port: int, cookie: str, size: int, *, up: bool) -> float:
    """Send or take so many octets; the seconds that took."""
    method, path = ("POST", "/api/up") if up else ("GET", f"/api/down/{size}")
    lines = [f"{method} {path} HTTP/1.1", f"Host: localhost:{port}", f"Cookie: {cookie}"]
    lines += ["Sec-Fetch-Site: same-origin", "X-CSRF: 1"]
    if up:
        lines.append(f"Content-Length: {size}")
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write("\r\n".join([*lines, "\r\n"]).encode())
    for _ in range(size // MEBI if up else 0):
        writer.write(bytes(MEBI))
        await writer.drain()
    answer = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in answer.split(b"\r\n")[0]:
        raise RuntimeError(answer.split(b"\r\n")[0].decode())
    left = 0 if up else size
    while left:
        part = await reader.read(MEBI)
        if not part:
            raise RuntimeError("the answer was cut short")
        left -= len(part)
    writer.close()
    return time.monotonic() - began


def memory(pid: int, what: str = "VmRSS") -> float:
    """KiB of the worker."""
    status = Path(f"/proc/{pid}/status").read_text()
    return float(next(line.split()[1] for line in status.splitlines() if line.startswith(what)))


def count_peak_anew(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


async def bodies(port: int, pid: int, cookie: str, gib: int) -> None:
    """What long bodies take at their peak."""
    print(f"at rest: {memory(pid) / 1024:.1f} MiB")
    for way in ("up", "down"):
        count_peak_anew(pid)
        before = memory(pid)
        took = await move(port, cookie, gib << 30, up=way == "up")
        peak = memory(pid, "VmHWM")
        print(
            f"{gib} GiB {way}: {(gib << 30) / took / 1e6:,.0f} MB/s, peak {peak / 1024:.1f} MiB,"
            f" {(peak - before) / 1024:+.1f} MiB"
        )


KINDS = {
    "kept connection": ("/api/1k", False),
    "event stream": ("/api/events", False),
    "stream of session events": ("/bff/events", False),
    "WebSocket": ("/api/ws", True),
}


async def idle(port: int, pid: int, cookie: str, count: int, kind: str) -> None:
    """What one of a kind takes that nobody uses just now."""
    path, socket = KINDS[kind]
    before = memory(pid)
    kept = await hold(port, cookie, path, count, socket=socket)
    await asyncio.sleep(2)
    print(f"{len(kept):,} idle, one {kind}: {(memory(pid) - before) / count:.1f} KiB")


@contextlib.contextmanager
def _upstream_process(port: int) -> Iterator[None]:
    with peers.process([sys.executable, __file__, "--upstream", str(port)]):
        peers.wait_for(port)
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--gib", type=int, default=2)
    parser.add_argument("--upstream", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    if asked.upstream:
        asyncio.run(upstream(asked.upstream))
        return
    peers.BFF = peers.BFF.replace("[operate]", ROUTE + "[operate]")
    port, api = peers.free_port(), peers.free_port()
    client = Client(
        client_id="bff",
        client_secret=peers.SECRET,
        redirect_uris=(f"http://localhost:{port}/bff/callback",),
    )
    plan = Plan(clients=(client,), switches=Switches(access_token_seconds=86_400))
    with (
        tempfile.TemporaryDirectory(prefix="bff-bench-") as name,
        running(plan) as simulator,
        _upstream_process(api),
        peers.redis(Path(name)) as redis,
    ):
        ports = {"port": port, "api_port": api, "redis_port": redis}
        for kind in (None, *KINDS):  # each in a process of its own: memory is used again
            with peers.bff(Path(name), issuer=simulator.issuer, **ports) as pid:  # type: ignore[arg-type]
                cookie = signed_in(port, "/bff/login", csrf=True)
                worker = peers.family(pid)[-1]
                if kind is None:
                    asyncio.run(bodies(port, worker, cookie, asked.gib))
                else:
                    asyncio.run(idle(port, worker, cookie, asked.count, kind))


if __name__ == "__main__":
    main()
